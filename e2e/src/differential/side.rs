//! Side: one of the two control planes, with its controller.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{Read, Seek, SeekFrom},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::{
    Error, edit,
    form::{CURRENT, Form},
    model::Action,
    view::View,
};
use crate::{
    closehaul,
    cluster::{Actor, Cluster, ControllerManager, Options, UNLIMITED},
    process::Process,
    world::{self, Kind, Place, World, normal::items},
};

/// The Service and pod of each namespace with which a controller shows that it has caught up.
pub const CANARY: &str = "canary";
const STOP: Duration = Duration::from_secs(10);

/// The versions of slices by name.
pub type Versions = BTreeMap<String, String>;
/// Slices by name.
pub type ByName = BTreeMap<String, Arc<Value>>;

/// Which controller a side has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// kube-controller-manager's, the oracle.
    BuiltIn,
    /// closehaul.
    Closehaul,
}

/// One control plane.
pub struct Side {
    who: Who,
    cluster: Cluster,
    process: Mutex<Option<Process>>,
    max: String,
    /// Objects through the API.
    pub world: World,
    /// The slices as a watch shows them.
    pub view: View,
    uids: Mutex<HashMap<Place, String>>,
    /// How many slices were created by hand.
    copies: AtomicU64,
}

impl Side {
    /// Starts a control plane and its controller, with at most `max` endpoints in a slice.
    pub async fn start(who: Who, max: usize) -> Result<Self, Error> {
        let options = Options {
            service_cidrs: ["10.96.0.0/16", "fd00:96::/112"].map(str::to_owned).to_vec(),
            extra_apiserver_args: UNLIMITED.map(str::to_owned).to_vec(),
            ..Options::default()
        };
        let cluster = Cluster::start(options).await?;
        let world = World::new(cluster.client(Actor::Admin)?);
        let view = View::new(cluster.client(Actor::Admin)?);
        let max = format!("--max-endpoints-per-slice={max}");
        let (process, uids, copies) = Default::default();
        let side = Self { who, cluster, process, max, world, view, uids, copies };
        side.start_controller().await?;
        Ok(side)
    }

    /// Stops the controller, if it runs, and starts it again.
    pub async fn restart(&self) -> Result<(), Error> {
        let old = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(old) = old {
            old.stop(STOP).await.map_err(crate::cluster::Error::from)?;
        }
        self.start_controller().await
    }

    async fn start_controller(&self) -> Result<(), Error> {
        let process = match self.who {
            Who::BuiltIn => {
                let which = ControllerManager::OnlySlices;
                self.cluster.start_controller_manager_with(which, &[&self.max]).await?
            }
            Who::Closehaul => {
                let args = ["--leader-elect=false", "--replan-qps=0", "-v=4", &self.max];
                closehaul::start(&self.cluster, &args).await?
            }
        };
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(())
    }

    /// The end of the controller's log.
    pub fn log_tail(&self) -> String {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().map(Process::log_tail).unwrap_or_default()
    }

    /// How long the controller's log is.
    pub fn log_length(&self) -> u64 {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let log = process.as_ref().and_then(|process| fs::metadata(process.log_path()).ok());
        log.map(|log| log.len()).unwrap_or_default()
    }

    /// What the controller has logged since its log had this length.
    pub fn logged_since(&self, length: u64) -> String {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |process: &Process| {
            let mut file = fs::File::open(process.log_path())?;
            file.seek(SeekFrom::Start(length))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&text).into_owned())
        };
        process.as_ref().and_then(|process| read(process).ok()).unwrap_or_default()
    }

    /// Ends everything.
    pub async fn stop(self) -> Result<(), Error> {
        let process = self.process.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = process {
            process.stop(STOP).await.map_err(crate::cluster::Error::from)?;
        }
        drop(self.view);
        Ok(self.cluster.stop().await?)
    }

    /// The slices of a namespace, except the canary's, in the order of their content.
    pub fn forms(&self, namespace: &str) -> Vec<Form> {
        let (slices, _) = self.view.slices(namespace);
        let forms = slices
            .into_iter()
            .map(|slice| Form::new(&slice, |kind, name| self.uid(kind, namespace, name)));
        let mut forms = forms.filter(|form| form.group.service != CANARY).collect::<Vec<_>>();
        forms.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
        forms
    }

    /// The current UID of a Service or a pod.
    pub fn uid(&self, kind: &str, namespace: &str, name: &str) -> Option<String> {
        let kind = match kind {
            "Service" => Kind::Service,
            "Pod" => Kind::Pod,
            _ => return None,
        };
        let uids = self.uids.lock().unwrap_or_else(PoisonError::into_inner);
        uids.get(&Place::new(kind, namespace, name)).cloned()
    }

    /// Creates an object and records its uid.
    pub async fn create(&self, object: &Value) -> Result<(), Error> {
        let place = Place::of(object)?;
        let created = self.world.create(object).await?;
        if let Some(uid) = created["metadata"]["uid"].as_str() {
            let mut uids = self.uids.lock().unwrap_or_else(PoisonError::into_inner);
            uids.insert(place, uid.to_owned());
        }
        Ok(())
    }

    /// Sends a step's request.
    pub async fn perform(&self, namespace: &str, action: &Action) -> Result<(), Error> {
        match action {
            Action::Create(object) => self.create(object).await?,
            Action::Patch(place, patch) => drop(self.world.patch(place, patch).await?),
            Action::Status(place, status) => drop(self.world.patch_status(place, status).await?),
            Action::Delete(place) => {
                self.world.delete(place).await?;
                self.uids.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
            }
            Action::Terminate(place) => self.world.terminate(place).await?,
            Action::Slice(number, edit) => {
                let forms = self.forms(namespace);
                let managed = forms.iter().filter(|form| form.is_managed()).collect::<Vec<_>>();
                if let Some(at) = number.checked_rem(managed.len()) {
                    self.edit(&managed[at].slice, *edit).await?;
                }
            }
            Action::Collect(service) => {
                for form in self.forms(namespace) {
                    if form.group.service == *service && !form.group.owners.is_empty() {
                        self.world.delete(&place(&form.slice)).await?;
                    }
                }
            }
            Action::Release => {
                for form in self.forms(namespace) {
                    if items(&form.slice["metadata"]["finalizers"]).next().is_some() {
                        let patch = json!({"metadata": {"finalizers": null}});
                        self.patch_slice(&form.slice, &patch).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn edit(&self, slice: &Value, edit: super::step::Edit) -> Result<(), Error> {
        let hand = edit::hand(slice, edit);
        if let Some(mut copy) = hand.copy {
            let number = self.copies.fetch_add(1, Ordering::Relaxed);
            copy["metadata"]["name"] = json!(format!("by-hand-{number}"));
            self.world.create(&copy).await?;
        }
        if let Some(patch) = hand.patch {
            self.patch_slice(slice, &patch).await?;
        }
        if hand.is_deleted {
            self.world.delete(&place(slice)).await?;
        }
        Ok(())
    }

    /// Merges into a slice. Returns `None` if its controller has deleted it in the meantime.
    pub async fn patch_slice(&self, slice: &Value, patch: &Value) -> Result<Option<Value>, Error> {
        match self.world.patch(&place(slice), patch).await {
            Err(world::Error::Request { source: kube::Error::Api(status), .. })
                if status.code == 404 =>
            {
                Ok(None)
            }
            patched => Ok(Some(patched?)),
        }
    }

    /// Makes the slices of a namespace like `wanted`, those of the other side, including which of
    /// several slices an endpoint is in and what else a controller may choose. All requests are
    /// sent at once, because both controllers wait only one second after another client's write.
    /// Returns the versions of all slices afterwards, if the controller has written none.
    pub async fn align(&self, namespace: &str, wanted: &[Form]) -> Result<Versions, Error> {
        let mut have = self.forms(namespace);
        let mut versions: Versions = have.iter().map(|form| versioned(&form.slice)).collect();
        let name = |slice: &Value| slice["metadata"]["name"].clone();
        let taken: Vec<Value> = have.iter().map(|form| name(&form.slice)).collect();
        have.retain(|form| !form.group.terminating);
        let mut missing = wanted.iter().filter(|form| !form.group.terminating).collect::<Vec<_>>();
        missing.retain(|form| match have.iter().position(|other| other.key() == form.key()) {
            Some(at) => {
                have.swap_remove(at);
                false
            }
            None => true,
        });
        let mut writes = Vec::new();
        for form in missing {
            let there = have.iter().position(|other| other.group == form.group);
            let mut body = self.like(namespace, form);
            // A slice with this name may exist, in another group or terminating.
            if taken.contains(&name(&body)) {
                body["metadata"]["generateName"] = body["metadata"]["name"].take();
            }
            writes.push((there.map(|at| have.swap_remove(at)), body));
        }
        let write = |(other, body): (Option<Form>, Value)| async move {
            match other {
                Some(other) => {
                    let patch = edit::difference(&other.slice, &body);
                    self.patch_slice(&other.slice, &patch).await
                }
                None => Ok::<_, Error>(Some(self.world.create(&body).await?)),
            }
        };
        let written = try_join_all(writes.into_iter().map(write)).await?;
        versions.extend(written.iter().flatten().map(versioned));
        let delete = |form: Form| async move {
            self.world.delete(&place(&form.slice)).await?;
            Ok::<_, Error>(versioned(&form.slice).0)
        };
        for gone in try_join_all(have.into_iter().map(delete)).await? {
            versions.remove(&gone);
        }
        Ok(versions)
    }

    /// The versions of a namespace's slices, except the canary's.
    pub fn versions(&self, namespace: &str) -> Versions {
        self.forms(namespace).iter().map(|form| versioned(&form.slice)).collect()
    }

    /// The other side's slice with this side's UIDs, for a create request.
    fn like(&self, namespace: &str, form: &Form) -> Value {
        let mut slice = Value::clone(&form.slice);
        slice["endpoints"] =
            form.endpoints.iter().map(|endpoint| self.own(namespace, endpoint)).collect();
        let metadata = &form.slice["metadata"];
        slice["apiVersion"] = json!("discovery.k8s.io/v1");
        slice["kind"] = json!("EndpointSlice");
        slice["metadata"] = json!({
            "namespace": namespace,
            "name": metadata["name"],
            "labels": metadata["labels"],
            "annotations": metadata["annotations"],
            "finalizers": metadata["finalizers"],
            "ownerReferences": form.group.owners.iter().map(|owner| self.own(namespace, owner)).collect::<Vec<_>>(),
        });
        slice
    }

    /// Replaces the word for a UID in an endpoint or an owner with this side's UID.
    fn own(&self, namespace: &str, text: &str) -> Value {
        let mut value = serde_json::from_str::<Value>(text).unwrap_or_default();
        let named =
            if value.get("targetRef").is_some() { &mut value["targetRef"] } else { &mut value };
        if let Some(token) = named.get("uid").and_then(Value::as_str) {
            let text = |field: &str| named[field].as_str().unwrap_or_default();
            let present = self.uid(text("kind"), namespace, text("name"));
            let present = present.filter(|_| token == CURRENT);
            named["uid"] =
                json!(present.unwrap_or_else(|| "00000000-0000-4000-8000-000000000000".to_owned()));
        }
        value
    }

    /// Deletes what a history has left, because no garbage collector runs here.
    pub async fn clear(&self, namespace: &str, nodes: &[String]) -> Result<(), Error> {
        for kind in [Kind::Service, Kind::Pod] {
            self.world.delete_all(kind, namespace).await?;
        }
        for node in nodes {
            self.world.delete(&Place::node(node)).await?;
        }
        self.perform(namespace, &Action::Release).await?;
        self.world.delete_all(Kind::Slice, namespace).await?;
        self.view.forget(namespace);
        let mut uids = self.uids.lock().unwrap_or_else(PoisonError::into_inner);
        uids.retain(|place, _| place.namespace.as_deref() != Some(namespace));
        Ok(())
    }

    /// The slices of a namespace, except the canary's.
    pub fn by_name(&self, namespace: &str) -> ByName {
        let forms = self.forms(namespace).into_iter();
        forms.map(|form| (versioned(&form.slice).0, form.slice)).collect()
    }

    /// The canary's slices.
    pub fn canary(&self, namespace: &str) -> Vec<Arc<Value>> {
        let (mut slices, _) = self.view.slices(namespace);
        slices.retain(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == CANARY);
        slices
    }
}

/// The name and the version of a slice.
pub fn versioned(slice: &Value) -> (String, String) {
    let text = |field: &str| slice["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("name"), text("resourceVersion"))
}

/// The place of a slice.
pub fn place(slice: &Value) -> Place {
    let text = |field: &str| slice["metadata"][field].as_str().unwrap_or_default();
    Place::new(Kind::Slice, text("namespace"), text("name"))
}
