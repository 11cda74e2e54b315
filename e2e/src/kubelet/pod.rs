//! What a kubelet writes about a pod.

use super::{Error, PodKey};
use crate::net::Addresses;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

/// What the stand-in must know about a pod.
#[derive(Debug, Clone)]
pub(super) struct PodView {
    pub(super) key: PodKey,
    pub(super) uid: String,
    pub(super) node: String,
    pub(super) deleted: bool,
    pub(super) ports: Vec<u16>,
    /// Name and image.
    containers: Vec<(String, String)>,
}

impl PodView {
    /// None for a pod that is not bound to a node yet.
    pub(super) fn new(pod: &Pod) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
        let ports = ports.filter_map(|port| u16::try_from(port.container_port).ok()).collect();
        let image = |image: &Option<String>| image.clone().unwrap_or_default();
        Some(Self {
            key: PodKey {
                namespace: pod.metadata.namespace.clone()?,
                name: pod.metadata.name.clone()?,
            },
            uid: pod.metadata.uid.clone()?,
            node: spec.node_name.clone()?,
            deleted: pod.metadata.deletion_timestamp.is_some(),
            ports,
            containers: spec.containers.iter().map(|c| (c.name.clone(), image(&c.image))).collect(),
        })
    }

    fn api(&self, client: &Client) -> Api<Pod> {
        Api::namespaced(client.clone(), &self.key.namespace)
    }

    /// Reports the pod as running and ready.
    pub(super) async fn report_running(
        &self,
        client: &Client,
        addresses: Addresses,
    ) -> Result<(), Error> {
        let now = now();
        let status = |(name, image): &(String, String)| {
            json!({
                "name": name,
                "image": image,
                "imageID": "",
                "ready": true,
                "started": true,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            })
        };
        let conditions = ["Initialized", "ContainersReady", "Ready"];
        self.patch(
            client,
            json!({
                "phase": "Running",
                "podIP": addresses.v4,
                "podIPs": addresses.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>(),
                "startTime": now,
                "conditions": conditions.map(|kind| condition(kind, true, &now)),
                "containerStatuses": self.containers.iter().map(status).collect::<Vec<_>>(),
            }),
        )
        .await
    }

    /// Reports the pod as no longer ready.
    pub(super) async fn report_not_ready(&self, client: &Client) -> Result<(), Error> {
        let now = now();
        let conditions = ["ContainersReady", "Ready"].map(|kind| condition(kind, false, &now));
        self.patch(client, json!({"conditions": conditions})).await
    }

    async fn patch(&self, client: &Client, status: Value) -> Result<(), Error> {
        let (pods, name) = (self.api(client), &self.key.name);
        // With the UID, a write to a successor of the same name is a conflict.
        let patch = Patch::Strategic(json!({"metadata": {"uid": self.uid}, "status": status}));
        let parameters = PatchParams::default();
        write(&self.key.to_string(), || pods.patch_status(name, &parameters, &patch)).await
    }

    /// Removes the pod's object at once, as a kubelet does when the containers have ended.
    pub(super) async fn delete(&self, client: &Client) -> Result<(), Error> {
        let (pods, name) = (self.api(client), &self.key.name);
        let preconditions = Preconditions { uid: Some(self.uid.clone()), resource_version: None };
        let now = DeleteParams::default().grace_period(0).preconditions(preconditions);
        write(&self.key.to_string(), || pods.delete(name, &now)).await
    }
}

impl std::fmt::Display for PodKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pod {}/{}", self.namespace, self.name)
    }
}

fn condition(kind: &str, status: bool, now: &str) -> Value {
    let status = if status { "True" } else { "False" };
    json!({"type": kind, "status": status, "lastTransitionTime": now})
}

/// The time as the API requires it, in whole seconds.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Retries a write until the API server accepts it, for half a minute. That the object is gone or
/// has a successor is as good as written.
pub(super) async fn write<T, F>(object: &str, mut attempt: impl FnMut() -> F) -> Result<(), Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match attempt().await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(()),
            Err(_) if Instant::now() < end => time::sleep(Duration::from_millis(200)).await,
            Err(source) => {
                return Err(Error::Write { object: object.to_owned(), source: Box::new(source) });
            }
        }
    }
}
