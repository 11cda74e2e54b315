//! A cluster in place of files.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    thread,
};

use serde_json::{Value, json};

use super::command::{Done, fixture, plan, text};

/// Answers all requests; ends with the process.
fn serve(answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(&stream).lines();
            let request = lines.next().unwrap().unwrap();
            assert!(request.starts_with("GET "), "{request}");
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let (code, body) = answer(request.split(' ').nth(1).unwrap());
            let body = body.to_string();
            write!(
                stream,
                "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    url
}

/// Runs `closehaul plan` on the cluster at `url`.
fn plan_at(name: &str, url: &str, args: &[&str]) -> Done {
    let file =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.yaml", std::process::id()));
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
    });
    fs::write(&file, kubeconfig.to_string()).unwrap();
    let done = plan(&[&["--kubeconfig", file.to_str().unwrap()], args].concat());
    fs::remove_file(&file).unwrap();
    done
}

/// A server's answer that it does not do what was requested.
fn refusal(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code});
    (code, status)
}

/// The shop's objects as a server lists them: one on the first page, the rest on the second.
fn shop(path: &str) -> (u16, Value) {
    let (route, query) = path.split_once('?').unwrap();
    assert!(query.contains("limit=500"), "{path}");
    let (kind, plural) = [
        ("Service", "services"),
        ("Pod", "pods"),
        ("Node", "nodes"),
        ("EndpointSlice", "endpointslices"),
    ]
    .into_iter()
    .find(|(_, plural)| route.ends_with(plural))
    .unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text("shop.yaml")).unwrap();
    let is_wanted = |object: &Value| {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        object["kind"] == kind
            && (!route.contains("/namespaces/")
                || route.ends_with(&format!("/namespaces/{namespace}/{plural}")))
    };
    let mut page: Vec<_> = objects.into_iter().filter(is_wanted).collect();
    let rest = page.split_off(page.len().min(1));
    let (items, metadata) = if query.contains("continue=next") {
        (rest, json!({"resourceVersion": "1"}))
    } else {
        (page, json!({"resourceVersion": "1", "continue": "next"}))
    };
    (
        200,
        json!({"apiVersion": "v1", "kind": format!("{kind}List"), "metadata": metadata, "items": items}),
    )
}

#[test]
fn a_cluster_is_read_as_a_file_is() {
    let url = serve(shop);
    for output in ["table", "yaml", "changes"] {
        let expected = plan(&["-f", &fixture("shop.yaml"), "-o", output]).good();
        assert_eq!(plan_at(&format!("all-{output}"), &url, &["-o", output]).good(), expected);
    }
    let table = plan_at("one", &url, &["-n", "default"]).good();
    assert!(table.contains("kubernetes") && !table.contains("cart"), "{table}");
}

#[test]
fn objects_are_laid_over_a_cluster() {
    let url = serve(|path| {
        let (code, mut list) = shop(path);
        if path.contains("/services") {
            list["items"] = json!([]);
        }
        (code, list)
    });
    assert!(!plan_at("under", &url, &[]).good().contains("cart"));
    let expected = plan(&["-f", &fixture("shop.yaml"), "-o", "yaml"]).good();
    let args = ["--with", &fixture("shop.yaml"), "-o", "yaml"];
    assert_eq!(plan_at("with", &url, &args).good(), expected);
}

#[test]
fn a_cluster_that_refuses() {
    let url = serve(|_| refusal(403, "Forbidden", "services is forbidden"));
    let done = plan_at("refused", &url, &[]);
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
    assert_eq!(
        done.err,
        format!(
            "closehaul: may not list services of {url}/: services is forbidden; ask for that permission, or name a namespace where you have it with -n, or give files with -f\n"
        )
    );
}

#[test]
fn a_cluster_that_refuses_nodes() {
    let url = serve(|path| {
        if !path.contains("/nodes") {
            return shop(path);
        }
        refusal(403, "Forbidden", "nodes is forbidden")
    });
    let done = plan_at("refused-nodes", &url, &["-n", "shop"]);
    let what = format!(
        "closehaul: may not list nodes of {url}/: nodes is forbidden; ask for that permission, or give files with -f\n"
    );
    assert_eq!((done.code, done.err.as_str()), (Some(1), what.as_str()));
}

#[test]
fn a_cluster_that_does_not_know_the_user() {
    let url = serve(|_| refusal(401, "Unauthorized", "Unauthorized"));
    let done = plan_at("unknown", &url, &[]);
    let what = format!(
        "closehaul: {url}/ does not accept the credentials: Unauthorized; log in again, or choose others with --kubeconfig or --context\n"
    );
    assert_eq!((done.code, done.err.as_str()), (Some(1), what.as_str()));
}

#[test]
fn an_object_that_does_not_parse_is_passed_over() {
    let url = serve(|path| {
        let (code, mut list) = shop(path);
        for item in list["items"].as_array_mut().unwrap() {
            if item["metadata"]["name"] == "cart-a" {
                item["status"]["podIPs"] = json!([{"ip": "ten"}]);
            }
        }
        (code, list)
    });
    let done = plan_at("malformed", &url, &["-o", "summary"]);
    let what = "skipped Pod shop/cart-a: status.podIPs[0].ip: `ten` is not an IP address";
    assert!(done.err.starts_with(what), "{}", done.err);
    assert_eq!(done.code, Some(0));
    let summary: Value = serde_json::from_str(&done.out).unwrap();
    let services = summary["services"].as_array().unwrap();
    let cart = services.iter().find(|service| service["name"] == "cart").unwrap();
    assert_eq!(cart["endpoints"], 2, "the others are there");
}

#[test]
fn a_namespace_without_services() {
    let done = plan_at("empty", &serve(shop), &["-n", "shp"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        done.err,
        "nothing to do: there is no Service in the namespace shp; is that its name?\n"
    );
}

#[test]
fn no_cluster_there() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let done = plan_at("nobody", &format!("http://{free}"), &[]);
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
    assert!(
        done.err.starts_with(&format!("closehaul: cannot list services of http://{free}/: ")),
        "{}",
        done.err
    );
    assert!(done.err.contains("refused") && done.err.lines().count() == 1, "{}", done.err);
    let done = plan(&[]);
    assert_eq!((done.code, done.err.lines().count()), (Some(1), 1), "{}", done.err);
}
