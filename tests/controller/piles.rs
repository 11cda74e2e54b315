//! Piles: several faults at the same time, of several Services, with crashes and fail-overs. The
//! invariants must hold all the time, and at the end the slices are what the plan requires. In half
//! of the piles only writes fail, so that a healthy Service must be written in time.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};

use fake_api::{
    FakeApi,
    collections::{PODS, SERVICES, SLICES},
    faults::{Effect, on, on_watch},
    invariants::{self, Limits},
    rig::*,
    samples::{foreign_slice, pod},
    seeds::{each, seeds, simulate},
    world::{Dice, calm},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{leadership::Replica, stable};

/// All of them: `SEEDS=100`. A single one: `SEED=7`.
const SEEDS: u64 = 12;
const STEPS: u64 = 80;
/// Faults that are active at the same time, at least.
const FAULTS: usize = 3;
const SERVICES_OF_PILES: [&str; 8] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "healthy"];
const PODS_OF_SERVICE: u64 = 5;
/// A replica may know the world as it was before a watch fell silent, which is noticed within 85 s,
/// and may send writes that were planned then.
const STALENESS: Duration = Duration::from_secs(120);
/// How long a Service at which nothing fails may be out of date, while watches work.
const LAG: Duration = Duration::from_secs(5);
/// Known violations, each until it is mended.
pub const KNOWN: [&str; 3] = [
    // A change of ports moves endpoints between slices, and a slice is written without them before
    // they are in another one.
    invariants::ENDPOINT,
    // The answer to a create is lost, and the retry comes before the watch shows the slice.
    invariants::DUPLICATE,
    // The writes of several Services hang and take all writers.
    invariants::LAG,
];

/// One fault of a pile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Refused,
    Hung,
    AnswerLost,
    Slow,
    AnswerSlow,
    Conflict,
    TooMany,
    Failed,
    Unavailable,
    TimedOut,
    FailedAfterDone,
    Invalid,
    WatchClosed,
    WatchSilent,
    WatchHeld,
    Compacted,
}

impl Fault {
    /// How many of them, from the first, are faults of writes.
    const WRITES: usize = 12;
    const ALL: [Self; 16] = [
        Self::Refused,
        Self::Hung,
        Self::AnswerLost,
        Self::Slow,
        Self::AnswerSlow,
        Self::Conflict,
        Self::TooMany,
        Self::Failed,
        Self::Unavailable,
        Self::TimedOut,
        Self::FailedAfterDone,
        Self::Invalid,
        Self::WatchClosed,
        Self::WatchSilent,
        Self::WatchHeld,
        Self::Compacted,
    ];

    /// Begins the fault. One of writes is for the slices of these Services.
    fn begin(self, api: &FakeApi, services: &BTreeSet<&'static str>, dice: &mut Dice) {
        let kind = dice.pick(&["/pods", "/endpointslices", "/services"]);
        let method = dice.pick(&["POST", "PUT", "DELETE", ""]);
        let write = |effect: Effect| {
            for service in services {
                api.fault(on(method, "/endpointslices").service(service), effect.clone());
            }
        };
        match self {
            Self::Refused => write(Effect::Refuse),
            Self::Hung => write(Effect::Hang),
            Self::AnswerLost => write(Effect::DoAndHang),
            Self::Slow => write(Effect::Delay(2 * SECOND)),
            Self::AnswerSlow => write(Effect::DoAndDelay(2 * SECOND)),
            Self::Conflict => write(Effect::Answer(409)),
            Self::TooMany => write(Effect::TooMany(1)),
            Self::Failed => write(Effect::Answer(500)),
            Self::Unavailable => write(Effect::Answer(503)),
            Self::TimedOut => write(Effect::Answer(504)),
            Self::FailedAfterDone => write(Effect::DoAndAnswer(500)),
            Self::Invalid => write(Effect::Invalid {
                field: "endpoints[0].zone".to_owned(),
                value: String::new(),
                by_webhook: dice.one_in(2),
            }),
            Self::WatchClosed => api.fault(on_watch(kind), Effect::CloseAtOnce),
            Self::WatchSilent => api.fault(on_watch(kind).times(1), Effect::Silence),
            Self::WatchHeld => api.hold(dice.pick(&[PODS, SLICES, SERVICES])),
            Self::Compacted => {
                api.compact();
                api.end_watches();
            }
        }
    }
}

#[test]
fn the_invariants_hold_whatever_fails_at_the_same_time() {
    let began = std::time::Instant::now();
    let outcomes = each(&seeds(SEEDS), Pile::run);
    report(&outcomes, began.elapsed());
    let found = |known: &&str| {
        outcomes.iter().flat_map(|pile| &pile.violations).any(|(_, invariant)| invariant == known)
    };
    if outcomes.len() as u64 == SEEDS {
        let gone: Vec<_> = KNOWN.iter().filter(|known| !found(known)).collect();
        assert!(gone.is_empty(), "not found any more; if it is mended, remove it: {gone:?}");
    }
    let is_new = |violation: &&(String, &str)| !KNOWN.contains(&violation.1);
    for pile in &outcomes {
        let new: Vec<_> = pile.violations.iter().filter(is_new).map(|(text, _)| text).collect();
        assert!(new.is_empty(), "SEED={}: {new:#?}\n{}", pile.seed, pile.history.join("\n"));
    }
}

/// Prints how often each pair of faults was active at the same time, and what was violated.
fn report(piles: &[Pile], took: Duration) {
    let mut pairs: BTreeMap<(Fault, Fault), usize> = BTreeMap::new();
    for pair in piles.iter().flat_map(|pile| &pile.pairs) {
        *pairs.entry(*pair).or_default() += 1;
    }
    let all = Fault::ALL.len() * (Fault::ALL.len() - 1) / 2;
    let least = if pairs.len() < all { 0 } else { pairs.values().copied().min().unwrap_or(0) };
    println!("{} piles in {took:?}; each pair of faults in at least {least} of them", piles.len());
    let mut violated: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for pile in piles {
        for invariant in
            pile.violations.iter().map(|(_, invariant)| *invariant).collect::<BTreeSet<_>>()
        {
            violated.entry(invariant).or_default().push(pile.seed);
        }
    }
    for (invariant, seeds) in violated {
        println!("{invariant}: {} seeds, {seeds:?}", seeds.len());
    }
    if let [pile] = piles {
        println!("{}\n{:#?}", pile.history.join("\n"), pile.violations);
    }
}

/// One run.
struct Pile {
    seed: u64,
    history: Vec<String>,
    /// The pairs of faults that were active at the same time.
    pairs: BTreeSet<(Fault, Fault)>,
    /// Each with the invariant that it violates.
    violations: Vec<(String, &'static str)>,
}

impl Pile {
    fn run(seed: u64) -> Self {
        let pile =
            Self { seed, history: Vec::new(), pairs: BTreeSet::new(), violations: Vec::new() };
        simulate(pile.live())
    }

    async fn live(mut self) -> Self {
        let mut dice = Dice::new(self.seed);
        let writes_only = self.seed % 4 < 2;
        let kinds = if writes_only { &Fault::ALL[..Fault::WRITES] } else { &Fault::ALL[..] };
        let mut options = Options::default();
        options.settings.plan.max_endpoints = dice.pick(&[1, 2, 3]);
        options.concurrency = dice.pick(&[1, 2, 5]);
        let api = world();
        api.put(SLICES, foreign_slice());
        let mut replicas = [Replica::start(&api, options), Replica::start(&api, options)];
        let start = Instant::now();
        for step in 0..STEPS {
            let what = if step % 10 == 0 {
                self.faults(&api, kinds, &mut dice)
            } else if !writes_only && dice.one_in(25) {
                let at = usize::from(dice.one_in(2));
                let fresh = Replica::start(&api, options);
                std::mem::replace(&mut replicas[at], fresh).crash().await;
                format!("crash of replica {at}")
            } else {
                change(&api, &mut dice)
            };
            self.history.push(format!("{:>9.3} {what}", start.elapsed().as_secs_f64()));
            replicas[0].rig.pass(Duration::from_millis(dice.roll(8_000))).await;
        }
        calm(&api);
        replicas[0].rig.pass(stable::BOUND).await;
        let max_endpoints = options.settings.plan.max_endpoints;
        if let Err(error) = stable::check(&replicas[0].rig, max_endpoints, true) {
            self.violations.push((error, "the slices are not right in the end"));
        }
        let staleness = Some(STALENESS);
        let lag = writes_only.then_some((LAG, &SERVICES_OF_PILES[7..]));
        let limits = Limits { max_endpoints, staleness, stores_node_hints: true, lag };
        for violation in invariants::violations(&api.record(), limits) {
            let at = (violation.at - start).as_secs_f64();
            let text = format!("{at:>9.3} {}: {}", violation.invariant, violation.what);
            self.violations.push((text, violation.invariant));
        }
        self
    }

    /// Ends all faults and begins others.
    fn faults(&mut self, api: &FakeApi, kinds: &[Fault], dice: &mut Dice) -> String {
        calm(api);
        let mut active: BTreeMap<Fault, BTreeSet<&str>> = BTreeMap::new();
        while active.len() < FAULTS + usize::from(dice.one_in(2)) {
            // The last Service is never at fault.
            let services = (0..4).map(|_| dice.pick(&SERVICES_OF_PILES[..7])).collect();
            let fault = dice.pick(kinds);
            if let Entry::Vacant(entry) = active.entry(fault) {
                fault.begin(api, &services, dice);
                entry.insert(services);
            }
        }
        let faults: Vec<_> = active.keys().copied().collect();
        for (at, one) in faults.iter().enumerate() {
            self.pairs.extend(faults[at + 1..].iter().map(|other| (*one, *other)));
        }
        format!("faults: {active:?}")
    }
}

/// The Services with their pods.
fn world() -> FakeApi {
    let pods = SERVICES_OF_PILES
        .iter()
        .flat_map(|service| (0..PODS_OF_SERVICE).map(move |number| format!("{service}-{number}")));
    let pods: Vec<String> = pods.collect();
    cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Makes a random change. Returns a description of it.
fn change(api: &FakeApi, dice: &mut Dice) -> String {
    let service = dice.pick(&SERVICES_OF_PILES);
    let name = format!("{service}-{}", dice.roll(PODS_OF_SERVICE));
    match dice.roll(10) {
        0..5 if api.get(PODS, "shop", &name).is_some() => {
            let is_ready = dice.one_in(2);
            set_ready(api, &name, is_ready);
            format!("readiness of pod {name}: {is_ready}")
        }
        5 if api.get(PODS, "shop", &name).is_some() => {
            remove(api, PODS, &name);
            format!("remove pod {name}")
        }
        0..7 => {
            api.put(PODS, pod(&name));
            format!("put pod {name}")
        }
        7 | 8 => {
            let port = dice.pick(&[8080, 8081, 8082]);
            edit(api, SERVICES, service, |service| {
                service["spec"]["ports"][0]["targetPort"] = json!(port);
            });
            format!("port of service {service}: {port}")
        }
        _ => {
            let prefer = dice.pick(&[None, Some("PreferSameZone"), Some("PreferSameNode")]);
            edit(api, SERVICES, service, |service| {
                service["spec"]["trafficDistribution"] = json!(prefer);
            });
            format!("trafficDistribution of service {service}: {prefer:?}")
        }
    }
}
