//! Input that cannot be read: exit code 2, one line that says where and what to do, and nothing
//! on standard output.

use insta::assert_snapshot;

use super::command::{Done, fixture, plan, plan_text, text};

/// The one line on standard error.
#[track_caller]
fn refused(done: &Done) -> String {
    assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{done:?}");
    let mut lines = done.err.lines();
    let line = lines.next().unwrap();
    assert_eq!(lines.next(), None, "{done:?}");
    line.replace(&fixture(""), "")
}

/// The shop, with one text in place of another.
#[track_caller]
fn shop(from: &str, to: &str) -> String {
    let text = text("shop.yaml");
    assert!(text.contains(from));
    refused(&plan_text(&text.replacen(from, to, 1), &[]))
}

#[test]
fn what_is_wrong_is_named() {
    let pod = "status: {phase: Running, podIP: 10.0.2.1, podIPs: [{ip: 10.0.2.1}]";
    let lines = [
        shop("trafficDistribution: PreferSameZone", "trafficDistributon: PreferSameZone"),
        shop("trafficDistribution: PreferSameZone", "trafficDistribution: PreferMyZone"),
        shop("trafficDistribution: PreferSameZone", "trafficDistribution: [PreferSameZone]"),
        shop("{app: cart}", "{app: yes}"),
        shop("{app: cart}", "{app: {cart: 1}}"),
        shop("clusterIP: 10.96.0.11", "clusterIP: 10.96.0.300"),
        shop("protocol: TCP", "protocol: HTTP"),
        shop("name: http, port: 80,", "name: http,"),
        shop("ipFamilies: [IPv4]", "ipFamilies: [IPv5]"),
        shop("resourceVersion: \"101\"", "resourceVersion: abc"),
        shop(pod, "status: {podIPs: [{ip: ten}]"),
        shop(pod, "status: {podIP: ten"),
        shop(pod, "status: {podIP: 10.0.2.9, podIPs: [{ip: 10.0.2.1}]"),
        shop("name: mnode-m02,", "nam: mnode-m02,"),
        shop("allocatable: {cpu: \"2\"}", "allocatable: {cpu: lots}"),
        shop("name: search-a,", "name: cart-a,"),
        shop("kind: Service", "kid: Service"),
        shop("apiVersion: v1", "apiVersion: v1beta1"),
        shop("clusterIP: 10.96.0.11", "clusterIP: [10.96.0.11"),
        shop("clusterIP: 10.96.0.11", "clusterIP: 10.96.0.11\n  clusterIP: 10.96.0.11"),
    ];
    assert_snapshot!(lines.join("\n"));
}

/// An object that names no namespace gets one, which must not hide that it meant to name it.
#[test]
fn a_misspelled_namespace_is_found() {
    for (kind, name) in
        [("Service", "namespce"), ("Pod", "nameSpace"), ("LocalityPolicy", "namspace")]
    {
        let group = if kind == "LocalityPolicy" { "closehaul.io/v1alpha1" } else { "v1" };
        let text =
            format!("{{apiVersion: {group}, kind: {kind}, metadata: {{name: a, {name}: b}}}}");
        let line = refused(&plan_text(&text, &[]));
        let expected = format!("unknown field `metadata.{name}`: did you mean `namespace`?");
        assert!(line.contains(&expected), "{line}");
    }
}

#[test]
fn slices_are_read_as_strictly() {
    let slice = |body: &str| {
        let head = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s}\n";
        refused(&plan_text(&format!("{head}{body}"), &[]))
    };
    let lines = [
        slice("addressType: IPv5"),
        slice("endpoints: []"),
        slice("addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}, {addresses: [ten]}]"),
        slice("addressType: IPv4\nendpoints: [{addresses: [fd00::1]}]"),
        slice("addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], hints: {forZone: []}}]"),
        slice(
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], conditions: {ready: \"true\"}}]",
        ),
        slice("addressType: IPv4\nports: [{port: \"80\"}]"),
    ];
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn lists_and_documents_that_are_none() {
    let list = |items: &str| {
        let list = format!(r#"{{"apiVersion": "v1", "kind": "PodList", "items": {items}}}"#);
        refused(&plan_text(&list, &[]))
    };
    let good = r#"{"metadata": {"name": "a"}}"#;
    let lines = [
        list(&format!(
            r#"[{good}, {{"metadata": {{"name": "b"}}, "status": {{"podIPs": [{{"ip": "x"}}]}}}}]"#
        )),
        list(&format!("[{good}, {good}]")),
        list("{}"),
        list("[7]"),
        list("[{}]"),
        refused(&plan_text("- a\n- b\n", &[])),
        refused(&plan_text("just text", &[])),
        refused(&plan_text("apiVersion: v1\n", &[])),
        refused(&plan_text("kind: Pod\n", &[])),
    ];
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn files_that_cannot_be_read() {
    let none = env!("CARGO_MANIFEST_DIR").to_owned() + "/.cargo-no-such";
    let lines = [
        refused(&plan(&["-f", "/nonexistent/shop.yaml"])),
        refused(&plan(&["-f", &fixture("shop.yaml"), "-f", "/nonexistent"])),
        refused(&plan(&["-f", "/proc/self/fdinfo"])),
        refused(&plan(&["-f", "-", "-f", "-"])),
        refused(&plan(&["-f", &fixture("shop.yaml"), "-f", &fixture("shop.yaml")])),
    ];
    assert!(refused(&plan(&["-f", &none])).contains(".cargo-no-such"));
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn wrong_usage() {
    let file = fixture("shop.yaml");
    for args in [["-o", "toml"], ["--at", "tomorrow"], ["--no-such", "flag"]] {
        let done = plan(&[&["-f", &file], &args[..]].concat());
        assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{args:?}");
    }
    assert_eq!(plan(&["-f", &file, "--at", "2026-01-02T03:04:05Z"]).code, Some(0));
}
