//! Status writer: sends the statuses of policies and evacuations, one after the other, and none
//! without leadership. It reads each object first, so that a condition that has not changed keeps its
//! time, and nothing is written that is already there.

use std::{collections::BTreeMap, time::Duration};

use kube::{
    Api, Client, Error,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use super::lease::Leadership;
use crate::{
    api::{
        Kind,
        crd::status::{Condition, LocalityPolicyStatus, ZoneEvacuationStatus},
    },
    causes::causes,
    clock::WallClock,
    model::{
        name::{Name, Uid},
        policy::{ClusterLocalityPolicy, LocalityPolicy, RequestKey, ZoneEvacuation},
    },
    observe::{
        Duty, Health,
        events::{Emitter, ObjectEvent, Regarding},
    },
    report::news::{EvacuationNews, News},
};

/// Who writes, as the API server records it.
const FIELD_MANAGER: &str = "closehaul";
/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// After a failure.
const RETRY: Duration = Duration::from_secs(10);

/// A status to be written.
#[derive(Clone, Debug)]
pub struct StatusWrite {
    /// Of which object.
    pub key: RequestKey,
    /// Its UID: another object of the name has another status.
    pub uid: Option<Uid>,
    /// The generation of the spec that it is about.
    pub generation: i64,
    /// The status.
    pub status: Status,
}

/// The status of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Of a policy.
    Policy(LocalityPolicyStatus),
    /// Of an evacuation.
    Evacuation(ZoneEvacuationStatus),
}

impl Status {
    /// Whether both say the same, whatever the times of their conditions.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.timeless() == other.timeless()
    }

    fn timeless(&self) -> Self {
        let mut status = self.clone();
        let conditions = match &mut status {
            Self::Policy(status) => &mut status.conditions,
            Self::Evacuation(status) => &mut status.conditions,
        };
        for Condition { last_transition_time: time, .. } in conditions {
            time.0 = jiff::Timestamp::UNIX_EPOCH;
        }
        status
    }

    fn to_json(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Policy(status) => serde_json::to_value(status),
            Self::Evacuation(status) => serde_json::to_value(status),
        }
    }
}

/// Writes statuses.
pub struct StatusWriter {
    /// The client. It must not retry by itself.
    pub client: Client,
    /// Who may write.
    pub leadership: Leadership,
    /// Shows a missing permission.
    pub health: Health,
    /// Where Events on evacuations are handed in.
    pub emitter: Emitter,
    /// The time of these Events.
    pub wall: WallClock,
}

impl StatusWriter {
    /// Writes what arrives until the sender is gone. Of several statuses of an object that wait, the
    /// last one counts.
    pub async fn run(self, mut arriving: mpsc::UnboundedReceiver<StatusWrite>) {
        let mut waiting = BTreeMap::new();
        while let Some(write) = next(&mut waiting, &mut arriving).await {
            // Another replica has taken over, and writes its own.
            if !self.leadership.holds() {
                waiting.clear();
                continue;
            }
            let key = write.key.clone();
            let failure = match timeout(LIMIT, self.write(&write)).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => {
                    if matches!(&error, Error::Api(status) if status.code == 403) {
                        self.health.refused(Duty::Status, &causes(&error));
                    }
                    if is_conflict(&error) {
                        debug!(%key, "the object has changed meanwhile");
                        waiting.entry(key).or_insert(write);
                        continue;
                    }
                    causes(&error)
                }
                Err(_) => "no answer in time".to_owned(),
            };
            warn!(%key, failure, "a status was not written, retrying");
            waiting.entry(key).or_insert(write);
            sleep(RETRY).await;
        }
    }

    async fn write(&self, write: &StatusWrite) -> Result<(), Error> {
        let (api, name) = self.api(&write.key);
        // The permission is for statuses alone.
        let object = match api.get_status(name).await {
            Err(error) if is_not_found(&error) => return Ok(()),
            object => object?,
        };
        let uid = object.metadata.uid.as_deref().and_then(Uid::parse);
        let is_same = object.metadata.generation == Some(write.generation)
            && (write.uid.is_none() || uid == write.uid);
        if !is_same {
            // The status of what it is now comes by itself.
            return Ok(());
        }
        let mut status = write.status.to_json().map_err(Error::SerdeError)?;
        let before = &object.data["status"];
        keep_times(before, &mut status);
        let is_there = status
            .as_object()
            .is_some_and(|fields| fields.iter().all(|(name, value)| before[name] == *value));
        if is_there || !self.leadership.holds() {
            return Ok(());
        }
        // Fields of a newer version stay. The version is a condition.
        let version = object.metadata.resource_version;
        let patch = json!({ "metadata": { "resourceVersion": version }, "status": status });
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        api.patch_status(name, &params, &Patch::Merge(patch)).await?;
        debug!(key = %write.key, "wrote a status");
        if let (RequestKey::Evacuation(name), Status::Evacuation(status)) =
            (&write.key, &write.status)
        {
            self.report(
                name,
                uid.as_ref(),
                EvacuationNews::of(&stored(before), status, &object.data["spec"]),
            );
        }
        Ok(())
    }

    /// Reports what is new about an evacuation. What its stored status said before is what has been
    /// reported, also by other replicas. So nothing is reported twice.
    fn report(&self, name: &Name, uid: Option<&Uid>, news: Vec<EvacuationNews>) {
        for news in news {
            match &news {
                EvacuationNews::Began { zones, until, .. } => {
                    info!(evacuation = %name, ?zones, until, "an evacuation has begun");
                }
                EvacuationNews::Ended | EvacuationNews::Deleted => {
                    info!(evacuation = %name, "an evacuation has ended: its time is over");
                }
                EvacuationNews::Incomplete(message) => {
                    warn!(evacuation = %name, message, "an evacuation cannot move all traffic");
                }
                EvacuationNews::Unread { reason, message } => {
                    warn!(evacuation = %name, reason, message, "an evacuation has no effect");
                }
            }
            let regarding = Regarding::Evacuation(name.clone());
            let news = News::Evacuation(news);
            let event = ObjectEvent { regarding, uid: uid.cloned(), news, at: self.wall.now() };
            self.emitter.emit(event);
        }
    }

    fn api<'k>(&self, key: &'k RequestKey) -> (Api<DynamicObject>, &'k str) {
        let client = self.client.clone();
        match key {
            RequestKey::Policy { namespace, name } => {
                let resource = resource::<LocalityPolicy>();
                (Api::namespaced_with(client, namespace, &resource), name)
            }
            RequestKey::ClusterPolicy(name) => {
                (Api::all_with(client, &resource::<ClusterLocalityPolicy>()), name)
            }
            RequestKey::Evacuation(name) => {
                (Api::all_with(client, &resource::<ZoneEvacuation>()), name)
            }
        }
    }
}

/// The next status to write; `None` if none will come.
async fn next(
    waiting: &mut BTreeMap<RequestKey, StatusWrite>,
    arriving: &mut mpsc::UnboundedReceiver<StatusWrite>,
) -> Option<StatusWrite> {
    if waiting.is_empty() {
        let first = arriving.recv().await?;
        waiting.insert(first.key.clone(), first);
    }
    while let Ok(more) = arriving.try_recv() {
        waiting.insert(more.key.clone(), more);
    }
    waiting.pop_first().map(|(_, write)| write)
}

fn resource<T: Kind>() -> ApiResource {
    let kind = GroupVersionKind::gvk(T::GROUP, T::VERSION, T::KIND);
    ApiResource::from_gvk_with_plural(&kind, T::PLURAL)
}

fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 404)
}

fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 409)
}

/// The status of an evacuation that was stored; empty if there is none, or none that can be read.
fn stored(status: &Value) -> ZoneEvacuationStatus {
    ZoneEvacuationStatus::deserialize(status).unwrap_or_default()
}

/// A condition whose status is as before has the time of then.
fn keep_times(before: &Value, status: &mut Value) {
    let before = before["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    for condition in conditions {
        let is_same =
            |old: &&Value| old["type"] == condition["type"] && old["status"] == condition["status"];
        if let Some(old) = before.iter().find(is_same) {
            condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
        }
    }
}
