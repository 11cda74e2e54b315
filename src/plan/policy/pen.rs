//! Pen: writes numbers as names. Endpoints with the same names share them.

use std::sync::Arc;

use super::{counts::Names, outcome::PLACEHOLDER, zones::Zones};
use crate::model::name::Name;

/// Writes numbers as names.
pub struct Pen<'z> {
    zones: &'z Zones,
    /// There are few different ones.
    written: Vec<(Names, Arc<[Name]>)>,
}

impl<'z> Pen<'z> {
    /// For these zones.
    pub fn new(zones: &'z Zones) -> Self {
        Self { zones, written: Vec::new() }
    }

    /// The names of these zones, sorted.
    pub fn write(&mut self, names: Names) -> Arc<[Name]> {
        if let Some((_, written)) = self.written.iter().find(|(of, _)| *of == names) {
            return Arc::clone(written);
        }
        let is_drained = !names.both(Names::PLACEHOLDER).is_empty();
        let drained = is_drained.then(|| Name::from(PLACEHOLDER));
        let zones = names.without(Names::PLACEHOLDER).iter();
        let zones = zones.filter_map(|zone| self.zones.names().get(zone)).cloned();
        let mut all: Vec<Name> = Vec::with_capacity(names.len());
        all.extend(zones.chain(drained));
        all.sort_unstable();
        let all: Arc<[Name]> = all.into();
        self.written.push((names, Arc::clone(&all)));
        all
    }
}
