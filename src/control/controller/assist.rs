//! Assist: what differs where another controller writes the slices, and only hints are patched into them
//! (docs/assist.md). Whatever is planned is compared with what is stored. Nothing is patched where the
//! other controller would win: without the admission policy, in slices that the policy does not see, and
//! after hints were overwritten again and again.

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Class, Controller, Mode};
use crate::{
    admission::{mark, names::MOST_ENDPOINTS},
    assess::reason::Reason,
    control::{
        admission::Admission,
        overwrites::{Hinted, Overwrites},
    },
    model::{
        name::ServiceKey,
        service::Service,
        slice::{Endpoint, Slice},
    },
    plan::{Circumstances, Plan, changes::Changes, intent::Intent, policy::outcome::PLACEHOLDER},
    report::hindrance::Hindrance,
};

/// The namespace whose Services are left alone without `--assist-kube-system`.
const KUBE_SYSTEM: &str = "kube-system";

/// What is known besides the cluster.
#[derive(Debug, Default)]
pub(super) struct Assist {
    admission: Admission,
    pub(super) overwrites: Overwrites,
}

impl Controller {
    /// Whether another controller writes the slices, and hints are patched into them.
    pub fn is_assisting(&self) -> bool {
        self.settings.mode.is_assist()
    }

    /// Whether it is known that patches are kept, or that they are not.
    pub(super) fn knows_admission(&self) -> bool {
        !self.is_assisting() || self.assist.admission != Admission::Unknown
    }

    /// Records what is known of the admission policy now.
    pub fn found_admission(&mut self, found: Admission, now: Instant) {
        match &found {
            Admission::Unknown => {}
            Admission::InForce => {
                info!("the admission policy is in force, so hints are patched in");
            }
            Admission::Absent(why) => warn!(
                %why, advice = why.advice(),
                "the admission policy is not in force, so nothing is patched: the controller that writes \
                 the slices would overwrite it"
            ),
        }
        let absence = match &found {
            Admission::Absent(why) => Some(format!("{why}; {}", why.advice())),
            Admission::Unknown | Admission::InForce => None,
        };
        self.reporter.tally.admission_absent(absence.is_some());
        self.reporter.health.outside_admission(absence.as_deref());
        self.assist.admission = found;
        let services = self.index.services().filter(|service| self.is_concerned(service));
        let mut services: Vec<ServiceKey> = services.map(|service| service.key.clone()).collect();
        services.sort_unstable();
        for key in services {
            self.enqueue(key, Class::Hints, now);
        }
    }

    /// Whether something is patched into the slices of a Service, or would be.
    fn is_concerned(&self, service: &Service) -> bool {
        self.index.intent(&service.key).is_some_and(|intent| intent.is_beyond(service))
    }

    /// What is particular about a Service that is planned now.
    pub(super) fn stance(&mut self, key: &ServiceKey, now: Instant) -> Stance {
        if !self.is_assisting() {
            return Stance::default();
        }
        let is_beyond = self.index.service(key).is_some_and(|service| self.is_concerned(service));
        if !is_beyond {
            self.assist.overwrites.forget(key);
            let manner = Manner::InPlace { is_closed: false };
            return Stance { manner, ..Stance::default() };
        }
        let has_given_up = self.look_for_overwrites(key, now);
        let overwrites = &self.assist.overwrites;
        Stance {
            manner: Manner::InPlace { is_closed: self.is_closed(key) },
            outside: self.outside(key),
            has_given_up,
            is_overwritten: overwrites.has_given_up(key),
            closed_until: overwrites.closed_until(key, now),
            is_at_once: self.has_new_slice(key),
        }
    }

    /// The plan of a Service as far as it is carried out, for numbers.
    pub(super) fn plan_for_numbers(
        &self,
        key: &ServiceKey,
        circumstances: Circumstances,
    ) -> Option<Plan<'_>> {
        let settings = self.settings.plan;
        if !self.is_assisting() {
            return self.index.plan(key, None, settings, circumstances);
        }
        let is_left = self.outside(key).is_some() || self.assist.overwrites.has_given_up(key);
        let own = self.index.service(key).filter(|_| is_left).map(Intent::of);
        self.index.plan_in_place(key, own.as_ref(), settings, circumstances, mark::is_marked)
    }

    /// Whether a Service is left alone, whatever policies request.
    fn is_closed(&self, service: &ServiceKey) -> bool {
        let is_opted_in = self.settings.mode == Mode::Assist { kube_system: true };
        !is_opted_in && &*service.namespace == KUBE_SYSTEM
    }

    /// Why no hints are patched into the slices of a Service, if they are not.
    fn outside(&self, key: &ServiceKey) -> Option<Hindrance> {
        let is_large = |slice: &&&Slice| slice.endpoints.len() > MOST_ENDPOINTS;
        let slices = self.index.slices_of(key);
        let detail = if self.is_closed(key) {
            "Services of kube-system are left alone without --assist-kube-system".to_owned()
        } else if let Admission::Absent(why) = &self.assist.admission {
            format!("{why}: {}", why.advice())
        } else if let Some(slice) = slices.iter().find(is_large) {
            let name = slice.meta.name.as_deref().unwrap_or_default();
            let endpoints = slice.endpoints.len();
            format!(
                "EndpointSlice {name} has {endpoints} endpoints, and the admission policy acts on at \
                 most {MOST_ENDPOINTS}"
            )
        } else {
            return None;
        };
        Some(Hindrance { reason: Reason::OutsideAdmission, detail })
    }

    /// Compares the slices of a Service with what was last patched into them. Returns whether closehaul
    /// gives up now.
    fn look_for_overwrites(&mut self, key: &ServiceKey, now: Instant) -> bool {
        let Some(progress) = self.progress.get_mut(key) else { return false };
        if !progress.hinted.differ_from(&self.index.slices_of(key)) {
            return false;
        }
        progress.hinted = Hinted::default();
        let Some(written) = progress.hinted_at.take() else { return false };
        debug!(service = %key, "hints were overwritten");
        self.assist.overwrites.lost(key, written, now).is_some()
    }

    /// Whether a Service has a slice that is new since its others were patched.
    fn has_new_slice(&self, key: &ServiceKey) -> bool {
        let slices = self.index.slices_of(key);
        let was_marked = self.progress.get(key).is_some_and(|it| !it.hinted.is_empty());
        let is_marked = |slice: &&Slice| mark::is_marked(slice);
        (was_marked || slices.iter().any(is_marked)) && !slices.iter().all(is_marked)
    }

    /// All patches of a Service have succeeded, or some have not.
    pub(super) fn patched(&mut self, key: &ServiceKey, have_succeeded: bool, now: Instant) {
        let Some(progress) = self.progress.get_mut(key) else { return };
        let sent = std::mem::take(&mut progress.sent);
        if sent.is_empty() {
            return;
        }
        if have_succeeded {
            progress.hinted.append(sent);
            progress.hinted_at = Some(now);
            self.assist.overwrites.wrote(key, now);
        } else {
            // What is stored is not known now.
            progress.hinted = Hinted::default();
        }
    }

    /// Forgets that hints were overwritten where they stand now.
    pub(super) fn forget_overwrites(&mut self, now: Instant) {
        if !self.is_assisting() {
            return;
        }
        for service in self.assist.overwrites.tick(now) {
            info!(%service, "hints are not overwritten any more");
            // Nothing needs to be written, but its decision changes.
            self.enqueue(service, Class::Hints, now);
        }
        let is_evacuated =
            |key: &&ServiceKey| self.index.intent(key).is_some_and(Intent::is_evacuated);
        let all = self.assist.overwrites.given_up().count();
        let evacuated = self.assist.overwrites.given_up().filter(is_evacuated).count();
        self.reporter.tally.given_up(all, evacuated);
    }
}

/// How the slices of a Service are planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    /// As they should be.
    #[default]
    Whole,
    /// Their hints alone.
    InPlace {
        /// Whether by the Service's own fields, whatever policies request.
        is_closed: bool,
    },
}

/// What is particular about a Service in assist mode.
#[derive(Clone, Debug, Default)]
pub(super) struct Stance {
    pub(super) manner: Manner,
    /// Why nothing is patched into its slices, if that is because of the admission policy.
    pub(super) outside: Option<Hindrance>,
    /// Whether closehaul gives up on it now.
    pub(super) has_given_up: bool,
    /// Whether it has given up on it, and not been found to be wrong.
    is_overwritten: bool,
    /// Nothing is patched before this.
    pub(super) closed_until: Option<Instant>,
    /// Whether its patches do not wait for their turn.
    is_at_once: bool,
}

impl Stance {
    /// Whether hints are patched, and nothing else is written.
    pub(super) fn is_in_place(&self) -> bool {
        self.manner != Manner::Whole
    }

    /// Whether nothing may be written now. What takes hints back may always be: the other controller
    /// wants the same.
    pub(super) fn is_barred(&self) -> bool {
        let takes_back = self.manner == Manner::InPlace { is_closed: true };
        !takes_back && (self.outside.is_some() || self.closed_until.is_some())
    }

    /// The class in which it is planned again because of time alone.
    pub(super) fn class(&self) -> Class {
        if self.is_in_place() { Class::Endpoints } else { Class::Hints }
    }

    /// The reason why hints are not in force, if something particular is.
    pub(super) fn reason(&self) -> Option<Reason> {
        let outside = self.outside.as_ref().map(|outside| outside.reason);
        outside.or_else(|| self.is_overwritten.then_some(Reason::OverwrittenByOtherController))
    }

    /// The class in which a plan that changes only hints waits for its turn; `None` if it does not wait.
    pub(super) fn waits_in(&self, plan: &Plan<'_>, is_urgent: bool) -> Option<Class> {
        if !self.is_in_place() {
            return (!is_urgent).then_some(Class::Hints);
        }
        let waits = !self.is_at_once && !self.is_barred();
        waits.then(|| class_of(plan.families.iter().map(|family| &family.changes)))
    }
}

/// In which class patches wait for their turn: those that bring traffic into an evacuated zone, or keep
/// it out, come first.
fn class_of<'c>(writes: impl Iterator<Item = &'c Changes>) -> Class {
    let of_slice = |old: &Slice, new: &Slice| {
        let mut pairs = old.endpoints.iter().zip(new.endpoints.iter());
        pairs.any(|(old, new)| is_drained(old) != is_drained(new))
    };
    let mut pairs = writes.flat_map(|it| it.replaced.iter().zip(&it.updates));
    if pairs.any(|(old, new)| of_slice(old, new)) { Class::Evacuation } else { Class::Hints }
}

/// Whether an endpoint has the placeholder, so that no traffic goes there.
fn is_drained(endpoint: &Endpoint) -> bool {
    let hints = endpoint.hints.as_ref();
    hints.is_some_and(|hints| hints.zones.iter().any(|zone| &**zone == PLACEHOLDER))
}
