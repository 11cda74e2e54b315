//! Cancel: ends the evacuations of a zone that this command has created.

use std::fmt::Write as _;

use kube::core::DynamicObject;

use super::{
    EvacuateError,
    server::{Server, is_of},
};
use crate::{api::crd::definition::CREATED_BY, plain::plain};

/// The evacuations of a zone.
pub(super) struct Found {
    /// The evacuations to delete.
    pub(super) ours: Vec<DynamicObject>,
    /// The names of others, which evacuate the zone as well.
    pub(super) others: Vec<String>,
}

impl Found {
    /// Lists them.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) async fn of(server: &Server, zone: &str) -> Result<Self, EvacuateError> {
        let (ours, others): (Vec<_>, Vec<_>) =
            server.list().await?.into_iter().partition(|it| is_of(zone, it));
        let names_zone = |it: &DynamicObject| {
            let zones = it.data["spec"]["zones"].as_array();
            zones.is_some_and(|zones| zones.iter().any(|it| it == zone))
        };
        let others = others.iter().filter(|it| names_zone(it)).map(name).collect();
        Ok(Self { ours, others })
    }

    /// The evacuations to delete, one line each.
    pub(super) fn render(&self, zone: &str) -> String {
        let mut text = format!("Evacuations of {zone} to be deleted:\n");
        for evacuation in &self.ours {
            let spec = &evacuation.data["spec"];
            let until = spec["until"].as_str().unwrap_or("?");
            let _ = write!(text, "  {} until {}", name(evacuation), plain(until));
            let annotations = evacuation.metadata.annotations.as_ref();
            if let Some(by) = annotations.and_then(|it| it.get(CREATED_BY)) {
                let _ = write!(text, ", by {}", plain(by));
            }
            if let Some(reason) = spec["reason"].as_str() {
                let _ = write!(text, ": {}", plain(reason));
            }
            text.push('\n');
        }
        text
    }

    /// What to know about evacuations that stay, if there are any.
    pub(super) fn note(&self, zone: &str) -> Option<String> {
        let others = self.others.join(" ");
        (!others.is_empty()).then(|| {
            format!(
                "{zone} stays evacuated by objects without the label closehaul.io/zone={zone}; to \
                 delete them: kubectl delete zoneevacuations.closehaul.io {others}"
            )
        })
    }
}

pub(super) fn name(evacuation: &DynamicObject) -> String {
    evacuation.metadata.name.clone().unwrap_or_default()
}
