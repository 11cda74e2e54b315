//! A Deployment of six pods, two in each of three zones, that rolls: what a guard adds to the writes,
//! and which other endpoints get other names (docs/planner.md 8).

use std::collections::{BTreeMap, BTreeSet};

use fake_api::{
    FakeApi,
    collections::{PODS, POLICIES, SERVICES, SLICES},
    recorder::Change,
    rig::*,
    samples::{pod, ready_condition},
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// From a pod's creation until it is ready.
const STARTS: std::time::Duration = SECOND.saturating_mul(5);
/// From its deletion until it is gone.
const ENDS: std::time::Duration = SECOND.saturating_mul(2);
/// From the end of a pod to the next one.
const PAUSE: std::time::Duration = SECOND.saturating_mul(3);
/// The default of `hold`.
const HOLD: std::time::Duration = MINUTE.saturating_mul(2);

/// Which pod comes first when one replaces another.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// `maxSurge: 1`: the new one.
    Surge,
    /// `maxSurge: 0`: the old one goes.
    KillFirst,
}

/// Who decides the hints.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Under {
    /// `spec.trafficDistribution`.
    Field,
    /// A policy with a guard of so many percent.
    Guard(u64),
}

/// One zone after the other, and all at the same time. Pods 1 and 4 are in zone a, 2 and 5 in zone b.
const ORDERS: [[usize; 6]; 2] = [[0, 3, 1, 4, 2, 5], [0, 1, 5, 3, 2, 4]];

/// What a roll-out has led to.
#[derive(Debug)]
struct Seen {
    writes: usize,
    /// The writes that gave other names to endpoints that stayed.
    plans: Vec<Renaming>,
}

#[derive(Debug)]
struct Renaming {
    at: Instant,
    /// How many endpoints.
    others: usize,
    /// How much more traffic stays in its zone than if all names had been kept; 0 if that is only
    /// so in zones that all endpoints name.
    gain: f64,
}

impl Renaming {
    /// Of two plans with a difference of less than five points, none counts as narrower.
    fn is_narrower(&self) -> bool {
        self.gain >= 0.05 - 1e-9
    }
}

impl Seen {
    fn others(&self) -> usize {
        self.plans.iter().map(|it| it.others).sum()
    }

    fn of(record: &[Change]) -> Self {
        let mut seen = Self { writes: 0, plans: Vec::new() };
        for change in record.iter().filter(|change| change.collection == SLICES) {
            seen.writes += 1;
            let before = endpoints(change.before.as_ref());
            let mut after = endpoints(change.after.as_ref());
            after.retain(|_, it| it.is_ready);
            let is_other = |(pod, after): &(&String, &Endpoint)| {
                let before = before.get(*pod);
                before.is_some_and(|it| it.is_ready && it.names != after.names)
            };
            let others = after.iter().filter(is_other).count();
            if others > 0 {
                // A new endpoint would name its own zone.
                let own =
                    |it: &Endpoint| Endpoint { names: [it.zone.clone()].into(), ..it.clone() };
                let kept = after
                    .iter()
                    .map(|(pod, it)| before.get(pod).cloned().unwrap_or_else(|| own(it)));
                let kept: Vec<_> = kept.collect();
                let new: Vec<_> = after.values().cloned().collect();
                seen.plans.push(Renaming { at: change.at, others, gain: gain(&kept, &new) });
            }
        }
        seen
    }
}

/// An endpoint.
#[derive(Clone, Debug)]
struct Endpoint {
    is_ready: bool,
    zone: String,
    names: BTreeSet<String>,
}

/// Each endpoint, by the UID of its pod.
fn endpoints(slice: Option<&Value>) -> BTreeMap<String, Endpoint> {
    let endpoints = slice.and_then(|slice| slice["endpoints"].as_array()).into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let read = endpoints.map(|endpoint| {
        let zones = endpoint["hints"]["forZones"].as_array().into_iter().flatten();
        let names = zones.map(|zone| text(&zone["name"])).collect();
        let is_ready = endpoint["conditions"]["ready"] == true;
        let read = Endpoint { is_ready, zone: text(&endpoint["zone"]), names };
        (text(&endpoint["targetRef"]["uid"]), read)
    });
    read.collect()
}

fn gain(kept: &[Endpoint], new: &[Endpoint]) -> f64 {
    let (kept, new) = (in_zone(kept), in_zone(new));
    let is_narrower = new.iter().zip(kept).any(|(new, kept)| !new.is_all && new.share > kept.share);
    let sum = |zones: [InZone; 3]| zones.iter().map(|it| it.share / 3.0).sum::<f64>();
    if is_narrower { sum(new) - sum(kept) } else { 0.0 }
}

/// What clients of a zone reach.
#[derive(Clone, Copy, Debug)]
struct InZone {
    /// Which part of their traffic stays in the zone.
    share: f64,
    /// Whether that is every endpoint.
    is_all: bool,
}

/// By zone. Each of the three sends the same.
fn in_zone(endpoints: &[Endpoint]) -> [InZone; 3] {
    ["a", "b", "c"].map(|zone| {
        let named: Vec<_> = endpoints.iter().filter(|it| it.names.contains(zone)).collect();
        let named = if named.is_empty() { endpoints.iter().collect() } else { named };
        let own = named.iter().filter(|it| it.zone == zone).count();
        let part = |count: usize| f64::from(u32::try_from(count).unwrap());
        let share = part(own) / part(named.len().max(1));
        InZone { share, is_all: named.len() == endpoints.len() }
    })
}

/// Rolls all six pods, and waits until all has settled.
async fn roll(order: Order, pods: [usize; 6], under: Under) -> Seen {
    let api = cluster(&["web-0", "web-1", "web-2", "web-3", "web-4", "web-5"]);
    api.install();
    match under {
        Under::Field => api.edit(SERVICES, "shop", "web", |service| {
            service["spec"]["trafficDistribution"] = json!("PreferSameZone");
        }),
        Under::Guard(max) => drop(api.put(
            POLICIES,
            json!({
                "metadata": { "namespace": "shop", "name": "guard" },
                "spec": { "prefer": ["Zone"], "guard": { "maxOverloadPercent": max } },
            }),
        )),
    }
    let rig = Rig::settled(api.clone()).await;
    rig.pass(MINUTE).await;
    let from = api.record().len();
    for old in pods {
        // In the zone of the old one.
        let (old, new) = (format!("web-{old}"), format!("web-{}", old + 6));
        if order == Order::Surge {
            start(&rig, &api, &new).await;
        }
        end(&rig, &api, &old).await;
        if order == Order::KillFirst {
            start(&rig, &api, &new).await;
        }
        rig.pass(PAUSE).await;
    }
    rig.pass(5 * MINUTE).await;
    let strict = endpoints(Some(&rig.slice("web")));
    assert!(strict.len() == 6 && strict.values().all(|it| it.names.len() == 1), "{strict:?}");
    assert!(strict.values().all(|it| it.names.contains(&it.zone)), "{strict:?}");
    let seen = Seen::of(&api.record()[from..]);
    println!(
        "{order:?} {pods:?}, {under:?}: {} writes, {} changes of names of others in {} plans",
        seen.writes,
        seen.others(),
        seen.plans.len()
    );
    seen
}

async fn start(rig: &Rig, api: &FakeApi, name: &str) {
    let mut new = pod(name);
    new["status"]["conditions"][0] = ready_condition(false);
    api.put(PODS, new);
    rig.pass(STARTS).await;
    set_ready(api, name, true);
    rig.pass(SECOND).await;
}

async fn end(rig: &Rig, api: &FakeApi, name: &str) {
    api.delete(PODS, "shop", name);
    rig.pass(ENDS).await;
    if api.get(PODS, "shop", name).is_some() {
        api.remove(PODS, "shop", name);
    }
    rig.pass(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn with_surge_a_guard_costs_no_write_and_no_other_endpoint_changes() {
    for pods in ORDERS {
        let without = roll(Order::Surge, pods, Under::Field).await;
        for max in [20, 30] {
            let with = roll(Order::Surge, pods, Under::Guard(max)).await;
            assert_eq!((with.writes, with.others()), (without.writes, 0), "{with:?}");
        }
        assert_eq!(without.others(), 0, "{without:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn kill_first_needs_one_new_plan_per_zone_and_none_is_narrower_before_hold() {
    for pods in ORDERS {
        let without = roll(Order::KillFirst, pods, Under::Field).await;
        assert_eq!(without.others(), 0, "{without:?}");
        for max in [20, 30] {
            let with = roll(Order::KillFirst, pods, Under::Guard(max)).await;
            let (narrower, others): (Vec<_>, Vec<_>) =
                with.plans.iter().partition(|it| it.is_narrower());
            // The one that leads back to local zones, after all.
            assert_eq!(narrower.len(), 1, "{with:#?}");
            // A plan that is no narrower in any zone does not begin the wait anew.
            let begun = others.iter().filter(|it| it.gain != 0.0);
            let last = begun.map(|it| it.at).max().unwrap_or(others[0].at);
            assert!(narrower[0].at - last >= HOLD, "{with:#?}");
            // One for each zone, if the widest plan that a guard allows stays when the pod is back.
            let most = if (pods, max) == (ORDERS[0], 30) { 3 } else { 9 };
            assert!(others.len() <= most, "{with:#?}");
            // A new plan is written with the change of endpoints that it is for.
            assert!(with.writes <= without.writes + narrower.len(), "{} writes", with.writes);
        }
    }
}
