//! Cilium in place of kube-proxy: which backends a client reaches through a Service's cluster IP.
//! A model of `DefaultSelectBackends` in Cilium's `pkg/loadbalancer/writer`.
//!
//! Unlike kube-proxy, it also reads the Service's field and ignores node hints, and an endpoint
//! without hints switches zones off whether it is ready or not.

use super::{
    kube_proxy::{Mode, Reach},
    target::{Client, Targets},
};
use crate::model::service::{Service, TrafficDistribution};

/// What a client reaches of a port through the cluster IP of `service`. `topology` is the
/// installation's `loadBalancer.serviceTopology`.
pub fn reach<'a>(
    service: &Service,
    all: &Targets<'a>,
    topology: bool,
    client: Client<'_>,
) -> Reach<'a> {
    use TrafficDistribution::{PreferClose, PreferSameNode, PreferSameZone};
    if service.internal_local {
        return Reach::of(Mode::Node, all.on(client.node).usable());
    }
    let zone = || Some((Mode::Zone, zone(all, client)?));
    let selected = match service.traffic_distribution {
        _ if !topology => None,
        // The node of the backend counts, not its hint. If none matches, all are used at once.
        Some(PreferSameNode) => Some((Mode::Node, all.on(client.node))),
        Some(PreferClose | PreferSameZone) => zone(),
        _ if service.auto => zone(),
        _ => None,
    };
    match selected.filter(|(_, selected)| !selected.all.is_empty()) {
        Some((mode, selected)) => Reach::of(mode, selected.usable()),
        None => Reach::of(Mode::Cluster, all.usable()),
    }
}

/// Whether Cilium chooses among the endpoints of the Service. Hints that only a policy has led to are
/// not read.
pub fn follows(service: &Service) -> bool {
    service.traffic_distribution.is_some() || service.auto
}

/// Those of the client's zone, if each backend names a zone.
fn zone<'a>(all: &Targets<'a>, client: Client<'_>) -> Option<Targets<'a>> {
    let zone = client.zone.filter(|zone| !zone.is_empty())?;
    let hinted = all.all.iter().all(|target| !target.zones().is_empty());
    hinted.then(|| Targets { all: all.filtered(|target| target.is_for_zone(zone)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        consumers::samples::{HERE, numbers, of, service},
        model::address::AddressType,
    };

    fn reached(service: &Service, endpoints: &[&str], client: Client<'_>) -> String {
        let slice = of(endpoints);
        let all = Targets::new(service, [&slice], AddressType::IPv4, "http");
        numbers(&reach(service, &all, true, client).endpoints)
    }

    fn asks_for(distribution: &str) -> Service {
        Service { traffic_distribution: TrafficDistribution::parse(distribution), ..service() }
    }

    #[test]
    fn rows() {
        let rows: &[(&str, &[&str], &str)] = &[
            ("PreferSameZone", &["zone:a", "zone:b"], "1"),
            ("PreferClose", &["zone:a zone:b", "zone:b"], "1"),
            ("PreferSameZone", &["zone:b", "zone:c"], "1 2"),
            ("PreferSameZone", &["zone:a", ""], "1 2"),
            // kube-proxy would still select by zone.
            ("PreferSameZone", &["zone:a", "zone:b", "terminating"], "1 2"),
            ("PreferSameNode", &["on:n1 node:n1 zone:a", "on:n2 node:n2 zone:a"], "1"),
            // The hint does not count.
            ("PreferSameNode", &["on:n1 node:n2 zone:a", "on:n2 node:n1 zone:a"], "1"),
            // kube-proxy would stay in the zone.
            ("PreferSameNode", &["on:n2 node:n2 zone:a", "on:n3 node:n3 zone:b"], "1 2"),
            ("PreferSameZone", &["zone:a terminating", "zone:b terminating"], "1"),
        ];
        for (distribution, endpoints, expected) in rows {
            let found = reached(&asks_for(distribution), endpoints, HERE);
            assert_eq!(found, *expected, "{distribution} {endpoints:?}");
        }
    }

    #[test]
    fn the_field_and_the_setting_are_needed() {
        let endpoints = ["zone:a", "zone:b"];
        assert_eq!(reached(&service(), &endpoints, HERE), "1 2");
        assert_eq!(reached(&Service { auto: true, ..service() }, &endpoints, HERE), "1");
        let no_zone = Client { zone: None, ..HERE };
        assert_eq!(reached(&asks_for("PreferSameZone"), &endpoints, no_zone), "1 2");
        let (service, slice) = (asks_for("PreferSameZone"), of(&endpoints));
        let all = Targets::new(&service, [&slice], AddressType::IPv4, "http");
        assert_eq!(numbers(&reach(&service, &all, false, HERE).endpoints), "1 2");
    }

    #[test]
    fn the_internal_policy_local_comes_first() {
        let local = Service { internal_local: true, ..asks_for("PreferSameZone") };
        assert_eq!(reached(&local, &["on:n1 zone:b", "on:n2 zone:a"], HERE), "1");
        assert_eq!(reached(&local, &["on:n2 zone:a"], HERE), "");
    }
}
