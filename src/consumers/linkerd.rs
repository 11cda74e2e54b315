//! Linkerd's destination controller: which addresses it gives to the proxies on a node. A model of
//! `filterAddresses` in linkerd2's `controller/api/destination`: zone hints
//! only, no node hints, and the Service's field is ignored.

use super::target::{Client, Target, Targets};
use crate::model::{address::AddressType, service::Service, slice::Slice};

/// What a client reaches through the port of `service` with the name `port`.
///
/// An address that is not ready is left out before hints are evaluated. There is no last resort:
/// endpoints that serve while they terminate are not used.
pub fn reach<'a>(
    service: &Service,
    slices: impl IntoIterator<Item = &'a Slice>,
    family: AddressType,
    port: &str,
    client: Client<'_>,
) -> Vec<Target<'a>> {
    let available = Targets::new(service, slices, family, port).ready();
    if service.internal_local {
        return available.into_iter().filter(|target| target.is_on(client.node)).collect();
    }
    if available.iter().any(|target| target.zones().is_empty()) {
        return available;
    }
    let zone = client.zone.unwrap_or_default();
    let near: Vec<_> =
        available.iter().filter(|target| target.is_for_zone(zone)).cloned().collect();
    if near.is_empty() { available } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumers::samples::{HERE, numbers, of, service};

    fn reached(service: &Service, endpoints: &[&str], client: Client<'_>) -> String {
        let slice = of(endpoints);
        numbers(&reach(service, [&slice], AddressType::IPv4, "http", client))
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
