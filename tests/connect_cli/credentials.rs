//! Tokens and credential plugins.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};

use super::{
    folder::{Done, Folder, config},
    servers::{Server, api},
};

fn plan(folder: &Folder, server: &Server, user: &Value) -> Done {
    let cluster = json!({"server": format!("http://{}", server.address)});
    folder.plan(&config(&cluster, user), &[])
}

/// A user whose plugin is this script, in the folder of the kubeconfig.
fn plugin(folder: &Folder, script: &str) -> Value {
    let file = folder.write("bin/plugin", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    user("./bin/plugin")
}

fn user(command: &str) -> Value {
    json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command,
        "interactiveMode": "Never"}})
}

#[test]
fn the_token_of_a_file() {
    let (folder, server) = (Folder::new(), api());
    let user = json!({"tokenFile": "secrets/token"});
    plan(&folder, &server, &user).failed(&[
        "tokenFile of the user u",
        "secrets/token",
        "No such file",
    ]);
    // As `echo` writes it.
    for content in ["abc", "abc\n", " abc\r\n"] {
        folder.write("secrets/token", content);
        plan(&folder, &server, &user).reached();
    }
    let asked = server.asked.all();
    assert!(asked.iter().all(|head| head.contains("authorization: bearer abc\r\n")), "{asked:?}");
    folder.write("secrets/token", "\n");
    plan(&folder, &server, &user).failed(&["secrets/token: it is empty"]);
    folder.write("secrets/token", "a\nb");
    plan(&folder, &server, &user).failed(&["tokenFile of the user u", "line break"]);
    plan(&folder, &server, &json!({"token": "a\n"})).failed(&["token of the user u", "line break"]);
}

/// The file is newer, unless it cannot be read.
#[test]
fn a_token_beside_the_token_of_a_file() {
    let (folder, server) = (Folder::new(), api());
    let user = json!({"token": "old", "tokenFile": "token"});
    plan(&folder, &server, &user).reached();
    assert!(server.asked.all().concat().contains("authorization: bearer old\r\n"));
    folder.write("token", "new");
    let server = api();
    plan(&folder, &server, &user).reached();
    let asked = server.asked.all();
    assert!(asked.iter().all(|head| head.contains("authorization: bearer new\r\n")), "{asked:?}");
}

#[test]
fn what_is_no_header_is_an_error() {
    let (folder, server) = (Folder::new(), api());
    let provider = json!({"auth-provider": {"name": "oidc", "config": {"id-token": "a\nb"}}});
    plan(&folder, &server, &provider).failed(&["id-token of the user u", "line break"]);
    for user in [
        json!({"as": "a\nb"}),
        json!({"as": "a", "as-uid": "a\nb"}),
        json!({"as": "a", "as-groups": ["a\nb"]}),
        json!({"client-certificate-data": "eA==", "client-key-data": "eA=="}),
        json!({"client-certificate-data": "%", "client-key-data": "%"}),
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}),
    ] {
        plan(&folder, &server, &user).failed(&[]);
    }
    assert!(server.asked.all().is_empty());
}

#[test]
fn a_plugin_that_works() {
    let (folder, server) = (Folder::new(), api());
    for expiry in ["", r#","expirationTimestamp":"2999-01-01T00:00:00Z""#] {
        let credential = format!(
            r#"{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{{"token":"abc"{expiry}}}}}"#
        );
        let user = plugin(&folder, &format!("echo '{credential}'"));
        plan(&folder, &server, &user).reached();
    }
    let asked = server.asked.all();
    assert!(asked.iter().all(|head| head.contains("authorization: bearer abc\r\n")), "{asked:?}");
}

/// Once for each client. What it prints on standard error is not lost, and it does not wait for
/// standard input.
#[test]
fn a_plugin_is_run_once() {
    let (folder, server) = (Folder::new(), api());
    let credential = r#"{"kind":"ExecCredential","status":{"token":"abc"}}"#;
    let script = format!(
        "echo >>runs; echo \"$KUBERNETES_EXEC_INFO $REGION $*\" >info; echo '{credential}'"
    );
    let mut user = plugin(&folder, &script);
    user["exec"]["args"] = json!(["get-token", "a b"]);
    user["exec"]["env"] = json!([{"name": "REGION", "value": "here"}]);
    user["exec"]["interactiveMode"] = json!("IfAvailable");
    plan(&folder, &server, &user).reached();
    let read = |file: &str| fs::read_to_string(format!("{}/{file}", folder.path())).unwrap();
    assert_eq!(read("runs"), "\n");
    let info = read("info");
    let (info, words) = info.split_once("} ").unwrap();
    assert_eq!(words, "here get-token a b\n");
    let info: Value = serde_json::from_str(&format!("{info}}}")).unwrap();
    assert_eq!(info["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(
        (&info["kind"], &info["spec"]["interactive"]),
        (&json!("ExecCredential"), &json!(false))
    );
    // What counts more.
    user["token"] = json!("other");
    plan(&folder, &server, &user).reached();
    assert_eq!(read("runs"), "\n");
}

#[test]
fn a_token_that_is_no_header() {
    let (folder, server) = (Folder::new(), api());
    for expiry in ["", r#","expirationTimestamp":"2999-01-01T00:00:00Z""#] {
        for token in [r"a\nb", r"a\r", r"\u0007"] {
            let credential = format!(r#"{{"status":{{"token":"{token}"{expiry}}}}}"#);
            let user = plugin(&folder, &format!("cat <<'END'\n{credential}\nEND"));
            let done = plan(&folder, &server, &user);
            done.failed(&["bin/plugin", "failed", "its token has a line break"]);
        }
    }
    let provider = json!({"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/date"}}});
    let done = plan(&folder, &server, &provider);
    done.failed(&["auth-provider of the user u", "`gcp`", "gke-gcloud-auth-plugin"]);
    assert!(server.asked.all().is_empty());
}

#[test]
fn the_certificate_of_a_plugin() {
    let folder = Folder::new();
    let (server, authority, [certificate, key]) = super::tls::demanding("127.0.0.1");
    folder.write("ca.pem", authority);
    let cluster = json!({"server": format!("https://{}", server.address),
        "certificate-authority": "ca.pem"});
    let plan = |status: &Value| {
        let credential = json!({"kind": "ExecCredential", "status": status});
        let user = plugin(&folder, &format!("cat <<'END'\n{credential}\nEND"));
        folder.plan(&config(&cluster, &user), &[])
    };
    plan(&json!({"clientCertificateData": certificate, "clientKeyData": key})).reached();
    plan(&json!({"token": "abc"})).failed(&[]);
    plan(&json!({"clientCertificateData": "x", "clientKeyData": "y"})).failed(&[]);
}

#[test]
fn a_plugin_that_is_not_installed() {
    let (folder, server) = (Folder::new(), api());
    let mut user = user("example-auth-plugin");
    let done = plan(&folder, &server, &user);
    done.failed(&["plugin example-auth-plugin", "not installed", "$PATH"]);
    user["exec"]["installHint"] = json!("Install it:\n\n  example components install it\n");
    let done = plan(&folder, &server, &user);
    assert_eq!(done.code, Some(1));
    done.says(&["plugin example-auth-plugin", "example components install it"]);
}

#[test]
fn a_plugin_that_does_not_work() {
    let (folder, server) = (Folder::new(), api());
    let user = plugin(&folder, "echo 'session has expired, run login' >&2; exit 3");
    plan(&folder, &server, &user).failed(&[
        "bin/plugin",
        "failed",
        "3",
        "session has expired, run login",
    ]);
    for script in ["echo hello", "", "echo '{}'", "echo '{\"status\": null}'", "echo '['"] {
        let user = plugin(&folder, script);
        plan(&folder, &server, &user).failed(&["bin/plugin", "no ExecCredential"]);
    }
    let user = plugin(&folder, "echo x");
    fs::set_permissions(format!("{}/bin/plugin", folder.path()), fs::Permissions::from_mode(0o644))
        .unwrap();
    plan(&folder, &server, &user).failed(&["bin/plugin", "failed", "denied"]);
}

/// Its token has expired when it is used, and the plugin is run again.
#[test]
fn a_plugin_that_does_not_work_later() {
    let (folder, server) = (Folder::new(), api());
    let credential = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"abc","expirationTimestamp":"2000-01-01T00:00:00Z"}}"#;
    let script = format!(
        "echo >>runs; [ $(wc -l <runs) -le 1 ] && echo '{credential}' && exit; echo log in again >&2; exit 3"
    );
    let done = plan(&folder, &server, &plugin(&folder, &script));
    done.failed(&["the credential plugin", "failed: exit status: 3: log in again"]);
    assert!(!done.err.contains("stdout"), "{}", done.err);
    assert!(server.asked.all().is_empty());
}
