//! Proxies, of the kubeconfig and of the environment.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    folder::{Folder, config},
    servers::{Server, api, proxy, rude, socks},
    tls,
};

const NAME: &str = "api.invalid";

/// An API server that only a proxy finds, with TLS or without, and the kubeconfig for it.
fn hidden(folder: &Folder, is_tls: bool) -> (Server, Value) {
    if is_tls {
        let (server, authority) = tls::server(NAME, |_| {});
        folder.write("ca.pem", authority);
        (server, json!({"server": format!("https://{NAME}"), "certificate-authority": "ca.pem"}))
    } else {
        (api(), json!({"server": format!("http://{NAME}")}))
    }
}

fn plan(folder: &Folder, cluster: &Value, variables: &[(&str, &str)]) -> super::folder::Done {
    folder.plan(&config(cluster, &json!({})), variables)
}

#[test]
fn the_proxy_of_a_cluster() {
    let folder = Folder::new();
    for (is_tls, port) in [(true, 443), (false, 80)] {
        let (server, cluster) = hidden(&folder, is_tls);
        let through = |url: &str, variables: &[(&str, &str)]| {
            let mut cluster = cluster.clone();
            cluster["proxy-url"] = json!(url);
            plan(&folder, &cluster, variables)
        };
        let http = proxy(server.address, "200 OK");
        // The kubeconfig counts more than the environment.
        let variables = [("NO_PROXY", "*"), ("HTTPS_PROXY", "http://127.0.0.1:1")];
        through(&format!("http://me:pa%3Ass@{}", http.address), &variables).reached();
        let asked = http.asked.all();
        assert!(asked[0].starts_with(&format!("connect {NAME}:{port} ")), "{asked:?}");
        // base64 of me:pa:ss, in lower case.
        let login = "proxy-authorization: basic bwu6cge6c3m=\r\n";
        assert!(asked[0].contains(login), "{asked:?}");

        for (scheme, login) in [("socks5", ""), ("socks5h", "me:pa:ss@")] {
            let socks = socks(server.address);
            let user = login.replace("pa:", "pa%3A");
            through(&format!("{scheme}://{user}{}", socks.address), &[]).reached();
            assert_eq!(socks.asked.all()[0], format!("{login}{NAME}:{port}"));
        }
    }
}

#[test]
fn a_proxy_that_is_reached_by_tls() {
    let folder = Folder::new();
    let (server, mut cluster) = hidden(&folder, true);
    let (proxy, authority) = tls::proxy(server.address);
    let own = std::fs::read_to_string(format!("{}/ca.pem", folder.path())).unwrap();
    folder.write("ca.pem", own + &authority);
    cluster["proxy-url"] = json!(format!("https://{}", proxy.address));
    plan(&folder, &cluster, &[]).reached();
    assert!(proxy.asked.all()[0].starts_with(&format!("connect {NAME}:443 ")));
}

#[test]
fn the_proxies_of_the_environment() {
    let folder = Folder::new();
    for (is_tls, names) in
        [(true, ["HTTPS_PROXY", "https_proxy"]), (false, ["HTTP_PROXY", "http_proxy"])]
    {
        let (server, cluster) = hidden(&folder, is_tls);
        for name in names {
            let by_name = |address: SocketAddr| address.to_string();
            let http = proxy(server.address, "200 Connection established");
            plan(&folder, &cluster, &[(name, &by_name(http.address))]).reached();
            assert!(!http.asked.all().is_empty(), "{name}");
            let socks = socks(server.address);
            plan(&folder, &cluster, &[(name, &format!("socks5://{}", socks.address))]).reached();
            assert!(!socks.asked.all().is_empty(), "{name}");
            for no_proxy in ["NO_PROXY", "no_proxy"] {
                for exempt in ["*", NAME, ".invalid", "a, *.invalid,"] {
                    let http = proxy(server.address, "200 OK");
                    let variables = [(name, &*by_name(http.address)), (no_proxy, exempt)];
                    let done = plan(&folder, &cluster, &variables);
                    assert_eq!(done.code, Some(1), "{exempt}: {done:?}");
                    assert!(http.asked.all().is_empty(), "{exempt}: asked for nothing");
                }
                let http = proxy(server.address, "200 OK");
                let variables = [(name, &*by_name(http.address)), (no_proxy, "api.invalid:1,b")];
                plan(&folder, &cluster, &variables).reached();
            }
        }
    }
}

#[test]
fn no_proxy_leads_to_this_machine() {
    let folder = Folder::new();
    let server = api();
    for host in ["127.0.0.1", "localhost"] {
        let cluster = json!({"server": format!("http://{host}:{}", server.address.port())});
        let variables = [("HTTP_PROXY", "http://127.0.0.1:1"), ("HTTPS_PROXY", "127.0.0.1:1")];
        plan(&folder, &cluster, &variables).reached();
    }
}

#[test]
fn proxies_that_do_not_work_are_named() {
    let folder = Folder::new();
    let (server, mut cluster) = hidden(&folder, true);
    for (status, reason) in
        [("407 Proxy Authentication Required", "authorization"), ("403 Forbidden", "unsuccessful")]
    {
        let proxy = proxy(server.address, status);
        let address = format!("http://me:secret@{}", proxy.address);
        let done = plan(&folder, &cluster, &[("HTTPS_PROXY", &address)]);
        done.failed(&[&format!("through the proxy http://{}", proxy.address), reason]);
        assert!(!done.err.contains("secret"), "{}", done.err);
    }
    let done = plan(&folder, &cluster, &[("HTTPS_PROXY", "http://127.0.0.1:1")]);
    done.failed(&["through the proxy http://127.0.0.1:1", "refused"]);
    let done = plan(&folder, &cluster, &[("HTTPS_PROXY", "socks5://127.0.0.1:1")]);
    done.failed(&["through the proxy socks5://127.0.0.1:1", "refused"]);
    let silent = rude("");
    let address = format!("socks5://{}", silent.address);
    let done = plan(&folder, &cluster, &[("HTTPS_PROXY", &address)]);
    done.failed(&[&format!("through the proxy {address}"), "eof"]);
    let done = plan(&folder, &cluster, &[("HTTPS_PROXY", "ftp://me:secret@a")]);
    done.failed(&["$HTTPS_PROXY", "the scheme is ftp instead of http, https or socks5"]);
    assert!(!done.err.contains("secret"), "{}", done.err);
    cluster["proxy-url"] = json!("ftp://me:secret@a");
    let done = plan(&folder, &cluster, &[]);
    done.failed(&["proxy-url of the cluster c", "the scheme is ftp"]);
    assert!(!done.err.contains("secret"), "{}", done.err);
}
