//! What a user is told who asks for something that is not there.

use crate::{command::explain, world::World};

#[track_caller]
fn fails(service: &str, args: &[&str], code: i32, words: &[&str]) {
    let mut world = World::new([1, 1, 1], None);
    let mut other =
        world.objects.iter().find(|object| object["kind"] == "Service").unwrap().clone();
    other["metadata"]["namespace"] = "batch".into();
    other["metadata"]["name"] = "report".into();
    world.add(other.clone());
    other["metadata"]["namespace"] = "shop".into();
    world.add(other);
    let ended = explain(&world.objects, service, args);
    assert_eq!((ended.code, &*ended.stdout), (Some(code), ""), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word} in {}", ended.stderr);
    }
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_service_that_is_missing() {
    fails("crt", &[], 1, &["no Service crt", "shop/cart"]);
    fails("cart", &["-n", "batch"], 1, &["no Service batch/cart", "shop/cart"]);
    fails("nothing", &[], 1, &["no Service nothing", "closehaul plan"]);
}

#[test]
fn a_service_that_is_in_two_namespaces() {
    fails("report", &[], 1, &["batch/report, shop/report", "-n"]);
}

#[test]
fn a_name_that_is_none() {
    for name in ["/cart", "shop/", "a/b/c"] {
        fails(name, &[], 2, &[name, "NAMESPACE/NAME"]);
    }
    fails("shop/cart", &["-n", "batch"], 2, &["batch", "shop/cart"]);
}

#[test]
fn a_node_that_is_missing() {
    fails("cart", &["--from", "node-z"], 1, &["no node node-z", "kubectl get nodes"]);
}
