//! Status: what becomes of a policy or an evacuation, as its status shows it (docs/planner.md 9). It is
//! put together from the decisions on the Services that it selects, when it is about to be written.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{hindrance::listed, numbers::Numbers};
use crate::{
    api::crd::status::{
        Condition, ConditionStatus, LocalityPolicyStatus, MAX_ITEMS, MAX_REASONS, ServiceCounts,
        ServiceStatus, ZoneEvacuationStatus,
    },
    assess::{
        decision::Decision,
        reason::{Reason, State},
    },
    cluster::Index,
    model::{
        name::{Name, ServiceKey},
        policy::{Evacuation, PolicyRef, Reading, RequestKey, ZoneEvacuation},
        service::Service,
    },
    plan::{intent::is_deaf, policy::outcome::PLACEHOLDER, precedence::Fate},
};

/// The reason of the condition `Complete` if hints cannot move all traffic.
pub const HINTS_CANNOT_MOVE: &str = "HintsCannotMove";

/// What the running controller knows of a Service.
#[derive(Clone, Debug)]
pub struct Known {
    /// What becomes of its preference.
    pub decision: Decision,
    /// Whether its slices are as the policies request, or need not be.
    pub is_programmed: bool,
}

/// Where a status gets what it reports.
pub struct Sources<'s> {
    /// All that is known of the cluster.
    pub index: &'s Index,
    /// What is known of a Service; `None` if it has not been planned yet.
    pub known: &'s dyn Fn(&ServiceKey) -> Option<Known>,
    /// Its numbers, which take a plan.
    pub numbers: &'s dyn Fn(&ServiceKey) -> Numbers,
    /// The time of conditions that change.
    pub now: Timestamp,
}

/// A Service that a policy selects and decides for.
struct Selected {
    service: ServiceKey,
    /// `None` before its first plan.
    known: Option<Known>,
}

impl Selected {
    fn state(&self) -> Option<State> {
        self.known.as_ref().map(|known| known.decision.state)
    }
}

/// The status of a policy; `None` if there is no such policy.
pub fn of_policy(sources: &Sources<'_>, key: &RequestKey) -> Option<LocalityPolicyStatus> {
    let rules = sources.index.rules();
    let (generation, reading, policy, namespace) = match key {
        RequestKey::Policy { namespace, name } => {
            let policy = sources.index.policy(namespace, name)?;
            let of = PolicyRef::Namespaced(name.clone());
            (policy.meta.generation, doubt(&policy.spec), of, Some(namespace))
        }
        RequestKey::ClusterPolicy(name) => {
            let policy = rules.policies.get(name)?;
            (policy.meta.generation, doubt(&policy.spec), PolicyRef::Cluster(name.clone()), None)
        }
        RequestKey::Evacuation(_) => return None,
    };
    let (selected, conflicted) = selected(sources, &policy, namespace);
    let at = |state| selected.iter().filter(|it| it.state() == Some(state)).count();
    let services = ServiceCounts {
        selected: whole(selected.len()),
        applied: whole(at(State::Applied)),
        partial: whole(at(State::Partial)),
        shadow: whole(at(State::Shadow)),
        ineffective: whole(at(State::Ineffective)),
        empty: whole(at(State::Empty)),
        conflicted: whole(conflicted),
    };
    let conditions = Conditions { generation, now: sources.now };
    let conditions = vec![
        conditions.accepted(reading, rules.excess.contains(key)),
        conditions.programmed(reading, &selected),
        conditions.effective(&selected),
    ];
    let items = items(sources, selected);
    let observed_generation = Some(generation);
    Some(LocalityPolicyStatus { observed_generation, conditions, services, items })
}

/// The status of an evacuation; `None` if there is no such evacuation.
pub fn of_evacuation(sources: &Sources<'_>, name: &Name) -> Option<ZoneEvacuationStatus> {
    let evacuation = sources.index.rules().evacuations.get(name)?;
    let generation = evacuation.meta.generation;
    let conditions = Conditions { generation, now: sources.now };
    let is_over = evacuation.is_over(sources.now);
    let Reading::Known(spec) = &evacuation.spec else {
        let reason = doubt(&evacuation.spec).unwrap_or(Reason::PolicyInvalid);
        let why =
            |name| conditions.unlike(name, ConditionStatus::Unknown, reason, doubtful(reason));
        return Some(ZoneEvacuationStatus {
            observed_generation: Some(generation),
            conditions: vec![why("Active"), why("Complete")],
            ..ZoneEvacuationStatus::default()
        });
    };
    let mut found = Evacuated::default();
    if !is_over {
        for service in evacuated_services(sources.index, evacuation) {
            found.add(sources, service, spec);
        }
    }
    Some(ZoneEvacuationStatus {
        observed_generation: Some(generation),
        conditions: vec![conditions.active(spec, is_over), conditions.complete(&found, is_over)],
        services: whole(found.services),
        endpoints: whole(found.endpoints),
    })
}

/// Why nothing is known of a spec.
fn doubt<T>(spec: &Reading<T>) -> Option<Reason> {
    match spec {
        Reading::Known(_) => None,
        Reading::Unknown => Some(Reason::PolicyUnknown),
        Reading::Invalid => Some(Reason::PolicyInvalid),
    }
}

fn doubtful(reason: Reason) -> String {
    match reason {
        Reason::PolicyUnknown => format!(
            "the spec has a field or a value that closehaul {} does not know: upgrade closehaul, or \
             correct it",
            env!("CARGO_PKG_VERSION")
        ),
        _ => "the spec has a value that is not allowed: closehaul's log names the field".to_owned(),
    }
}

/// The Services that a policy decides for, and how many others a policy of the same rank decides for.
fn selected(
    sources: &Sources<'_>,
    policy: &PolicyRef,
    namespace: Option<&Name>,
) -> (Vec<Selected>, usize) {
    let mut selected = Vec::new();
    let mut conflicted = 0;
    let mut look = |service: &Service| {
        let Some(scope) = sources.index.scope(&service.key.namespace) else { return };
        match scope.fates(service).into_iter().find(|(of, _)| of == policy) {
            Some((_, Fate::Wins)) => {
                let known = (sources.known)(&service.key);
                selected.push(Selected { service: service.key.clone(), known });
            }
            Some((_, Fate::Conflicted)) => conflicted += 1,
            _ => {}
        }
    };
    match namespace {
        Some(namespace) => sources.index.services_in(namespace).for_each(&mut look),
        None => sources.index.services().for_each(&mut look),
    }
    (selected, conflicted)
}

/// The Services that an evacuation selects.
pub(super) fn evacuated_services<'a>(
    index: &'a Index,
    evacuation: &'a ZoneEvacuation,
) -> impl Iterator<Item = &'a Service> {
    index.services().filter(|service| {
        let scope = index.scope(&service.key.namespace);
        let selects = scope.and_then(|it| it.selects(service, evacuation.namespaces.as_ref()));
        selects == Some(true) && evacuation.services.selects(service)
    })
}

/// The worst Services, with their numbers.
fn items(sources: &Sources<'_>, mut selected: Vec<Selected>) -> Vec<ServiceStatus> {
    selected.retain(|it| it.known.is_some());
    selected.sort_unstable_by(|one, other| {
        (one.state(), &one.service).cmp(&(other.state(), &other.service))
    });
    selected.truncate(MAX_ITEMS);
    let item = |Selected { service, known }: Selected| {
        let decision = known?.decision;
        let Numbers { in_zone, overload } = (sources.numbers)(&service);
        let reasons = decision.reasons.iter().take(MAX_REASONS).map(ToString::to_string);
        let status = ServiceStatus {
            namespace: service.namespace.to_string(),
            name: service.name.to_string(),
            state: decision.state.to_string(),
            reasons: reasons.collect(),
            in_zone_share: in_zone.map(percent),
            overload: overload.map(percent),
        };
        Some((decision.state, status))
    };
    let mut items: Vec<_> = selected.into_iter().filter_map(item).collect();
    items.sort_by_key(|(state, status)| (*state, status.in_zone_share));
    items.into_iter().map(|(_, status)| status).collect()
}

/// A part in whole percent.
pub fn percent(part: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let percent = (part * 100.0).round().clamp(0.0, f64::from(u32::MAX)) as u32;
    percent
}

fn whole(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What becomes of the Services that an evacuation selects.
#[derive(Default)]
struct Evacuated {
    /// Services with endpoints in the zones.
    services: usize,
    /// Endpoints that bear the placeholder.
    endpoints: usize,
    /// Services that are still to be written.
    pending: usize,
    /// Services that hints cannot move, each with the reason.
    stuck: Vec<String>,
    /// Why hints of one of them would not stay, in slices of another controller.
    beyond_reach: Option<Reason>,
}

impl Evacuated {
    fn add(&mut self, sources: &Sources<'_>, service: &Service, spec: &Evacuation) {
        let index = sources.index;
        let is_in = |node: Option<&Name>| {
            let zone = node.and_then(|node| index.nodes().get(node)?.zone.as_ref());
            zone.is_some_and(|zone| spec.zones.contains(zone))
        };
        if !index.pods_of(&service.key).iter().any(|pod| is_in(pod.node.as_ref())) {
            return;
        }
        self.services += 1;
        let known = (sources.known)(&service.key);
        let reasons = known.as_ref().map_or(&[][..], |known| &known.decision.reasons);
        let is_stuck = |reason: &&Reason| {
            matches!(reason, Reason::TooManyZones | Reason::WriteRefused)
                || is_beyond_reach(**reason)
        };
        let cause = deafness(service).or_else(|| reasons.iter().find(is_stuck).copied());
        if let Some(cause) = cause {
            self.beyond_reach =
                self.beyond_reach.or_else(|| Some(cause).filter(|it| is_beyond_reach(*it)));
            self.stuck.push(format!("{} ({cause})", service.key));
        } else if known.is_none_or(|known| !known.is_programmed) {
            self.pending += 1;
        }
        let slices = index.slices_of(&service.key);
        let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter());
        let hints = endpoints.filter_map(|endpoint| endpoint.hints.as_ref());
        let has = |zones: &[Name]| zones.iter().any(|zone| &**zone == PLACEHOLDER);
        self.endpoints += hints.filter(|hints| has(&hints.zones)).count();
    }
}

/// Whether hints would not stay, because another controller writes the slices.
fn is_beyond_reach(reason: Reason) -> bool {
    matches!(reason, Reason::OverwrittenByOtherController | Reason::OutsideAdmission)
}

/// Whether the condition `Complete` has this reason because hints cannot move all traffic.
pub(super) fn is_incomplete(reason: &str) -> bool {
    let beyond_reach = Reason::ALL.iter().filter(|reason| is_beyond_reach(**reason));
    let mut reasons = beyond_reach.map(ToString::to_string);
    reason == HINTS_CANNOT_MOVE || reasons.any(|other| other == reason)
}

/// Why hints cannot move the traffic of a Service, if they cannot.
pub(super) fn deafness(service: &Service) -> Option<Reason> {
    is_deaf(service).then(|| {
        if service.internal_local {
            Reason::TrafficPolicyLocal
        } else if service.external_name {
            Reason::ExternalName
        } else if service.selector.is_none() {
            Reason::NoSelector
        } else {
            Reason::Headless
        }
    })
}

/// Conditions of one generation.
#[derive(Clone, Copy)]
struct Conditions {
    generation: i64,
    now: Timestamp,
}

impl Conditions {
    fn condition(
        self,
        name: &str,
        status: ConditionStatus,
        reason: &str,
        message: String,
    ) -> Condition {
        Condition {
            type_: name.to_owned(),
            status,
            observed_generation: Some(self.generation),
            last_transition_time: Time(self.now),
            reason: reason.to_owned(),
            message,
        }
    }

    fn holds(self, name: &str, message: String) -> Condition {
        self.condition(name, ConditionStatus::True, name, message)
    }

    fn unlike(
        self,
        name: &str,
        status: ConditionStatus,
        reason: Reason,
        message: String,
    ) -> Condition {
        self.condition(name, status, &reason.to_string(), message)
    }

    fn accepted(self, doubt: Option<Reason>, is_in_excess: bool) -> Condition {
        match doubt {
            None if is_in_excess => {
                let message = "at most 10 policies of a namespace and 100 of the cluster may have a \
                    clientSelector. This one is beyond that, so each zone is assumed to send the same";
                let message = message.to_owned();
                self.condition(
                    "Accepted",
                    ConditionStatus::False,
                    "TooManyClientSelectors",
                    message,
                )
            }
            None => self.holds("Accepted", String::new()),
            Some(why) => self.unlike("Accepted", ConditionStatus::False, why, doubtful(why)),
        }
    }

    fn programmed(self, doubt: Option<Reason>, selected: &[Selected]) -> Condition {
        if let Some(why) = doubt {
            return self.unlike("Programmed", ConditionStatus::False, why, doubtful(why));
        }
        let is_pending =
            |it: &&Selected| it.known.as_ref().is_none_or(|known| !known.is_programmed);
        match selected.iter().filter(is_pending).count() {
            0 => self.holds("Programmed", String::new()),
            pending => {
                let message =
                    format!("{pending} of {} Services are not written yet", selected.len());
                self.condition("Programmed", ConditionStatus::False, "Pending", message)
            }
        }
    }

    fn effective(self, selected: &[Selected]) -> Condition {
        let mut ineffective: Vec<_> =
            selected.iter().filter(|it| it.state() == Some(State::Ineffective)).collect();
        ineffective.sort_unstable_by(|one, other| one.service.cmp(&other.service));
        let reason = |it: &&Selected| it.known.as_ref().map(|known| known.decision.reason());
        let Some(first) = ineffective.first().and_then(reason) else {
            return self.holds("Effective", String::new());
        };
        let named = ineffective.iter().map(|it| {
            let reason = reason(it).map_or_else(String::new, |reason| reason.to_string());
            format!("{} ({reason})", it.service)
        });
        let message = format!("some readers do not follow the hints of {}", listed(named));
        self.unlike("Effective", ConditionStatus::False, first, message)
    }

    fn active(self, spec: &Evacuation, is_over: bool) -> Condition {
        if is_over {
            let message = format!("it ended at {}", spec.until);
            return self.condition("Active", ConditionStatus::False, "Ended", message);
        }
        self.holds("Active", format!("it ends at {}", spec.until))
    }

    fn complete(self, found: &Evacuated, is_over: bool) -> Condition {
        let Evacuated { pending, stuck, .. } = found;
        let (reason, message) = if is_over {
            ("Ended", "traffic may go to the zones again".to_owned())
        } else if !stuck.is_empty() {
            let stuck = listed(stuck.iter().cloned());
            let message = format!("hints cannot move the traffic of {stuck}");
            if let Some(reason) = found.beyond_reach {
                return self.unlike("Complete", ConditionStatus::False, reason, message);
            }
            (HINTS_CANNOT_MOVE, message)
        } else if *pending > 0 {
            ("Pending", format!("{pending} of {} Services are not written yet", found.services))
        } else {
            return self.holds("Complete", String::new());
        };
        self.condition("Complete", ConditionStatus::False, reason, message)
    }
}
