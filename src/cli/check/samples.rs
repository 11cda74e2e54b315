//! Facts of a cluster where all is well, for tests.

use jiff::Timestamp;

use super::{
    controllers::Flags,
    facts::{Definition, Facts, Installation, KUBE_SYSTEM, Lease, Manager, Mode, Server, Stage},
    installation::KINDS,
    traffic::Traffic,
};
use crate::{
    control::lease::Record,
    model::{labels::Labels, namespace::Namespace, node::Node},
};

/// A list without the built-in controller.
pub(super) const OFF: &str = "*,bootstrapsigner,tokencleaner,-endpointslice-controller";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// closehaul in mode `replace` on two control-plane nodes, at 03:04:05.
pub(super) fn facts() -> Facts {
    Facts {
        stage: Stage::After,
        mode: Mode::Replace,
        namespace: KUBE_SYSTEM.to_owned(),
        server: Server { version: "v1.37.0".to_owned(), now: time("2026-01-02T03:04:05Z") },
        nodes: Ok(vec![
            node("cp-1", None, true),
            node("cp-2", None, true),
            node("w-1", Some("zone-a"), false),
            node("w-2", Some("zone-b"), false),
        ]),
        namespaces: Ok(vec![namespace(KUBE_SYSTEM, &[]), namespace("guard", &[])]),
        managers: Ok(vec![manager("cp-1", OFF), manager("cp-2", OFF)]),
        manager_holder: Ok(Some("cp-1_8f1c".to_owned())),
        kubeadm: Ok(None),
        webhooks: Ok(Vec::new()),
        installations: Ok(vec![installation()]),
        pods: Ok(Vec::new()),
        leases: Ok(vec![lease(KUBE_SYSTEM, "2026-01-02T03:04:04Z")]),
        definitions: Ok(KINDS.iter().map(|kind| definition(kind)).collect()),
        unguarded: None,
        traffic: Ok(Traffic::default()),
        writes: Ok(Vec::new()),
        user: Ok(Vec::new()),
        account: Some(Ok(Vec::new())),
        metrics: None,
    }
}

pub(super) fn node(name: &str, zone: Option<&str>, control_plane: bool) -> Node {
    Node {
        name: name.into(),
        version: 1,
        zone: zone.map(Into::into),
        labels: Labels::default(),
        ready: true,
        control_plane,
        cpu: 4000,
    }
}

pub(super) fn namespace(name: &str, labels: &[(&str, &str)]) -> Namespace {
    let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into()));
    Namespace { name: name.into(), version: 1, labels: labels.collect() }
}

/// The kube-controller-manager of a node, which started at 03:03:00.
pub(super) fn manager(node: &str, controllers: &str) -> Manager {
    let list = format!("--controllers={controllers}");
    Manager {
        name: format!("kube-controller-manager-{node}"),
        node: node.to_owned(),
        flags: Flags::of(["kube-controller-manager", &list]),
        started: Some(time("2026-01-02T03:03:00Z")),
    }
}

pub(super) fn installation() -> Installation {
    Installation {
        namespace: KUBE_SYSTEM.to_owned(),
        name: "closehaul".to_owned(),
        account: "closehaul".to_owned(),
        flags: Flags::default(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        desired: 2,
        ready: 2,
        updated: 2,
    }
}

/// A lease that was acquired at 03:00:00.
pub(super) fn lease(namespace: &str, renewed: &str) -> Lease {
    let record = Record {
        holder: "closehaul-0".to_owned(),
        duration: std::time::Duration::from_secs(15),
        acquired: Some(time("2026-01-02T03:00:00Z")),
        renewed: Some(time(renewed)),
        transitions: 0,
    };
    Lease {
        namespace: namespace.to_owned(),
        name: "closehaul".to_owned(),
        record,
        was_renewed: false,
    }
}

fn definition(plural: &str) -> Definition {
    Definition {
        name: format!("{plural}.closehaul.io"),
        is_established: true,
        release: Some("kube-system/closehaul".to_owned()),
    }
}
