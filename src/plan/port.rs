//! Port: which numbers the ports of a Service have on a pod.
//!
//! Both lists may be long: the API server accepts 10,000 ports in a Service and in a pod. Therefore
//! neither is searched once for each entry of the other. Each set of declared ports is resolved
//! once, and a resolved set is hashed once, when it is built.

use std::ptr;

use foldhash::{HashMap, HashSet};

use crate::model::{
    pod::{ContainerPort, Pod},
    port::{Port, Ports},
    service::{Service, ServicePort, TargetPort},
};

/// A Service with at most this many ports is searched linearly: an index would cost more.
const FEW: usize = 8;

/// Which ports of a Service lead to each name and protocol, as positions.
type Targets<'s> = HashMap<(&'s str, &'s str), Vec<usize>>;

/// Resolves the ports that one Service has on its pods.
#[derive(Debug)]
pub struct Resolver<'s> {
    /// The ports of the Service, by name.
    ports: Vec<&'s ServicePort>,
    has_named: bool,
    /// The index of `ports`; empty if there are at most [`FEW`].
    targets: Targets<'s>,
    /// What has been resolved, by the storage of the declared ports. Pods of one `ReplicaSet` share
    /// that storage.
    resolved: HashMap<*const ContainerPort, Ports>,
}

impl<'s> Resolver<'s> {
    /// A resolver that has not seen any pod yet.
    pub fn new(service: &'s Service) -> Self {
        let mut ports: Vec<&ServicePort> = service.ports.iter().collect();
        ports.sort_by(|one, other| one.name.cmp(&other.name));
        let targets = if ports.len() > FEW { targets(&ports) } else { Targets::default() };
        let has_named = ports.iter().any(|port| matches!(port.target, TargetPort::Named(_)));
        Self { ports, has_named, targets, resolved: HashMap::default() }
    }

    /// The ports that the Service has on `pod`. A named target port that no container of the pod
    /// declares is left out; if that leaves nothing, the pod has the empty set
    /// (docs/semantics.md 3.3).
    pub fn ports_on(&mut self, pod: &Pod) -> &Ports {
        // The ports that a pod declares matter only to named target ports.
        let key = if self.has_named { pod.ports.as_ptr() } else { ptr::null() };
        let (ports, targets) = (&self.ports, &self.targets);
        self.resolved.entry(key).or_insert_with(|| {
            if targets.is_empty() {
                search(ports, &pod.ports)
            } else {
                look_up(ports, targets, &pod.ports)
            }
        })
    }
}

fn targets<'s>(ports: &[&'s ServicePort]) -> Targets<'s> {
    let mut targets = Targets::default();
    for (at, port) in ports.iter().enumerate() {
        if let TargetPort::Named(name) = &port.target {
            targets.entry((&**name, &*port.protocol)).or_default().push(at);
        }
    }
    targets
}

/// Looks for each port of the Service among the declared ones.
fn search(ports: &[&ServicePort], declared: &[ContainerPort]) -> Ports {
    let on_pod = |port: &&ServicePort| {
        let number = match &port.target {
            TargetPort::Number(number) => *number,
            TargetPort::Named(name) => {
                let mut declared = declared.iter();
                declared.find(|it| it.name == *name && it.protocol == port.protocol)?.number
            }
        };
        Some(resolved(port, number))
    };
    ports.iter().filter_map(on_pod).collect()
}

/// Looks for each declared port among the `targets` of the Service.
fn look_up(ports: &[&ServicePort], targets: &Targets<'_>, declared: &[ContainerPort]) -> Ports {
    let with_number = ports.iter().enumerate().filter_map(|(at, port)| match port.target {
        TargetPort::Number(number) => Some((at, number)),
        TargetPort::Named(_) => None,
    });
    let mut found: Vec<(usize, i32)> = with_number.collect();
    let mut seen = HashSet::default();
    for port in declared {
        let key = (&*port.name, &*port.protocol);
        // The first port with a name and protocol counts.
        if let Some(leading) = targets.get(&key)
            && seen.insert(key)
        {
            found.extend(leading.iter().map(|at| (*at, port.number)));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(at, number)| resolved(ports[at], number)).collect()
}

/// The port of a slice for a port of the Service that has this number on the pod.
fn resolved(port: &ServicePort, number: i32) -> Port {
    Port {
        name: Some(port.name.clone()),
        number: Some(number),
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service_port(at: usize, (name, is_udp): (u8, bool)) -> ServicePort {
        ServicePort {
            name: format!("port-{at}").into(),
            protocol: if is_udp { "UDP" } else { "TCP" }.into(),
            number: 80,
            // One in four by number.
            target: match name {
                0 => TargetPort::Number(8080),
                name => TargetPort::Named(format!("target-{name}").into()),
            },
            app_protocol: None,
        }
    }

    fn declared((name, is_udp): (u8, bool), number: i32) -> ContainerPort {
        let protocol = if is_udp { "UDP" } else { "TCP" };
        ContainerPort { name: format!("target-{name}").into(), protocol: protocol.into(), number }
    }

    proptest! {
        /// Names that several target ports share, and that are declared twice, in both protocols,
        /// or not at all.
        #[test]
        fn an_index_finds_what_a_search_finds(
            ports in prop::collection::vec((0..4_u8, any::<bool>()), FEW + 1..20),
            pod in prop::collection::vec((1..5_u8, any::<bool>()), 0..8),
        ) {
            let ports: Vec<ServicePort> =
                ports.into_iter().enumerate().map(|(at, port)| service_port(at, port)).collect();
            let ports: Vec<&ServicePort> = ports.iter().collect();
            let pod: Vec<ContainerPort> = pod.into_iter().zip(1..).map(|(it, number)| declared(it, number)).collect();
            prop_assert_eq!(look_up(&ports, &targets(&ports), &pod), search(&ports, &pod));
        }
    }
}
