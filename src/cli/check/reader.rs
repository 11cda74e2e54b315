//! Reader: what is asked of the API server. It only reads; access reviews are answers, not objects.

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use futures::future::join_all;
use http::{Request, header};
use http_body_util::BodyExt as _;
use jiff::{Timestamp, fmt::rfc2822};
use k8s_openapi::{
    api::{
        admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
        apps::v1::Deployment,
        authorization::v1::{
            ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
            SubjectAccessReview, SubjectAccessReviewSpec,
        },
        coordination::v1::Lease as LeaseObject,
        core::v1::{ConfigMap, Namespace as NamespaceObject, Pod},
        discovery::v1::EndpointSlice,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::version::Info,
};
use kube::{
    Api, Error,
    api::{ListParams, PostParams},
    client::Body,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    convert,
    facts::{
        Definition, Facts, Installation, KUBE_SYSTEM, Lease, Manager, Mode, Server, SliceWrite,
        Stage, Webhook,
    },
    installation::{GUARDS, KINDS},
    permissions,
    read::{Permission, Read, Unread},
    traffic::Traffic,
};
use crate::{
    api::{
        Kind as _,
        policy::{GROUP, VERSION},
    },
    causes::causes,
    cli::{
        live::{Cluster, LiveError},
        objects::{Needs, Rules},
        snapshot::Snapshot,
    },
    control::lease::Record,
    model::{namespace::Namespace, node::Node, slice::Slice},
    plan::Settings,
};

/// How many objects are requested at once, as kubectl does.
const PAGE: u32 = 500;
/// How long a lease is watched that has run out by its holder's record, and how long a write may take
/// that is under way: two renewals by default.
const SECOND_LOOK: Duration = Duration::from_secs(5);
/// The label of the chart's objects.
const OURS: &str = "app.kubernetes.io/name=closehaul";
/// The label of slices that are managed here.
const MANAGED: &str = "endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io";
/// The labels of kube-controller-manager: kubeadm, RKE2 and Talos have the first, kOps the second.
const MANAGERS: [&str; 2] =
    ["component=kube-controller-manager", "k8s-app=kube-controller-manager"];

/// What the checks are about.
pub(super) struct Subject {
    /// When they are made.
    pub(super) stage: Stage,
    /// The namespace of closehaul, if it was given.
    pub(super) namespace: Option<String>,
    /// How closehaul runs, if that was given.
    pub(super) mode: Option<Mode>,
}

/// A cluster that is read.
pub(super) struct Reader {
    /// Its lists.
    pub(super) cluster: Cluster,
}

impl Reader {
    /// Reads all facts.
    ///
    /// # Errors
    /// The API server does not answer, or does not accept the credentials.
    pub(super) async fn facts(&mut self, subject: &Subject) -> Read<Facts> {
        let server = self.server().await?;
        let installations = self.installations().await;
        let found = installations.as_ref().ok().and_then(|found| {
            let is_meant = |it: &&Installation| {
                subject.namespace.as_ref().is_none_or(|namespace| *namespace == it.namespace)
            };
            found.iter().find(is_meant).cloned()
        });
        let namespace = subject.namespace.clone();
        let namespace = namespace.or_else(|| Some(found.as_ref()?.namespace.clone()));
        let namespace = namespace.unwrap_or_else(|| KUBE_SYSTEM.to_owned());
        let mode = subject.mode.or_else(|| Some(found.as_ref()?.mode())).unwrap_or_default();
        let is_after = subject.stage == Stage::After;
        let traffic = self.traffic(found.as_ref(), &server, mode, is_after).await;
        let user = if is_after { Ok(Vec::new()) } else { self.user(mode, &namespace).await };
        let pods = self.pods().await;
        let (account, metrics) = match found.as_ref().filter(|_| is_after) {
            Some(it) => (Some(self.account(mode, it).await), self.metrics(it, &pods).await),
            None => (None, None),
        };
        let leases = self.leases(installations.as_ref().ok(), &server).await;
        Ok(Facts {
            stage: subject.stage,
            mode,
            server,
            nodes: self.nodes().await,
            namespaces: self.namespaces().await,
            managers: self.managers().await,
            manager_holder: self.manager_holder().await,
            kubeadm: self.kubeadm().await,
            webhooks: self.webhooks().await,
            pods,
            leases,
            definitions: self.definitions().await,
            unguarded: match mode {
                Mode::Assist if is_after => Some(self.unguarded().await),
                _ => None,
            },
            writes: self.writes().await,
            namespace,
            installations,
            traffic,
            user,
            account,
            metrics,
        })
    }

    /// Version and time of the API server.
    async fn server(&self) -> Read<Server> {
        let failed = |error: Error| Unread::Failed(causes(&error));
        let request = Request::get("/version").body(Body::empty());
        let request = request.map_err(|error| failed(Error::HttpError(error)))?;
        let answer = self.cluster.client.send(request).await.map_err(failed)?;
        let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|it| rfc2822::DateTimeParser::new().parse_timestamp(it).ok());
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(failed)?.to_bytes();
        if status == http::StatusCode::UNAUTHORIZED {
            let advice = "log in again, or choose others with --kubeconfig or --context";
            return Err(Unread::Failed(format!("it does not accept the credentials: {advice}")));
        }
        let info = serde_json::from_slice::<Info>(&body).ok().filter(|_| status.is_success());
        let info = info.ok_or_else(|| {
            Unread::Failed(format!("/version is answered with {status}: is this an API server?"))
        })?;
        Ok(Server { version: info.git_version, now: date.unwrap_or_else(Timestamp::now) })
    }

    async fn nodes(&mut self) -> Read<Vec<Node>> {
        self.cluster.nodes().await.map_err(unread)
    }

    async fn namespaces(&self) -> Read<Vec<Namespace>> {
        let api: Api<NamespaceObject> = Api::all(self.cluster.client.clone());
        let permission = Permission::new("list", "", "namespaces");
        let found = list(&api, ListParams::default(), permission).await?;
        Ok(found.iter().map(convert::namespace).collect())
    }

    /// What slices and policies amount to. What closehaul is just writing does not count.
    async fn traffic(
        &mut self,
        installation: Option<&Installation>,
        server: &Server,
        mode: Mode,
        is_after: bool,
    ) -> Read<Traffic> {
        let first = self.look(installation, server).await?;
        if !is_after || mode != Mode::Replace || first.pending.is_empty() {
            return Ok(first);
        }
        sleep(SECOND_LOOK).await;
        let later = self.look(installation, server).await?;
        Ok(later.still_pending(&first))
    }

    async fn look(
        &mut self,
        installation: Option<&Installation>,
        server: &Server,
    ) -> Read<Traffic> {
        let mut objects = self.cluster.all(None, Needs::default()).await.map_err(unread)?;
        let unlisted = if objects.rules.are_unknown { self.unlisted().await } else { Vec::new() };
        let rules = &objects.rules;
        let policies =
            rules.policies.len() + rules.cluster_policies.len() + rules.evacuations.len();
        let none = Installation::default();
        let size = installation.unwrap_or(&none).max_endpoints();
        let is_off = installation.is_some_and(|it| !it.has_policies());
        if is_off {
            objects.rules = Rules::default();
        }
        let snapshot = Snapshot::of(objects, server.now);
        let traffic = Traffic::of(&snapshot, Settings::with(size));
        let policies = if is_off { policies } else { traffic.policies };
        Ok(Traffic { unlisted, policies, ..traffic })
    }

    /// The permissions that are missing to list policies and evacuations.
    async fn unlisted(&self) -> Vec<Permission> {
        let mut missing = Vec::new();
        for kind in KINDS {
            let request = Request::get(format!("/apis/{GROUP}/{VERSION}/{kind}?limit=1"));
            let Ok(request) = request.body(Vec::new()) else { continue };
            if let Err(Error::Api(status)) = self.cluster.client.request::<Value>(request).await
                && status.code == 403
            {
                missing.push(Permission::new("list", GROUP, kind));
            }
        }
        missing
    }

    async fn installations(&self) -> Read<Vec<Installation>> {
        let permission = Permission::new("list", "apps", "deployments");
        let api: Api<Deployment> = Api::all(self.cluster.client.clone());
        let found = list(&api, ListParams::default().labels(OURS), permission).await?;
        let mut found: Vec<_> = found.iter().filter_map(convert::installation).collect();
        found.sort_unstable_by_key(Installation::key);
        Ok(found)
    }

    async fn pods(&self) -> Read<Vec<Pod>> {
        let api: Api<Pod> = Api::all(self.cluster.client.clone());
        list(&api, ListParams::default().labels(OURS), Permission::new("list", "", "pods")).await
    }

    async fn managers(&self) -> Read<Vec<Manager>> {
        let api: Api<Pod> = Api::namespaced(self.cluster.client.clone(), KUBE_SYSTEM);
        let mut managers: Vec<Manager> = Vec::new();
        for label in MANAGERS {
            let permission = Permission::new("list", "", "pods").within(KUBE_SYSTEM);
            for pod in list(&api, ListParams::default().labels(label), permission).await? {
                let manager = convert::manager(&pod);
                managers.extend(
                    manager.filter(|it| managers.iter().all(|known| known.name != it.name)),
                );
            }
        }
        managers.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(managers)
    }

    async fn manager_holder(&self) -> Read<Option<String>> {
        const NAME: &str = "kube-controller-manager";
        let permission = Permission::new("get", "coordination.k8s.io", "leases");
        let permission = permission.within(KUBE_SYSTEM).named(NAME);
        let api: Api<LeaseObject> = Api::namespaced(self.cluster.client.clone(), KUBE_SYSTEM);
        let lease = get(&api, NAME, permission).await?;
        Ok(lease.and_then(|lease| lease.spec?.holder_identity).filter(|it| !it.is_empty()))
    }

    async fn kubeadm(&self) -> Read<Option<String>> {
        const NAME: &str = "kubeadm-config";
        let permission = Permission::new("get", "", "configmaps").within(KUBE_SYSTEM).named(NAME);
        let api: Api<ConfigMap> = Api::namespaced(self.cluster.client.clone(), KUBE_SYSTEM);
        let config = get(&api, NAME, permission).await?;
        Ok(config.and_then(|config| config.data?.remove("ClusterConfiguration")))
    }

    async fn webhooks(&self) -> Read<Vec<Webhook>> {
        const GROUP: &str = "admissionregistration.k8s.io";
        let client = || self.cluster.client.clone();
        let permission = Permission::new("list", GROUP, "validatingwebhookconfigurations");
        let validating: Api<ValidatingWebhookConfiguration> = Api::all(client());
        let validating = list(&validating, ListParams::default(), permission).await?;
        let permission = Permission::new("list", GROUP, "mutatingwebhookconfigurations");
        let mutating: Api<MutatingWebhookConfiguration> = Api::all(client());
        let mutating = list(&mutating, ListParams::default(), permission).await?;
        let validating = validating.into_iter().flat_map(convert::validating);
        Ok(validating.chain(mutating.into_iter().flat_map(convert::mutating)).collect())
    }

    /// The leases with the names that installations use. A holder whose record has run out gets a
    /// second look, because its clock may be behind.
    async fn leases(
        &self,
        installations: Option<&Vec<Installation>>,
        server: &Server,
    ) -> Read<Vec<Lease>> {
        let names = installations.into_iter().flatten().map(|it| it.lease().0);
        let names: BTreeSet<&str> = names.chain(["closehaul"]).collect();
        let mut leases = self.leases_named(&names).await?;
        let is_doubtful =
            |lease: &Lease| !lease.record.holder.is_empty() && !lease.record.is_held(server.now);
        if leases.iter().any(is_doubtful) {
            sleep(SECOND_LOOK).await;
            let before = leases;
            leases = self.leases_named(&names).await?;
            for lease in &mut leases {
                let is_it = |it: &&Lease| it.name == lease.name && it.namespace == lease.namespace;
                let then = before.iter().find(is_it).map(|it| it.record.renewed);
                lease.was_renewed = then.is_some_and(|then| then != lease.record.renewed);
            }
        }
        Ok(leases)
    }

    async fn leases_named(&self, names: &BTreeSet<&str>) -> Read<Vec<Lease>> {
        let api: Api<LeaseObject> = Api::all(self.cluster.client.clone());
        let mut leases = Vec::new();
        for name in names {
            // Such a list requires the permission for this name alone.
            let permission = Permission::new("list", "coordination.k8s.io", "leases").named(name);
            let params = ListParams::default().fields(&format!("metadata.name={name}"));
            for lease in list(&api, params, permission).await? {
                leases.push(Lease {
                    namespace: lease.metadata.namespace.unwrap_or_default(),
                    name: lease.metadata.name.unwrap_or_default(),
                    record: lease.spec.as_ref().map(Record::read).unwrap_or_default(),
                    was_renewed: false,
                });
            }
        }
        Ok(leases)
    }

    async fn definitions(&self) -> Read<Vec<Definition>> {
        let api: Api<CustomResourceDefinition> = Api::all(self.cluster.client.clone());
        let mut definitions = Vec::new();
        for kind in KINDS {
            let name = format!("{kind}.{GROUP}");
            let permission =
                Permission::new("get", "apiextensions.k8s.io", "customresourcedefinitions");
            let definition = get(&api, &name, permission.named(&name)).await?;
            definitions.extend(definition.as_ref().map(convert::definition));
        }
        Ok(definitions)
    }

    /// Which of the objects of mode `assist` are missing.
    async fn unguarded(&self) -> Read<Vec<String>> {
        const GROUP: &str = "admissionregistration.k8s.io";
        let mut missing = Vec::new();
        for (plural, name) in GUARDS {
            let permission = Permission::new("get", GROUP, plural).named(name);
            let request = Request::get(format!("/apis/{GROUP}/v1/{plural}/{name}"));
            let request = request.body(Vec::new()).map_err(Error::HttpError);
            let found = match request {
                Ok(request) => self.cluster.client.request::<Value>(request).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(_) => {}
                Err(Error::Api(status)) if status.code == 404 => {
                    missing.push(format!("{plural}/{name}"));
                }
                Err(error) => return Err(refused(error, permission)),
            }
        }
        Ok(missing)
    }

    async fn writes(&self) -> Read<Vec<SliceWrite>> {
        let permission = Permission::new("list", "discovery.k8s.io", "endpointslices");
        let api: Api<EndpointSlice> = Api::all(self.cluster.client.clone());
        let mut page = ListParams::default().labels(MANAGED).limit(PAGE);
        let mut writes = Vec::new();
        loop {
            let slices = api.list_metadata(&page).await;
            let slices = slices.map_err(|error| refused(error, permission.clone()))?;
            writes.extend(slices.items.iter().flat_map(|it| convert::writes(&it.metadata)));
            match slices.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(writes),
            }
        }
    }

    /// What the user may do of what the installation requires.
    async fn user(&self, mode: Mode, namespace: &str) -> Read<Vec<(Permission, bool)>> {
        let needed = permissions::of_installation(namespace);
        let account = permissions::of_account(mode, (namespace, "closehaul"));
        let needed = needed.into_iter().chain(permissions::of_escalation()).chain(account);
        let api: Api<SelfSubjectAccessReview> = Api::all(self.cluster.client.clone());
        let kind = "selfsubjectaccessreviews";
        let answers = join_all(needed.map(|needed| async {
            let spec = SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes(&needed)),
                ..SelfSubjectAccessReviewSpec::default()
            };
            let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
            let answer = api.create(&PostParams::default(), &review).await;
            let answer = answer.map_err(|error| refused(error, review_of(kind)))?;
            Ok((needed, answer.status.is_some_and(|status| status.allowed)))
        }));
        answers.await.into_iter().collect()
    }

    /// What closehaul's account may do of what it needs.
    async fn account(&self, mode: Mode, it: &Installation) -> Read<Vec<(Permission, bool)>> {
        let (name, namespace) = it.lease();
        let needed = permissions::of_account(mode, (namespace, name));
        let of = format!("system:serviceaccounts:{}", it.namespace);
        let groups = ["system:serviceaccounts", &of, "system:authenticated"].map(str::to_owned);
        let user = format!("system:serviceaccount:{}:{}", it.namespace, it.account);
        let api: Api<SubjectAccessReview> = Api::all(self.cluster.client.clone());
        let kind = "subjectaccessreviews";
        let answers = join_all(needed.into_iter().map(|needed| async {
            let spec = SubjectAccessReviewSpec {
                resource_attributes: Some(attributes(&needed)),
                user: Some(user.clone()),
                groups: Some(groups.to_vec()),
                ..SubjectAccessReviewSpec::default()
            };
            let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
            let answer = api.create(&PostParams::default(), &review).await;
            let answer = answer.map_err(|error| refused(error, review_of(kind)))?;
            Ok((needed, answer.status.is_some_and(|status| status.allowed)))
        }));
        answers.await.into_iter().collect()
    }

    /// The metrics of each replica, where they are served beyond the node.
    async fn metrics(&self, it: &Installation, pods: &Read<Vec<Pod>>) -> Option<Read<Vec<String>>> {
        let port = it.metrics_port()?;
        let pods = match pods {
            Ok(pods) => pods,
            Err(unread) => return Some(Err(unread.clone())),
        };
        let ours = pods.iter().filter(|pod| pod.metadata.namespace.as_ref() == Some(&it.namespace));
        let permission = Permission::new("get", "", "pods/proxy").within(&it.namespace);
        let mut texts = Vec::new();
        for pod in ours {
            let (namespace, name) = (&it.namespace, pod.metadata.name.as_deref()?);
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics");
            let request = Request::get(path).body(Vec::new()).map_err(Error::HttpError);
            let text = match request {
                Ok(request) => self.cluster.client.request_text(request).await,
                Err(error) => Err(error),
            };
            match text {
                Ok(text) => texts.push(text),
                // A replica that does not answer is checked elsewhere.
                Err(Error::Api(status)) if status.code != 403 => {}
                Err(error) => return Some(Err(refused(error, permission))),
            }
        }
        Some(Ok(texts))
    }
}

fn review_of(kind: &'static str) -> Permission {
    Permission::new("create", "authorization.k8s.io", kind)
}

fn attributes(permission: &Permission) -> ResourceAttributes {
    let (resource, subresource) = match permission.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (permission.resource, None),
    };
    ResourceAttributes {
        verb: Some(permission.verb.to_owned()),
        group: Some(permission.group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        namespace: permission.namespace.clone(),
        name: permission.name.clone(),
        ..ResourceAttributes::default()
    }
}

/// All objects of a list, page by page.
async fn list<K: Clone + DeserializeOwned + Debug>(
    api: &Api<K>,
    params: ListParams,
    permission: Permission,
) -> Read<Vec<K>> {
    let mut page = params.limit(PAGE);
    let mut objects = Vec::new();
    loop {
        let list = api.list(&page).await.map_err(|error| refused(error, permission.clone()))?;
        objects.extend(list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(objects),
        }
    }
}

/// One object, if it exists.
async fn get<K: Clone + DeserializeOwned + Debug>(
    api: &Api<K>,
    name: &str,
    permission: Permission,
) -> Read<Option<K>> {
    api.get_opt(name).await.map_err(|error| refused(error, permission))
}

/// Why a request that requires this permission failed.
fn refused(error: Error, permission: Permission) -> Unread {
    match error {
        Error::Api(status) if status.code == 403 => Unread::Refused(permission),
        error => Unread::Failed(format!("cannot {permission}: {}", causes(&error))),
    }
}

/// The same for a list of what a plan is based on.
fn unread(error: LiveError) -> Unread {
    match error {
        LiveError::Refused { plural, .. } => {
            let group = if plural == Slice::PLURAL { "discovery.k8s.io" } else { "" };
            Unread::Refused(Permission::new("list", group, plural))
        }
        error => Unread::Failed(error.to_string()),
    }
}
