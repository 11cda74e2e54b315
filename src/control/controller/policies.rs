//! Policies: what the controller does about kinds that it can do without (docs/planner.md 8.8, 9).
//! Until all policies and evacuations are known, endpoints are written and hints stay as they are.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::Controller;
use crate::{
    clock::Now,
    cluster::{Index, Need, SAMPLED, Tracked, Watched},
    control::{progress::Programmed, queue::Class},
    model::{name::ServiceKey, policy::ZoneEvacuation},
};

/// How long the first sync waits for optional kinds.
const FIRST_SYNC: Duration = Duration::from_secs(5);

/// What is known about policies as a whole.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// Until when the first sync waits for them.
    waits_until: Option<Instant>,
    /// Whether namespaces are needed.
    are_namespaces_needed: bool,
    /// Whether that has been fetched.
    is_fetched: bool,
    /// When demand was last sampled.
    sampled: Option<Instant>,
}

impl Policies {
    /// All that is required is known.
    pub(super) fn wait(&mut self, now: Instant) {
        self.waits_until = Some(now + FIRST_SYNC);
    }

    /// A policy has changed. Namespaces stay needed once they are.
    pub(super) fn need_namespaces(&mut self, index: &Index) {
        self.are_namespaces_needed = self.are_namespaces_needed || index.reads_namespaces();
    }
}

impl Controller {
    /// Whether namespaces must be watched from now on. Returns it once.
    pub fn needs_namespaces(&mut self) -> bool {
        let Policies { are_namespaces_needed, is_fetched, .. } = &mut self.policies;
        *are_namespaces_needed && !std::mem::replace(is_fetched, *are_namespaces_needed)
    }

    /// Until when the first sync waits for policies.
    pub(super) fn waits_for_policies(&self) -> Option<Instant> {
        let is_waiting = self.settings.policies && !self.lists.are_optional_known;
        self.policies.waits_until.filter(|_| is_waiting)
    }

    /// Whether the first sync has waited for policies as long as it may.
    pub(super) fn is_time(&self, now: Instant) -> bool {
        self.waits_for_policies().is_none_or(|until| until <= now)
    }

    /// The API server does not have a kind.
    pub(super) fn absent<T: Tracked>(&mut self, now: Instant) {
        let kind = Watched::of::<T>();
        info!(%kind, "the API server does not have this kind");
        self.index.begin_list::<T>();
        for key in self.index.not_named::<T>() {
            self.gone::<T>(key, None, now);
        }
        self.know(kind, now);
    }

    /// One more kind of policies is known.
    pub(super) fn know_policies(&mut self, now: Instant) {
        if self.lists.are_optional_known {
            let affected = self.index.set_policies_known(true);
            self.hints_changed(affected, now);
        }
    }

    /// The hints of these Services are decided differently.
    pub(super) fn hints_changed(&mut self, services: Vec<ServiceKey>, now: Instant) {
        for key in services {
            self.mark_affected(&key);
            if let Some(progress) = self.progress.get_mut(&key) {
                progress.programmed = Programmed::No;
            }
            self.enqueue(key, Class::Hints, now);
        }
    }

    /// An evacuation begins, changes or ends for these Services. Their hints are written as soon as
    /// endpoints.
    pub(super) fn evacuation_changed(&mut self, services: Vec<ServiceKey>, now: Instant) {
        for key in services {
            self.reporter.tally.affected(&key, None, Class::Endpoints, now);
            self.mark_affected(&key);
            if let Some(progress) = self.progress.get_mut(&key) {
                progress.is_urgent = true;
                progress.programmed = Programmed::No;
            }
            self.enqueue(key, Class::Endpoints, now);
        }
    }

    /// Samples what zones send, if it is time to.
    pub(super) fn sample_demand(&mut self, now: Instant) {
        let is_due = |last: Instant| now.saturating_duration_since(last) >= SAMPLED;
        if self.policies.sampled.is_none_or(is_due) {
            self.policies.sampled = Some(now);
            let moved = self.index.sample_demand(now);
            self.hints_changed(moved, now);
        }
    }

    /// Publishes what is known about policies as a whole.
    pub(super) fn publish_policies(&self, at: Now) {
        let rules = self.index.rules();
        let is_in_force = |it: &&ZoneEvacuation| !rules.are_rehearsed && it.is_in_force(at.wall);
        let active = rules.evacuations.values().filter(is_in_force).count();
        let is_needed = |kind: Watched| match kind.need() {
            Need::Required => false,
            Need::Optional => self.settings.policies,
            Need::OnDemand => self.policies.are_namespaces_needed,
        };
        let unknown = Watched::ALL.iter().filter(|kind| kind.need() != Need::Required);
        let unknown =
            unknown.map(|kind| (*kind, is_needed(*kind) && !self.lists.complete.contains(kind)));
        self.reporter.tally.policies(active, unknown);
    }

    /// Ends the evacuations whose time has come.
    pub(super) fn end_evacuations(&mut self, now: Now) {
        let services = self.index.set_time(now.wall);
        if !services.is_empty() {
            self.statuses_changed(&"".into(), now.monotonic);
        }
        self.evacuation_changed(services, now.monotonic);
    }
}
