//! The options that all commands have.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    folder::{Folder, config, to},
    servers::{api, compressing, patient, stalling},
};

#[test]
fn a_user_is_impersonated() {
    let (folder, server) = (Folder::new(), api());
    let file = folder.write("config", to(&format!("http://{}", server.address)).to_string());
    let args = ["plan", "--kubeconfig", &file, "--as", "ann", "--as-group=a", "--as-group=b"];
    folder.run(&args, &[]).reached();
    for head in server.asked.all() {
        for line in
            ["impersonate-user: ann\r\n", "impersonate-group: a\r\n", "impersonate-group: b\r\n"]
        {
            assert!(head.contains(line), "{line} is not in: {head}");
        }
    }
    // Before the command, and by the kubeconfig, which the option overrides.
    let server = api();
    let cluster = json!({"server": format!("http://{}", server.address)});
    let user = json!({"as": "bob", "as-groups": ["c"]});
    let file = folder.write("config", config(&cluster, &user).to_string());
    folder.run(&["--as=ann", "plan", "--kubeconfig", &file], &[]).reached();
    let head = server.asked.all().concat();
    assert!(head.contains("impersonate-user: ann\r\n") && !head.contains("bob"), "{head}");
    assert!(head.contains("impersonate-group: c\r\n"), "{head}");
}

#[test]
fn nobody_is_impersonated() {
    let folder = Folder::new();
    let file = folder.write("config", to("http://127.0.0.1:1").to_string());
    for (args, words) in [
        (
            ["--as-group=a", "--context=here"],
            "--as-group is only for impersonating a user: add --as",
        ),
        (["--as=a\nb", "--context=here"], "cannot impersonate a\\nb: the name has a line break"),
    ] {
        let done = folder.run(&[&["plan", "--kubeconfig", &file], &args[..]].concat(), &[]);
        assert_eq!(done.code, Some(2), "{done:?}");
        done.says(&[words]);
    }
}

/// Neither an answer that does not come nor one that does not end is waited for.
#[test]
fn a_request_has_a_time_limit() {
    let folder = Folder::new();
    for said in
        ["", "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"]
    {
        let server = stalling(said);
        let file = folder.write("config", to(&format!("http://{}", server.address)).to_string());
        for limit in ["--request-timeout=1s", "--request-timeout=1"] {
            let began = Instant::now();
            let done = folder.run(&["plan", limit, "--kubeconfig", &file], &[]);
            done.failed(&["cannot list services of", "no complete answer within 1s"]);
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        }
    }
    let server = api();
    let file = folder.write("config", to(&format!("http://{}", server.address)).to_string());
    for limit in ["0", "0s", "1m"] {
        folder.run(&["plan", "--request-timeout", limit, "--kubeconfig", &file], &[]).reached();
    }
    let done = folder.run(&["plan", "--request-timeout=soon", "--kubeconfig", &file], &[]);
    assert_eq!(done.code, Some(2), "{done:?}");
}

/// Services, pods, slices, nodes, and three kinds of policies.
#[test]
fn all_kinds_are_listed_at_once() {
    let (folder, server) = (Folder::new(), patient(7));
    let file = folder.write("config", to(&format!("http://{}", server.address)).to_string());
    folder.run(&["plan", "--request-timeout=30s", "--kubeconfig", &file], &[]).reached();
    assert_eq!(server.asked.all().len(), 7);
}

#[test]
fn lists_are_compressed() {
    let (folder, server) = (Folder::new(), compressing());
    let file = folder.write("config", to(&format!("http://{}", server.address)).to_string());
    folder.run(&["plan", "--kubeconfig", &file], &[]).reached();
    let asked = server.asked.all();
    assert!(asked.iter().all(|head| head.contains("accept-encoding: gzip\r\n")), "{asked:?}");
}

/// The namespace of the context is that of `plan`, as with kubectl.
#[test]
fn the_namespace_of_the_context() {
    let folder = Folder::new();
    let lists = |namespace: &Value, args: &[&str]| {
        let server = api();
        let mut config = to(&format!("http://{}", server.address));
        config["contexts"][0]["context"]["namespace"] = namespace.clone();
        let file = folder.write("config", config.to_string());
        folder.run(&[&["plan", "--kubeconfig", &file], args].concat(), &[]);
        let asked = server.asked.all();
        let is_services = |head: &&String| head.contains("/services?");
        let head = asked.iter().find(is_services).unwrap();
        head.split(['?', ' ']).nth(1).unwrap().to_owned()
    };
    assert_eq!(lists(&json!("shop"), &[]), "/api/v1/namespaces/shop/services");
    assert_eq!(lists(&Value::Null, &[]), "/api/v1/namespaces/default/services");
    assert_eq!(lists(&json!("shop"), &["-n", "pay"]), "/api/v1/namespaces/pay/services");
    assert_eq!(lists(&json!("shop"), &["-A"]), "/api/v1/services");
    assert_eq!(lists(&json!("shop"), &["pay/a", "pay/b"]), "/api/v1/namespaces/pay/services");
    assert_eq!(lists(&json!("shop"), &["pay/a", "b"]), "/api/v1/services");
}

/// They write in all namespaces, so one that is named would be misunderstood.
#[test]
fn commands_for_the_whole_cluster_take_no_namespace() {
    let folder = Folder::new();
    let file = folder.write("config", to("http://127.0.0.1:1").to_string());
    let flags = ["--metrics-bind-address=0", "--health-probe-bind-address=0"];
    for args in [&["restore"][..], &[&["run"], &flags[..]].concat()] {
        let done = folder.run(&[args, &["--kubeconfig", &file, "-n", "shop"]].concat(), &[]);
        assert_eq!(done.code, Some(2), "{done:?}");
        done.says(&["for the whole cluster and not for the namespace shop: leave out -n"]);
    }
}
