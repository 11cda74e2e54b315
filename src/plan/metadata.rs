//! Metadata: the labels, names, owners and annotations of a slice (docs/semantics.md 4.5).

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    labels::Labels,
    name::Name,
    service::Service,
    slice::{CONTROLLER, HEADLESS, MANAGED_BY, Owner, SERVICE_NAME, SliceMeta, TRIGGER_TIME},
};

/// The labels that a slice of `service` needs.
pub fn labels(service: &Service) -> Labels {
    let reserved = reserved(service).map(|(key, value)| (key.into(), value.into()));
    copied(&service.labels).cloned().chain(reserved).collect()
}

/// The same for a slice that has these labels now. Mostly they are right, and their storage is shared.
pub fn labels_in_place_of(now: &Labels, service: &Service) -> Labels {
    let is_right = !are_labels_stale(now, &service.labels)
        && [SERVICE_NAME, MANAGED_BY, HEADLESS].iter().all(|key| {
            let needed = reserved(service).find(|(reserved, _)| reserved == key);
            now.get(key).map(AsRef::as_ref) == needed.map(|(_, value)| value)
        });
    if is_right { now.clone() } else { labels(service) }
}

/// The reserved labels that a slice of `service` needs.
fn reserved(service: &Service) -> impl Iterator<Item = (&str, &str)> {
    let own = [(SERVICE_NAME, &*service.key.name), (MANAGED_BY, CONTROLLER)];
    let headless = service.is_headless().then_some((HEADLESS, ""));
    own.into_iter().chain(headless)
}

/// Whether a slice's labels differ from its Service's, apart from the reserved ones. A wrong
/// reserved label alone is no reason to write.
pub fn are_labels_stale(slice: &Labels, service: &Labels) -> bool {
    !copied(slice).eq(copied(service))
}

/// The labels that a Service passes on to its slices.
fn copied(labels: &Labels) -> impl Iterator<Item = &(Name, Name)> {
    labels.iter().filter(|(key, _)| ![SERVICE_NAME, MANAGED_BY, HEADLESS].contains(&&**key))
}

/// The metadata of a slice that does not exist yet.
pub fn fresh(service: &Service) -> SliceMeta {
    let owner = service.uid.clone().map(|uid| Owner {
        api_version: "v1".into(),
        kind: "Service".into(),
        name: service.key.name.clone(),
        uid,
        controller: Some(true),
        block_owner_deletion: Some(true),
    });
    SliceMeta {
        namespace: service.key.namespace.clone(),
        name: None,
        generate_name: Some(generate_name(&service.key.name)),
        uid: None,
        version: 0,
        labels: labels(service),
        annotations: Labels::default(),
        owners: owner.into_iter().collect(),
        finalizers: Arc::from([]),
        terminating: false,
    }
}

/// `<service>-`, from which the API server generates a name.
fn generate_name(service: &str) -> Name {
    let prefix = format!("{service}-");
    // A prefix must be part of a DNS subdomain, so a longer one goes without its hyphen.
    if prefix.len() <= 253 { prefix.into() } else { service.into() }
}

/// The annotations of a slice that is written now: with the trigger time, or without any.
pub fn with_trigger_time(annotations: &Labels, time: Option<Timestamp>) -> Labels {
    annotations.with(TRIGGER_TIME, time.map(go_time).as_deref())
}

/// A time as Go's `RFC3339Nano` prints it: UTC, no trailing zeros in the fraction.
fn go_time(time: Timestamp) -> String {
    // jiff prints the same: `2026-01-02T03:04:05.12Z`, no fraction where there is none.
    time.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    #[test]
    fn right_labels_stay_and_others_are_replaced() {
        let pair = |(key, value): (&str, &str)| (key.into(), value.into());
        let own: Labels = [("app", "web"), (HEADLESS, "its own")].map(pair).into_iter().collect();
        let service = Service { labels: own, ..samples::service() };
        let right = labels(&service);
        let kept = labels_in_place_of(&right, &service);
        assert!(std::ptr::eq(kept.iter().as_slice(), right.iter().as_slice()), "shared");
        for (key, value) in [
            ("app", Some("other")),
            ("app", None),
            ("more", Some("")),
            (SERVICE_NAME, Some("other")),
            (SERVICE_NAME, None),
            (MANAGED_BY, Some("other")),
            (HEADLESS, Some("")),
        ] {
            let wrong = right.with(key, value);
            assert_eq!(labels_in_place_of(&wrong, &service), right, "{key} {value:?}");
        }
    }

    #[test]
    fn times_print_as_go_prints_them() {
        for text in
            ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.12Z", "2026-01-02T03:04:05.000000001Z"]
        {
            assert_eq!(go_time(text.parse().unwrap()), text);
        }
    }
}
