//! The bridge, the nodes on it and the pods behind them.

use super::{Addresses, Error, Namespace, claim::Claim, ip};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

/// A network of namespaces. Dropping it removes everything.
#[derive(Debug)]
pub struct Network {
    nodes: BTreeMap<String, Node>,
    dual_stack: bool,
    lan: Namespace,
    // The last field, so the number becomes free only when nothing has its name any more.
    claim: Claim,
}

/// A node: an address on the bridge and a range of addresses for its pods.
#[derive(Debug)]
pub struct Node {
    namespace: Namespace,
    addresses: Addresses,
    number: u8,
    pods: BTreeMap<String, Pod>,
    last_pod: u8,
}

/// A pod: one address of each family, and its node as the only way out.
#[derive(Debug)]
pub struct Pod {
    namespace: Namespace,
    addresses: Addresses,
}

impl Network {
    /// The ranges of all pods' addresses, for kube-proxy's `clusterCIDR`.
    pub const PODS: &str = "10.244.0.0/16,fd10::/16";

    /// Creates an empty IPv4 network: a bridge, and a link to it with an address on the host.
    pub fn new() -> Result<Self, Error> {
        Self::of(false)
    }

    /// Creates an empty network in which nodes and pods have IPv6 addresses too.
    pub fn dual_stack() -> Result<Self, Error> {
        Self::of(true)
    }

    fn of(dual_stack: bool) -> Result<Self, Error> {
        let claim = Claim::new()?;
        let lan = Namespace::new(claim.name("lan"))?;
        let network = Self { nodes: BTreeMap::new(), dual_stack, lan, claim };
        let link = network.claim.link();
        network.lan.ip(&["link add br0 type bridge".into(), "link set br0 up".into()])?;
        let lan = network.lan.name();
        ip::ip(&["link", "add", &link, "type", "veth", "peer", "name", "host", "netns", lan])?;
        network.lan.ip(&["link set host master br0 up".into()])?;
        if let Some(router) = network.addresses(254).v6 {
            network.lan.ip(&[format!("address add {router}/64 dev br0 nodad")])?;
        }
        ip::ip(&["address", "add", &format!("{}/24", network.host()), "dev", &link])?;
        ip::ip(&["link", "set", &link, "up"])?;
        Ok(network)
    }

    /// The host's address, on which API servers listen. Every node reaches it. Pods do not, because
    /// the host has no routes to them, which would collide between concurrent runs.
    pub fn host(&self) -> Ipv4Addr {
        self.addresses(254).v4
    }

    fn addresses(&self, last: u8) -> Addresses {
        let number = self.claim.number;
        let v6 = Ipv6Addr::new(0xfd77, number.into(), 0, 0, 0, 0, 0, last.into());
        Addresses { v4: Ipv4Addr::new(192, 168, number, last), v6: self.dual_stack.then_some(v6) }
    }

    /// Adds a node and the routes between its pods and those of the other nodes.
    pub fn add_node(&mut self, name: &str) -> Result<&Node, Error> {
        let unused = |number: &u8| self.nodes.values().all(|node| node.number != *number);
        let number = (1..=250).find(unused).filter(|_| !self.nodes.contains_key(name));
        let number = number.ok_or_else(|| Error::Node(name.to_owned()))?;
        let namespace = Namespace::new(self.claim.name(&format!("node-{name}")))?;
        if self.dual_stack {
            // No other client has its addresses, and until the kernel is sure of that (2 s) it does
            // not ask for neighbours on behalf of what it forwards.
            namespace.set(&[("ipv6/conf/default/dad_transmits", 0)])?;
        }
        let node = Node {
            namespace,
            addresses: self.addresses(number),
            number,
            pods: BTreeMap::new(),
            last_pod: 0,
        };
        self.lan.ip(&[
            format!("link add n{number} type veth peer name eth0 netns {}", node.namespace.name()),
            format!("link set n{number} master br0 up"),
        ])?;
        let router = self.addresses(254);
        let mut lines = vec![
            format!("address add {}/24 dev eth0", node.addresses.v4),
            "link set eth0 up".into(),
            format!("route add default via {}", router.v4),
        ];
        if let (Some(own), Some(router)) = (node.addresses.v6, router.v6) {
            lines.push(format!("address add {own}/64 dev eth0 nodad"));
            lines.push(format!("route add ::/0 via {router}"));
        }
        lines.extend(self.nodes.values().flat_map(Node::routes));
        node.namespace.ip(&lines)?;
        let mut settings = vec![("ipv4/ip_forward", 1)];
        settings.extend(self.dual_stack.then_some(("ipv6/conf/all/forwarding", 1)));
        node.namespace.set(&settings)?;
        for other in self.nodes.values() {
            other.namespace.ip(&node.routes())?;
        }
        Ok(self.nodes.entry(name.to_owned()).or_insert(node))
    }

    /// Removes a node with its pods, if it exists.
    pub fn remove_node(&mut self, name: &str) -> Result<(), Error> {
        if let Some(node) = self.nodes.remove(name) {
            for other in self.nodes.values() {
                let routes = node.ranges().map(|range| format!("route del {range}"));
                other.namespace.ip(&routes.collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }

    /// Drops all packets from and to a node, without either end noticing.
    pub fn cut(&self, node: &str) -> Result<(), Error> {
        self.port(node, "nomaster")
    }

    /// Undoes [`Self::cut`].
    pub fn mend(&self, node: &str) -> Result<(), Error> {
        self.port(node, "master br0")
    }

    fn port(&self, node: &str, setting: &str) -> Result<(), Error> {
        let unknown = || Error::UnknownNode(node.to_owned());
        let number = self.nodes.get(node).ok_or_else(unknown)?.number;
        self.lan.ip(&[format!("link set n{number} {setting}")])
    }

    /// Adds a pod to a node. `name` must be unique in the network.
    pub fn add_pod(&mut self, node: &str, name: &str) -> Result<&Pod, Error> {
        let namespace = self.claim.name(&format!("pod-{name}"));
        let unknown = || Error::UnknownNode(node.to_owned());
        self.nodes.get_mut(node).ok_or_else(unknown)?.add_pod(name, namespace)
    }

    /// Removes a pod, if it exists.
    pub fn remove_pod(&mut self, node: &str, name: &str) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.pods.remove(name);
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = ip::ip(&["link", "del", &self.claim.link()]);
    }
}

impl Node {
    /// The node's network namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The node's address on the bridge (`InternalIP`).
    pub fn address(&self) -> Ipv4Addr {
        self.addresses.v4
    }

    /// The node's addresses on the bridge (`InternalIP`s).
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The addresses of its pod with this number. Number 0 stands for the range.
    fn pod(&self, pod: u8) -> Addresses {
        let v6 = Ipv6Addr::new(0xfd10, self.number.into(), 0, 0, 0, 0, 0, pod.into());
        Addresses {
            v4: Ipv4Addr::new(10, 244, self.number, pod),
            v6: self.addresses.v6.is_some().then_some(v6),
        }
    }

    fn ranges(&self) -> impl Iterator<Item = String> {
        let Addresses { v4, v6 } = self.pod(0);
        [format!("{v4}/24")].into_iter().chain(v6.map(|v6| format!("{v6}/64")))
    }

    fn routes(&self) -> Vec<String> {
        let routes = self.ranges().zip(self.addresses.iter());
        routes.map(|(range, node)| format!("route add {range} via {node}")).collect()
    }

    fn add_pod(&mut self, name: &str, namespace: String) -> Result<&Pod, Error> {
        let number = self.next_pod().ok_or_else(|| Error::Pod(name.to_owned()))?;
        let Addresses { v4, v6 } = self.pod(number);
        let pod = Pod { namespace: Namespace::new(namespace)?, addresses: self.pod(number) };
        // Uses few processes per pod, because each one waits for its turn on a busy machine.
        let mut node = vec![
            format!("link add p{number} type veth peer name eth0 netns {}", pod.namespace.name()),
            format!("link set p{number} up"),
            format!("route add {v4}/32 dev p{number}"),
        ];
        let mut inside = vec![
            format!("address add {v4}/32 dev eth0"),
            "link set eth0 up".into(),
            "route add 169.254.1.1 dev eth0 scope link".into(),
            "route add default via 169.254.1.1".into(),
        ];
        if let Some(v6) = v6 {
            // `nodad`: neither end checks whether the address is already in use.
            node.push(format!("address add fe80::1/64 dev p{number} nodad"));
            node.push(format!("route add {v6}/128 dev p{number}"));
            inside.push(format!("address add {v6}/128 dev eth0 nodad"));
            inside.push("route add fe80::1/128 dev eth0".into());
            inside.push("route add ::/0 via fe80::1 dev eth0".into());
        }
        self.namespace.ip(&node)?;
        // The node answers for 169.254.1.1 without a delay. By default, the kernel waits up to 0.8
        // s.
        self.namespace.set(&[
            (&format!("ipv4/conf/p{number}/proxy_arp"), 1),
            (&format!("ipv4/neigh/p{number}/proxy_delay"), 0),
        ])?;
        pod.namespace.ip(&inside)?;
        self.last_pod = number;
        Ok(self.pods.entry(name.to_owned()).or_insert(pod))
    }

    /// The next number after the last one assigned. An address that was just freed is reused as
    /// late as possible, because a proxy may still send to it.
    fn next_pod(&self) -> Option<u8> {
        let used = |number| self.pods.values().any(|pod| pod.addresses.v4.octets()[3] == number);
        (self.last_pod + 1..=250).chain(1..=self.last_pod).find(|number| !used(*number))
    }
}

impl Pod {
    /// The pod's network namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The pod's address.
    pub fn address(&self) -> Ipv4Addr {
        self.addresses.v4
    }

    /// The pod's addresses.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::require_namespaces;
    use std::{net::IpAddr, process::Command};

    fn ping(from: &Namespace, to: impl Into<IpAddr>) -> bool {
        let to = to.into();
        // bash's /dev/tcp: a live address refuses the connection. Others are unreachable or time
        // out.
        let script = format!("exec 3<>/dev/tcp/{to}/9");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", from.name(), "timeout", "2", "bash", "-c", &script]);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stderr).contains("Connection refused")
    }

    #[test]
    fn pods_on_two_nodes_reach_each_other_and_the_host_and_nothing_stays() {
        require_namespaces().unwrap();
        let mut network = Network::new().unwrap();
        let prefix = network.claim.link();
        let host = network.host();
        let node = network.add_node("a").unwrap().address();
        network.add_node("b").unwrap();
        let a = network.add_pod("a", "one").unwrap().address();
        let b = network.add_pod("b", "two").unwrap().namespace();
        assert!(ping(b, a), "pod one from pod two");
        assert!(ping(b, node), "node a from pod two");
        assert!(ping(network.nodes["b"].namespace(), host), "the host from node b");
        drop(network);
        assert!(!ip::ip(&["netns", "list"]).unwrap().contains(&format!("{prefix}-")));
        assert!(!ip::ip(&["link", "show"]).unwrap().contains(&prefix));
    }

    #[test]
    fn dual_stack_pods_reach_each_other_by_both_families() {
        require_namespaces().unwrap();
        let mut network = Network::dual_stack().unwrap();
        let node = network.add_node("a").unwrap().addresses();
        network.add_node("b").unwrap();
        let a = network.add_pod("a", "one").unwrap().addresses();
        assert_eq!(a.iter().count(), 2);
        let b = network.add_pod("b", "two").unwrap().namespace();
        for address in a.iter().chain(node.iter()) {
            assert!(ping(b, address), "{address} from pod two");
        }
        network.remove_node("a").unwrap();
        let b = network.nodes["b"].pods["two"].namespace();
        assert!(a.iter().all(|address| !ping(b, address)));
    }

    #[test]
    fn two_runs_have_two_networks_and_a_freed_address_is_not_used_at_once() {
        require_namespaces().unwrap();
        let mut first = Network::new().unwrap();
        let second = Network::new().unwrap();
        assert_ne!(first.host(), second.host());
        first.add_node("a").unwrap();
        let old = first.add_pod("a", "one").unwrap().address();
        first.remove_pod("a", "one");
        assert_ne!(first.add_pod("a", "two").unwrap().address(), old);
    }
}
