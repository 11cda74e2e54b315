//! News: changes of a Service or an evacuation that are worth an Event. Pure.

use std::net::IpAddr;

use serde_json::Value;

use super::status::is_incomplete;
use crate::{
    api::crd::status::{Condition, ConditionStatus, ZoneEvacuationStatus},
    assess::reason::Reason,
    model::name::Name,
    plan::Plan,
};

/// A change that is worth an Event. All but the last are about a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Its slices cannot be written; with the cause.
    UpdateFailed(String),
    /// The legacy annotation has led to hints.
    AutoHints,
    /// The legacy annotation does not lead to hints; with the reason, unless it is that the CPU of
    /// nodes is not known.
    NoAutoHints(Option<Reason>),
    /// The legacy annotation has led to hints, and is gone.
    AutoRemoved,
    /// Locality is requested but cannot be achieved.
    Ineffective {
        /// Why.
        reason: Reason,
        /// What it is about, by name, if that is known.
        detail: Option<String>,
    },
    /// Locality is requested and possible again.
    Effective,
    /// Pods are left out because their node is not known.
    NodeMissing {
        /// One of them.
        pod: Name,
        /// How many others there are.
        others: usize,
    },
    /// Addresses of pods are left out because slices must not contain them.
    AddressNotAllowed {
        /// One of the pods.
        pod: Name,
        /// Its address.
        address: IpAddr,
        /// How many other addresses there are.
        others: usize,
    },
    /// The API server rejects a slice as invalid, so it differs from the plan; with the cause.
    WriteRefused(String),
    /// Another controller writes its slices as well.
    Overwritten,
    /// Another controller overwrites the hints in its slices, so nothing more is patched for a while.
    HintsOverwritten,
    /// Something new about an evacuation.
    Evacuation(EvacuationNews),
}

/// A change of an evacuation that is worth an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvacuationNews {
    /// It is in force.
    Began {
        /// The zones.
        zones: Vec<String>,
        /// Until when.
        until: String,
        /// Its reason.
        why: Option<String>,
    },
    /// Its time is over.
    Ended,
    /// It was deleted while it was in force.
    Deleted,
    /// Hints cannot move all traffic; with the Services.
    Incomplete(String),
    /// What it requests is not known.
    Unread {
        /// In one word.
        reason: String,
        /// In words.
        message: String,
    },
}

impl EvacuationNews {
    /// What is new in the status of an evacuation since the one that was stored `before`. `spec` is
    /// what it requests, as it is stored.
    pub fn of(
        before: &ZoneEvacuationStatus,
        after: &ZoneEvacuationStatus,
        spec: &Value,
    ) -> Vec<Self> {
        let mut news = Vec::new();
        let status = |of: &ZoneEvacuationStatus| condition(of, "Active").map(|it| it.status);
        let (was, is) = (status(before), status(after));
        if was != is {
            match (is, condition(after, "Active")) {
                (Some(ConditionStatus::True), _) => news.push(Self::began(spec)),
                (Some(ConditionStatus::False), _) if was == Some(ConditionStatus::True) => {
                    news.push(Self::Ended);
                }
                (Some(ConditionStatus::Unknown), Some(Condition { reason, message, .. })) => {
                    let (reason, message) = (reason.clone(), message.clone());
                    news.push(Self::Unread { reason, message });
                }
                _ => {}
            }
        }
        let stuck = |of| condition(of, "Complete").filter(|it| is_incomplete(&it.reason));
        if let (None, Some(stuck)) = (stuck(before), stuck(after)) {
            news.push(Self::Incomplete(stuck.message.clone()));
        }
        news
    }

    fn began(spec: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let zones = spec["zones"].as_array().into_iter().flatten().filter_map(text).collect();
        let until = text(&spec["until"]).unwrap_or_default();
        Self::Began { zones, until, why: text(&spec["reason"]) }
    }
}

fn condition<'a>(status: &'a ZoneEvacuationStatus, name: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|it| it.type_ == name)
}

/// What a plan leaves out, by cause: pods, and addresses.
pub type LeftOut = [Option<News>; 2];

/// The Events for what a plan leaves out.
pub fn left_out(plan: &Plan<'_>) -> LeftOut {
    let nodeless = plan
        .nodeless
        .split_first()
        .map(|(pod, others)| News::NodeMissing { pod: pod.clone(), others: others.len() });
    let not_allowed = plan.not_allowed.split_first().map(|((pod, address), others)| {
        let (pod, others) = (pod.clone(), others.len());
        News::AddressNotAllowed { pod, address: *address, others }
    });
    [nodeless, not_allowed]
}
