//! `closehaul evacuate` on a cluster: what it shows, asks, sends and says.

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use super::{
    command::Done,
    live::{list, refusal, shop},
};

/// An hour ahead of most clocks, so that a local clock shows.
const DATE: &str = "Sun, 02 Jan 2033 03:04:05 GMT";

/// What was sent: the request line, and the body.
type Sent = Arc<Mutex<Vec<(String, Value)>>>;

/// A cluster, until the process ends.
struct Server {
    kubeconfig: PathBuf,
    url: String,
    sent: Sent,
}

impl Server {
    /// Answers as `answer` does to a method and a path, or else as the shop does. It creates and
    /// deletes what is requested, and says who asks.
    fn start(
        name: &str,
        answer: impl Fn(&str, &str) -> Option<(u16, Value)> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Sent::default();
        let log = Arc::clone(&sent);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(&stream);
                let (line, body) = request(&mut reader);
                let (method, path) = line.split_once(' ').unwrap();
                let (code, body) =
                    answer(method, path).unwrap_or_else(|| usual(method, path, &body));
                log.lock().unwrap().push((line.clone(), body.clone()));
                let body = body.to_string();
                write!(
                    stream,
                    "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ndate: {DATE}\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
        });
        let kubeconfig = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("evacuate-{name}-{}.yaml", std::process::id()));
        let content = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        });
        fs::write(&kubeconfig, content.to_string()).unwrap();
        Self { kubeconfig, url, sent }
    }

    fn run(&self, args: &[&str]) -> Done {
        self.run_after(&[], args)
    }

    /// Runs it with options before the command, too.
    fn run_after(&self, before: &[&str], args: &[&str]) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_closehaul"));
        command.args(before).arg("evacuate").arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        command.env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
        // What decides which Services are moved is not taken from here.
        command.env("CLOSEHAUL_NAMESPACE", "default").output().unwrap().into()
    }

    /// The requests that change something, and the objects that they are about.
    fn writes(&self) -> Vec<(String, Value)> {
        let sent = self.sent.lock().unwrap();
        let is_write = |(line, _): &&(String, Value)| {
            !line.starts_with("GET ") && !line.contains("selfsubjectreviews")
        };
        sent.iter().filter(is_write).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        fs::remove_file(&self.kubeconfig).unwrap();
    }
}

fn request(reader: &mut impl BufRead) -> (String, Value) {
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let line = first.rsplit_once(' ').unwrap().0.to_owned();
    let mut length = 0;
    for header in reader.by_ref().lines() {
        let header = header.unwrap().to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (line, serde_json::from_slice(&body).unwrap_or_default())
}

fn usual(method: &str, path: &str, body: &Value) -> (u16, Value) {
    match (method, path.split('?').next().unwrap()) {
        ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews") => {
            let mut review = body.clone();
            review["metadata"] = json!({});
            review["status"] = json!({"userInfo": {"username": "ann@example.com"}});
            (201, review)
        }
        ("POST", "/apis/closehaul.io/v1alpha1/zoneevacuations") => {
            let mut created = body.clone();
            let prefix = created["metadata"]["generateName"].as_str().unwrap();
            created["metadata"]["name"] = json!(format!("{prefix}x7k2p"));
            (201, created)
        }
        ("DELETE", _) => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
        ("GET", path) if path.contains("/leases/") => refusal(403, "Forbidden", "not yours"),
        ("GET", "/apis/closehaul.io/v1alpha1/zoneevacuations") => list(&[]),
        _ => shop(path),
    }
}

#[test]
fn an_evacuation_is_shown_and_created() {
    let server = Server::start("create", |_, _| None);
    let args = ["zone-a", "--for", "1h30m", "--reason", "the cooling has failed", "--yes"];
    let done = server.run(&args);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    let [(line, created)] = &server.writes()[..] else { panic!("{:?}", server.writes()) };
    assert!(line.starts_with("POST /apis/closehaul.io/v1alpha1/zoneevacuations?"), "{line}");
    assert!(!line.contains("dryRun"), "{line}");
    let metadata = &created["metadata"];
    assert_eq!(metadata["generateName"], "zone-a-");
    assert_eq!(metadata["labels"], json!({"closehaul.io/zone": "zone-a"}));
    assert_eq!(metadata["annotations"], json!({"closehaul.io/created-by": "ann@example.com"}));
    let mut spec = created["spec"].clone();
    let until = spec["until"].take();
    let expected = json!({"zones": ["zone-a"], "until": null, "reason": "the cooling has failed"});
    assert_eq!(spec, expected);
    let seconds = |time: &str| time.parse::<jiff::Timestamp>().unwrap().as_second();
    let late = seconds(until.as_str().unwrap()) - seconds("2033-01-02T04:34:05Z");
    assert!((0..30).contains(&late), "{until} is not by the clock of the server");
    insta::assert_snapshot!("evacuate", done.out.replace(until.as_str().unwrap(), "UNTIL"));
}

#[test]
fn a_namespace_before_the_command_counts_and_a_variable_does_not() {
    let args = ["zone-a", "--for=1h", "--dry-run"];
    for (before, expected) in [
        (&[][..], Value::Null),
        (&["-n", "shop"], json!({"matchLabels": {"kubernetes.io/metadata.name": "shop"}})),
    ] {
        let server = Server::start("before", |_, _| None);
        let done = server.run_after(before, &args);
        assert_eq!(done.code, Some(0), "{done:?}");
        let [(_, created)] = &server.writes()[..] else { panic!("{:?}", server.writes()) };
        assert_eq!(created["spec"]["namespaceSelector"], expected);
    }
}

#[test]
fn only_some_services() {
    let server = Server::start("some", |_, _| None);
    let args = ["zone-a", "--for=1h", "-n", "shop", "-l", "tier=web,!legacy", "--dry-run"];
    let done = server.run(&args);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert!(done.out.contains("of 1 Service in zone-a"), "{}", done.out);
    assert!(done.out.contains("created (server dry run)"), "{}", done.out);
    let [(line, created)] = &server.writes()[..] else { panic!("{:?}", server.writes()) };
    assert!(line.contains("dryRun=All"), "{line}");
    assert_eq!(
        created["spec"]["namespaceSelector"],
        json!({"matchLabels": {"kubernetes.io/metadata.name": "shop"}})
    );
    assert_eq!(
        created["spec"]["services"],
        json!({"selector": {
            "matchLabels": {"tier": "web"},
            "matchExpressions": [{"key": "legacy", "operator": "DoesNotExist"}],
        }})
    );
    let none = server.run(&["zone-a", "--for=1h", "-n", "shp", "--dry-run"]);
    assert!(none.err.contains("no Service is selected: check -n and -l"), "{}", none.err);
}

#[test]
fn what_is_refused() {
    let server = Server::start("refused", |_, _| None);
    for (args, part) in [
        (&["zone-a", "--for=1h"][..], "give --yes"),
        (&["zone-a", "--cancel"], "give --yes"),
        (&["zone-a"], "--for"),
        (&["--for=1h"], "ZONE"),
        (&["zone-a", "--for=0s", "--yes"], "at least 1s"),
        (&["zone-a", "--for=-5m", "--yes"], "is not a duration"),
        (&["zone-a", "--for=tomorrow", "--yes"], "is not a duration"),
        (&["zone-a", "--for=9000h", "--yes"], "more than a year"),
        (&["zone a", "--for=1h", "--yes"], "topology.kubernetes.io/zone"),
        (&["zone-a", "--for=1h", "-l", "a in b", "--yes"], "selects nothing"),
        (&["zone-a", "--for=1h", "-l", "a=b/c", "--yes"], "spec.services.selector"),
        (&["zone-a", "--for=1h", "--cancel", "--yes"], "cannot be used with"),
        (&["zone-c", "--for=1h", "--yes"], "did you mean zone-a?; the zones are: zone-a, zone-b"),
        (&["elsewhere", "--for=1h", "--yes"], "no node is in the zone elsewhere; the zones are"),
    ] {
        let done = server.run(args);
        assert_eq!(done.code, Some(2), "{args:?}: {done:?}");
        assert!(done.err.contains(part), "{args:?}: {}", done.err);
        assert_eq!(done.out, "", "{args:?}");
    }
    assert_eq!(server.writes(), []);
}

/// Someone may evacuate zones and read nothing: the zone must not wait for that.
#[test]
fn what_may_not_be_read_is_said() {
    let server = Server::start("blind", |method, path| {
        let is_ours = path.starts_with("/apis/closehaul.io/") || path.contains("selfsubject");
        (method == "GET" && !is_ours).then(|| refusal(403, "Forbidden", "not you"))
    });
    let done = server.run(&["zone-a", "--for=1h", "--yes"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.err.contains("whether there is a zone zone-a is unknown"), "{}", done.err);
    assert!(done.err.contains("cannot show what this would do"), "{}", done.err);
    assert_eq!(server.writes().len(), 1);
}

#[test]
fn a_cluster_that_does_not_create_it() {
    for (code, expected) in [
        (403, "may not create zoneevacuations of "),
        (404, "does not have the kind ZoneEvacuation"),
        (422, "cannot create zoneevacuations of "),
    ] {
        let server = Server::start(&format!("no-{code}"), move |method, path| {
            let is_it = method == "POST" && path.contains("/zoneevacuations");
            is_it.then(|| refusal(code, "Refused", "the words of the server"))
        });
        let done = server.run(&["zone-a", "--for=1h", "--yes"]);
        assert_eq!(done.code, Some(1), "{code}: {done:?}");
        assert!(done.err.contains(expected) && done.err.contains(&server.url), "{}", done.err);
        assert!(!done.out.contains("created"), "{}", done.out);
    }
}

#[test]
fn a_leader_that_does_not_run_is_said() {
    let lease = |renewed: &'static str| {
        move |_: &str, path: &str| {
            path.contains("/namespaces/kube-system/leases/closehaul").then(|| {
                let spec = json!({
                    "holderIdentity": "one", "leaseDurationSeconds": 15, "renewTime": renewed,
                });
                (200, json!({"metadata": {"name": "closehaul"}, "spec": spec}))
            })
        }
    };
    let args = ["zone-a", "--for=1h", "--dry-run"];
    let fresh = Server::start("fresh", lease("2033-01-02T03:04:00.000000Z"));
    assert_eq!(fresh.run(&args).err, "");
    let stale = Server::start("stale", lease("2033-01-02T03:03:00.000000Z"));
    let said = stale.run(&args).err;
    assert!(said.contains("its lease kube-system/closehaul has not been renewed"), "{said}");
    let absent = Server::start("absent", |_, path| {
        path.contains("/leases/").then(|| refusal(404, "NotFound", "not found"))
    });
    let said = absent.run(&args).err;
    assert!(said.contains("its lease kube-system/closehaul does not exist"), "{said}");
}

#[test]
fn a_cancellation_deletes_what_it_lists() {
    let object = |name: &str, labels: Value, zone: &str| {
        json!({
            "apiVersion": "closehaul.io/v1alpha1", "kind": "ZoneEvacuation",
            "metadata": {
                "name": name, "uid": format!("uid-of-{name}"), "labels": labels,
                "annotations": {"closehaul.io/created-by": "ann@example.com"},
            },
            "spec": {"zones": [zone], "until": "2033-01-02T04:00:00Z", "reason": "no\u{1b}[1A cooling"},
        })
    };
    let label = |zone: &str| json!({"closehaul.io/zone": zone});
    let objects = [
        object("zone-a-1", label("zone-a"), "zone-a"),
        object("zone-b-1", label("zone-b"), "zone-b"),
        object("by-hand", json!({}), "zone-a"),
    ];
    let server = Server::start("cancel", move |method, path| {
        let is_list = method == "GET" && path.contains("/zoneevacuations");
        is_list.then(|| list(&objects))
    });
    let done = server.run(&["zone-a", "--cancel", "--yes"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        done.out,
        "Evacuations of zone-a to be deleted:\n  \
         zone-a-1 until 2033-01-02T04:00:00Z, by ann@example.com: no\\u{1b}[1A cooling\n\
         zoneevacuation.closehaul.io/zone-a-1 deleted\n"
    );
    assert!(done.err.contains("zone-a stays evacuated by objects without"), "{}", done.err);
    assert!(done.err.ends_with("zoneevacuations.closehaul.io by-hand\n"), "{}", done.err);
    let [(line, _)] = &server.writes()[..] else { panic!("{:?}", server.writes()) };
    assert!(line.starts_with("DELETE /apis/closehaul.io/v1alpha1/zoneevacuations/zone-a-1?"));

    // A zone without nodes can be cancelled, too.
    let none = server.run(&["zone-z", "--cancel", "--yes"]);
    assert_eq!((none.code, none.out.as_str()), (Some(0), ""));
    assert!(none.err.contains("nothing to cancel"), "{}", none.err);
    assert_eq!(server.writes().len(), 1);
}
