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

#[test]
fn a_plugin_that_is_not_installed() {
    let (folder, server) = (Folder::new(), api());
    let mut user = user("closehaul-no-such-plugin");
    let done = plan(&folder, &server, &user);
    done.failed(&["plugin closehaul-no-such-plugin", "not installed", "$PATH"]);
    user["exec"]["installHint"] = json!("Install it:\n\n  gcloud components install it\n");
    let done = plan(&folder, &server, &user);
    assert_eq!(done.code, Some(1));
    done.says(&["plugin closehaul-no-such-plugin", "gcloud components install it"]);
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
