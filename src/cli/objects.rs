//! Objects: what a plan is based on, from files or from a cluster.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use jiff::Timestamp;

use crate::{
    cluster::Index,
    model::{
        name::Name,
        namespace::Namespace,
        node::Node,
        pod::Pod,
        policy::{ClusterLocalityPolicy, LocalityPolicy, PolicyMeta, ZoneEvacuation},
        service::{ClusterIp, Service},
        slice::Slice,
    },
};

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
    /// Whether there may be other pods, about which nothing is known.
    pub are_pods_unknown: bool,
    /// Policies and evacuations, and what they are selected by.
    pub rules: Rules,
}

/// What decides which policies and evacuations are for a Service.
#[derive(Debug, Default)]
pub struct Rules {
    /// Whether there may be other policies and evacuations, about which nothing is known.
    pub are_unknown: bool,
    /// Namespaces, for their labels.
    pub namespaces: Vec<Namespace>,
    /// Policies of namespaces.
    pub policies: Vec<LocalityPolicy>,
    /// Policies of the cluster.
    pub cluster_policies: Vec<ClusterLocalityPolicy>,
    /// Evacuations.
    pub evacuations: Vec<ZoneEvacuation>,
}

impl Objects {
    /// Lays other objects over these. Each replaces the one of its kind, namespace and name, or
    /// joins the others.
    pub fn lay_over(&mut self, over: Self) {
        let Self { mut services, pods, nodes, slices, are_pods_unknown: _, rules } = over;
        let under: HashMap<_, _> = self.services.iter().map(|under| (&under.key, under)).collect();
        for service in &mut services {
            if let Some(under) = under.get(&service.key) {
                keep_what_the_server_sets(under, service);
            }
        }
        replace(&mut self.services, services, |service| service.key.clone());
        replace(&mut self.pods, pods, |(namespace, pod)| (namespace.clone(), pod.name.clone()));
        replace(&mut self.nodes, nodes, |node| node.name.clone());
        replace(&mut self.slices, slices, |Slice { meta, .. }| {
            (meta.namespace.clone(), meta.name.clone())
        });
        self.rules.lay_over(rules);
    }

    /// Indexes them, for the plans of this time.
    pub fn index(self, now: Timestamp) -> Index {
        let Self { services, pods, nodes, slices, are_pods_unknown: _, rules } = self;
        let mut index = Index::default();
        index.set_time(now);
        index.set_policies_known(!rules.are_unknown);
        // Which Services a change affects does not matter here: everything is planned afterwards.
        for namespace in rules.namespaces {
            index.apply_namespace(namespace);
        }
        for policy in rules.policies {
            index.apply_policy(policy);
        }
        for policy in rules.cluster_policies {
            index.apply_cluster_policy(policy);
        }
        for evacuation in rules.evacuations {
            index.apply_evacuation(evacuation);
        }
        for node in nodes {
            index.apply_node(node);
        }
        for service in services {
            index.apply_service(service);
        }
        for (namespace, pod) in pods {
            index.apply_pod(&namespace, pod);
        }
        for slice in slices {
            index.apply_slice(slice);
        }
        index
    }

    /// A message about Services that lack what the API server always sets, if there are any.
    pub fn note(&self) -> Option<String> {
        let is_bare = |service: &&Service| {
            service.is_served()
                && service.cluster_ip == ClusterIp::Empty
                && service.families.is_empty()
        };
        let service = self.services.iter().find(is_bare)?;
        let count = self.services.iter().filter(is_bare).count();
        let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        Some(format!(
            "{}{others} without clusterIP: planned as headless and for both address types; use what `kubectl get` prints",
            service.key
        ))
    }
}

/// What rules are about besides the objects of the namespace for which is planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The labels of namespaces, by which a policy or an evacuation selects.
    pub namespaces: bool,
    /// The pods of other namespaces, whose number is the demand of a policy.
    pub pods: bool,
}

impl Needs {
    /// What either of them needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { namespaces: self.namespaces || other.namespaces, pods: self.pods || other.pods }
    }
}

impl Rules {
    /// What they are about besides the objects of a namespace.
    pub fn needs(&self) -> Needs {
        let policies = || self.cluster_policies.iter();
        Needs {
            namespaces: policies().any(ClusterLocalityPolicy::reads_namespaces)
                || self.evacuations.iter().any(ZoneEvacuation::reads_namespaces),
            pods: policies().any(ClusterLocalityPolicy::counts_clients_elsewhere),
        }
    }

    /// Lays others over these.
    fn lay_over(&mut self, over: Self) {
        let Self { are_unknown: _, namespaces, mut policies, mut cluster_policies, evacuations } =
            over;
        let key = |policy: &LocalityPolicy| (policy.namespace.clone(), policy.meta.name.clone());
        for policy in &mut policies {
            let under = self.policies.iter().find(|under| key(under) == key(policy));
            keep_age(under.map(|under| &under.meta), &mut policy.meta);
        }
        for policy in &mut cluster_policies {
            let name = &policy.meta.name;
            let under = self.cluster_policies.iter().find(|under| under.meta.name == *name);
            keep_age(under.map(|under| &under.meta), &mut policy.meta);
        }
        replace(&mut self.namespaces, namespaces, |namespace| namespace.name.clone());
        replace(&mut self.policies, policies, key);
        replace(&mut self.cluster_policies, cluster_policies, |policy| policy.meta.name.clone());
        replace(&mut self.evacuations, evacuations, |evacuation| evacuation.meta.name.clone());
    }
}

/// A policy in a manifest has no age, but the one that it replaces has, and that decides which of two
/// wins.
fn keep_age(under: Option<&PolicyMeta>, over: &mut PolicyMeta) {
    over.created = over.created.or_else(|| under.and_then(|under| under.created));
}

/// A Service in a manifest has no UID and no address, but the slices in the cluster name its UID.
fn keep_what_the_server_sets(under: &Service, over: &mut Service) {
    if over.uid.is_none() {
        over.uid.clone_from(&under.uid);
        over.created = over.created.or(under.created);
    }
    if over.cluster_ip == ClusterIp::Empty && under.external_name == over.external_name {
        over.cluster_ip = under.cluster_ip;
    }
    if over.families.is_empty() {
        over.families.clone_from(&under.families);
    }
}

fn replace<T, K: Eq + Hash>(under: &mut Vec<T>, over: Vec<T>, key: impl Fn(&T) -> K) {
    let keys: HashSet<K> = over.iter().map(&key).collect();
    under.retain(|object| !keys.contains(&key(object)));
    under.extend(over);
}
