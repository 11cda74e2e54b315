//! Departure: closehaul's Deployment is scaled to 0, its pods end, and nobody holds its lease.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment as DeploymentObject, coordination::v1::Lease, core::v1::Pod,
};
use kube::{
    Api, Client, Error,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::sleep;

use super::RestoreError;
use crate::{cli::say::say, clock::WallClock, control::lease::Record};

/// How long a lease is watched that has run out by its holder's record: two renewals by default.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// Namespace and name of a Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    namespace: String,
    name: String,
}

impl FromStr for Deployment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').filter(|(namespace, name)| {
            !namespace.is_empty() && !name.is_empty() && !name.contains('/')
        });
        let (namespace, name) = parts.ok_or_else(|| {
            format!("`{text}` is not NAMESPACE/NAME; write it like kube-system/closehaul")
        })?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

impl Deployment {
    /// Scales it to 0. A Deployment that is gone has no pods either.
    pub(super) async fn scale_down(&self, client: &Client) -> Result<Scaled, RestoreError> {
        let api: Api<DeploymentObject> = Api::namespaced(client.clone(), &self.namespace);
        let patch = Patch::Merge(json!({"spec": {"replicas": 0}}));
        let scale = match api.patch_scale(&self.name, &PatchParams::default(), &patch).await {
            Ok(scale) => scale,
            Err(Error::Api(status)) if status.code == 404 => {
                say(format!("there is no Deployment {self}; continuing"));
                return Ok(Scaled { namespace: self.namespace.clone(), selector: None });
            }
            Err(source) => {
                return Err(RestoreError::Request {
                    what: format!("scale the Deployment {self} to 0"),
                    advice: "it needs the permission to patch deployments/scale; or scale it \
                             yourself and leave --scale-down out",
                    source: Box::new(source),
                });
            }
        };
        say(format!("scaled the Deployment {self} to 0"));
        let selector = scale.status.and_then(|status| status.selector);
        Ok(Scaled { namespace: self.namespace.clone(), selector })
    }
}

/// A Deployment that has been scaled to 0.
pub(super) struct Scaled {
    namespace: String,
    /// Of its pods; `None` if it is gone.
    selector: Option<String>,
}

impl Scaled {
    /// How many of its pods may still write. One whose time to end has passed does not count: its
    /// node does not answer, and if it still runs there, it holds the lease.
    pub(super) async fn running(
        &self,
        client: &Client,
        now: Timestamp,
    ) -> Result<usize, RestoreError> {
        let Some(selector) = self.selector.as_deref().filter(|selector| !selector.is_empty())
        else {
            return Ok(0);
        };
        let api: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
        let pods = api.list(&ListParams::default().labels(selector)).await;
        let pods = pods.map_err(|source| RestoreError::Request {
            what: format!("list the pods of closehaul in {}", self.namespace),
            advice: "it needs the permission to list pods",
            source: Box::new(source),
        })?;
        Ok(pods.items.iter().filter(|pod| may_write(pod, now)).count())
    }
}

fn may_write(pod: &Pod, now: Timestamp) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let ends = pod.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    !matches!(phase, Some("Succeeded" | "Failed")) && ends.is_none_or(|ends| now < ends)
}

/// Looks at a lease again and again.
pub(super) struct LeaseWatch {
    leases: Api<Lease>,
    /// Namespace and name.
    place: (String, String),
    wall: WallClock,
    seen: Option<Record>,
    /// Whether a holder whose time is over has been seen not to renew.
    is_silent: bool,
}

impl LeaseWatch {
    pub(super) fn new(client: Client, place: (String, String), wall: WallClock) -> Self {
        let leases = Api::namespaced(client, &place.0);
        Self { leases, place, wall, seen: None, is_silent: false }
    }

    /// Namespace and name.
    pub(super) fn name(&self) -> String {
        let (namespace, name) = &self.place;
        format!("{namespace}/{name}")
    }

    /// Who holds it: the holder has renewed it within its duration by its own record, or since the
    /// last look.
    pub(super) async fn holder(&mut self) -> Result<Option<String>, RestoreError> {
        let lease = self.leases.get_opt(&self.place.1).await.map_err(|source| {
            RestoreError::Request {
                what: format!("read the lease {}", self.name()),
                advice: "it shows whether closehaul still runs, so it needs the permission to get it",
                source: Box::new(source),
            }
        })?;
        let record = lease.and_then(|lease| lease.spec).map(|spec| Record::read(&spec));
        let has_changed = self.seen.is_some() && self.seen != record;
        self.seen.clone_from(&record);
        let held = record.filter(|record| {
            record.is_held(self.wall.now()) || (has_changed && !record.holder.is_empty())
        });
        Ok(held.map(|record| record.holder))
    }

    /// Fails if somebody holds it. A holder whose clock is behind shows by renewing it.
    pub(super) async fn must_be_free(&mut self) -> Result<(), RestoreError> {
        let mut holder = self.holder().await?;
        let is_named = self.seen.as_ref().is_some_and(|record| !record.holder.is_empty());
        if holder.is_none() && is_named && !self.is_silent {
            sleep(SECOND_LOOK).await;
            holder = self.holder().await?;
            self.is_silent = holder.is_none();
        }
        match holder {
            Some(holder) => Err(RestoreError::Leads { holder, lease: self.name() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_named_with_its_namespace() {
        let named: Deployment = "kube-system/closehaul".parse().unwrap();
        assert_eq!(named.to_string(), "kube-system/closehaul");
        for text in ["", "closehaul", "/closehaul", "kube-system/", "a/b/c"] {
            let error = text.parse::<Deployment>().unwrap_err();
            assert!(error.contains("write it like kube-system/closehaul"), "{error}");
        }
    }

    #[test]
    fn a_pod_may_write_until_it_has_ended() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let pod = |phase: &str, deleted: Option<&str>| {
            let metadata = json!({"name": "closehaul-0", "deletionTimestamp": deleted});
            let pod = json!({"metadata": metadata, "status": {"phase": phase}});
            serde_json::from_value::<Pod>(pod).unwrap()
        };
        assert!(may_write(&pod("Running", None), now));
        assert!(may_write(&pod("Pending", None), now));
        assert!(may_write(&pod("Running", Some("2026-01-02T03:04:15Z")), now), "it ends");
        assert!(!may_write(&pod("Running", Some("2026-01-02T03:04:05Z")), now), "its node is lost");
        assert!(!may_write(&pod("Failed", None), now));
    }
}
