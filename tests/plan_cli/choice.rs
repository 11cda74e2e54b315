//! Which Services are shown: by namespace, name and label.

use super::command::{Done, fixture, plan};

/// The Services in the rows of a table, as NAMESPACE/NAME.
fn shown(done: Done) -> Vec<String> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        format!("{}/{}", words.next().unwrap(), words.next().unwrap())
    };
    done.good().lines().skip(1).map(row).collect()
}

fn shop(args: &[&str]) -> Done {
    plan(&[&["-f", &fixture("shop.yaml")], args].concat())
}

#[test]
fn names_with_a_namespace_and_without() {
    assert_eq!(shown(shop(&["cart"])), ["shop/cart"]);
    assert_eq!(
        shown(shop(&["shop/cart", "default/kubernetes"])),
        ["default/kubernetes", "shop/cart"]
    );
    assert_eq!(shown(shop(&["search", "cart", "-n", "shop"])), ["shop/cart", "shop/search"]);
    assert_eq!(shown(shop(&["cart", "-n", "default", "-A"])), ["shop/cart"]);
}

#[test]
fn a_name_that_does_not_exist() {
    let done = shop(&["shop/crt"]);
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
    assert!(
        done.err.ends_with("error: there is no Service shop/crt; there is shop/cart\n"),
        "{done:?}"
    );
    let done = shop(&["cart", "-n", "default"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    for args in [&["a/b/c"][..], &["/cart"], &["shop/"], &["shop/cart", "-n", "default"]] {
        let done = shop(args);
        assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{args:?}: {done:?}");
        assert!(done.err.starts_with("error: "), "{args:?}: {done:?}");
    }
}

#[test]
fn namespaces() {
    assert_eq!(shown(shop(&["-n", "default"])), ["default/kubernetes"]);
    assert_eq!(shown(shop(&["-n", "default", "-A"])), shown(shop(&[])), "as with kubectl");
    assert_eq!(shown(shop(&["-n", ""])), shown(shop(&[])), "as if it were not given");
}

#[test]
fn labels() {
    assert_eq!(shown(shop(&["-l", "tier=web"])), ["shop/cart"]);
    assert_eq!(shown(shop(&["--selector=tier in (web,db)", "-n", "shop"])), ["shop/cart"]);
    assert_eq!(shown(shop(&["-l", "!tier", "-n", "default"])), ["default/kubernetes"]);
    let none = shop(&["-l", "tier=db"]);
    assert!(none.err.ends_with("chosen by -l; do Services have such labels?\n"), "{none:?}");
    assert_eq!(shown(none), [""; 0]);
    for args in [&["cart", "-l", "tier=web"][..], &["-l", "tier in (web"], &["-l", "="]] {
        let done = shop(args);
        assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{args:?}: {done:?}");
    }
}

/// What is chosen limits the other outputs as well.
#[test]
fn every_output_is_limited() {
    for output in ["wide", "yaml", "json", "changes", "diff", "summary", "html"] {
        let done = shop(&["cart", "-o", output]);
        assert!(!done.out.contains("peers"), "{output}: {}", done.out);
        assert!(
            done.err.ends_with("to write: 1 slice of 1 Service (+1 ~0 -0); 1 Service: 1 Applied\n")
        );
        assert!(done.good().contains("cart"), "{output}");
    }
}
