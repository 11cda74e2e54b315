//! Facts: what is read of a cluster for the checks. Plain data, so that the checks are pure.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    admissionregistration::v1::{MatchCondition, RuleWithOperations},
    core::v1::Pod,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{
    controllers::{BATCH_PERIOD, Flags, MAX_ENDPOINTS},
    read::{Permission, Read},
    traffic::Traffic,
};
use crate::{
    cli::duration,
    control::lease::Record,
    model::{namespace::Namespace, node::Node},
};

/// The namespace of the control plane's pods.
pub(super) const KUBE_SYSTEM: &str = "kube-system";

/// When the checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before closehaul is installed.
    Before,
    /// Afterwards.
    After,
}

/// How closehaul runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// closehaul writes whole slices, in place of the built-in controller
    #[default]
    Replace,
    /// The built-in controller writes the slices, closehaul their hints
    Assist,
    /// The built-in controller writes the slices, and closehaul only reads
    Advise,
}

impl Mode {
    /// As its flag is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Assist => "assist",
            Self::Advise => "advise",
        }
    }
}

/// What is known of a cluster.
pub struct Facts {
    /// When the checks are made.
    pub stage: Stage,
    /// How closehaul runs, or will run.
    pub mode: Mode,
    /// Its namespace, or the one that is planned for it.
    pub namespace: String,
    /// What the API server says of itself.
    pub server: Server,
    /// All nodes.
    pub nodes: Read<Vec<Node>>,
    /// All namespaces.
    pub namespaces: Read<Vec<Namespace>>,
    /// The pods of kube-controller-manager.
    pub managers: Read<Vec<Manager>>,
    /// Who holds the lease of kube-controller-manager, if there is one.
    pub manager_holder: Read<Option<String>>,
    /// `ClusterConfiguration` of the `ConfigMap` kubeadm-config, if there is one.
    pub kubeadm: Read<Option<String>>,
    /// All admission webhooks.
    pub webhooks: Read<Vec<Webhook>>,
    /// All Deployments of closehaul.
    pub installations: Read<Vec<Installation>>,
    /// All its pods.
    pub pods: Read<Vec<Pod>>,
    /// Leases with the name of closehaul's.
    pub leases: Read<Vec<Lease>>,
    /// closehaul's custom resource definitions that exist.
    pub definitions: Read<Vec<Definition>>,
    /// Which of the objects of mode `assist` are missing, as `PLURAL/NAME`; `None` in other modes.
    pub unguarded: Option<Read<Vec<String>>>,
    /// What slices and policies amount to.
    pub traffic: Read<Traffic>,
    /// Who has written managed slices.
    pub writes: Read<Vec<SliceWrite>>,
    /// What the user may do of what the installation requires.
    pub user: Read<Vec<(Permission, bool)>>,
    /// What closehaul's account may do of what it needs; `None` if the account is not known.
    pub account: Option<Read<Vec<(Permission, bool)>>>,
    /// The metrics of each replica, as text; `None` where they are not served beyond the node.
    pub metrics: Option<Read<Vec<String>>>,
}

impl Facts {
    /// The installation that is checked.
    pub(super) fn installation(&self) -> Option<&Installation> {
        self.installations.as_ref().ok()?.iter().find(|it| it.namespace == self.namespace)
    }
}

/// What the API server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `gitVersion`, such as `v1.37.0` or `v1.34.1+k3s1`.
    pub version: String,
    /// The time, by its clock.
    pub now: Timestamp,
}

/// A pod of kube-controller-manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// The pod's name.
    pub name: String,
    /// Its node.
    pub node: String,
    /// Its command line.
    pub flags: Flags,
    /// When its container started.
    pub started: Option<Timestamp>,
}

/// An admission webhook, validating or mutating.
#[derive(Clone, Debug, Default)]
pub struct Webhook {
    /// Kind and name of its configuration.
    pub configuration: String,
    /// Its own name.
    pub name: String,
    /// Whether what it judges is rejected while it cannot be reached.
    pub fails_closed: bool,
    /// The namespace of the Service behind it; `None` if it is reached by a URL.
    pub service_namespace: Option<String>,
    /// What it judges.
    pub rules: Vec<RuleWithOperations>,
    /// In which namespaces.
    pub namespaces: Option<LabelSelector>,
    /// Which objects.
    pub objects: Option<LabelSelector>,
    /// Further conditions, in CEL.
    pub conditions: Vec<MatchCondition>,
}

/// A Deployment of closehaul.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The service account of its pods.
    pub account: String,
    /// The command line of its pods, and flags given by the environment.
    pub flags: Flags,
    /// The label `app.kubernetes.io/version`.
    pub version: Option<String>,
    /// How many replicas it must have.
    pub desired: i32,
    /// How many are ready.
    pub ready: i32,
    /// How many are of the latest template.
    pub updated: i32,
}

impl Installation {
    /// How it runs. A mode that is not known here is as the default.
    pub fn mode(&self) -> Mode {
        let mode = self
            .flags
            .get("mode")
            .and_then(|mode| <Mode as clap::ValueEnum>::from_str(mode, true).ok());
        mode.unwrap_or_default()
    }

    /// Name and namespace of its lease.
    pub fn lease(&self) -> (&str, &str) {
        let name = self.flags.get("leader-elect-resource-name").unwrap_or("closehaul");
        let namespace = self.flags.get("leader-elect-resource-namespace");
        (name, namespace.unwrap_or(&self.namespace))
    }

    /// The most endpoints in a slice.
    pub fn max_endpoints(&self) -> usize {
        let given = self.flags.get("max-endpoints-per-slice");
        given.and_then(|text| text.parse().ok()).unwrap_or(MAX_ENDPOINTS)
    }

    /// How long changes of pods are gathered.
    pub fn batch_period(&self) -> Duration {
        let given = self.flags.get("endpointslice-updates-batch-period");
        given.and_then(|text| duration::parse(text).ok()).unwrap_or(BATCH_PERIOD)
    }

    /// Whether it follows policies.
    pub fn has_policies(&self) -> bool {
        self.flags.get("policies") != Some("false")
    }

    /// Whether its replicas elect a leader.
    pub fn elects(&self) -> bool {
        self.mode() != Mode::Advise && self.flags.get("leader-elect") != Some("false")
    }

    /// The port of its metrics, if they are served beyond the node.
    pub fn metrics_port(&self) -> Option<u16> {
        let (host, port) = self.flags.get("metrics-bind-address")?.rsplit_once(':')?;
        let is_local = ["127.0.0.1", "[::1]", "localhost"].contains(&host);
        port.parse().ok().filter(|_| !is_local)
    }

    /// Namespace and name.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub record: Record,
    /// Whether its holder was seen to renew it, whatever its clock says.
    pub was_renewed: bool,
}

/// A custom resource definition of closehaul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Whether the API server serves the kind.
    pub is_established: bool,
    /// The release that it belongs to, if Helm has created it: namespace and name.
    pub release: Option<String>,
}

/// The latest write of one client to one managed slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceWrite {
    /// The slice: namespace and name.
    pub slice: String,
    /// The client, by its field manager.
    pub manager: String,
    /// When, by the API server's clock in whole seconds.
    pub at: Timestamp,
}

/// Labels of an object.
pub(super) type Labels = BTreeMap<String, String>;
