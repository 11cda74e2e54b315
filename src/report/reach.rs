//! Reach: which endpoints of a port clients reach by way of each reader of slices, and how much of their
//! traffic each endpoint gets (docs/semantics.md 6). Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    consumers::{
        consumer::Consumer,
        kube_proxy::{Client, Mode, Target, Targets},
    },
    model::{name::Name, service::Service},
    plan::policy::counts::float,
};

/// What clients reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached<'a> {
    /// How near the endpoints are. Where that depends on the client's node: how near the farthest are.
    pub mode: Mode,
    /// The endpoints, by address and port, each with its part of the traffic of these clients. The sum
    /// is 1, unless some of them reach none.
    pub endpoints: Vec<(Target<'a>, f64)>,
}

impl Reached<'_> {
    /// How many of the endpoints are in a zone, and how many are not.
    pub fn near_and_far(&self, zone: Option<&Name>) -> (usize, usize) {
        let is_near = |target: &Target<'_>| zone.is_some() && target.endpoint.zone.as_ref() == zone;
        let near = self.endpoints.iter().filter(|(target, _)| is_near(target)).count();
        (near, self.endpoints.len() - near)
    }

    /// The part of the traffic that endpoints in a zone get.
    pub fn in_zone(&self, zone: &Name) -> f64 {
        let own = self.endpoints.iter().filter(|(it, _)| it.endpoint.zone.as_ref() == Some(zone));
        // The sum of nothing would be -0.
        own.fold(0.0, |sum, (_, share)| sum + share)
    }
}

/// What a client on a node reaches.
pub fn from_node<'a>(
    consumer: Consumer,
    service: &Service,
    targets: &Targets<'a>,
    client: Client<'_>,
) -> Reached<'a> {
    let reach = consumer.reach(service, targets, client);
    let share = 1.0 / float(reach.endpoints.len().max(1));
    let endpoints = reach.endpoints.into_iter().map(|target| (target, share)).collect();
    Reached { mode: reach.mode, endpoints }
}

/// What clients on these nodes reach, if each node sends the same. They are all in `zone`, or in none.
/// Without nodes, it is what a client reaches on a node that has no endpoint.
pub fn from_nodes<'a>(
    consumer: Consumer,
    service: &Service,
    targets: &Targets<'a>,
    zone: Option<&Name>,
    nodes: &BTreeSet<Name>,
) -> Reached<'a> {
    let zone = zone.map(|zone| &**zone);
    // Clients on nodes that have no endpoint and that no endpoint names all reach the same.
    let alike = Client { node: "", zone };
    if !consumer.reads_nodes(service, targets) || nodes.is_empty() {
        return from_node(consumer, service, targets, alike);
    }
    let hosts = targets.all.iter().filter_map(|target| target.endpoint.node.as_ref());
    let named = targets.all.iter().flat_map(Target::nodes);
    let special: BTreeSet<&Name> =
        hosts.chain(named).filter(|node| nodes.contains(*node)).collect();
    let others = nodes.len() - special.len();
    let single = special.into_iter().map(|node| (Client { node, zone }, 1));
    let clients = single.chain((others > 0).then_some((alike, others)));
    let mut mode = Mode::Node;
    let mut sum: BTreeMap<(String, i32), (Target<'a>, f64)> = BTreeMap::new();
    for (client, count) in clients {
        let reached = from_node(consumer, service, targets, client);
        mode = mode.max(reached.mode);
        let part = float(count) / float(nodes.len());
        for (target, share) in reached.endpoints {
            let key = (target.address.clone(), target.port);
            sum.entry(key).or_insert((target, 0.0)).1 += share * part;
        }
    }
    Reached { mode, endpoints: sum.into_values().collect() }
}
