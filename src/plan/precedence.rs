//! Precedence: which policy decides for a Service, and what becomes of the others (docs/planner.md
//! 9). Policies are never merged.

use std::{cmp::Ordering, collections::BTreeSet};

use jiff::Timestamp;

use crate::model::{
    labels::Labels,
    name::Name,
    namespace::Namespace,
    policy::{
        ClusterLocalityPolicy, LocalityPolicy, Mode, PolicyMeta, PolicyRef, PolicySpec, Reading,
        RequestKey, ServiceFilter, ZoneEvacuation,
    },
    selector::Selector,
    service::{PolicyChoice, Service},
    store::Store,
};

/// What holds for all namespaces.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether all policies and evacuations are known. If not, one that is not known may be for any
    /// Service.
    pub are_known: bool,
    /// Whether all policies are only reported, whatever their mode, and evacuations are ignored.
    pub are_rehearsed: bool,
    /// Policies whose client selectors are too many. Zones are assumed to send the same for them.
    pub excess: BTreeSet<RequestKey>,
    /// The policies of the cluster.
    pub policies: Store<ClusterLocalityPolicy>,
    /// The evacuations, also those that are over.
    pub evacuations: Store<ZoneEvacuation>,
    /// The namespaces, for their labels.
    pub namespaces: Store<Namespace>,
    /// The time that decides which evacuations are over.
    pub now: Timestamp,
}

impl Default for Rules {
    /// There is neither policy nor evacuation.
    fn default() -> Self {
        Self {
            are_known: true,
            are_rehearsed: false,
            excess: BTreeSet::new(),
            policies: Store::default(),
            evacuations: Store::default(),
            namespaces: Store::default(),
            now: Timestamp::default(),
        }
    }
}

impl Rules {
    /// Whether a policy or an evacuation of the cluster selects by the labels of namespaces.
    pub fn read_namespaces(&self) -> bool {
        self.policies.values().any(ClusterLocalityPolicy::reads_namespaces)
            || self.evacuations.values().any(ZoneEvacuation::reads_namespaces)
    }
}

/// What may hold for a Service: the policies of its namespace, and the rules of the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The policies of the namespace.
    pub policies: &'a Store<LocalityPolicy>,
    /// What holds for all namespaces.
    pub rules: &'a Rules,
}

/// How specifically a policy is for a Service, the most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The Service's annotation names it.
    Annotation,
    /// It names the Service.
    Name,
    /// It selects the Service by labels.
    Selector,
    /// It is for the whole namespace.
    Namespace,
    /// It is a default of the cluster.
    Cluster,
}

/// A policy that is for a Service, before it is known which one decides.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The policy.
    pub policy: PolicyRef,
    /// How specifically it is for the Service.
    pub rank: Rank,
    /// What it requests. Unknown also if it is not known whether the policy is for the Service.
    pub spec: Reading<&'a PolicySpec>,
    /// Whether the hints in force may be a plan for this state of the policy.
    pub is_programmed: bool,
    /// Whether its client selector is one too many.
    pub is_in_excess: bool,
    /// Whether it is only reported, whatever its mode.
    is_rehearsed: bool,
    created: Option<Timestamp>,
}

/// What becomes of a policy that is for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It decides; in mode `Shadow`, it is what is reported.
    Wins,
    /// One of the same rank decides, which is older, or comes first by name.
    Conflicted,
    /// A more specific one decides.
    Outranked,
    /// The Service's annotation is `none`.
    OptedOut,
    /// The Service has the legacy annotation.
    LegacyAnnotationWins,
}

impl Candidate<'_> {
    /// Whether it is only reported.
    pub fn is_shadow(&self) -> bool {
        let is_in_mode = matches!(self.spec, Reading::Known(PolicySpec { mode: Mode::Shadow, .. }));
        self.is_rehearsed || is_in_mode
    }

    /// The order of precedence. A policy that has no age yet is the youngest.
    fn order(&self, other: &Self) -> Ordering {
        let age = |it: &Self| (it.created.is_none(), it.created);
        let ranks = self.rank.cmp(&other.rank);
        ranks.then_with(|| age(self).cmp(&age(other))).then_with(|| self.policy.cmp(&other.policy))
    }
}

impl<'a> Scope<'a> {
    /// Whether it is known that there is neither policy nor evacuation.
    pub fn is_empty(&self) -> bool {
        let Rules { are_known, policies, evacuations, .. } = self.rules;
        *are_known && self.policies.is_empty() && policies.is_empty() && evacuations.is_empty()
    }

    /// The policies that are for a Service, by precedence. The annotation `none` is not considered.
    pub fn candidates(&self, service: &Service) -> Vec<Candidate<'a>> {
        let own = self.policies.values().filter_map(|policy| own(service, policy));
        let cluster = self.rules.policies.values();
        let cluster = cluster.filter_map(|policy| self.cluster(service, policy));
        let mut candidates: Vec<_> = own.chain(cluster).collect();
        for candidate in &mut candidates {
            candidate.is_rehearsed = self.rules.are_rehearsed;
            candidate.is_in_excess = !self.rules.excess.is_empty()
                && self.rules.excess.contains(&candidate.policy.key(&service.key.namespace));
        }
        candidates.sort_unstable_by(Candidate::order);
        candidates
    }

    /// What becomes of each policy that is for a Service, by precedence.
    pub fn fates(&self, service: &Service) -> Vec<(PolicyRef, Fate)> {
        let candidates = self.candidates(service);
        let decides = candidates.iter().find(|it| !it.is_shadow());
        let fate = |candidate: &Candidate<'_>| {
            if service.auto {
                return Fate::LegacyAnnotationWins;
            }
            if service.policy == Some(PolicyChoice::OptOut) {
                return Fate::OptedOut;
            }
            let winner = if candidate.is_shadow() { candidates.first() } else { decides };
            match winner {
                Some(winner) if winner.policy == candidate.policy => Fate::Wins,
                Some(winner) if winner.rank == candidate.rank => Fate::Conflicted,
                _ => Fate::Outranked,
            }
        };
        candidates.iter().map(|candidate| (candidate.policy.clone(), fate(candidate))).collect()
    }

    /// The evacuations that are for a Service, by name, with what they request. Unknown also if it
    /// is not known whether an evacuation is for the Service.
    pub fn evacuations(&self, service: &Service) -> Vec<&'a ZoneEvacuation> {
        let of_service = |it: &&ZoneEvacuation| {
            !self.rules.are_rehearsed
                && !it.is_over(self.rules.now)
                && it.services.selects(service)
                && self.selects(service, it.namespaces.as_ref()) != Some(false)
        };
        let evacuations = self.rules.evacuations.values().filter(of_service);
        let mut evacuations: Vec<_> = evacuations.collect();
        evacuations.sort_unstable_by(|one, other| one.meta.name.cmp(&other.meta.name));
        evacuations
    }

    /// Whether a selector selects the namespace of a Service; `None` if its labels are not known.
    pub fn selects(&self, service: &Service, namespaces: Option<&Selector>) -> Option<bool> {
        let Some(selector) = namespaces.filter(|it| **it != Selector::default()) else {
            return Some(true);
        };
        Some(selector.selects(self.labels(&service.key.namespace)?))
    }

    fn labels(&self, namespace: &Name) -> Option<&'a Labels> {
        self.rules.namespaces.get(namespace).map(|namespace| &namespace.labels)
    }

    fn cluster(
        &self,
        service: &Service,
        policy: &'a ClusterLocalityPolicy,
    ) -> Option<Candidate<'a>> {
        let name = &policy.meta.name;
        let is_named = matches!(&service.policy, Some(PolicyChoice::Cluster(it)) if it == name);
        let is_known = match self.selects(service, policy.namespaces.as_ref()) {
            Some(false) => return None,
            selects => selects.is_some(),
        };
        if !is_named && !policy.services.selects(service) {
            return None;
        }
        let rank = if is_named { Rank::Annotation } else { Rank::Cluster };
        let spec = if is_known { &policy.spec } else { &Reading::Unknown };
        let policy_ref = PolicyRef::Cluster(name.clone());
        Some(candidate(policy_ref, rank, spec, &policy.meta, policy.programmed))
    }
}

fn own<'a>(service: &Service, policy: &'a LocalityPolicy) -> Option<Candidate<'a>> {
    let name = &policy.meta.name;
    let rank = match (&service.policy, &policy.services) {
        (Some(PolicyChoice::Namespaced(it)), _) if it == name => Rank::Annotation,
        (_, services) if !services.selects(service) => return None,
        (_, ServiceFilter::Names(_)) => Rank::Name,
        (_, ServiceFilter::Selector(_)) => Rank::Selector,
        (_, ServiceFilter::All) => Rank::Namespace,
    };
    let policy_ref = PolicyRef::Namespaced(name.clone());
    Some(candidate(policy_ref, rank, &policy.spec, &policy.meta, policy.programmed))
}

fn candidate<'a>(
    policy: PolicyRef,
    rank: Rank,
    spec: &'a Reading<PolicySpec>,
    meta: &PolicyMeta,
    programmed: Option<i64>,
) -> Candidate<'a> {
    let spec = match spec {
        Reading::Known(spec) => Reading::Known(spec),
        Reading::Unknown => Reading::Unknown,
        Reading::Invalid => Reading::Invalid,
    };
    let is_programmed = programmed == Some(meta.generation);
    Candidate {
        policy,
        rank,
        spec,
        is_programmed,
        is_in_excess: false,
        is_rehearsed: false,
        created: meta.created,
    }
}
