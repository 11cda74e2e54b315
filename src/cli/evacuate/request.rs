//! Request: the object that is created.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube::core::ObjectMeta;

use crate::{
    api::{
        Object,
        crd::{
            definition::{CREATED_BY, ZONE},
            evacuation::{ZoneEvacuation, ZoneEvacuationSpec},
            label::{LabelSelector, LabelValue, Zone},
            spec::ServiceFilter,
        },
    },
    model::policy,
};

/// The label that every namespace has, with its name.
pub(super) const NAMESPACE: &str = "kubernetes.io/metadata.name";
/// The longest prefix of a generated name that the API server does not shorten.
const PREFIX: usize = 248;

/// What is requested.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The zone.
    pub(super) zone: String,
    /// The only namespace whose Services are moved.
    pub(super) namespace: Option<String>,
    /// The labels of the Services.
    pub(super) selector: Option<LabelSelector>,
    /// Why.
    pub(super) reason: Option<String>,
    /// For how long.
    pub(super) lasts: Duration,
}

impl Request {
    /// The object, if it is created at this time by this user.
    pub(super) fn object(&self, now: Timestamp, user: Option<&str>) -> ZoneEvacuation {
        let namespaces = self.namespace.as_ref().map(|name| LabelSelector {
            match_labels: [(NAMESPACE.to_owned(), LabelValue(name.clone()))].into(),
            ..LabelSelector::default()
        });
        let services = self.selector.as_ref().map(|selector| ServiceFilter {
            selector: Some(selector.clone()),
            ..ServiceFilter::default()
        });
        let created_by = user.map(|user| (CREATED_BY.to_owned(), user.to_owned()));
        ZoneEvacuation {
            metadata: ObjectMeta {
                generate_name: Some(prefix(&self.zone)),
                labels: Some([(ZONE.to_owned(), self.zone.clone())].into()),
                annotations: created_by.map(|pair| BTreeMap::from([pair])),
                ..ObjectMeta::default()
            },
            spec: ZoneEvacuationSpec {
                zones: vec![Zone(self.zone.clone())],
                until: self.until(now).to_string(),
                services,
                namespace_selector: namespaces,
                reason: self.reason.clone(),
            },
            status: None,
        }
    }

    /// When it ends if it is created at this time. Clocks of API servers have whole seconds.
    pub(super) fn until(&self, now: Timestamp) -> Timestamp {
        let lasts = SignedDuration::try_from(self.lasts).unwrap_or(SignedDuration::MAX);
        let until = now.saturating_add(lasts).unwrap_or(Timestamp::MAX);
        Timestamp::from_second(until.as_second()).unwrap_or(until)
    }

    /// The same as the controller reads it, which checks it as the API server does.
    ///
    /// # Errors
    /// Which field has a value that is not allowed, and why.
    pub(super) fn read(&self, now: Timestamp) -> Result<policy::ZoneEvacuation, String> {
        let mut object = self.object(now, None);
        object.metadata.name = Some(prefix(&self.zone) + "0");
        let object = serde_json::to_value(object).map_err(|error| error.to_string())?;
        let object: Object<policy::ZoneEvacuation> =
            serde_json::from_value(object).map_err(|error| error.to_string())?;
        Ok(object.value)
    }
}

/// What the name begins with: the zone, as far as names may have its characters.
fn prefix(zone: &str) -> String {
    let is_kept = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let kept = |c: char| if is_kept(c) { c } else { '-' };
    let mut prefix: String = zone.to_ascii_lowercase().chars().map(kept).collect();
    prefix.truncate(PREFIX);
    prefix.push('-');
    prefix
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request() -> Request {
        Request {
            zone: "Zone_a.1".to_owned(),
            namespace: Some("shop".to_owned()),
            selector: Some(super::super::selector::parse("tier=web").unwrap()),
            reason: Some("the cooling has failed".to_owned()),
            lasts: Duration::from_secs(1800),
        }
    }

    #[test]
    fn the_object_says_all_that_was_requested() {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(
            serde_json::to_value(request().object(now, Some("ann@example.com"))).unwrap(),
            json!({
                "apiVersion": "closehaul.io/v1alpha1",
                "kind": "ZoneEvacuation",
                "metadata": {
                    "generateName": "zone-a-1-",
                    "labels": {"closehaul.io/zone": "Zone_a.1"},
                    "annotations": {"closehaul.io/created-by": "ann@example.com"},
                },
                "spec": {
                    "zones": ["Zone_a.1"],
                    "until": "2026-01-02T03:34:05Z",
                    "services": {"selector": {"matchLabels": {"tier": "web"}}},
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
                    "reason": "the cooling has failed",
                },
            })
        );
    }

    #[test]
    fn what_the_api_server_would_reject() {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        assert!(request().read(now).is_ok());
        let long = Request { reason: Some("x".repeat(1025)), ..request() };
        assert!(long.read(now).unwrap_err().contains("spec.reason"), "{:?}", long.read(now));
        let selector = Some(super::super::selector::parse("tier=not-").unwrap());
        let error = Request { selector, ..request() }.read(now).unwrap_err();
        assert!(error.contains("spec.services.selector.matchLabels"), "{error}");
    }
}
