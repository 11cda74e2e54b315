//! Which kubeconfig, context and server.

use serde_json::{Value, json};

use super::{
    folder::{Folder, config, to},
    servers::api,
};

#[test]
fn a_server_without_a_scheme() {
    let server = api();
    let folder = Folder::new();
    folder.plan(&to(&server.address.to_string()), &[]).reached();
    folder.plan(&to(&format!("HTTP://{}/", server.address)), &[]).reached();
    for (server, reason) in [
        ("api/k8s", "HOST:PORT"),
        ("ftp://api", "the scheme is ftp"),
        ("https://", "`https://`: "),
        ("https://a b", "`https://a b`: "),
    ] {
        folder.plan(&to(server), &[]).failed(&["server of the cluster c", reason]);
    }
    for cluster in [json!({}), json!({"server": ""}), json!({"server": null})] {
        let done = folder.plan(&config(&cluster, &json!({})), &[]);
        done.failed(&["server of the cluster c: missing"]);
    }
}

#[test]
fn files_that_are_missing_from_a_list_are_skipped() {
    let server = api();
    let folder = Folder::new();
    let file = folder.write("good", to(&format!("http://{}", server.address)).to_string());
    for list in [format!("missing:{file}:also/missing"), format!("::{file}:")] {
        folder.run(&["plan"], &[("KUBECONFIG", &list)]).reached();
        folder.run(&["plan", "--context", "here"], &[("KUBECONFIG", &list)]).reached();
    }
    let done = folder.run(&["plan"], &[("KUBECONFIG", "one:two")]);
    done.failed(&["found no cluster", "one, two", "--kubeconfig"]);
    folder.run(&["plan"], &[]).failed(&["found no cluster", "home/.kube/config"]);
    folder.run(&["plan", "--kubeconfig", "missing"], &[]).failed(&["missing", "No such file"]);

    folder.write("home/.kube/config", to(&format!("http://{}", server.address)).to_string());
    folder.run(&["plan"], &[]).reached();
    // A list that names files replaces the one in the home directory.
    folder.run(&["plan"], &[("KUBECONFIG", "one:two")]).failed(&["found no cluster"]);
    folder.run(&["plan"], &[("KUBECONFIG", ":")]).reached();
}

#[test]
fn the_first_file_that_says_something_counts() {
    let server = api();
    let folder = Folder::new();
    let good = to(&format!("http://{}", server.address));
    // What `kubectl config unset current-context` leaves behind.
    let mut unset = to("http://127.0.0.1:1");
    unset["current-context"] = json!("");
    unset["contexts"][0]["name"] = json!("other");
    unset["clusters"][0]["name"] = json!("other");
    folder.write("unset", unset.to_string());
    folder.write("good", good.to_string());
    folder.write("void", "");
    folder.write("null", "apiVersion: v1\nkind: Config\nclusters: null\ncontexts:\nusers:\n");
    folder.run(&["plan"], &[("KUBECONFIG", "void:null:unset:good")]).reached();
    let done = folder.run(&["plan"], &[("KUBECONFIG", "unset")]);
    done.failed(&["unset has no current context", "there are: other"]);
    folder.run(&["plan"], &[("KUBECONFIG", "void:null")]).failed(&["found no cluster"]);
    folder.run(&["plan", "--kubeconfig", "void"], &[]).failed(&["void has no current context"]);
}

/// `""` is no value to kubectl.
#[test]
fn empty_values_are_none() {
    let server = api();
    let folder = Folder::new();
    folder.write("token", "secret");
    let cluster = json!({"server": format!("http://{}", server.address), "proxy-url": "",
        "certificate-authority": "", "certificate-authority-data": "", "tls-server-name": ""});
    let user = json!({"token": "", "tokenFile": "token", "client-certificate": "",
        "client-certificate-data": "", "client-key": "", "client-key-data": "", "as": ""});
    folder.plan(&config(&cluster, &user), &[]).reached();
    let asked = server.asked.all().concat();
    assert!(asked.contains("authorization: bearer secret\r\n"), "{asked}");
    assert!(!asked.contains("impersonate"), "{asked}");
}

#[test]
fn what_does_not_exist_is_named_with_what_does() {
    let server = api();
    let folder = Folder::new();
    let mut kubeconfig = to(&format!("http://{}", server.address));
    let other = json!({"name": "broken", "context": {"cluster": "gone", "user": "u"}});
    let stranger = json!({"name": "stranger", "context": {"cluster": "c", "user": "ghost"}});
    let contexts = kubeconfig["contexts"].as_array_mut().unwrap();
    contexts.extend([other, stranger]);
    let file = folder.write("config", kubeconfig.to_string());
    let plan = |context| folder.run(&["plan", "--kubeconfig", &file, "--context", context], &[]);
    plan("nowhere").failed(&["no context nowhere", "here, broken, stranger", "--context"]);
    plan("broken").failed(&["no cluster gone", "the context broken", "there are: c)"]);
    let done = plan("stranger");
    done.reached();
    done.says(&["no user ghost", "the context stranger", "there are: u)", "without credentials"]);
    kubeconfig["current-context"] = json!("nowhere");
    folder.plan(&kubeconfig, &[]).failed(&["no context nowhere", "here, broken, stranger"]);
    let done = folder.run(&["plan", "--context", "x"], &[]);
    done.failed(&["no context x", "there are: none"]);
}

#[test]
fn files_that_cannot_be_read_are_named_with_the_place() {
    let server = api();
    let folder = Folder::new();
    let good = folder.write("good", to(&format!("http://{}", server.address)).to_string());
    for (name, content, place) in [
        ("yaml", b"clusters: [\nfoo: ]" as &[u8], "line"),
        ("tab", b"clusters:\n\t- name: a", "line 2"),
        ("kind", b"kind: Config\nclusters: 7\n", "line 2"),
        ("text", b"hello", "line 1"),
        ("binary", b"\xff\x00\x80", "UTF-8"),
        ("odd", b"\xff\xfea\x00b", "UTF-16"),
        ("surrogate", b"\xfe\xff\xd8\x00\x00a", "UTF-16"),
    ] {
        let file = folder.write(name, content);
        let list = format!("{good}:{file}");
        for done in [
            folder.run(&["plan", "--kubeconfig", &file], &[]),
            folder.run(&["plan"], &[("KUBECONFIG", &list)]),
        ] {
            assert_eq!(done.code, Some(1), "{name}: {done:?}");
            done.says(&[&file, place]);
        }
    }
    let done = folder.run(&["plan", "--kubeconfig", &folder.path()], &[]);
    done.failed(&["cannot read the kubeconfig", &folder.path()]);
}

#[test]
fn encodings() {
    let server = api();
    let folder = Folder::new();
    let text = to(&format!("http://{}", server.address)).to_string();
    let wide = |mark: u16, bytes: fn(u16) -> [u8; 2]| {
        std::iter::once(mark).chain(text.encode_utf16()).flat_map(bytes).collect::<Vec<_>>()
    };
    let marked = format!("\u{feff}{text}").into_bytes();
    for content in [marked, wide(0xfeff, u16::to_le_bytes), wide(0xfeff, u16::to_be_bytes)] {
        let file = folder.write("encoded", content);
        folder.run(&["plan", "--kubeconfig", &file], &[]).reached();
    }
}

/// The names are those of the kubeconfig, and could hide or forge lines.
#[test]
fn names_are_escaped() {
    let folder = Folder::new();
    let mut kubeconfig: Value = to("http://127.0.0.1:1");
    kubeconfig["contexts"][0]["name"] = json!("a\u{1b}[2Jb");
    let done = folder.plan(&kubeconfig, &[]);
    done.failed(&["no context here", "a\\u{1b}[2Jb"]);
}
