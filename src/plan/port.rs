//! Port: which numbers the ports of a Service have on a pod.

use std::sync::Arc;

use super::{
    name::Name,
    pod::{ContainerPort, Pod},
    service::{Service, TargetPort},
};

/// A port of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// `name`; empty for the port of a Service whose port has no name.
    pub name: Option<Name>,
    /// `port`; absent means all ports, which only others write.
    pub number: Option<i32>,
    /// `protocol`.
    pub protocol: Option<Name>,
    /// `appProtocol`.
    pub app_protocol: Option<Name>,
}

/// The ports of a slice: a set, kept sorted. No ports and an empty list are the same
/// (endpointslice-semantics 3.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ports(Arc<[Port]>);

impl Ports {
    /// How many records hold this very storage.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl std::ops::Deref for Ports {
    type Target = [Port];

    fn deref(&self) -> &[Port] {
        &self.0
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl FromIterator<Port> for Ports {
    fn from_iter<I: IntoIterator<Item = Port>>(ports: I) -> Self {
        let mut sorted: Vec<Port> = ports.into_iter().collect();
        sorted.sort_unstable();
        Self(sorted.into())
    }
}

/// The ports that `service` has on `pod`. A named target port that no container of the pod
/// bears is left out; if that leaves nothing, the pod has the empty set
/// (endpointslice-semantics 3.3).
pub fn ports_on(service: &Service, pod: &Pod) -> Ports {
    let resolved = service.ports.iter().filter_map(|port| {
        let number = match &port.target {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Named(name) => find_port(&pod.ports, name, &port.protocol),
        };
        number.map(|number| Port {
            name: Some(port.name.clone()),
            number: Some(number),
            protocol: Some(port.protocol.clone()),
            app_protocol: port.app_protocol.clone(),
        })
    });
    resolved.collect()
}

/// The first port with this name and protocol.
fn find_port(ports: &[ContainerPort], name: &str, protocol: &str) -> Option<i32> {
    ports
        .iter()
        .find(|port| &*port.name == name && &*port.protocol == protocol)
        .map(|port| port.number)
}
