//! Linkerd's destination controller: which addresses it gives to the proxies on a node. A model of
//! `filterAddresses` in linkerd2's `controller/api/destination`: zone hints
//! only, no node hints, and the Service's field is ignored.

use super::{
    kube_proxy::{Mode, Reach},
    target::{Client, Targets},
};
use crate::model::service::Service;

/// What a client reaches of a port of `service`.
///
/// An address that is not ready is left out before hints are evaluated. There is no last resort:
/// endpoints that serve while they terminate are not used.
pub fn reach<'a>(service: &Service, all: &Targets<'a>, client: Client<'_>) -> Reach<'a> {
    let mut available = all.ready();
    if service.internal_local {
        available.retain(|target| target.is_on(client.node));
        return Reach::of(Mode::Node, available);
    }
    let is_hinted = available.iter().all(|target| !target.zones().is_empty());
    let zone = client.zone.unwrap_or_default();
    let near: Vec<_> =
        available.iter().filter(|target| target.is_for_zone(zone)).cloned().collect();
    if near.is_empty() || !is_hinted {
        Reach::of(Mode::Cluster, available)
    } else {
        Reach::of(Mode::Zone, near)
    }
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
        numbers(&reach(service, &all, client).endpoints)
    }

    #[test]
    fn rows() {
        let rows: &[(&[&str], &str)] = &[
            (&["zone:a", "zone:b"], "1"),
            (&["zone:a zone:b", "zone:b", "zone:c zone:a"], "1 3"),
            (&["zone:b", "zone:c"], "1 2"),
            (&["zone:a", "zone:b", ""], "1 2 3"),
            (&["zone:a", "zone:b", "unready"], "1"),
            (&["zone:a unready", "zone:b"], "2"),
            // Node hints have no effect.
            (&["node:n1 zone:a", "node:n2 zone:a"], "1 2"),
            (&["node:n1", "node:n2"], "1 2"),
            (&["zone:a terminating"], ""),
            (&[], ""),
        ];
        for (endpoints, expected) in rows {
            assert_eq!(reached(&service(), endpoints, HERE), *expected, "{endpoints:?}");
        }
        let no_zone = Client { zone: None, ..HERE };
        assert_eq!(reached(&service(), &["zone:a", "zone:b"], no_zone), "1 2");
    }

    #[test]
    fn the_internal_policy_local_ignores_hints() {
        let local = Service { internal_local: true, ..service() };
        assert_eq!(reached(&local, &["on:n1 zone:b", "on:n2 zone:a"], HERE), "1");
        assert_eq!(reached(&local, &["on:n2 zone:a"], HERE), "");
    }
}
