//! What the planner names.

use std::sync::Arc;

use closehaul::{
    model::{
        name::{Name, ServiceKey},
        policy::{DemandSource, Guard, Key},
    },
    plan::policy::{
        choose::choose,
        counts::Load,
        group::{Candidate, Group, Identity},
        outcome::ChosenNode,
        request::{Request, Standing},
        searches::Searches,
        zones::{Zone, Zones},
    },
};

use super::brute::{Bits, Case};

/// A plan that the planner has made.
pub struct Asked {
    /// The names of zones for each endpoint, as they are written.
    pub names: Vec<Vec<String>>,
    /// What the planner says about them.
    pub load: Load,
}

impl Asked {
    /// The plan of a Service without hints in force, under a guard with this cap in percent. Depending
    /// on the cap, its endpoints are all new, all in a slice without hints, or some of each.
    pub fn about(case: &Case, cap: u16) -> Self {
        let names: Vec<Name> = (0..case.demand.len()).map(zone_name).collect();
        let demand = names.iter().zip(&case.demand);
        let zones = Zones::new(
            demand.map(|(name, demand)| (Name::clone(name), *demand, Arc::new(Zone::default()))),
        );
        let service = ServiceKey { namespace: "test".into(), name: "small".into() };
        let keys: Vec<String> = (0..case.own.len()).map(|number| format!("pod-{number}")).collect();
        let candidates =
            keys.iter().zip(&case.own).enumerate().map(|(number, (key, origin))| Candidate {
                key: Identity::Text(key),
                zone: origin.map(|zone| &names[zone]),
                node: None,
                is_ready: true,
                in_force: (number % 3 < usize::from(cap / 5 % 4)).then_some(&[]),
                node_in_force: ChosenNode::Nothing,
                other_family: None,
            });
        let group = Group { service: &service, candidates: candidates.collect(), is_twin: false };
        let request = Request {
            node: false,
            keys: vec![Key::Zone],
            guard: Some(Guard::with_max(cap)),
            rollout: None,
            evacuated: Vec::new(),
            demand: DemandSource::Equal,
            standing: Standing::New,
        };
        let (naming, outcome) = choose(&request, &zones, &Searches::default(), &group);
        let hints = naming.hints.iter();
        Self {
            load: outcome.load,
            names: hints.map(|hint| hint.zones.iter().map(ToString::to_string).collect()).collect(),
        }
    }

    /// Whether any endpoint names a zone.
    pub fn has_hints(&self) -> bool {
        self.names.iter().any(|names| !names.is_empty())
    }

    /// What is in effect for readers: without any hints, every endpoint serves every zone. An error
    /// says why these hints may not be written.
    pub fn effective(&self, case: &Case) -> Result<Vec<Bits>, String> {
        let all = vec![case.all(); case.own.len()];
        if self.names.len() != all.len() {
            return Err("it is not of as many endpoints".to_owned());
        }
        if !self.has_hints() {
            return Ok(all);
        }
        let effective = self.names.iter().map(|names| bits(names, case.demand.len()));
        let effective: Vec<Bits> = effective.collect::<Option<_>>().ok_or("a name is wrong")?;
        if effective.contains(&0) {
            return Err("only some endpoints have hints".to_owned());
        }
        if effective == all {
            return Err("hints are written that name every zone on every endpoint".to_owned());
        }
        Ok(effective)
    }
}

fn zone_name(zone: usize) -> Name {
    format!("zone-{zone}").into()
}

/// The zones that these names are. `None` if one is no zone or is there twice.
fn bits(names: &[String], zones: usize) -> Option<Bits> {
    let mut bits = 0;
    for name in names {
        let zone = (0..zones).find(|zone| zone_name(*zone).as_ref() == name)?;
        if bits & (1 << zone) != 0 {
            return None;
        }
        bits |= 1 << zone;
    }
    Some(bits)
}
