//! A Service with very many ports, as many as the API server accepts, and what it costs to plan it.

use closehaul::{
    model::{
        name::Name,
        node::Nodes,
        pod::{ContainerPort, Pod},
        service::{Service, ServicePort, TargetPort},
    },
    plan::{self, Settings, World, intent::Intent},
};

use crate::samples;

/// A Service, its pods, and their node.
pub struct Site {
    service: Service,
    pods: Vec<Pod>,
    nodes: Nodes,
}

impl Site {
    /// Ports that resolve to names. Each pod declares the names under other numbers, in the
    /// opposite order.
    pub fn named(ports: usize, pods: usize) -> Self {
        let declared = |pod: usize| -> Vec<ContainerPort> {
            let port = |port: usize| ContainerPort {
                name: target(port),
                protocol: "TCP".into(),
                number: number(port + pod),
            };
            (0..ports).rev().map(port).collect()
        };
        let service = service(ports, |port| TargetPort::Named(target(port)));
        let pods = (0..pods).map(|number| pod(number, declared(number))).collect();
        Self { service, pods, nodes: samples::nodes(&[("a1", "zone-a")]) }
    }

    /// Ports that resolve to numbers.
    pub fn plain(ports: usize, pods: usize) -> Self {
        let service = service(ports, |port| TargetPort::Number(number(port)));
        let pods = (0..pods).map(|number| pod(number, Vec::new())).collect();
        Self { service, pods, nodes: samples::nodes(&[("a1", "zone-a")]) }
    }

    /// Plans the Service. Returns how many slices the plan writes.
    pub fn plan(&self) -> usize {
        let pods: Vec<&Pod> = self.pods.iter().collect();
        let plan = plan::plan(World {
            service: &self.service,
            pods: &pods,
            nodes: &self.nodes,
            shares: None,
            slices: &[],
            trigger_time: None,
            policy: None,
            intent: &Intent::of(&self.service),
            settings: Settings::with(100),
        });
        plan.writes()
    }
}

fn target(port: usize) -> Name {
    format!("t{port}").into()
}

fn number(port: usize) -> i32 {
    i32::try_from(port % 65_000 + 1).expect("a port")
}

fn service(ports: usize, target: impl Fn(usize) -> TargetPort) -> Service {
    let port = |port: usize| ServicePort {
        number: number(port),
        ..samples::service_port(&format!("p{port}"), target(port))
    };
    Service { ports: (0..ports).map(port).collect(), ..samples::service() }
}

fn pod(number: usize, declared: Vec<ContainerPort>) -> Pod {
    let [_, a, b, c] = u32::try_from(number).expect("not that many").to_be_bytes();
    Pod {
        name: format!("cart-{number}").into(),
        addresses: [[10, a, b, c].into()].into(),
        ports: declared.into(),
        ..samples::pod(0)
    }
}
