//! A Service with very many ports, as many as the API server accepts, and what it costs to plan it.

use closehaul::{
    model::{
        address::AddressType,
        name::{Name, ServiceKey},
        node::{Node, Nodes},
        pod::{ContainerPort, Pod},
        service::{ClusterIp, Service, ServicePort, TargetPort},
    },
    plan::{self, Settings, World, intent::Intent},
};

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
        Self { service, pods, nodes: nodes() }
    }

    /// Ports that resolve to numbers.
    pub fn plain(ports: usize, pods: usize) -> Self {
        let service = service(ports, |port| TargetPort::Number(number(port)));
        let pods = (0..pods).map(|number| pod(number, Vec::new())).collect();
        Self { service, pods, nodes: nodes() }
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
            intent: Intent::of(&self.service),
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

fn nodes() -> Nodes {
    let node = Node {
        name: "node".into(),
        version: 1,
        zone: Some("zone-a".into()),
        ready: true,
        control_plane: false,
        schedulable: true,
        cpu: 4_000,
    };
    [(node.name.clone(), node)].into_iter().collect()
}

fn service(ports: usize, target: impl Fn(usize) -> TargetPort) -> Service {
    let port = |port: usize| ServicePort {
        name: format!("p{port}").into(),
        protocol: "TCP".into(),
        number: number(port),
        target: target(port),
        app_protocol: None,
    };
    Service {
        key: ServiceKey { namespace: "shop".into(), name: "cart".into() },
        uid: None,
        version: 1,
        created: None,
        terminating: false,
        labels: [].into_iter().collect(),
        selector: Some([("app".into(), "cart".into())].into_iter().collect()),
        ports: (0..ports).map(port).collect(),
        external_name: false,
        cluster_ip: ClusterIp::Of(AddressType::IPv4),
        families: vec![AddressType::IPv4],
        publish_not_ready: false,
        traffic_distribution: None,
        auto: false,
        internal_local: false,
        external_local: false,
    }
}

fn pod(number: usize, declared: Vec<ContainerPort>) -> Pod {
    let [_, a, b, c] = u32::try_from(number).expect("not that many").to_be_bytes();
    Pod {
        name: format!("cart-{number}").into(),
        uid: None,
        version: 1,
        labels: [("app".into(), "cart".into())].into_iter().collect(),
        node: Some("node".into()),
        addresses: [[10, a, b, c].into()].into(),
        has_address: true,
        ports: declared.into(),
        host: None,
        ready: true,
        ready_since: None,
        terminating: false,
        finished: false,
    }
}
