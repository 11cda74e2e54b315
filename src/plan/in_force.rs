//! In force: the hints of endpoints that lose their place, such as when the ports of all pods change.
//! They are found again by the UID of the pod, wherever its endpoint goes.
//!
//! A mechanism that chooses among several good answers should choose as it did before, and the hints
//! in force are the only memory of that.

use std::sync::Arc;

use foldhash::HashMap;

use crate::model::{
    name::Uid,
    slice::{Endpoint, Hints},
};

/// The hints of endpoints that lost their place, by pod.
#[derive(Debug, Default)]
pub struct Displaced<'a>(HashMap<&'a Uid, &'a Arc<Hints>>);

impl<'a> Displaced<'a> {
    /// An endpoint leaves its slice.
    pub fn add(&mut self, endpoint: &'a Endpoint) {
        if let (Some(uid), Some(hints)) = (uid(endpoint), &endpoint.hints) {
            self.0.insert(uid, hints);
        }
    }

    /// Adds those of another group.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Gives these endpoints the hints that their pods have in force.
    pub fn restore<'e>(&self, endpoints: impl IntoIterator<Item = &'e mut Endpoint>) {
        if self.0.is_empty() {
            return;
        }
        for endpoint in endpoints.into_iter().filter(|endpoint| endpoint.hints.is_none()) {
            let hints = uid(endpoint).and_then(|uid| self.0.get(uid));
            endpoint.hints = hints.map(|hints| Arc::clone(hints));
        }
    }
}

/// The hints of `old` that stay in force for `new`, which takes its place.
pub fn kept(old: &Endpoint, new: &Endpoint) -> Option<Arc<Hints>> {
    old.hints.as_ref().filter(|_| uid(old) == uid(new)).cloned()
}

/// The UID of the pod that an endpoint is.
pub fn uid(endpoint: &Endpoint) -> Option<&Uid> {
    endpoint.target.as_ref()?.uid.as_ref()
}
