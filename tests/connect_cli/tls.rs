//! Certificates that fit, and that do not.

use std::net::SocketAddr;

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use serde_json::json;

use super::{
    folder::{Folder, config, to},
    servers::{Server, api_with_tls, proxy_with_tls, rude},
};

/// An API server with a certificate for `name`, and the PEM of its authority.
pub fn server(name: &str, change: impl FnOnce(&mut CertificateParams)) -> (Server, String) {
    let (tls, authority) = certified(name, change);
    (api_with_tls(tls), authority)
}

/// A proxy to `target` that is reached by TLS, and the PEM of its authority.
pub fn proxy(target: SocketAddr) -> (Server, String) {
    let (tls, authority) = certified("127.0.0.1", |_| {});
    (proxy_with_tls(tls, target), authority)
}

/// An API server that asks for a client's certificate, the PEM of its authority, and the PEM of such
/// a certificate and its key.
pub fn demanding(name: &str) -> (Server, String, [String; 2]) {
    let authority = authority(name);
    let (chain, key) = leaf(&authority, name, |_| {});
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(roots.into()).build().unwrap();
    let tls = ServerConfig::builder().with_client_cert_verifier(verifier);
    let server = api_with_tls(tls.with_single_cert(chain, der(&key)).unwrap());
    let (chain, key) = leaf(&authority, "client", |leaf| {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let base64 = base64::engine::general_purpose::STANDARD.encode(&chain[0]);
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    (server, authority.pem(), [certificate, key.serialize_pem()])
}

fn certified(name: &str, change: impl FnOnce(&mut CertificateParams)) -> (ServerConfig, String) {
    let authority = authority(name);
    let (chain, key) = leaf(&authority, name, change);
    let tls = ServerConfig::builder().with_no_client_auth();
    (tls.with_single_cert(chain, der(&key)).unwrap(), authority.pem())
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Of two authorities with one name, only the signature would tell that one is the wrong one.
    authority.distinguished_name.push(DnType::CommonName, format!("authority of {name}"));
    CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(
    authority: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (Vec<CertificateDer<'static>>, KeyPair) {
    let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    change(&mut leaf);
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, authority).unwrap();
    (vec![CertificateDer::from(leaf.der().to_vec())], key)
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

#[test]
fn a_path_is_relative_to_the_kubeconfig_that_names_it() {
    let (server, authority) = server("127.0.0.1", |_| {});
    let folder = Folder::new();
    folder.write("sub/pki/ca.pem", authority);
    // Without a scheme the server is reached by TLS, as an authority is configured.
    for address in [format!("https://{}", server.address), server.address.to_string()] {
        let cluster = json!({"server": address, "certificate-authority": "pki/ca.pem"});
        let file = folder.write("sub/config", config(&cluster, &json!({})).to_string());
        folder.run(&["plan", "--kubeconfig", &file], &[]).reached();
        folder.run(&["plan", "--kubeconfig", "sub/config"], &[]).reached();
        folder.run(&["plan"], &[("KUBECONFIG", "sub/config")]).reached();
    }
}

#[test]
fn certificates_that_do_not_fit() {
    let folder = Folder::new();
    let plan = |server: &Server, authority: &str| {
        folder.write("ca.pem", authority);
        let url = format!("https://{}", server.address);
        let cluster = json!({"server": url, "certificate-authority": "ca.pem"});
        folder.plan(&config(&cluster, &json!({})), &[])
    };
    let (good, authority) = server("127.0.0.1", |_| {});
    let (elsewhere, other) = server("api.example.com", |_| {});
    plan(&good, &other).failed(&["an authority that is not trusted", "certificate-authority"]);
    plan(&elsewhere, &other).failed(&[
        "not for 127.0.0.1, but for",
        "api.example.com",
        "tls-server-name",
    ]);
    let (old, old_authority) =
        server("127.0.0.1", |leaf| leaf.not_after = date_time_ymd(2020, 1, 1));
    plan(&old, &old_authority).failed(&["has expired", "clock"]);
    let (early, early_authority) =
        server("127.0.0.1", |leaf| leaf.not_before = date_time_ymd(4000, 1, 1));
    plan(&early, &early_authority).failed(&["is not valid yet", "clock"]);
    plan(&good, &authority).reached();
    plan(&good, "-----BEGIN").failed(&["certificate-authority", "no certificate in PEM"]);
    plan(&good, "").failed(&["certificate-authority", "no certificate in PEM"]);
    folder.write("ca.pem", "");
    let url = format!("https://{}", good.address);
    let missing = json!({"server": url, "certificate-authority": "none.pem"});
    folder.plan(&config(&missing, &json!({})), &[]).failed(&["none.pem", "No such file"]);
}

#[test]
fn a_name_for_the_certificate_can_be_set() {
    let (server, authority) = server("api.example.com", |_| {});
    let folder = Folder::new();
    folder.write("ca.pem", authority);
    let cluster = json!({"server": format!("https://{}", server.address),
        "certificate-authority": "ca.pem", "tls-server-name": "api.example.com"});
    folder.plan(&config(&cluster, &json!({})), &[]).reached();
}

#[test]
fn a_connection_without_protection_is_warned_about() {
    let (server, _) = server("api.example.com", |_| {});
    let folder = Folder::new();
    for address in [format!("https://{}", server.address), server.address.to_string()] {
        let cluster = json!({"server": address, "insecure-skip-tls-verify": true});
        let done = folder.plan(&config(&cluster, &json!({})), &[]);
        done.reached();
        done.says(&["insecure-skip-tls-verify is set", "certificate-authority"]);
    }
}

#[test]
fn tls_where_there_is_none() {
    let folder = Folder::new();
    let plan = |server: &Server| folder.plan(&to(&format!("https://{}", server.address)), &[]);
    // As Go's servers do, or not at all.
    plan(&rude("HTTP/1.0 400 Bad Request\r\n\r\n")).failed(&["does not speak TLS", "http://"]);
    plan(&rude("")).failed(&["ended the TLS handshake", "http://"]);
}
