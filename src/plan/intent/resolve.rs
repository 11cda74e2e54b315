//! Resolve: the intent of a Service from its own fields, policies, evacuations and time
//! (docs/planner.md 9).

use std::{collections::BTreeSet, sync::Arc};

use super::{Intent, Mechanism, Note, Ruling, Shadow, Source};
use crate::{
    model::{
        name::Name,
        policy::{DemandSource, Key, PolicySpec, Reading},
        service::{PolicyChoice, Service},
    },
    plan::{
        policy::request::{Request, Standing},
        precedence::{Candidate, Rank, Scope},
    },
};

/// What is preferred, and where that comes from.
type Preferred = (Vec<Key>, Source);

/// The intent of `service` where all of `scope` is known. Without policy and evacuation, nothing is
/// allocated.
pub fn resolve(service: &Service, scope: Scope<'_>) -> Intent {
    let own = Intent::of(service);
    if scope.is_empty() && service.policy.is_none() {
        return own;
    }
    if !scope.rules.are_known {
        return unknown(own.mechanism);
    }
    let mut notes = BTreeSet::new();
    let candidates = candidates(service, scope, &mut notes);
    let decides = candidates.iter().find(|candidate| !candidate.is_shadow());
    let evacuated = evacuated(service, scope, &mut notes);
    let shadow = candidates.first().filter(|candidate| candidate.is_shadow());
    let (keys, source) = decides.map_or_else(|| own_keys(service), |it| preferred(service, it));
    if let Some(decides) = decides {
        notes.extend(doubt(&decides.spec));
        // An opt-out that the Service's own field overrules is none.
        let is_opt_out = |spec: &PolicySpec| spec.prefer.as_deref() == Some(&[]);
        if source == Source::Nowhere && matches!(decides.spec, Reading::Known(it) if is_opt_out(it))
        {
            notes.insert(Note::OptedOut);
        }
        let is_equal = |it: &&Candidate<'_>| it.rank == decides.rank && !it.is_shadow();
        if candidates.iter().filter(is_equal).count() > 1 {
            notes.insert(Note::Conflicted);
        }
    }
    if decides.is_none() && shadow.is_none() && evacuated.is_empty() && notes.is_empty() {
        return own;
    }
    let is_deaf = is_deaf(service);
    let request =
        |keys: &[Key], candidate| request(keys, candidate, evacuated.clone()).filter(|_| !is_deaf);
    let mechanism = |keys: &[Key]| {
        if is_deaf || service.auto { own.mechanism } else { Mechanism::of(keys) }
    };
    let shadow = shadow.map(|candidate| {
        let (keys, source) = preferred(service, candidate);
        let ruling = Ruling {
            policy: Some(candidate.policy.clone()),
            request: request(&keys, Some(candidate)),
            source,
            shadow: None,
            notes: Vec::new(),
            keys,
        };
        let mechanism = mechanism(&ruling.keys);
        let intent = Box::new(Intent { mechanism, ruling: Some(Arc::new(ruling)) });
        Shadow { policy: candidate.policy.clone(), intent }
    });
    Intent {
        mechanism: mechanism(&keys),
        ruling: Some(Arc::new(Ruling {
            policy: decides.map(|candidate| candidate.policy.clone()),
            request: request(&keys, decides),
            keys,
            source,
            shadow,
            notes: notes.into_iter().collect(),
        })),
    }
}

/// The intent while not all policies and evacuations are known: one that is not known may be for the
/// Service, so hints stay as they are.
fn unknown(mechanism: Mechanism) -> Intent {
    let (keys, source) = keys_of(mechanism);
    let notes = vec![Note::PolicyUnknown];
    let ruling = Ruling { policy: None, keys, source, request: None, shadow: None, notes };
    Intent { mechanism, ruling: Some(Arc::new(ruling)) }
}

/// The policies for a Service, by precedence; none if the Service exempts itself.
fn candidates<'a>(
    service: &Service,
    scope: Scope<'a>,
    notes: &mut BTreeSet<Note>,
) -> Vec<Candidate<'a>> {
    if service.policy == Some(PolicyChoice::OptOut) {
        notes.insert(Note::OptedOut);
        return Vec::new();
    }
    let candidates = scope.candidates(service);
    let is_found = candidates.first().is_some_and(|first| first.rank == Rank::Annotation);
    if service.policy.is_some() && !is_found {
        notes.insert(Note::PolicyNotFound);
    }
    // The legacy annotation keeps upstream's meaning.
    if service.auto { Vec::new() } else { candidates }
}

/// The zones that are evacuated, sorted. Several evacuations join.
fn evacuated(service: &Service, scope: Scope<'_>, notes: &mut BTreeSet<Note>) -> Vec<Name> {
    let mut zones = BTreeSet::new();
    for evacuation in scope.evacuations(service) {
        match &evacuation.spec {
            Reading::Known(_)
                if scope.selects(service, evacuation.namespaces.as_ref()).is_none() =>
            {
                notes.insert(Note::PolicyUnknown);
            }
            Reading::Known(spec) => zones.extend(spec.zones.iter().cloned()),
            doubtful => notes.extend(doubt(doubtful)),
        }
    }
    zones.into_iter().collect()
}

fn doubt<T>(reading: &Reading<T>) -> Option<Note> {
    match reading {
        Reading::Known(_) => None,
        Reading::Unknown => Some(Note::PolicyUnknown),
        Reading::Invalid => Some(Note::PolicyInvalid),
    }
}

/// Whether hints cannot move the traffic of a Service, so that policies change nothing
/// (docs/planner.md 9).
pub fn is_deaf(service: &Service) -> bool {
    service.internal_local || service.is_headless() || !service.is_served()
}

/// What the Service itself prefers.
fn own_keys(service: &Service) -> Preferred {
    keys_of(Intent::of(service).mechanism)
}

/// The preference that the mechanism of a Service's own fields stands for.
fn keys_of(mechanism: Mechanism) -> Preferred {
    match mechanism {
        Mechanism::Auto => (vec![Key::Zone], Source::LegacyAnnotation),
        Mechanism::TrafficDistribution(preference) => (preference.keys(), Source::Field),
        Mechanism::Off => (Vec::new(), Source::Nowhere),
    }
}

/// What is preferred under a policy. The Service's own field comes first.
fn preferred(service: &Service, policy: &Candidate<'_>) -> Preferred {
    match (own_keys(service), &policy.spec) {
        ((_, Source::Nowhere), Reading::Known(PolicySpec { prefer: Some(keys), .. }))
            if !keys.is_empty() =>
        {
            (keys.clone(), Source::Policy)
        }
        (own, _) => own,
    }
}

/// What the hints must satisfy beyond what upstream's do; `None` if upstream's are what is requested.
fn request(keys: &[Key], policy: Option<&Candidate<'_>>, evacuated: Vec<Name>) -> Option<Request> {
    let spec = policy.and_then(|candidate| match candidate.spec {
        Reading::Known(spec) => Some(spec),
        Reading::Unknown | Reading::Invalid => None,
    });
    let node = keys.first() == Some(&Key::Node);
    let keys = &keys[usize::from(node)..];
    let guard = spec.and_then(|spec| spec.guard);
    let rollout = spec.and_then(|spec| spec.rollout.clone());
    let is_coarse = keys.iter().any(|key| *key != Key::Zone);
    let is_limited = guard.is_some() || rollout.is_some() || is_coarse;
    // Without a preference there is nothing to limit.
    if evacuated.is_empty() && (keys.is_empty() || !is_limited) {
        return None;
    }
    // A plan for this state of the policy has stood for long enough where there is no clock.
    // Nothing of what is only reported has ever been in force.
    let is_programmed = policy.is_some_and(|it| it.is_programmed && !it.is_shadow());
    Some(Request {
        node,
        keys: keys.to_vec(),
        guard,
        rollout,
        evacuated,
        demand: spec
            .filter(|_| policy.is_some_and(|candidate| !candidate.is_in_excess))
            .map_or(DemandSource::Equal, |spec| spec.demand.clone()),
        standing: if is_programmed { Standing::For(None) } else { Standing::New },
    })
}
