//! kube-proxy: which endpoints a client reaches through a Service's cluster IP
//! (endpointslice-semantics 6). A model of its rule, to explain slices and to check them; other
//! proxies that conform follow the same one.

use std::collections::BTreeMap;

use crate::plan::{
    address::{AddressType, Addresses},
    metadata::{HEADLESS, SERVICE_NAME},
    name::Name,
    service::{ClusterIp, Service},
    slice::{Endpoint, Slice},
};

/// Services with this label are left to another proxy.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";

/// Where a client runs.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The name of its node.
    pub node: &'a str,
    /// The zone of its node, if it has one.
    pub zone: Option<&'a str>,
}

/// How near the endpoints are that a client reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those meant for its node.
    Node,
    /// Those meant for its zone.
    Zone,
    /// All that are ready, or all that still serve.
    Cluster,
    /// None.
    None,
}

/// What a client reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach<'a> {
    /// How near the endpoints are.
    pub mode: Mode,
    /// The endpoints, by address and port; each gets the same part of the traffic.
    pub endpoints: Vec<Target<'a>>,
}

/// An endpoint as a proxy sees it: with one address and one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its first address; the others are not used.
    pub address: String,
    /// The port's number.
    pub port: i32,
    /// The endpoint in its slice.
    pub endpoint: &'a Endpoint,
}

/// What a client reaches through the cluster IP of `service`, by the port that bears `port` as
/// its name. Of `slices` only those of this address type count that name the Service.
pub fn reach<'a>(
    service: &Service,
    slices: impl IntoIterator<Item = &'a Slice>,
    family: AddressType,
    port: &str,
    client: Client<'_>,
) -> Reach<'a> {
    let is_seen = !service.external_name
        && service.cluster_ip != ClusterIp::Headless
        && service.labels.get(OTHER_PROXY).is_none();
    let is_own = |slice: &&Slice| {
        slice.address_type == family
            && slice.meta.namespace == service.key.namespace
            && slice.meta.labels.get(SERVICE_NAME) == Some(&service.key.name)
    };
    let slices = slices.into_iter().filter(|slice| is_seen && is_own(slice));
    let targets = targets(slices, port);
    if service.internal_local { local(&targets, client) } else { nearest(&targets, client) }
}

/// All endpoints of a port, each address and port once: of two, one that is not terminating
/// counts.
fn targets<'a>(slices: impl Iterator<Item = &'a Slice>, port: &str) -> Vec<Target<'a>> {
    let mut slices: Vec<_> =
        slices.filter(|slice| slice.meta.labels.get(HEADLESS).is_none()).collect();
    slices.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
    let mut targets: BTreeMap<(String, i32), Target<'a>> = BTreeMap::new();
    for slice in slices {
        let bears_name = |own: &Option<Name>| own.as_deref() == Some(port);
        let ports = slice.ports.iter().filter(|own| bears_name(&own.name));
        for number in ports.filter_map(|own| own.number).filter(|number| *number != 0) {
            for endpoint in slice.endpoints.iter() {
                let Some(address) = first_address(&endpoint.addresses) else { continue };
                let key = (address.clone(), number);
                if !is_terminating(endpoint) || !targets.contains_key(&key) {
                    targets.insert(key, Target { address, port: number, endpoint });
                }
            }
        }
    }
    targets.into_values().collect()
}

fn first_address(addresses: &Addresses) -> Option<String> {
    match addresses {
        Addresses::One(address) => Some(address.to_string()),
        Addresses::Many(texts) => texts.first().map(ToString::to_string),
    }
}

/// Under the traffic policy `Local`: the client's own node or nothing, whatever the hints.
fn local<'a>(targets: &[Target<'a>], client: Client<'_>) -> Reach<'a> {
    let here: Vec<_> = targets
        .iter()
        .filter(|target| target.endpoint.node.as_deref() == Some(client.node))
        .cloned()
        .collect();
    let (_, endpoints) = usable(&here);
    let mode = if endpoints.is_empty() { Mode::None } else { Mode::Node };
    Reach { mode, endpoints }
}

/// Under the traffic policy `Cluster`: the node's, else the zone's, else all.
fn nearest<'a>(targets: &[Target<'a>], client: Client<'_>) -> Reach<'a> {
    let (is_ready, usable) = usable(targets);
    if usable.is_empty() {
        return Reach { mode: Mode::None, endpoints: usable };
    }
    // Hints count for ready endpoints only; the last ones to serve are used by everybody.
    let nearer = |mode, names: fn(&Endpoint) -> &[Name], own: Option<&str>| {
        let own = own.filter(|own| is_ready && !own.is_empty())?;
        meant_for(&usable, names, own).map(|endpoints| Reach { mode, endpoints })
    };
    let by_node = nearer(Mode::Node, nodes, Some(client.node));
    let by_zone = || nearer(Mode::Zone, zones, client.zone);
    by_node
        .or_else(by_zone)
        .unwrap_or_else(|| Reach { mode: Mode::Cluster, endpoints: usable.clone() })
}

/// The ready endpoints, or else those that still serve while they terminate; and whether they
/// are ready.
fn usable<'a>(targets: &[Target<'a>]) -> (bool, Vec<Target<'a>>) {
    let ready: Vec<_> =
        targets.iter().filter(|target| is_ready(target.endpoint)).cloned().collect();
    if !ready.is_empty() {
        return (true, ready);
    }
    let serves = |endpoint: &Endpoint| {
        endpoint.conditions.serving != Some(false) && is_terminating(endpoint)
    };
    (false, targets.iter().filter(|target| serves(target.endpoint)).cloned().collect())
}

/// Those meant for `own`; `None` if there are none, or if one of all has no name at all.
fn meant_for<'a>(
    ready: &[Target<'a>],
    names: fn(&Endpoint) -> &[Name],
    own: &str,
) -> Option<Vec<Target<'a>>> {
    if ready.iter().any(|target| names(target.endpoint).is_empty()) {
        return None;
    }
    let is_meant = |target: &&Target<'a>| names(target.endpoint).iter().any(|name| &**name == own);
    let meant: Vec<_> = ready.iter().filter(is_meant).cloned().collect();
    (!meant.is_empty()).then_some(meant)
}

fn zones(endpoint: &Endpoint) -> &[Name] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.zones)
}

fn nodes(endpoint: &Endpoint) -> &[Name] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.nodes)
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.ready != Some(false)
}

fn is_terminating(endpoint: &Endpoint) -> bool {
    endpoint.conditions.terminating == Some(true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{
        labels::Labels,
        metadata,
        name::ServiceKey,
        port::Port,
        slice::{Conditions, Hints},
    };

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn service() -> Service {
        Service {
            key: ServiceKey { namespace: "shop".into(), name: "cart".into() },
            uid: None,
            version: 0,
            created: None,
            terminating: false,
            labels: Labels::default(),
            selector: None,
            ports: Vec::new(),
            external_name: false,
            cluster_ip: ClusterIp::Of(AddressType::IPv4),
            families: Vec::new(),
            publish_not_ready: false,
            traffic_distribution: None,
            auto: false,
            internal_local: false,
            external_local: false,
        }
    }

    /// An endpoint at 10.0.0.`number`, out of words: `on:NODE`, `zone:NAME` and `node:NAME` for
    /// hints, `unready`, `terminating` (not ready, but serving), `gone` (neither), `unsaid` (no
    /// condition given).
    fn endpoint(number: u8, words: &str) -> Endpoint {
        let named = |prefix: &str| -> Vec<Name> {
            words.split(' ').filter_map(|word| word.strip_prefix(prefix)).map(Name::from).collect()
        };
        let has = |word: &str| words.split(' ').any(|other| other == word);
        let is_ending = has("terminating") || has("gone");
        let conditions = Conditions {
            ready: Some(!has("unready") && !is_ending),
            serving: Some(!has("unready") && !has("gone")),
            terminating: Some(is_ending),
        };
        let hints = Hints { zones: named("zone:"), nodes: named("node:") };
        Endpoint {
            addresses: Addresses::One([10, 0, 0, number].into()),
            conditions: if has("unsaid") { Conditions::default() } else { conditions },
            target: None,
            node: named("on:").pop(),
            zone: None,
            hostname: None,
            hints: (hints != Hints::default()).then(|| Arc::new(hints)),
        }
    }

    fn slice(name: &str, endpoints: Vec<Endpoint>) -> Slice {
        let service = service();
        let port = Port {
            name: Some("http".into()),
            number: Some(80),
            protocol: Some("TCP".into()),
            app_protocol: None,
        };
        let mut meta = metadata::fresh(&service);
        meta.name = Some(name.into());
        Slice {
            meta,
            address_type: AddressType::IPv4,
            ports: [port].into_iter().collect(),
            endpoints: endpoints.into(),
        }
    }

    fn of(endpoints: &[&str]) -> Slice {
        let numbered = (1_u8..).zip(endpoints);
        slice("cart-1", numbered.map(|(number, words)| endpoint(number, words)).collect())
    }

    /// Mode and last numbers of the addresses.
    fn reached(service: &Service, slices: &[Slice], client: Client<'_>) -> (Mode, Vec<String>) {
        let reach = reach(service, slices, AddressType::IPv4, "http", client);
        let number = |target: &Target<'_>| target.address.replace("10.0.0.", "");
        (reach.mode, reach.endpoints.iter().map(number).collect())
    }

    const HERE: Client<'_> = Client { node: "n1", zone: Some("a") };

    /// The rows of kube-proxy's own `TestCategorizeEndpoints` that are about hints, readiness
    /// and the internal traffic policy (endpointslice-semantics 10.9).
    #[test]
    fn rows() {
        use Mode::{Cluster, Node, None as Nothing, Zone};
        let rows: &[(&str, &[&str], Mode, &str)] = &[
            ("zone", &["zone:a", "zone:b", "zone:c", "zone:a"], Zone, "1 4"),
            ("a zone that nobody is for", &["zone:b", "zone:c"], Cluster, "1 2"),
            ("unready in the zone is skipped", &["zone:a unready", "zone:a", "zone:b"], Zone, "2"),
            ("only unready in the zone", &["zone:a unready", "zone:b", "zone:c"], Cluster, "2 3"),
            ("one without hint", &["zone:a", "zone:b", ""], Cluster, "1 2 3"),
            ("an unready one without hint", &["zone:a", "zone:b", "unready"], Zone, "1"),
            ("several zones", &["zone:a zone:b", "zone:b", "zone:c zone:a"], Zone, "1 3"),
            ("node", &["node:n1 zone:a", "node:n2 zone:a"], Node, "1"),
            ("several nodes", &["node:n2 node:n1", "node:n2", "node:n1"], Node, "1 3"),
            ("one without node", &["node:n1 zone:a", "zone:a", "node:n3 zone:b"], Zone, "1 2"),
            ("nobody for the node", &["node:n2 zone:a", "node:n3 zone:b"], Zone, "1"),
            ("nobody for node or zone", &["node:n2 zone:b", "node:n3 zone:c"], Cluster, "1 2"),
            ("nodes without zones", &["node:n2", "node:n3"], Cluster, "1 2"),
            ("unready on the node", &["node:n1 zone:a unready", "node:n2 zone:a"], Zone, "2"),
            ("only terminating", &["zone:a terminating", "zone:b terminating"], Cluster, "1 2"),
            ("ready before terminating", &["zone:a terminating", "zone:b"], Cluster, "2"),
            ("serving no more", &["gone", "terminating"], Cluster, "2"),
            ("not ready, not terminating", &["unready"], Nothing, ""),
            ("no condition given is ready", &["unsaid zone:a", "zone:b"], Zone, "1"),
            ("nobody", &[], Nothing, ""),
        ];
        for (name, endpoints, mode, expected) in rows {
            let (found, numbers) = reached(&service(), &[of(endpoints)], HERE);
            assert_eq!((found, numbers.join(" ")), (*mode, (*expected).to_owned()), "{name}");
        }
    }

    #[test]
    fn clients_without_a_zone() {
        let slices = [of(&["zone:a node:n1", "zone:b node:n2"])];
        for zone in [None, Some("")] {
            let far = Client { node: "n9", zone };
            assert_eq!(reached(&service(), &slices, far).0, Mode::Cluster);
            let near = Client { node: "n2", zone };
            assert_eq!(reached(&service(), &slices, near), (Mode::Node, vec!["2".to_owned()]));
        }
    }

    #[test]
    fn the_internal_policy_local_ignores_hints() {
        let local = Service { internal_local: true, ..service() };
        let slices = [of(&["on:n1 zone:b", "on:n2 zone:a", "on:n1 zone:b"])];
        let (mode, numbers) = reached(&local, &slices, HERE);
        assert_eq!((mode, numbers.join(" ").as_str()), (Mode::Node, "1 3"));
        let elsewhere = Client { node: "n9", zone: Some("a") };
        assert_eq!(reached(&local, &slices, elsewhere), (Mode::None, Vec::new()));
        let ending = [of(&["on:n1 terminating", "on:n2"])];
        assert_eq!(reached(&local, &ending, HERE), (Mode::Node, vec!["1".to_owned()]));
    }

    #[test]
    fn slices_are_united() {
        let slices = [
            slice("cart-2", vec![endpoint(2, "zone:a"), endpoint(3, "zone:a terminating")]),
            slice("cart-1", vec![endpoint(1, "zone:a"), endpoint(2, "zone:a")]),
            slice("cart-3", vec![endpoint(3, "zone:a"), endpoint(1, "terminating")]),
        ];
        let (mode, numbers) = reached(&service(), &slices, HERE);
        assert_eq!((mode, numbers.join(" ").as_str()), (Mode::Zone, "1 2 3"));
    }

    #[test]
    fn only_the_first_address_counts() {
        let mut many = endpoint(1, "");
        many.addresses = Addresses::Many(["10.0.0.7".into(), "10.0.0.8".into()].into());
        let mut none = endpoint(2, "");
        none.addresses = Addresses::Many([].into());
        let found = reached(&service(), &[slice("cart-1", vec![many, none])], HERE);
        assert_eq!(found, (Mode::Cluster, vec!["7".to_owned()]));
    }

    #[test]
    fn what_is_not_looked_at() {
        let seen = of(&["zone:a"]);
        assert_eq!(reached(&service(), std::slice::from_ref(&seen), HERE).0, Mode::Zone);
        let changed = |change: fn(&mut Slice)| {
            let mut slice = seen.clone();
            change(&mut slice);
            reached(&service(), &[slice], HERE).0
        };
        let without_port = |number: Option<i32>| {
            let mut slice = seen.clone();
            slice.ports = slice.ports.iter().map(|p| Port { number, ..p.clone() }).collect();
            reached(&service(), &[slice], HERE).0
        };
        let by_slice = [
            changed(|slice| slice.meta.labels = slice.meta.labels.with(HEADLESS, Some(""))),
            changed(|slice| slice.meta.labels = slice.meta.labels.with(SERVICE_NAME, Some("b"))),
            changed(|slice| slice.meta.namespace = "other".into()),
            changed(|slice| slice.address_type = AddressType::IPv6),
            without_port(None),
            without_port(Some(0)),
        ];
        assert_eq!(by_slice, [Mode::None; 6]);
        let services = [
            Service { cluster_ip: ClusterIp::Headless, ..service() },
            Service { external_name: true, ..service() },
            Service { labels: labels(&[(OTHER_PROXY, "mesh")]), ..service() },
        ];
        for service in services {
            assert_eq!(reached(&service, std::slice::from_ref(&seen), HERE).0, Mode::None);
        }
        let other_port = reach(&service(), [&seen], AddressType::IPv4, "https", HERE);
        assert_eq!(other_port.mode, Mode::None);
    }
}
