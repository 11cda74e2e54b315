//! Piles: several faults at the same time, of several Services, with crashes and fail-overs. The
//! invariants must hold all the time, and at the end the slices are what the plan requires. In half
//! of the piles only writes fail, so that a healthy Service must be written in time.
//!
//! A pile is a script ([`script`]), drawn from a seed or kept in a file. [`shrink`] shortens one that
//! violates an invariant.

pub mod fault;
pub mod script;
pub mod shrink;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use closehaul::clock::{Clock, Moment};
use tokio::time::{Instant, sleep};

use self::{
    fault::Fault,
    script::{Action, Script},
};
use crate::{
    FakeApi,
    collections::SLICES,
    invariants::{self, Limits},
    replica::Replica,
    rig::{Options, cluster},
    samples::foreign_slice,
    seeds::simulate,
    settled,
    world::calm,
};

const STEPS: u64 = 80;
/// For so many steps, the same faults are active.
const STEPS_OF_FAULTS: u64 = 8;
/// Faults that are active at the same time, at least.
const FAULTS: usize = 4;
/// The last one is never at fault.
const SERVICES_OF_PILES: [&str; 8] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", HEALTHY];
const HEALTHY: &str = "healthy";
const PODS_OF_SERVICE: u64 = 5;
/// A replica may know the world as it was before a watch fell silent, which is noticed within 85 s,
/// and may send writes that were planned then.
const STALENESS: Duration = Duration::from_secs(120);
/// How long a Service at which nothing fails may be out of date, while watches work.
const LAG: Duration = Duration::from_secs(5);
/// The slices are what the plan requires, once the world stands still.
pub const END: &str = "the slices are not right in the end";

/// What a run has shown.
#[derive(Debug, Default)]
pub struct Pile {
    /// The pairs of faults that were active at the same time.
    pub pairs: BTreeSet<(Fault, Fault)>,
    /// How often the lease was lost and another replica took it.
    pub takeovers: usize,
    /// Each with the invariant that it violates.
    pub violations: Vec<(&'static str, String)>,
}

/// A replica on its machine.
pub struct Member {
    replica: Replica,
    /// How long the machine has been suspended, in milliseconds.
    suspended: Arc<AtomicU64>,
}

impl Member {
    fn start(api: &FakeApi, options: Options) -> Self {
        let suspended = Arc::<AtomicU64>::default();
        let (running, spent) = (Clock::runtime(), Arc::clone(&suspended));
        let start = running.now();
        let clock = Clock::new(move || {
            let ran = running.now().saturating_since(start);
            Moment::after_start(ran + Duration::from_millis(spent.load(Ordering::Relaxed)))
        });
        Self { replica: Replica::start_by(clock, api, options), suspended }
    }

    /// Its machine stands still for this long.
    fn suspend(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap_or_default();
        self.suspended.fetch_add(time, Ordering::Relaxed);
    }
}

impl Pile {
    /// Runs a script.
    pub fn run(script: &Script) -> Self {
        simulate(Self::live(script))
    }

    /// Whether it violates an invariant.
    pub fn violates(&self, invariant: &str) -> bool {
        self.violations.iter().any(|(other, _)| *other == invariant)
    }

    async fn live(script: &Script) -> Self {
        let mut pile = Self::default();
        let setup = &script.setup;
        let mut options = Options::default();
        options.settings.plan.max_endpoints = setup.max_endpoints;
        options.settings.concurrency = setup.concurrency;
        let api = world();
        api.check_apart();
        api.put(SLICES, foreign_slice());
        if setup.is_installed {
            api.install();
        }
        let mut members = [Member::start(&api, options), Member::start(&api, options)];
        let start = Instant::now();
        for step in &script.steps {
            match &step.action {
                Action::Faults(troubles) => {
                    calm(&api);
                    api.rejoin();
                    for (at, trouble) in troubles.iter().enumerate() {
                        trouble.begin(&api, &members);
                        let others = troubles[at + 1..].iter();
                        pile.pairs.extend(others.map(|other| (trouble.fault, other.fault)));
                    }
                }
                Action::Crash(at) => replace(&mut members[*at], &api, options).await,
                change => change.change(&api),
            }
            sleep(Duration::from_millis(step.then)).await;
            pile.takeovers += restart(&mut members, &api, options).await;
        }
        calm(&api);
        api.rejoin();
        sleep(settled::BOUND / 2).await;
        pile.takeovers += restart(&mut members, &api, options).await;
        sleep(settled::BOUND).await;
        let rig = &members[0].replica.rig;
        if let Err(error) = settled::check(rig, setup.max_endpoints, true) {
            pile.violations.push((END, error));
        }
        let lag = setup.writes_only.then_some((LAG, &SERVICES_OF_PILES[7..]));
        let limits = Limits {
            max_endpoints: setup.max_endpoints,
            staleness: Some(STALENESS),
            stores_node_hints: true,
            lag,
        };
        for violation in invariants::violations(&api.record(), limits) {
            let at = (violation.at - start).as_secs_f64();
            let text = format!("{at:>9.3} {}: {}", violation.invariant, violation.what);
            pile.violations.push((violation.invariant, text));
        }
        pile
    }
}

/// Ends a replica at once and starts another in its place.
async fn replace(member: &mut Member, api: &FakeApi, options: Options) {
    let fresh = Member::start(api, options);
    std::mem::replace(member, fresh).replica.crash().await;
}

/// Replaces replicas that have ended because they lost the lease. Returns how many.
async fn restart(members: &mut [Member; 2], api: &FakeApi, options: Options) -> usize {
    let mut count = 0;
    for member in members {
        if member.replica.election.is_finished() {
            replace(member, api, options).await;
            count += 1;
        }
    }
    count
}

/// The Services with their pods.
fn world() -> FakeApi {
    let pods = SERVICES_OF_PILES
        .iter()
        .flat_map(|service| (0..PODS_OF_SERVICE).map(move |number| format!("{service}-{number}")));
    let pods: Vec<String> = pods.collect();
    cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What a number of piles have shown.
pub struct Report<'p> {
    /// The piles, each with its seed.
    pub piles: &'p [(u64, Pile)],
    /// How long they took.
    pub took: Duration,
}

impl Report<'_> {
    /// The seeds that violate each invariant.
    pub fn violated(&self) -> BTreeMap<&'static str, Vec<u64>> {
        let mut violated = BTreeMap::<_, Vec<u64>>::new();
        for (seed, pile) in self.piles {
            let found: BTreeSet<_> = pile.violations.iter().map(|(it, _)| *it).collect();
            for invariant in found {
                violated.entry(invariant).or_default().push(*seed);
            }
        }
        violated
    }

    /// In how many piles each pair of faults was active at the same time, at least.
    pub fn least_pairs(&self) -> usize {
        let mut pairs = BTreeMap::<_, usize>::new();
        for pair in self.piles.iter().flat_map(|(_, pile)| &pile.pairs) {
            let (one, other) = *pair;
            *pairs.entry((one.min(other), one.max(other))).or_default() += 1;
        }
        let all = Fault::ALL.len() * (Fault::ALL.len() - 1) / 2;
        if pairs.len() < all { 0 } else { pairs.values().copied().min().unwrap_or(0) }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.piles.len();
        let takeovers: usize = self.piles.iter().map(|(_, pile)| pile.takeovers).sum();
        write!(
            out,
            "{count} piles in {:.1} s; each pair of faults in at least {}; {takeovers} leases lost",
            self.took.as_secs_f64(),
            self.least_pairs()
        )?;
        for (invariant, seeds) in self.violated() {
            let violations = self.piles.iter().flat_map(|(_, pile)| &pile.violations);
            let count = violations.filter(|(it, _)| *it == invariant).count();
            write!(out, "\n{invariant}: {count} times, {} seeds, {seeds:?}", seeds.len())?;
        }
        Ok(())
    }
}
