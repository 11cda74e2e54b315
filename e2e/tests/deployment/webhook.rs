//! An admission webhook that allows everything, once it can be reached.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use e2e::cluster::Cluster;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::kubectl;

/// The name of its namespace, its Service, and its configuration.
pub const GUARD: &str = "guard";

/// A running webhook.
pub struct Webhook {
    pub port: u16,
    /// The certificate by which clients trust it.
    certificate: String,
    /// How often it was asked, by user and resource.
    asked: Asked,
}

type Asked = Arc<Mutex<BTreeMap<(String, String), u32>>>;

impl Webhook {
    /// Starts it on a free port of the address, as the server with this name.
    pub async fn start(address: Ipv4Addr, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let webhook = Self { port, certificate: certificate.pem(), asked: Arc::default() };
        let asked = Arc::clone(&webhook.asked);
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), asked));
        webhook
    }

    /// Three webhooks of one Service, all of which fail closed.
    pub async fn configure(&self, cluster: &Cluster) {
        let bundle = k8s_openapi::ByteString(self.certificate.clone().into_bytes());
        let judge = |group: &str, resource: &str| {
            json!({
                "name": format!("{resource}.guard.example.com"),
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 5,
                "clientConfig": {"service": {"namespace": GUARD, "name": GUARD}, "caBundle": bundle},
                "rules": [{
                    "apiGroups": [group], "apiVersions": ["v1"], "resources": [resource],
                    "operations": ["CREATE", "UPDATE", "DELETE"],
                }],
            })
        };
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": GUARD},
            "webhooks": [
                judge("", "pods"),
                judge("coordination.k8s.io", "leases"),
                judge("discovery.k8s.io", "endpointslices"),
            ],
        });
        let file = cluster.directory().join("guard.json");
        fs::write(&file, configuration.to_string()).unwrap();
        let name = format!("validatingwebhookconfiguration/{GUARD}");
        kubectl(cluster, &["delete", "--ignore-not-found", &name]).await;
        kubectl(cluster, &["create", "-f", &file.display().to_string()]).await;
    }

    /// How often it was asked about what this user writes.
    pub fn asked(&self, user: &str, resource: &str) -> u32 {
        let key = (user.to_owned(), resource.to_owned());
        self.asked.lock().unwrap().get(&key).copied().unwrap_or(0)
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, asked: Asked) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, asked) = (tls.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            // The API server reports a connection that fails.
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(|request| answer(request, &asked));
            // Each request must find its way again, because an open connection needs no slice.
            let mut server = http1::Builder::new();
            let connection =
                server.keep_alive(false).serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    asked: &Asked,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review = serde_json::from_slice::<Value>(&body).unwrap();
    let text = |path: &str| review.pointer(path).and_then(Value::as_str).unwrap().to_owned();
    let key = (text("/request/userInfo/username"), text("/request/resource/resource"));
    *asked.lock().unwrap().entry(key).or_default() += 1;
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": text("/request/uid"), "allowed": true},
    });
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(answer.to_string()))).unwrap())
}
