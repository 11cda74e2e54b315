//! Pen: writes numbers as names. Endpoints with the same names share them.

use std::sync::Arc;

use foldhash::HashMap;

use super::{counts::Names, outcome::PLACEHOLDER, zones::Zones};
use crate::model::name::Name;

/// Writes numbers as names.
pub struct Pen<'z> {
    zones: &'z Zones,
    placeholder: Name,
    written: HashMap<Names, Arc<[Name]>>,
}

impl<'z> Pen<'z> {
    /// For these zones.
    pub fn new(zones: &'z Zones) -> Self {
        Self { zones, placeholder: PLACEHOLDER.into(), written: HashMap::default() }
    }

    /// The names of these zones, sorted.
    pub fn write(&mut self, names: Names) -> Arc<[Name]> {
        let Self { zones, placeholder, written } = self;
        let written = written.entry(names).or_insert_with(|| {
            let is_drained = !names.both(Names::PLACEHOLDER).is_empty();
            let drained = is_drained.then(|| placeholder.clone());
            let names = names.without(Names::PLACEHOLDER).iter();
            let names = names.filter_map(|zone| zones.names().get(zone)).cloned();
            let mut all: Vec<Name> = names.chain(drained).collect();
            all.sort_unstable();
            all.into()
        });
        Arc::clone(written)
    }
}
