//! Policies: what a user should know about those of a Service, by name.

use super::listed;
use crate::{
    assess::reason::Reason,
    cluster::Index,
    model::{
        policy::{Evacuation, PolicyRef, Reading},
        service::{POLICY, PolicyChoice, Service},
    },
    plan::precedence::Fate,
};

/// What a reason that is about policies is about.
pub(super) fn detail(index: &Index, service: &Service, reason: Reason) -> Option<String> {
    let ruling = index.intent(&service.key)?.ruling.as_ref()?;
    let scope = index.scope(&service.key.namespace)?;
    match reason {
        Reason::OptedOut if service.policy == Some(PolicyChoice::OptOut) => {
            Some(format!("the annotation {POLICY} is none"))
        }
        Reason::OptedOut => Some(format!("{} prefers nothing", ruling.policy.as_ref()?)),
        Reason::PolicyNotFound => {
            let named = match service.policy.as_ref()? {
                PolicyChoice::OptOut => return None,
                PolicyChoice::Namespaced(name) => PolicyRef::Namespaced(name.clone()),
                PolicyChoice::Cluster(name) => PolicyRef::Cluster(name.clone()),
            };
            Some(format!("the annotation {POLICY} names {named}, which is not there"))
        }
        Reason::Conflicted => {
            let fates = scope.fates(service);
            let losers = fates.iter().filter(|(_, fate)| *fate == Fate::Conflicted);
            let losers = listed(losers.map(|(policy, _)| policy.to_string()));
            Some(format!("{} comes before {losers}", ruling.policy.as_ref()?))
        }
        Reason::Shadow => {
            let policy = &ruling.shadow.as_ref()?.policy;
            let policy = policy.in_full(&service.key.namespace);
            Some(format!("{policy} is in mode Shadow, so its hints are not written"))
        }
        Reason::PolicyInvalid => {
            let invalid = scope.candidates(service).into_iter();
            let invalid = invalid.filter(|it| it.spec == Reading::Invalid);
            Some(listed(invalid.map(|it| it.policy.to_string()))).filter(|it| !it.is_empty())
        }
        Reason::PolicyUnknown => {
            let unknown = scope.candidates(service).into_iter();
            let unknown = unknown.filter(|it| it.spec == Reading::Unknown);
            let unknown = unknown.map(|it| it.policy.to_string());
            let unknown = unknown.chain(scope.evacuations(service).into_iter().filter_map(|it| {
                let selects = scope.selects(service, it.namespaces.as_ref());
                let is_unknown = selects.is_none() || it.spec == Reading::Unknown;
                is_unknown.then(|| format!("ZoneEvacuation/{}", it.meta.name))
            }));
            let names = listed(unknown);
            let is_known = scope.rules.namespaces.get(&service.key.namespace).is_some();
            let cause = if is_known {
                "a newer version may know what is requested"
            } else {
                "the labels of the namespace are not known"
            };
            (!names.is_empty()).then(|| format!("{names}: {cause}"))
        }
        _ => None,
    }
}

/// The evacuations that are for a Service, each with its zones and its end.
pub fn evacuations(index: &Index, service: &Service) -> impl Iterator<Item = String> {
    let scope = index.scope(&service.key.namespace);
    let all = scope.map(|scope| scope.evacuations(service)).unwrap_or_default();
    all.into_iter().filter_map(|it| {
        let Reading::Known(Evacuation { zones, until, .. }) = &it.spec else { return None };
        let zones = listed(zones.iter().map(ToString::to_string));
        Some(format!("ZoneEvacuation {} ({zones} until {until})", it.meta.name))
    })
}
