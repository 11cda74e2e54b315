//! The bridge, the nodes on it and the pods behind them.

use super::{Error, Namespace, claim::Claim, ip};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// A network of namespaces. Dropping it removes everything.
#[derive(Debug)]
pub struct Network {
    nodes: BTreeMap<String, Node>,
    lan: Namespace,
    // Last: the number is free again only when nothing bears its name any more.
    claim: Claim,
}

/// A node: an address on the bridge and a range of addresses for its pods.
#[derive(Debug)]
pub struct Node {
    namespace: Namespace,
    address: Ipv4Addr,
    number: u8,
    pods: BTreeMap<String, Pod>,
    last_pod: u8,
}

/// A pod: one address, and its node as the only way out.
#[derive(Debug)]
pub struct Pod {
    namespace: Namespace,
    address: Ipv4Addr,
}

impl Network {
    /// The range of all pods' addresses, for kube-proxy's `clusterCIDR`.
    pub const PODS: &str = "10.244.0.0/16";

    /// Makes an empty network: a bridge, and a link to it with an address on the host.
    pub fn new() -> Result<Self, Error> {
        let claim = Claim::new()?;
        let lan = Namespace::new(claim.name("lan"))?;
        let network = Self { nodes: BTreeMap::new(), lan, claim };
        let link = network.claim.link();
        network.lan.ip(&["link add br0 type bridge".into(), "link set br0 up".into()])?;
        let lan = network.lan.name();
        ip::ip(&["link", "add", &link, "type", "veth", "peer", "name", "host", "netns", lan])?;
        network.lan.ip(&["link set host master br0 up".into()])?;
        ip::ip(&["address", "add", &format!("{}/24", network.host()), "dev", &link])?;
        ip::ip(&["link", "set", &link, "up"])?;
        Ok(network)
    }

    /// The host's address, which every node reaches: API servers listen here. Pods do not reach
    /// it: the host has no routes to them, so that runs beside each other do not meet there.
    pub fn host(&self) -> Ipv4Addr {
        self.address(254)
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, self.claim.number, last)
    }

    /// Adds a node and the routes between its pods and those of the others.
    pub fn add_node(&mut self, name: &str) -> Result<&Node, Error> {
        let unused = |number: &u8| self.nodes.values().all(|node| node.number != *number);
        let number = (1..=250).find(unused).filter(|_| !self.nodes.contains_key(name));
        let number = number.ok_or_else(|| Error::Node(name.to_owned()))?;
        let namespace = Namespace::new(self.claim.name(&format!("node-{name}")))?;
        let node = Node {
            namespace,
            address: self.address(number),
            number,
            pods: BTreeMap::new(),
            last_pod: 0,
        };
        self.lan.ip(&[
            format!("link add n{number} type veth peer name eth0 netns {}", node.namespace.name()),
            format!("link set n{number} master br0 up"),
        ])?;
        let mut lines = vec![
            format!("address add {}/24 dev eth0", node.address),
            "link set eth0 up".into(),
            format!("route add default via {}", self.host()),
        ];
        lines.extend(self.nodes.values().map(Node::route));
        node.namespace.ip(&lines)?;
        node.namespace.set(&[("ipv4/ip_forward", 1)])?;
        for other in self.nodes.values() {
            other.namespace.ip(&[node.route()])?;
        }
        Ok(self.nodes.entry(name.to_owned()).or_insert(node))
    }

    /// Removes a node with its pods. One that is not there is gone already.
    pub fn remove_node(&mut self, name: &str) -> Result<(), Error> {
        if let Some(node) = self.nodes.remove(name) {
            for other in self.nodes.values() {
                other.namespace.ip(&[format!("route del {}", node.range())])?;
            }
        }
        Ok(())
    }

    /// Adds a pod to a node; `name` must be unique in the network.
    pub fn add_pod(&mut self, node: &str, name: &str) -> Result<&Pod, Error> {
        let namespace = self.claim.name(&format!("pod-{name}"));
        let unknown = || Error::UnknownNode(node.to_owned());
        self.nodes.get_mut(node).ok_or_else(unknown)?.add_pod(name, namespace)
    }

    /// Removes a pod. One that is not there is gone already.
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
        self.address
    }

    fn range(&self) -> String {
        format!("10.244.{}.0/24", self.number)
    }

    fn route(&self) -> String {
        format!("route add {} via {}", self.range(), self.address)
    }

    fn add_pod(&mut self, name: &str, namespace: String) -> Result<&Pod, Error> {
        let number = self.next_pod().ok_or_else(|| Error::Pod(name.to_owned()))?;
        let address = Ipv4Addr::new(10, 244, self.number, number);
        let pod = Pod { namespace: Namespace::new(namespace)?, address };
        self.namespace.ip(&[
            format!("link add p{number} type veth peer name eth0 netns {}", pod.namespace.name()),
            format!("link set p{number} up"),
            format!("route add {address}/32 dev p{number}"),
        ])?;
        // The node answers for 169.254.1.1, and at once: the kernel waits up to 0.8 s by default.
        self.namespace.set(&[
            (&format!("ipv4/conf/p{number}/proxy_arp"), 1),
            (&format!("ipv4/neigh/p{number}/proxy_delay"), 0),
        ])?;
        pod.namespace.ip(&[
            format!("address add {address}/32 dev eth0"),
            "link set eth0 up".into(),
            "route add 169.254.1.1 dev eth0 scope link".into(),
            "route add default via 169.254.1.1".into(),
        ])?;
        self.last_pod = number;
        Ok(self.pods.entry(name.to_owned()).or_insert(pod))
    }

    /// The next address after the last one given: an address that was just freed is used again
    /// as late as possible, as a proxy may still send to it.
    fn next_pod(&self) -> Option<u8> {
        let used = |number: u8| self.pods.values().any(|pod| pod.address.octets()[3] == number);
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
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::is_root;
    use std::process::Command;

    fn ping(from: &Namespace, to: Ipv4Addr) -> bool {
        // bash's own /dev/tcp: refused by a live address, unreachable or timed out otherwise.
        let script = format!("exec 3<>/dev/tcp/{to}/9");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", from.name(), "timeout", "2", "bash", "-c", &script]);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stderr).contains("Connection refused")
    }

    #[test]
    fn pods_on_two_nodes_reach_each_other_and_the_host_and_nothing_stays() {
        if !is_root() {
            return;
        }
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
    fn two_runs_have_two_networks_and_a_freed_address_is_not_used_at_once() {
        if !is_root() {
            return;
        }
        let mut first = Network::new().unwrap();
        let second = Network::new().unwrap();
        assert_ne!(first.host(), second.host());
        first.add_node("a").unwrap();
        let old = first.add_pod("a", "one").unwrap().address();
        first.remove_pod("a", "one");
        assert_ne!(first.add_pod("a", "two").unwrap().address(), old);
    }
}
