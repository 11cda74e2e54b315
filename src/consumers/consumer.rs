//! Consumer: the readers of slices that are modelled, by name.

use std::fmt;

use super::{
    cilium,
    kube_proxy::{self, Reach},
    linkerd,
    target::{Client, Targets},
};
use crate::model::service::{Service, TrafficDistribution};

/// A reader of slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// kube-proxy, and proxies that follow the same rule.
    KubeProxy,
    /// Linkerd's destination controller.
    Linkerd,
    /// Cilium in place of kube-proxy, with `loadBalancer.serviceTopology=true`.
    Cilium,
}

impl Consumer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::KubeProxy, Self::Linkerd, Self::Cilium];

    /// What a client reaches of a port of `service` that has these endpoints.
    pub fn reach<'a>(
        self,
        service: &Service,
        targets: &Targets<'a>,
        client: Client<'_>,
    ) -> Reach<'a> {
        match self {
            Self::KubeProxy => kube_proxy::reach_of(service, targets, client),
            Self::Linkerd => linkerd::reach(service, targets, client),
            Self::Cilium => cilium::reach(service, targets, true, client),
        }
    }

    /// Whether clients of the same zone may reach different endpoints of the Service, by their nodes.
    pub fn reads_nodes(self, service: &Service, targets: &Targets<'_>) -> bool {
        service.internal_local
            || match self {
                Self::KubeProxy => targets.all.iter().any(|target| !target.nodes().is_empty()),
                Self::Linkerd => false,
                Self::Cilium => {
                    service.traffic_distribution == Some(TrafficDistribution::PreferSameNode)
                }
            }
    }
}

/// The name in arguments and in JSON.
impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KubeProxy => "kube-proxy",
            Self::Linkerd => "linkerd",
            Self::Cilium => "cilium",
        })
    }
}
