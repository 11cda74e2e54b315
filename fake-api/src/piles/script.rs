//! Scripts: what happens in a pile, as data, so that it can be shortened and kept.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    FAULTS, HEALTHY, PODS_OF_SERVICE, SERVICES_OF_PILES, STEPS, STEPS_OF_FAULTS,
    fault::{Fault, Trouble},
};
use crate::{
    FakeApi,
    collections::{NODES, PODS, SERVICES},
    dice::Dice,
    policies::Request,
    rig::{edit, remove, set_ready},
    samples::pod,
};

/// A pile.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// The circumstances.
    pub setup: Setup,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// The circumstances of a pile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The most endpoints in a slice.
    pub max_endpoints: usize,
    /// How many Services are written at the same time.
    pub concurrency: usize,
    /// Whether only writes fail. Then a healthy Service must be written in time.
    pub writes_only: bool,
    /// Whether closehaul's own kinds are installed from the beginning.
    #[serde(default)]
    pub is_installed: bool,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What happens.
    #[serde(flatten)]
    pub action: Action,
    /// How long it takes until the next step, in milliseconds.
    pub then: u64,
}

/// What happens in a step. What does not fit, such as the removal of a pod that does not exist, is
/// left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// All faults end, and these begin.
    Faults(Vec<Trouble>),
    /// A replica ends at once, and another takes its place.
    Crash(usize),
    /// A pod becomes ready.
    Ready(String),
    /// A pod becomes unready.
    Unready(String),
    /// A pod is created, or replaced by another.
    Pod(String),
    /// A pod is removed.
    Remove(String),
    /// The target port of a Service.
    Port(String, u16),
    /// The `trafficDistribution` of a Service.
    Prefer(String, Option<String>),
    /// The zone of a node.
    Zone(String, String),
    /// A policy, an evacuation, or what they depend on.
    Request(Request),
}

impl Script {
    /// The pile of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let writes_only = seed % 4 < 2;
        let setup = Setup {
            max_endpoints: dice.pick(&[1, 2, 3]),
            concurrency: dice.pick(&[1, 2, 5]),
            writes_only,
            is_installed: dice.one_in(2),
        };
        let step = |at| {
            let action = if at % STEPS_OF_FAULTS == 0 {
                faults(writes_only, &mut dice)
            } else if !writes_only && dice.one_in(25) {
                Action::Crash(usize::from(dice.one_in(2)))
            } else {
                change(writes_only, &mut dice)
            };
            Step { action, then: dice.roll(8_000) }
        };
        Self { setup, steps: (0..STEPS).map(step).collect() }
    }

    /// Reads what [`fmt::Display`] writes: JSON, a line for the setup and one for each step. Lines
    /// that begin with `#` are comments.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let (_, first) = lines.next().ok_or("it is empty")?;
        let setup = serde_json::from_str(first).map_err(|error| format!("setup: {error}"))?;
        let steps = lines.map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", at + 1))
        });
        Ok(Self { setup, steps: steps.collect::<Result<_, String>>()? })
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        let script = text.and_then(|text| Self::parse(&text));
        script.map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Script {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |value: serde_json::Result<String>| value.map_err(|_| fmt::Error);
        writeln!(out, "{}", line(serde_json::to_string(&self.setup))?)?;
        for step in &self.steps {
            writeln!(out, "{}", line(serde_json::to_string(step))?)?;
        }
        Ok(())
    }
}

/// Half of the piles have only faults of writes, so the others have more of the rest.
fn faults(writes_only: bool, dice: &mut Dice) -> Action {
    let count = FAULTS + usize::from(dice.one_in(2));
    let mut troubles: Vec<Trouble> = Vec::new();
    while troubles.len() < count {
        let is_write = writes_only || dice.one_in(2);
        let fault = dice.pick(if is_write { Fault::OF_WRITES } else { Fault::OF_THE_REST });
        if troubles.iter().all(|trouble| trouble.fault != fault) {
            let sick = SERVICES_OF_PILES.split_last().map_or(&[][..], |(_, sick)| sick);
            troubles.push(Trouble::random(fault, sick, dice));
        }
    }
    troubles.sort_by_key(|trouble| trouble.fault);
    Action::Faults(troubles)
}

/// Where a healthy Service must be written in time, it changes more often.
fn change(writes_only: bool, dice: &mut Dice) -> Action {
    let is_healthy = writes_only && dice.one_in(3);
    let service = if is_healthy { HEALTHY } else { dice.pick(&SERVICES_OF_PILES) }.to_owned();
    let pod = format!("{service}-{}", dice.roll(PODS_OF_SERVICE));
    match dice.roll(15) {
        11.. => Action::Request(Request::random(&SERVICES_OF_PILES, dice)),
        0..3 => Action::Ready(pod),
        3..5 => Action::Unready(pod),
        5 => Action::Remove(pod),
        6 => Action::Pod(pod),
        7 | 8 => Action::Port(service, dice.pick(&[8080, 8081, 8082])),
        9 => {
            let node = dice.pick(&["a1", "b1", "c1"]).to_owned();
            Action::Zone(node, dice.pick(&["a", "b", "c"]).to_owned())
        }
        _ => {
            let prefer = dice.pick(&[None, Some("PreferSameZone"), Some("PreferSameNode")]);
            Action::Prefer(service, prefer.map(str::to_owned))
        }
    }
}

impl Action {
    /// Changes the world; faults and crashes are not its matter.
    pub fn change(&self, api: &FakeApi) {
        let exists = |pod: &str| api.get(PODS, "shop", pod).is_some();
        match self {
            Self::Request(request) => request.apply(api),
            Self::Ready(pod) if exists(pod) => set_ready(api, pod, true),
            Self::Unready(pod) if exists(pod) => set_ready(api, pod, false),
            Self::Remove(pod) if exists(pod) => remove(api, PODS, pod),
            Self::Pod(name) => drop(api.put(PODS, pod(name))),
            Self::Port(service, port) => edit(api, SERVICES, service, |service| {
                service["spec"]["ports"][0]["targetPort"] = json!(port);
            }),
            Self::Prefer(service, prefer) => edit(api, SERVICES, service, |service| {
                service["spec"]["trafficDistribution"] = json!(prefer);
            }),
            Self::Zone(node, zone) => api.edit(NODES, "", node, |node| {
                node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!(zone);
            }),
            Self::Ready(_)
            | Self::Unready(_)
            | Self::Remove(_)
            | Self::Faults(_)
            | Self::Crash(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_as_it_was_written() {
        for seed in 0..20 {
            let script = Script::of_seed(seed);
            assert_eq!(Script::parse(&format!("# kept\n{script}")), Ok(script));
        }
        let wrong = Script::parse("{\"max_endpoints\":1}").unwrap_err();
        assert!(wrong.contains("missing field"), "{wrong}");
    }
}
