//! News: changes of a Service that are worth an Event. Pure.

use std::net::IpAddr;

use crate::{assess::reason::Reason, model::name::Name, plan::Plan};

/// A change of a Service that is worth an Event.
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
