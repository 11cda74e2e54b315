//! Policies and evacuations drawn at random, for [`crate::world`] and [`crate::piles`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    FakeApi,
    collections::{CLUSTER_POLICIES, EVACUATIONS, NAMESPACES, POLICIES},
    dice::Dice,
};

/// The longest evacuation, in seconds. It is over before a world counts as settled
/// ([`crate::settled::BOUND`]).
const LONGEST: u64 = 200;
const NAMES: [&str; 3] = ["one", "two", "three"];
const TIERS: [&str; 2] = ["web", "db"];

/// A change of a policy, of an evacuation, or of what they depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// The definitions of closehaul's kinds are applied.
    Install,
    /// A policy of the namespace, with this spec.
    Policy(String, Value),
    /// A policy of the cluster, with this spec.
    ClusterPolicy(String, Value),
    /// An evacuation with this spec without `until`, for so many seconds from now.
    Evacuate(String, Value, u64),
    /// The label `tier` of the namespace.
    Label(String),
    /// No policy of the namespace of this name any more.
    DropPolicy(String),
    /// No policy of the cluster of this name any more.
    DropClusterPolicy(String),
    /// No evacuation of this name any more.
    DropEvacuation(String),
}

impl Request {
    /// A random one, for these Services.
    pub fn random(services: &[&str], dice: &mut Dice) -> Self {
        let name = dice.pick(&NAMES).to_owned();
        match dice.roll(16) {
            0 => Self::Install,
            1..5 => Self::Policy(name, policy(services, dice)),
            5..8 => Self::ClusterPolicy(name, cluster_policy(services, dice)),
            8..11 => Self::Evacuate(name, evacuation(dice), 1 + dice.roll(LONGEST)),
            11 => Self::Label(dice.pick(&TIERS).to_owned()),
            12 => Self::DropPolicy(name),
            13 | 14 => Self::DropClusterPolicy(name),
            _ => Self::DropEvacuation(name),
        }
    }

    /// Does it. What does not fit, such as a policy before the kinds are installed, is left out.
    pub fn apply(&self, api: &FakeApi) {
        let put = |collection: &str, namespace: &str, name: &str, spec: &Value| {
            if !api.is_installed() {
                return;
            }
            if api.get(collection, namespace, name).is_some() {
                // The status stays.
                api.edit(collection, namespace, name, |object| object["spec"] = spec.clone());
            } else {
                let metadata = json!({ "namespace": namespace, "name": name });
                api.put(collection, json!({ "metadata": metadata, "spec": spec }));
            }
        };
        let remove = |collection: &str, namespace: &str, name: &str| {
            if api.get(collection, namespace, name).is_some() {
                api.delete(collection, namespace, name);
            }
        };
        match self {
            Self::Install => api.install(),
            Self::Policy(name, spec) => put(POLICIES, "shop", name, spec),
            Self::ClusterPolicy(name, spec) => put(CLUSTER_POLICIES, "", name, spec),
            Self::Evacuate(name, spec, seconds) => {
                let seconds = i64::try_from(*seconds).unwrap();
                let until = api.wall_clock().now() + jiff::SignedDuration::from_secs(seconds);
                let mut spec = spec.clone();
                spec["until"] = json!(until.to_string());
                put(EVACUATIONS, "", name, &spec);
            }
            Self::Label(tier) => {
                let metadata = json!({ "name": "shop", "labels": { "tier": tier } });
                api.put(NAMESPACES, json!({ "metadata": metadata }));
            }
            Self::DropPolicy(name) => remove(POLICIES, "shop", name),
            Self::DropClusterPolicy(name) => remove(CLUSTER_POLICIES, "", name),
            Self::DropEvacuation(name) => remove(EVACUATIONS, "", name),
        }
    }
}

fn policy(services: &[&str], dice: &mut Dice) -> Value {
    // Once in a while something that this version does not know.
    let unknown = if dice.one_in(12) { &["Zone", "Rack"][..] } else { &["Zone"] };
    let prefer =
        dice.pick(&[unknown, unknown, unknown, &["Node", "Zone"], &["Zone", "Region"], &[]]);
    let mut spec = json!({ "prefer": prefer });
    if dice.one_in(3) {
        spec["mode"] = json!("Shadow");
    }
    if !dice.one_in(4) {
        spec["guard"] = json!({
            "maxOverloadPercent": dice.pick(&[10, 20, 30, 100]),
            "minEndpointsPerZone": dice.pick(&[0, 0, 1, 2]),
            "hold": dice.pick(&["0s", "10s", "2m"]),
        });
        spec["demand"] = demand(dice);
    }
    if dice.one_in(4) {
        spec["rollout"] = json!({ "zones": dice.pick(&[&["a"][..], &["b", "c"], &["z"]]) });
    }
    match dice.roll(3) {
        0 => {
            let names: BTreeSet<&str> = [dice.pick(services), dice.pick(services)].into();
            spec["services"] = json!({ "names": names });
        }
        1 => spec["services"] = selected(),
        _ => {}
    }
    spec
}

fn cluster_policy(services: &[&str], dice: &mut Dice) -> Value {
    let mut spec = policy(services, dice);
    if dice.one_in(2) {
        spec["namespaceSelector"] = tier(dice);
    }
    spec
}

fn evacuation(dice: &mut Dice) -> Value {
    let mut spec = json!({ "zones": dice.pick(&[&["a"][..], &["b"], &["a", "c"], &["z"]]) });
    if dice.one_in(4) {
        spec["namespaceSelector"] = tier(dice);
    }
    if dice.one_in(4) {
        spec["services"] = selected();
    }
    spec
}

fn demand(dice: &mut Dice) -> Value {
    match dice.roll(5) {
        0 => json!({ "source": "Nodes" }),
        1 => json!({ "source": "CPU" }),
        2 => {
            let app = dice.pick(&["x", "y", "s0", "healthy"]);
            json!({ "source": "Clients", "clientSelector": { "matchLabels": { "app": app } } })
        }
        3 => json!({ "source": "Shares", "shares": { "a": 60, "b": 20, "c": 20 } }),
        _ => json!({ "source": "Equal" }),
    }
}

fn selected() -> Value {
    json!({ "selector": { "matchLabels": { "version": "1" } } })
}

fn tier(dice: &mut Dice) -> Value {
    json!({ "matchLabels": { "tier": dice.pick(&TIERS) } })
}
