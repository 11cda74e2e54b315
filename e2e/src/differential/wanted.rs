//! Wanted differences: the entries of `e2e/differences.yaml`, what each allows, and how often it
//! was met.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Error, edit, form,
    form::{Comparison, Form, Loose, OLDER, compare},
    model::Model,
    objects,
    shape::{Auto, Zone},
};

/// The file at build time.
const FILE: &str = include_str!("../../differences.yaml");

/// Entries for which the built-in controller does not follow before the touch, or does not follow
/// at all. See [`super::model::Effect::lag`] and [`super::history`].
const IN_TIME: [&str; 7] = [
    "late-nodes",
    "deleted-nodes",
    "unseen-changes",
    "back-off",
    "held-slices",
    "refused-addresses",
    "tracker-trap",
];
/// Entries that show in the slices, and the functions that remove these differences.
const IN_SLICES: [(&str, Relax); 5] = [
    ("own-placeholder", own_placeholder),
    ("recycled-metadata", recycled_metadata),
    ("auto-ties", auto_ties),
    ("auto-givers", auto_givers),
    ("idle-writes", idle_writes),
];

type Relax = fn(&mut [Form], &mut [Form], &Model);

/// One entry of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name, which the program knows.
    pub name: String,
    /// Where the difference is described.
    pub section: String,
    /// Why it is wanted.
    pub reason: String,
}

/// The wanted differences of a run.
#[derive(Debug)]
pub struct Wanted {
    entries: Vec<Entry>,
    met: Mutex<BTreeMap<String, u64>>,
}

impl Wanted {
    /// Reads the file.
    pub fn read() -> Result<Self, Error> {
        Self::parse(FILE)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let entries = serde_saphyr::from_str::<Vec<Entry>>(text);
        let entries = entries.map_err(|error| Error::Differences(error.to_string()))?;
        let is_known = |name: &str| {
            IN_TIME.contains(&name) || IN_SLICES.iter().any(|(known, _)| *known == name)
        };
        if let Some(entry) = entries.iter().find(|entry| !is_known(&entry.name)) {
            return Err(Error::Differences(format!("{} means nothing", entry.name)));
        }
        Ok(Self { entries, met: Mutex::default() })
    }

    /// Whether the file has such an entry.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == name)
    }

    /// Counts a difference that an entry allows.
    pub fn meet(&self, name: &str) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        *met.entry(name.to_owned()).or_default() += 1;
    }

    /// How often each entry was met, in the order of the file.
    pub fn met(&self) -> Vec<(Entry, u64)> {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |entry: &Entry| met.get(&entry.name).copied().unwrap_or_default();
        self.entries.iter().map(|entry| (entry.clone(), count(entry))).collect()
    }

    /// Compares again without the differences that the entries allow. Returns the entries that are
    /// needed, or `None` if they are not enough.
    pub fn explain(
        &self,
        left: &[Form],
        right: &[Form],
        model: &Model,
        loose: &Loose,
    ) -> Option<Vec<&'static str>> {
        let allowed = IN_SLICES.iter().filter(|(name, _)| self.has(name)).collect::<Vec<_>>();
        // Tries each one alone, and then all of them.
        let alone = allowed.iter().map(|entry| vec![*entry]);
        for relaxed in alone.chain([allowed.clone()]) {
            let (mut left, mut right) = (left.to_vec(), right.to_vec());
            let mut needed = Vec::new();
            for (name, relax) in relaxed {
                let before = distance(&left, &right);
                relax(&mut left, &mut right, model);
                if distance(&left, &right) < before {
                    needed.push(*name);
                }
            }
            if !matches!(compare(&left, &right, loose), Comparison::Different(_)) {
                return Some(needed);
            }
        }
        None
    }
}

/// How many slices have no equal on the other side.
fn distance(left: &[Form], right: &[Form]) -> usize {
    match compare(left, right, &Loose::default()) {
        Comparison::Different(lines) => lines.len(),
        _ => 0,
    }
}

fn is_placeholder(form: &Form) -> bool {
    form.is_managed() && form.endpoints.is_empty() && form.group.ports.is_empty()
}

fn own_placeholder(left: &mut [Form], right: &mut [Form], model: &Model) {
    for form in left.iter_mut().filter(|form| is_placeholder(form)) {
        let exists = model.has_service(&form.group.service);
        let is_left_over = form.group.owners.iter().all(|owner| owner.contains(OLDER));
        let own = right.iter().find(|other| {
            is_placeholder(other)
                && other.group.service == form.group.service
                && other.group.address_type == form.group.address_type
        });
        if let (true, true, Some(own)) = (exists, is_left_over, own) {
            // The old placeholder also keeps a wrong reserved label.
            form.group.clone_from(&own.group);
            (form.trigger, form.foreign) = (own.trigger, own.foreign.clone());
        }
    }
}

fn recycled_metadata(left: &mut [Form], right: &mut [Form], _: &Model) {
    let groups = right.iter().map(|form| form.group.clone()).collect::<BTreeSet<_>>();
    for group in groups {
        let foreign = |forms: &[Form]| {
            let of_group = forms.iter().filter(|form| form.group == group);
            of_group.flat_map(|form| form.foreign.clone()).collect::<Vec<_>>()
        };
        let mut kept = foreign(right);
        let is_there = |it: &String| match kept.iter().position(|other| other == it) {
            Some(at) => {
                kept.swap_remove(at);
                true
            }
            None => false,
        };
        // The built-in controller has lost some and has no others, and another client added them.
        let is_lost = foreign(left).iter().all(is_there) && !kept.is_empty();
        if is_lost && kept.iter().all(|it| edit::FOREIGN.contains(&it.as_str())) {
            let forms = left.iter_mut().chain(right.iter_mut());
            forms.filter(|form| form.group == group).for_each(|form| form.foreign.clear());
        }
    }
}

fn auto_ties(left: &mut [Form], right: &mut [Form], model: &Model) {
    drop_hints(left, right, model, |left, right| left == right);
}

fn auto_givers(left: &mut [Form], right: &mut [Form], model: &Model) {
    drop_hints(left, right, model, |left, right| {
        // If one endpoint is in another zone, one count is lower by one and another is higher by
        // one.
        let classes = left.keys().chain(right.keys()).collect::<BTreeSet<_>>();
        let distances = classes.into_iter().map(|class| {
            let counts = |counts: &Counts| counts.get(class).cloned().unwrap_or_default();
            let (mut left, mut right) = (counts(left), counts(right));
            let length = left.len().max(right.len());
            for counts in [&mut left, &mut right] {
                counts.resize(length, 0);
                counts.sort_unstable();
            }
            left.iter().zip(&right).map(|(left, right)| left.abs_diff(*right)).sum::<usize>()
        });
        distances.sum::<usize>() == 2
    });
}

/// How many endpoints are hinted to each zone, by the cores of the zone. The counts of zones with
/// equally many cores are in order of size.
type Counts = BTreeMap<Option<u32>, Vec<usize>>;

/// Removes the hints from slices of Services with the legacy annotation that are on one side only,
/// if the counts of both sides are `alike`.
fn drop_hints(
    left: &mut [Form],
    right: &mut [Form],
    model: &Model,
    alike: impl Fn(&Counts, &Counts) -> bool,
) {
    let cores = model.cores();
    let cores = cores.iter().map(|(zone, cores)| (json!([{"name": zone}]).to_string(), *cores));
    let cores = cores.collect::<BTreeMap<_, _>>();
    for service in auto_services(model) {
        for family in ["IPv4", "IPv6"] {
            let is_in =
                |form: &Form| form.group.service == service && form.group.address_type == family;
            let counts = |forms: &[Form]| {
                let mut counts = BTreeMap::<String, usize>::new();
                let of = forms.iter().filter(|form| is_in(form));
                for endpoint in of.flat_map(|form| &form.endpoints) {
                    let zones = parsed(endpoint)["hints"]["forZones"].to_string();
                    *counts.entry(zones).or_default() += 1;
                }
                let mut tied = Counts::new();
                for (zones, count) in counts {
                    tied.entry(cores.get(&zones).copied()).or_default().push(count);
                }
                for counts in tied.values_mut() {
                    counts.sort_unstable();
                }
                tied
            };
            if !alike(&counts(left), &counts(right)) {
                continue;
            }
            let all = (left.to_vec(), right.to_vec());
            let is_other = |form: &Form, forms: &[Form]| {
                is_in(form) && !forms.iter().any(|other| other.key() == form.key())
            };
            left.iter_mut().filter(|form| is_other(form, &all.1)).for_each(without_hints);
            right.iter_mut().filter(|form| is_other(form, &all.0)).for_each(without_hints);
        }
    }
}

fn idle_writes(left: &mut [Form], right: &mut [Form], model: &Model) {
    let auto = auto_services(model).collect::<Vec<_>>();
    // A zone in which no node counts for the shares of CPU.
    let is_shareless = |zone: &Value| zone.is_null() || zone == Zone::D.name();
    let is_zoneless = |endpoint: &String| {
        let endpoint = parsed(endpoint);
        endpoint["conditions"]["ready"] == true && is_shareless(&endpoint["zone"])
    };
    let zoneless = left.iter().filter(|form| form.endpoints.iter().any(is_zoneless));
    let zoneless = zoneless.map(|form| form.group.service.clone());
    let zoneless = zoneless.filter(|service| auto.contains(service)).collect::<BTreeSet<_>>();
    // A placeholder is written again if other slices are deleted, and a deleted pod has no trigger
    // time.
    let is_idle = |form: &Form| {
        is_placeholder(form) && !form.trigger || zoneless.contains(&form.group.service)
    };
    let unmarked = |form: &Form| {
        let (group, endpoints, _, foreign) = form.key();
        (group.clone(), endpoints.to_vec(), foreign.to_vec())
    };
    for written in left.iter_mut().filter(|form| is_idle(form)) {
        let mut others = right.iter_mut().filter(|other| unmarked(other) == unmarked(written));
        if let Some(other) = others.find(|other| other.trigger != written.trigger) {
            other.trigger = written.trigger;
        }
    }
}

fn auto_services(model: &Model) -> impl Iterator<Item = String> {
    let services = model.services.iter().enumerate();
    services.filter_map(|(number, shape)| {
        let auto = shape.as_ref()?.auto;
        matches!(auto, Auto::Mode | Auto::Hints).then(|| objects::service_name(number))
    })
}

/// The hints determine which slices are written, and thus lose or get a trigger time.
fn without_hints(form: &mut Form) {
    form.trigger = false;
    for endpoint in &mut form.endpoints {
        *endpoint = form::without_hints(endpoint);
    }
    form.endpoints.sort_unstable();
}

fn parsed(endpoint: &str) -> Value {
    serde_json::from_str(endpoint).unwrap_or_default()
}

#[cfg(test)]
mod tests;
