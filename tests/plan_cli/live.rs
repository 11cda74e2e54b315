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
pub fn refusal(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code});
    (code, status)
}

/// The shop's objects as a server lists them: one on the first page, the rest on the second.
pub fn shop(path: &str) -> (u16, Value) {
    if path.starts_with("/apis/closehaul.io/") {
        return refusal(404, "NotFound", "the server could not find the requested resource");
    }
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
        assert_eq!(plan_at(&format!("all-{output}"), &url, &["-A", "-o", output]).good(), expected);
    }
    // That of the context is `default`, as with kubectl.
    for args in [&["-n", "default"][..], &[], &["-n", ""]] {
        let table = plan_at("one", &url, args).good();
        assert!(table.contains("kubernetes") && !table.contains("cart"), "{args:?}: {table}");
    }
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
    assert!(!plan_at("under", &url, &["-A"]).good().contains("cart"));
    let expected = plan(&["-f", &fixture("shop.yaml"), "-o", "yaml"]).good();
    let args = ["-A", "--with", &fixture("shop.yaml"), "-o", "yaml"];
    assert_eq!(plan_at("with", &url, &args).good(), expected);
}

/// A list on one page.
pub fn list(items: &[Value]) -> (u16, Value) {
    let metadata = json!({"resourceVersion": "1"});
    (200, json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items}))
}

/// An evacuation of all Services in namespaces with a label.
fn evacuation() -> Value {
    json!({
        "apiVersion": "closehaul.io/v1alpha1",
        "kind": "ZoneEvacuation",
        "metadata": {"name": "zone-a"},
        "spec": {
            "zones": ["zone-a"],
            "until": "2026-01-02T04:00:00Z",
            "namespaceSelector": {"matchLabels": {"team": "sales"}},
        },
    })
}

fn namespace() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"team": "sales"}},
    })
}

const AT: &str = "--at=2026-01-02T03:00:00Z";

/// The shop's plan under these objects, from files.
fn under(name: &str, objects: &[Value], output: &str) -> String {
    let file =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.json", std::process::id()));
    fs::write(&file, json!(objects).to_string()).unwrap();
    let args = ["-f", &fixture("shop.yaml"), "-f", file.to_str().unwrap(), AT, "-o", output];
    let done = plan(&args).good();
    fs::remove_file(&file).unwrap();
    done
}

#[test]
fn policies_of_a_cluster_count() {
    let url = serve(|path| match path {
        _ if path.contains("/zoneevacuations?") => list(&[evacuation()]),
        "/api/v1/namespaces/shop" | "/api/v1/namespaces/default" => (200, namespace()),
        _ if path.starts_with("/api/v1/namespaces?") => list(&[namespace()]),
        _ => shop(path),
    });
    let expected = under("evacuated", &[evacuation(), namespace()], "table");
    assert!(expected.contains("Evacuated"), "{expected}");
    assert_eq!(plan_at("evacuated", &url, &["-A", AT]).good(), expected);
    let one = plan_at("evacuated-one", &url, &[AT, "-n", "shop"]).good();
    assert!(one.contains("Evacuated"), "{one}");
    let later = plan_at("later", &url, &["-A", "--at=2026-01-02T05:00:00Z"]).good();
    assert!(!later.contains("Evacuated"), "{later}");
}

/// A policy of the cluster whose demand is the number of clients, wherever they are.
fn by_clients() -> Value {
    json!({
        "apiVersion": "closehaul.io/v1alpha1",
        "kind": "ClusterLocalityPolicy",
        "metadata": {"name": "clients"},
        "spec": {
            "prefer": ["Zone"],
            "guard": {"maxOverloadPercent": 30},
            "demand": {
                "source": "Clients",
                "clientSelector": {"matchLabels": {"app": "browser"}},
                "clientNamespaceSelector": {"matchLabels": {"team": "clients"}},
            },
        },
    })
}

/// The client in another namespace, on the node of zone-b.
fn browser() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "browser", "namespace": "clients", "uid": "b", "labels": {"app": "browser"}},
        "spec": {"nodeName": "mnode-m03", "containers": []},
        "status": {"phase": "Running", "podIP": "10.0.3.99", "podIPs": [{"ip": "10.0.3.99"}],
            "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// The plan of a namespace depends on clients in other ones, and is the same as among all.
#[test]
fn clients_in_other_namespaces_count() {
    let namespaces = || {
        let of = |name: &str, team: &str| {
            json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name, "labels": {"team": team}}})
        };
        [of("shop", "sales"), of("clients", "clients"), of("default", "none")]
    };
    let cluster = move |path: &str| match path {
        _ if path.contains("/clusterlocalitypolicies?") => list(&[by_clients()]),
        _ if path.starts_with("/api/v1/namespaces?") => list(&namespaces()),
        // The shop's pods are on two pages.
        _ if path.starts_with("/api/v1/pods?") && path.contains("continue=next") => {
            let (code, mut page) = shop(path);
            page["items"].as_array_mut().unwrap().push(browser());
            (code, page)
        }
        _ => shop(path),
    };
    let demand = |name: &str, url: &str, args: &[&str]| {
        let done = plan_at(name, url, &[args, &["-o", "summary"]].concat());
        let summary: Value = serde_json::from_str(&done.out).unwrap();
        let services = summary["services"].as_array().unwrap();
        let mail = services.iter().find(|service| service["name"] == "mail").unwrap();
        (mail["zones"].clone(), done.err)
    };
    let url = serve(cluster);
    let (all, _) = demand("clients-all", &url, &["-A"]);
    assert_eq!((&all[0]["zone"], &all[0]["demand"]), (&json!("zone-b"), &json!(1.0)), "{all}");
    let (one, notes) = demand("clients-one", &url, &["-n", "shop"]);
    assert_eq!((one, notes.contains("unknown")), (all, false), "{notes}");
    let url = serve(move |path| match path {
        _ if path.starts_with("/api/v1/pods?") => refusal(403, "Forbidden", "not yours"),
        _ => cluster(path),
    });
    let (_, notes) = demand("clients-refused", &url, &["-n", "shop"]);
    let note = "the demand of clients in other namespaces is unknown: may not list pods of ";
    assert!(notes.contains(note), "{notes}");
}

#[test]
fn namespaces_are_read_if_a_selector_needs_them() {
    // No other request for them is answered.
    let done = plan_at("no-namespaces", &serve(shop), &[]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let url = serve(|path| match path {
        _ if path.contains("/zoneevacuations?") => list(&[evacuation()]),
        _ if path.starts_with("/api/v1/namespaces?") => refusal(403, "Forbidden", "may not"),
        _ => shop(path),
    });
    let done = plan_at("no-permission", &url, &["-A", AT]);
    assert!(done.err.contains("which namespaces policies select is unknown"), "{}", done.err);
    assert!(done.good().contains("PolicyUnknown"));
}

/// The policies of one cluster may not be read, and another has none. Permissions are checked first
/// in both.
#[test]
fn policies_that_may_not_be_read_are_unknown() {
    let slices: Value =
        serde_json::from_str(&under("hinted", &[evacuation(), namespace()], "json")).unwrap();
    let mut slices = slices["items"].as_array().unwrap().clone();
    for (number, slice) in slices.iter_mut().enumerate() {
        let prefix = slice["metadata"]["generateName"].as_str().unwrap_or("kept-").to_owned();
        slice["metadata"]["name"] = json!(format!("{prefix}{number}"));
    }
    let at = |name: &str, has_kinds: bool| {
        let slices = slices.clone();
        let url = serve(move |path| match path {
            _ if path.contains("/endpointslices?") => list(&slices),
            _ if path.contains("/zoneevacuations?") => refusal(403, "Forbidden", "not you"),
            "/apis/closehaul.io/v1alpha1" if has_kinds => (
                200,
                json!({
                    "kind": "APIResourceList", "apiVersion": "v1",
                    "groupVersion": "closehaul.io/v1alpha1",
                    "resources": [{
                        "name": "zoneevacuations", "singularName": "zoneevacuation",
                        "namespaced": false, "kind": "ZoneEvacuation", "verbs": ["list"],
                    }],
                }),
            ),
            _ => shop(path),
        });
        plan_at(name, &url, &["-A", "-o", "changes"])
    };
    let unknown = at("policies-unknown", true);
    let note = "policies are unknown: may not list zoneevacuations of ";
    assert!(unknown.err.starts_with(note), "{}", unknown.err);
    assert_eq!(unknown.good(), "", "hints stay");
    let absent = at("policies-absent", false);
    assert!(!absent.err.contains("unknown"), "{}", absent.err);
    assert!(absent.good().contains("NoPreference"), "hints of an evacuation that is not there");
}

#[test]
fn a_cluster_that_refuses() {
    let url = serve(|_| refusal(403, "Forbidden", "services is forbidden"));
    let done = plan_at("refused", &url, &[]);
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
    assert_eq!(
        done.err,
        format!(
            "error: may not list services of {url}/: services is forbidden; ask for that permission, or name a namespace where you have it with -n, or give files with -f\n"
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
        "error: may not list nodes of {url}/: nodes is forbidden; ask for that permission, or give files with -f\n"
    );
    assert_eq!((done.code, done.err.as_str()), (Some(1), what.as_str()));
}

#[test]
fn a_cluster_that_does_not_know_the_user() {
    let url = serve(|_| refusal(401, "Unauthorized", "Unauthorized"));
    let done = plan_at("unknown", &url, &[]);
    let what = format!(
        "error: {url}/ does not accept the credentials: Unauthorized; log in again, or choose others with --kubeconfig or --context\n"
    );
    assert_eq!((done.code, done.err.as_str()), (Some(1), what.as_str()));
}

#[test]
fn an_object_that_does_not_parse_is_passed_over() {
    let url = serve(|path| {
        let (code, mut list) = shop(path);
        for item in list["items"].as_array_mut().into_iter().flatten() {
            if item["metadata"]["name"] == "cart-a" {
                item["status"]["podIPs"] = json!([{"ip": "ten"}]);
            }
        }
        (code, list)
    });
    let done = plan_at("malformed", &url, &["-A", "-o", "summary"]);
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
        "nothing to do: there is no Service in the namespace shp; is that its name? -A shows all namespaces\n"
    );
}

#[test]
fn no_cluster_there() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let done = plan_at("nobody", &format!("http://{free}"), &[]);
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
    assert!(
        done.err.starts_with(&format!("error: cannot list services of http://{free}/: ")),
        "{}",
        done.err
    );
    assert!(done.err.contains("refused") && done.err.lines().count() == 1, "{}", done.err);
    let done = plan(&[]);
    assert_eq!((done.code, done.err.lines().count()), (Some(1), 1), "{}", done.err);
}
