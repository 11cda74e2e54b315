//! View: what clients reach from one place, by way of one consumer.

use std::collections::BTreeSet;

use super::Asked;
use crate::{
    assess::{
        reason::{Reason, State},
        verdict::Verdict,
    },
    consumers::{
        cilium,
        consumer::Consumer,
        kube_proxy::{Client, Targets},
    },
    model::name::Name,
    report::{
        reach::{Reached, from_node, from_nodes},
        row::Ports,
    },
};

/// Where clients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct From {
    /// Their node, if it is the only one.
    pub(super) node: Option<Name>,
    /// Their zone; `None` for nodes without one.
    pub(super) zone: Option<Name>,
    /// All nodes.
    nodes: BTreeSet<Name>,
}

impl From {
    /// The node that is asked for, or every zone, and nodes without zone if there are such.
    pub(super) fn all(asked: &Asked<'_>) -> Vec<Self> {
        if let Some(node) = asked.from {
            let (name, zone) = (node.name.clone(), node.zone.clone());
            return vec![Self { node: Some(name), zone, nodes: BTreeSet::new() }];
        }
        let topology = asked.index.topology();
        let zones = topology.clients().iter();
        let zones = zones.map(|(zone, nodes)| (Some(zone.clone()), nodes.clone()));
        let zoneless: BTreeSet<Name> = topology.zoneless_senders().cloned().collect();
        let zoneless = (!zoneless.is_empty()).then_some((None, zoneless));
        zones.chain(zoneless).map(|(zone, nodes)| Self { node: None, zone, nodes }).collect()
    }

    /// What clients reach from here.
    pub(super) fn reach<'a>(
        &self,
        consumer: Consumer,
        asked: &Asked<'_>,
        targets: &Targets<'a>,
    ) -> Reached<'a> {
        let (service, zone) = (asked.row.service, self.zone.as_ref());
        match &self.node {
            Some(node) => {
                let client = Client { node, zone: zone.map(|zone| &**zone) };
                from_node(consumer, service, targets, client)
            }
            None => from_nodes(consumer, service, targets, zone, &self.nodes),
        }
    }

    /// Why clients here do not reach endpoints of their own zone alone.
    pub(super) fn reason(&self, consumer: Consumer, asked: &Asked<'_>, ports: &Ports) -> Reason {
        if consumer == Consumer::Cilium && ignores_hints(asked, &ports.verdict) {
            return Reason::ProxyIgnoresHints;
        }
        match &self.zone {
            // Whatever hints it has, others have written them.
            _ if !asked.row.service.is_served() => Reason::NoSelector,
            Some(zone) => ports.verdict.reason_in(zone),
            None if is_about_zones(&ports.verdict) => Reason::NodeWithoutZoneLabel,
            None => ports.verdict.reasons.first().copied().unwrap_or(Reason::Applied),
        }
    }
}

/// Whether Cilium does not read the hints of a Service that has some.
pub(super) fn ignores_hints(asked: &Asked<'_>, verdict: &Verdict) -> bool {
    is_about_zones(verdict) && !cilium::follows(asked.row.service)
}

/// Whether readers that follow hints choose endpoints by zone.
fn is_about_zones(verdict: &Verdict) -> bool {
    matches!(verdict.state, State::Applied | State::Partial | State::Shadow)
}
