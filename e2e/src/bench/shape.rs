//! How large a state is, and what its objects are called.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::world::{Kind, Place};

/// Pods on each node.
const PODS_PER_NODE: u32 = 100;
/// The zones of the nodes, in turn. Hints need more than one.
const ZONES: [&str; 3] = ["a", "b", "c"];
/// Pods of each Service, if there are many Services.
const PODS_PER_SERVICE: u32 = 10;
/// Services of each namespace, if there are many namespaces.
const SERVICES_PER_NAMESPACE: u32 = 100;

/// How many objects of each kind a state has. Services are spread evenly over namespaces, pods
/// over Services and over nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    /// Namespaces.
    pub namespaces: u32,
    /// Services in all namespaces.
    pub services: u32,
    /// Pods of each Service.
    pub pods_per_service: u32,
    /// Nodes, in three zones.
    pub nodes: u32,
}

impl Shape {
    /// A typical cluster of `pods` pods: 10 of each Service, 100 Services in a namespace.
    pub fn spread(pods: u32) -> Self {
        let services = pods.div_ceil(PODS_PER_SERVICE);
        Self::new(services.div_ceil(SERVICES_PER_NAMESPACE), services, PODS_PER_SERVICE)
    }

    /// This many Services of 10 pods in one namespace.
    pub fn dense(services: u32) -> Self {
        Self::new(1, services, PODS_PER_SERVICE)
    }

    /// One Service with all pods.
    pub fn single(pods: u32) -> Self {
        Self::new(1, 1, pods)
    }

    fn new(namespaces: u32, services: u32, pods_per_service: u32) -> Self {
        // At least one node in each zone.
        let nodes = (services * pods_per_service / PODS_PER_NODE).max(3);
        Self { namespaces, services, pods_per_service, nodes }
    }

    /// The number of pods.
    pub fn pods(self) -> u32 {
        self.services * self.pods_per_service
    }

    /// Slices that hold them, with at most 100 endpoints each.
    pub fn slices(self) -> u32 {
        self.services * self.pods_per_service.div_ceil(100)
    }

    pub(super) fn namespace(number: u32) -> String {
        format!("team-{number}")
    }

    /// Whether a namespace belongs to a shape.
    pub(super) fn owns(namespace: &str) -> bool {
        namespace.starts_with("team-")
    }

    pub(super) fn node(number: u32) -> String {
        format!("node-{number}")
    }

    pub(super) fn zone(node: u32) -> String {
        format!("zone-{}", ZONES[node as usize % ZONES.len()])
    }

    pub(super) fn service(number: u32) -> String {
        format!("service-{number}")
    }

    /// The namespace of the Service with a number.
    pub(super) fn namespace_of(self, service: u32) -> String {
        Self::namespace(service / self.services_per_namespace())
    }

    /// How many Services a namespace has.
    pub(super) fn services_per_namespace(self) -> u32 {
        self.services.div_ceil(self.namespaces)
    }

    /// The name of the pod with a number. Numbers beyond [`Self::pods`] belong to pods that come
    /// later.
    pub(super) fn pod(self, number: u32) -> String {
        format!("{}-6b7f8c9d5-{number:05}", Self::service(self.service_of_pod(number)))
    }

    /// Its Service's number. Pods that come later take the places of those in the second half, in
    /// order and repeatedly, so no Service and no namespace grows.
    pub(super) fn service_of_pod(self, number: u32) -> u32 {
        let half = self.pods() / 2;
        let place = match number.checked_sub(self.pods()) {
            None => number,
            Some(later) => half + later % (self.pods() - half),
        };
        place / self.pods_per_service
    }

    pub(super) fn namespace_of_pod(self, number: u32) -> String {
        self.namespace_of(self.service_of_pod(number))
    }

    pub(super) fn node_of_pod(self, number: u32) -> u32 {
        number % self.nodes
    }

    /// Its address, which no other pod has.
    pub(super) fn address(number: u32) -> String {
        format!("10.{}.{}.{}", 128 + number / 62_500, number / 250 % 250, number % 250 + 1)
    }

    /// The place of the pod with a number in the API.
    pub(super) fn place(self, number: u32) -> Place {
        Place::new(Kind::Pod, &self.namespace_of_pod(number), &self.pod(number))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |number: u32, word: &str| match number {
            1 => format!("1 {word}"),
            _ => format!("{number} {word}s"),
        };
        write!(
            out,
            "{}, {}, {}",
            plural(self.pods(), "pod"),
            plural(self.services, "Service"),
            plural(self.namespaces, "namespace")
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn shapes_have_their_sizes() {
        let shape = Shape::spread(50_000);
        assert_eq!((shape.pods(), shape.services, shape.namespaces), (50_000, 5_000, 50));
        assert_eq!((shape.nodes, shape.slices()), (500, 5_000));
        assert_eq!(shape.to_string(), "50000 pods, 5000 Services, 50 namespaces");
        let single = Shape::single(20_000);
        assert_eq!((single.pods(), single.slices(), single.nodes), (20_000, 200, 200));
        assert_eq!(Shape::spread(50).nodes, 3);
    }

    #[test]
    fn pods_that_come_later_are_others_at_other_addresses() {
        let shape = Shape::dense(7);
        let names = (0..2 * shape.pods()).map(|number| shape.pod(number)).collect::<HashSet<_>>();
        assert_eq!(names.len(), 140);
        let later = [69, 70, 104, 105].map(|number| shape.service_of_pod(number));
        assert_eq!(later, [6, 3, 6, 3], "in the places of 35, 69, and 35 again");
        let addresses = (0..200_000).map(Shape::address).collect::<HashSet<_>>();
        assert_eq!(addresses.len(), 200_000);
    }
}
