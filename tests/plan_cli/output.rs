//! What is printed.

use std::{fs::File, io::Write as _, process::Stdio};

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::command::{command, fixture, plan, plan_text, text};

/// The slices of a YAML List.
fn items(yaml: &str) -> Vec<Value> {
    let list: Value = serde_saphyr::from_str(yaml).unwrap();
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("v1"), &json!("List")));
    list["items"].as_array().unwrap().clone()
}

/// The shop, with the slices that a controller would have created for it.
pub fn settled(change: impl Fn(&mut Value)) -> String {
    let made = plan(&["-f", &fixture("shop.yaml"), "-o", "yaml"]).good();
    let mut documents = text("shop.yaml");
    for (at, mut slice) in items(&made).into_iter().enumerate() {
        let name = format!("{}x{at}", slice["metadata"]["generateName"].as_str().unwrap());
        slice["metadata"]["name"] = name.into();
        slice["metadata"]["resourceVersion"] = format!("30{at}").into();
        change(&mut slice);
        documents.extend(["\n---\n", &slice.to_string(), "\n"]);
    }
    documents
}

#[test]
fn a_table() {
    let table = plan(&["-f", &fixture("shop.yaml")]).good();
    assert_snapshot!(table);
    assert!(!table.contains('\u{1b}'), "colour is for terminals");
}

#[test]
fn a_line_for_each_zone() {
    assert_snapshot!(plan(&["-f", &fixture("shop.yaml"), "-o", "wide"]).good());
}

#[test]
fn a_summary() {
    assert_snapshot!(plan(&["-f", &fixture("shop.yaml"), "-o", "summary"]).good());
}

#[test]
fn the_slices() {
    let yaml = plan(&["-f", &fixture("shop.yaml"), "-o", "yaml"]).good();
    assert_snapshot!(yaml);
    let json = plan(&["-f", &fixture("shop.yaml"), "-o", "json"]).good();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["items"].as_array().unwrap(), &items(&yaml));
}

/// Slices that have a Service's name but not its UID, that lack hints, or that lack endpoints:
/// deletes, updates that change only hints, and creates, in the order of sending.
#[test]
fn the_changes() {
    let world =
        settled(|slice| match slice["metadata"]["labels"]["kubernetes.io/service-name"].as_str() {
            Some("cart") => {
                let endpoints = slice["endpoints"].as_array_mut().unwrap();
                for endpoint in endpoints {
                    endpoint["hints"] = Value::Null;
                }
            }
            Some("mail") => slice["metadata"]["ownerReferences"][0]["uid"] = "of-another".into(),
            Some("search") => slice["endpoints"] = json!([]),
            _ => (),
        });
    let changes = plan_text(&world, &["-o", "changes"]);
    assert_snapshot!(changes.out);
    assert_eq!(changes.code, Some(0));
    assert_eq!(
        changes.err,
        "to write: 4 slices of 3 Services (+1 ~2 -1); 7 Services: 2 Ineffective, 1 Partial, 1 Applied, 3 None\n"
    );
    assert_snapshot!("the_changes_as_table", plan_text(&world, &[]).good());
    let yaml = plan_text(&world, &["-o", "yaml"]).good();
    let slices = items(&yaml);
    let names: Vec<_> =
        slices.iter().map(|slice| slice["metadata"]["name"].as_str().unwrap_or("(new)")).collect();
    assert_eq!(names, ["cart-x0", "desk-x1", "(new)", "peers-x3", "search-x4"]);
}

#[test]
fn what_a_controller_left_is_adopted() {
    let world = settled(|_| ());
    for output in ["changes", "table"] {
        let done = plan_text(&world, &["-o", output]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(
            done.err,
            "nothing to do: 5 Services, 5 slices are as they should be; 7 Services: 2 Ineffective, 1 Partial, 1 Applied, 3 None\n"
        );
        assert_eq!(done.out.is_empty(), output == "changes");
    }
    let unchanged: Vec<_> = items(&plan_text(&world, &["-o", "yaml"]).good());
    assert_eq!(unchanged[0]["metadata"]["resourceVersion"], "300");
}

/// A controller of its own may keep slices for a Service and label them so that no proxy reads
/// them.
#[test]
fn slices_that_no_proxy_reads_do_not_count() {
    let foreign = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "cart-other", "namespace": "shop", "labels": {
            "kubernetes.io/service-name": "cart", "service.kubernetes.io/headless": "",
            "endpointslice.kubernetes.io/managed-by": "example.com"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.9.9.9"], "conditions": {"ready": true}}],
        "ports": [{"name": "http", "protocol": "TCP", "port": 80}],
    });
    let shop = text("shop.yaml");
    let with = plan_text(&format!("{shop}\n---\n{foreign}"), &["-o", "summary"]).good();
    assert_eq!(with, plan_text(&shop, &["-o", "summary"]).good());
}

#[test]
fn nothing_at_all() {
    let done = plan_text("{kind: List, apiVersion: v1, items: []}", &["-o", "yaml"]);
    assert_eq!(done.out, "apiVersion: v1\nkind: List\nitems: []\n");
    assert_eq!(done.err, "nothing to do: there is no Service in what was read\n");
}

#[test]
fn the_order_of_documents_does_not_matter() {
    let world = settled(|slice| slice["endpoints"] = json!([]));
    let documents: Vec<&str> = world.split("\n---\n").collect();
    for output in ["table", "wide", "yaml", "json", "changes", "diff", "summary"] {
        let expected = plan_text(&world, &["-o", output]).good();
        for shift in 1..documents.len() {
            let mut shuffled = documents.clone();
            shuffled.rotate_left(shift);
            if shift % 2 == 0 {
                shuffled.reverse();
            }
            let found = plan_text(&shuffled.join("\n---\n"), &["-o", output]).good();
            assert_eq!(found, expected, "{output} {shift}");
        }
    }
}

#[test]
fn a_service_without_uid_owns_nothing() {
    let world = text("shop.yaml").replace("uid: 7a1c0000-0000-4000-8000-000000000001", "uid: \"\"");
    let slices = items(&plan_text(&world, &["-o", "yaml"]).good());
    assert_eq!(slices[0]["metadata"]["generateName"], "cart-");
    assert_eq!(slices[0]["metadata"].get("ownerReferences"), None);
}

#[test]
fn slices_have_a_largest_size() {
    let file = fixture("shop.yaml");
    let made = |max| {
        let args = ["-f", &file, "-o", "changes", "--max-endpoints-per-slice", max];
        plan(&args)
    };
    assert_eq!(made("2").good().matches("\"service\":\"cart\"").count(), 2);
    assert_eq!(made("1").good().matches("\"service\":\"cart\"").count(), 3);
    assert_eq!((made("0").code, made("1001").code), (Some(2), Some(2)));
}

#[test]
fn slices_of_others_are_seen_but_not_listed() {
    let foreign = "
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: by-hand, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
endpoints: [{addresses: [10.9.9.9]}]
ports: [{name: http, port: 5678}]
";
    let world = text("shop.yaml") + foreign;
    let table = plan_text(&world, &[]).good();
    let cart = table.lines().find(|line| line.contains(" cart ")).unwrap();
    assert!(cart.contains("Ineffective  ForeignSliceWithoutHints"), "{cart}");
    assert!(!plan_text(&world, &["-o", "yaml"]).good().contains("10.9.9.9"));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = command(&["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    // Nothing is printed before the input has ended, so the reader is gone by then.
    child.stdin.take().unwrap().write_all(text("shop.yaml").as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command(&["-f", &fixture("shop.yaml")]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let last = error.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: cannot write to standard output: "), "{error}");
}

#[test]
fn an_address_that_slices_may_not_carry_is_left_out() {
    let world = text("shop.yaml");
    let world = world.replace("10.0.2.1", "169.254.7.7");
    let table = plan_text(&world, &[]).good();
    let cart = table.lines().find(|line| line.contains(" cart ")).unwrap();
    assert!(cart.contains("Applied      AddressNotAllowed"), "{table}");
    let summary: Value =
        serde_json::from_str(&plan_text(&world, &["-o", "summary"]).good()).unwrap();
    assert!(summary["services"].to_string().contains("\"AddressNotAllowed\""), "{summary}");
    for output in ["yaml", "changes"] {
        assert!(!plan_text(&world, &["-o", output]).good().contains("169.254.7.7"));
    }
}
