//! Objects: what a plan is based on, from files or from a cluster.

use crate::model::{name::Name, node::Node, pod::Pod, service::Service, slice::Slice};

/// The objects of a cluster, or as many as are known.
#[derive(Debug, Default)]
pub struct Objects {
    /// Services.
    pub services: Vec<Service>,
    /// Pods, each with its namespace.
    pub pods: Vec<(Name, Pod)>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Slices, whichever controller manages them.
    pub slices: Vec<Slice>,
}
