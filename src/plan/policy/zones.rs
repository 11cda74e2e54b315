//! Zones: what is known of the zones of a cluster, as far as plans depend on it.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::counts::{MAX_ZONES, Names, Origin, TOLERANCE, float};
use crate::model::{name::Name, policy::Key};

/// One zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Its nodes that send (docs/planner.md 5).
    pub senders: HashSet<Name>,
    /// The area that it belongs to, for keys that are coarser than a zone.
    pub areas: Vec<(Key, Name)>,
}

/// Every zone that a node bears, and what it sends to one Service. A zone's number is its place.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    names: Vec<Name>,
    zones: Vec<Arc<Zone>>,
    /// What each zone sends; the sum is 1.
    demand: Vec<f64>,
    numbers: HashMap<Name, usize>,
}

impl Zones {
    /// The zones with these names and this demand, which is normalised. If no zone sends, all send
    /// the same.
    ///
    /// The order does not matter. If there are more zones than a plan can name, those that send most
    /// come first. All others are served by every endpoint.
    pub fn new(zones: impl IntoIterator<Item = (Name, f64, Arc<Zone>)>) -> Self {
        let mut all: Vec<_> = zones.into_iter().collect();
        all.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        if all.len() > MAX_ZONES {
            all.sort_by(|(_, one, _), (_, other, _)| other.total_cmp(one));
        }
        let sum: f64 = all.iter().map(|(_, sent, _)| sent.max(0.0)).sum();
        let even = 1.0 / float(all.len().max(1));
        let part = |sent: f64| if sum > TOLERANCE { sent.max(0.0) / sum } else { even };
        let mut of = Self::default();
        for (at, (name, sent, zone)) in all.into_iter().enumerate() {
            of.numbers.insert(name.clone(), at);
            of.names.push(name);
            of.demand.push(part(sent));
            of.zones.push(zone);
        }
        of
    }

    /// The same zones with what each sends by `demand`, which is normalised.
    #[must_use]
    pub fn sending(&self, demand: impl Fn(&Name) -> f64) -> Self {
        let zones = self.names.iter().zip(&self.zones);
        Self::new(zones.map(|(name, zone)| (name.clone(), demand(name), Arc::clone(zone))))
    }

    /// What a zone sends; 0 if there is no such zone.
    pub fn share(&self, name: &str) -> f64 {
        self.numbers.get(name).map_or(0.0, |zone| self.demand[*zone])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many of them a plan can name: those with the lowest numbers.
    pub fn named(&self) -> usize {
        self.len().min(MAX_ZONES)
    }

    /// All that a plan can name.
    pub fn all(&self) -> Names {
        (0..self.named()).collect()
    }

    /// The names of all zones, by number.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// What each zone sends, by number.
    pub fn demand(&self) -> &[f64] {
        &self.demand
    }

    /// The number of a zone. `None` if no node bears it, or if a plan cannot name it.
    pub fn number(&self, name: &str) -> Origin {
        self.numbers.get(name).copied().filter(|zone| *zone < MAX_ZONES)
    }

    /// The nodes of a zone that send.
    pub fn senders(&self, zone: usize) -> &HashSet<Name> {
        &self.zones[zone].senders
    }

    /// The area of a zone for a coarser key.
    pub fn area(&self, zone: usize, key: &Key) -> Option<&Name> {
        self.zones[zone].areas.iter().find(|(of, _)| of == key).map(|(_, area)| area)
    }
}
