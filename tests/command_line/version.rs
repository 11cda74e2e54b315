//! The versions of the command, the controller and the API server.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    thread,
};

use serde_json::{Value, json};

use super::command::{Done, run};

/// A cluster whose API server answers so, ending with the process.
fn asked(name: &str, args: &[&str], answer: fn(&str) -> Option<Value>) -> Done {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(&stream).lines();
            let request = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let refusal = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                "message": "not you", "reason": "Forbidden", "code": 403});
            let answer = answer(request.split(' ').nth(1).unwrap());
            let code = if answer.is_some() { 200 } else { 403 };
            let body = answer.unwrap_or(refusal).to_string();
            let head = "content-type: application/json\r\nconnection: close";
            let length = body.len();
            write!(stream, "HTTP/1.1 {code} X\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}")
                .unwrap();
        }
    });
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("version-{name}.json"));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
    });
    fs::write(&file, config.to_string()).unwrap();
    let done = run(&[&["version", "--kubeconfig", file.to_str().unwrap()], args].concat());
    fs::remove_file(file).unwrap();
    done
}

fn pod(label: Option<&str>, image: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": "closehaul", "app.kubernetes.io/version": label});
    let labels = if label.is_some() { labels } else { json!({}) };
    json!({"metadata": {"name": "a", "labels": labels},
        "spec": {"containers": [{"name": "closehaul", "image": image}]}})
}

fn usual(path: &str) -> Value {
    if path == "/version" {
        return json!({"major": "1", "minor": "37", "gitVersion": "v1.37.2", "gitCommit": "",
            "gitTreeState": "clean", "buildDate": "", "goVersion": "", "compiler": "gc", "platform": ""});
    }
    assert!(path.contains("labelSelector=app.kubernetes.io%2Fname%3Dclosehaul"), "{path}");
    let pods =
        [pod(Some("0.1.0"), "x"), pod(None, "r:5000/closehaul:0.0.9"), pod(Some("0.1.0"), "x")];
    let pods = if path.starts_with("/api/v1/namespaces/elsewhere/") { &[][..] } else { &pods };
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})
}

#[test]
fn all_three() {
    let own = env!("CARGO_PKG_VERSION");
    let done = asked("text", &[], |path| Some(usual(path)));
    let expected = format!(
        "Client Version: {own}\nController Version: 0.0.9 (1 pod), 0.1.0 (2 pods)\nServer Version: v1.37.2\n"
    );
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (Some(0), &*expected, ""));
    let done = asked("json", &["-o", "JSON"], |path| Some(usual(path)));
    let json: Value = serde_json::from_str(&done.out).unwrap();
    let expected =
        json!({"client": own, "controller": {"0.0.9": 1, "0.1.0": 2}, "server": "v1.37.2"});
    assert_eq!(json, expected);
    let done = asked("elsewhere", &["-n", "elsewhere"], |path| Some(usual(path)));
    assert!(done.out.contains("Controller Version: not installed\n"), "{done:?}");
}

#[test]
fn what_is_not_known_is_left_out() {
    let own = env!("CARGO_PKG_VERSION");
    let client = format!("Client Version: {own}\n");
    let done = run(&["version", "--client"]);
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (Some(0), &*client, ""));
    let done = run(&["version"]);
    assert_eq!((done.code, done.out.as_str()), (Some(1), &*client));
    assert!(done.err.starts_with("error: found no cluster"), "{done:?}");
    let done = asked("refused", &[], |path| (path == "/version").then(|| usual(path)));
    assert_eq!((done.code, done.out), (Some(0), client + "Server Version: v1.37.2\n"));
    assert!(done.err.contains("the controller's version is unknown"), "{}", done.err);
}
