//! What each operation costs, in instructions. Also checks that it does not cost more in a larger
//! cluster.
//!
//! `cargo bench --bench cost` runs each case in its own process under valgrind. It installs
//! Debian's package `valgrind` if that is missing. valgrind counts the instructions of the measured
//! code and ignores the code that builds the cluster. The counts are the same on every machine
//! except for a few in a thousand, so the command can check the ratios between them. It fails if a
//! ratio is above its limit.
//!
//! It does not use gungraun. gungraun compares each count with that of an earlier run, but what
//! matters here is how the counts of one run compare with each other.

// The API documents what it expects. A bench that cannot continue may panic.
#![allow(clippy::expect_used, clippy::panic, missing_docs)]

mod curve;
mod dump;
mod frames;
mod guarded;
mod many_ports;
// These belong to the package e2e, which depends on this package and runs their tests.
#[cfg_attr(test, allow(dead_code, reason = "what tests need is not used without a test harness"))]
#[path = "../e2e/src/packages.rs"]
mod packages;
#[path = "../e2e/src/progress.rs"]
mod progress;
#[allow(dead_code, reason = "other tests need more of them")]
#[path = "../src/model/samples.rs"]
mod samples;
#[allow(dead_code, reason = "other benches need more of it")]
mod site;

use std::{
    env,
    hint::black_box,
    process::{Command, ExitCode, Stdio},
};

use closehaul::{
    api::{frame::Encoding, render},
    model::{self, pod::Pod, slice::Slice},
    plan::policy::{
        self,
        counts::{Names, Tally},
        problem::Problem,
    },
};

use serde_json::{Value, json};

use self::site::{Placing, Shape, Site};

/// How often each operation runs and is measured.
const TIMES: usize = 20;

/// An operation whose cost is measured, by name. `limit` bounds the cost by a multiple of another
/// case's cost.
struct Case {
    name: &'static str,
    run: fn(),
    limit: Option<(f64, &'static str)>,
}

const FLAT: f64 = 1.2;

const fn case(name: &'static str, run: fn()) -> Case {
    Case { name, run, limit: None }
}

/// Five times the input costs at most six times as much.
const LINEAR: f64 = 6.0;

const fn linear(name: &'static str, than: &'static str, run: fn()) -> Case {
    Case { name, run, limit: Some((LINEAR, than)) }
}

const fn flat(name: &'static str, than: &'static str, run: fn()) -> Case {
    Case { name, run, limit: Some((FLAT, than)) }
}

/// All cases. Unless a case says otherwise, a Service has 10 pods and a namespace has 100 Services.
const CASES: &[Case] = &[
    case("decode a pod's event of 13 kB", || {
        let frames: Vec<_> = (0..TIMES).map(frames::pod).collect();
        measure(|| {
            for frame in frames {
                let _ = black_box(Encoding::Protobuf.event::<Pod>(frame));
            }
        });
    }),
    case("decode a slice's event of 100 endpoints", || {
        let slice = slice_of(100);
        let frames: Vec<_> = (0..TIMES).map(|_| frames::slice(&slice)).collect();
        measure(|| {
            for frame in frames {
                let _ = black_box(Encoding::Protobuf.event::<Slice>(frame));
            }
        });
    }),
    case("render a slice of 100 endpoints", || {
        let slice = slice_of(100);
        measure(|| {
            for _ in 0..TIMES {
                let _ = black_box(render::body(&slice, Encoding::Protobuf));
            }
        });
    }),
    case("plan a right Service of 100 endpoints", || {
        let mut site = Site::new(Shape { services: TIMES, pods: 100, per_namespace: 100 });
        for service in 0..TIMES {
            let event = site.service_event(service, "Local");
            site.take_in(event);
        }
        measure(|| site.settle());
    }),
    case("take in a local write of 100 endpoints", || {
        let mut site = Site::new(Shape { services: TIMES, pods: 100, per_namespace: 100 });
        let mut shown = Vec::new();
        for service in 0..TIMES {
            let event = site.flip(service, 7, false);
            site.take_in(event);
            let job = site.next_job().expect("a write");
            let (outcome, events) = site.answer(job);
            site.finish(outcome);
            shown.extend(events);
        }
        measure(|| shown.into_iter().for_each(|event| site.take_in(event)));
    }),
    case("plan 200 named ports on 12 pods", || plan(&many_ports::Site::named(200, 12))),
    linear("plan 1,000 named ports on 12 pods", "plan 200 named ports on 12 pods", || {
        plan(&many_ports::Site::named(1_000, 12));
    }),
    linear("plan 200 named ports on 60 pods", "plan 200 named ports on 12 pods", || {
        plan(&many_ports::Site::named(200, 60));
    }),
    case("plan 1,000 plain ports on 100 pods", || plan(&many_ports::Site::plain(1_000, 100))),
    linear("plan 5,000 plain ports on 100 pods", "plan 1,000 plain ports on 100 pods", || {
        plan(&many_ports::Site::plain(5_000, 100));
    }),
    linear("plan 1,000 plain ports on 500 pods", "plan 1,000 plain ports on 100 pods", || {
        plan(&many_ports::Site::plain(1_000, 500));
    }),
    case("a pod's change, 1,000 pods", || change(pods(1_000))),
    flat("a pod's change, 10,000 pods", "a pod's change, 1,000 pods", || change(pods(10_000))),
    flat("a pod's change, 50,000 pods", "a pod's change, 1,000 pods", || change(pods(50_000))),
    flat("a pod's change, 150,000 pods", "a pod's change, 1,000 pods", || change(pods(150_000))),
    case("a pod's change, 1 Service in the namespace", || change(in_namespace(1))),
    flat("a pod's change, 100 Services", ONE, || change(in_namespace(100))),
    flat("a pod's change, 1,000 Services", ONE, || change(in_namespace(1_000))),
    flat("a pod's change, 5,000 Services", ONE, || change(in_namespace(5_000))),
    case("a pod's change, 100 endpoints", || change(one_service(100))),
    flat("a pod's change, 1,000 endpoints", "a pod's change, 100 endpoints", || {
        change(one_service(1_000));
    }),
    flat("a pod's change, 20,000 endpoints", "a pod's change, 100 endpoints", || {
        change(one_service(20_000));
    }),
    case(UNGUARDED, || flip(None)),
    Case {
        name: "a flip in 20,000 endpoints, under a guard",
        run: || flip(Some(20)),
        limit: Some((KEPT, UNGUARDED)),
    },
    case(REPLAN, || replan(Placing::Any, &[])),
    Case {
        name: "plan 50 right Services, preferred by a policy",
        run: || replan(Placing::Any, &[json!({ "prefer": ["Zone"] })]),
        limit: Some((PREFERRED, REPLAN)),
    },
    case("plan 50 right Services, under a guard", || replan(Placing::Any, &[guard()])),
    case("plan 50 right, even Services, under a guard", || replan(Placing::Even, &[guard()])),
    case(CHANGE, || change(pods(1_000))),
    // Most of these changes end a plan, and a new one is no part of what is compared here.
    case("a pod's change, under a guard", || change_under(pods(1_000), Placing::Any, &[guard()])),
    case(EVEN_CHANGE, || change_under(pods(1_000), Placing::Even, &[])),
    case("a pod's change, even zones, under a guard", || {
        change_under(pods(1_000), Placing::Even, &[guard()]);
    }),
    case("a pod's change, even zones, under a wide guard", || {
        change_under(pods(1_000), Placing::Even, &[wide_guard()]);
    }),
    case(CLIENT, || client(0)),
    case("a change of one of 10,000 client pods, 1 selector", || client(1)),
    case("a change of one of 10,000 client pods, 10 selectors", || client(10)),
    case("a change of one of 10,000 client pods, 100 selectors", || client(100)),
    case("a new plan, 5,000 endpoints, 8 zones", || {
        search([1_400, 900, 700, 600, 500, 400, 300, 200], 20);
    }),
    case("a new plan, 8 zones x 5 endpoints, cap 5 %", || search([5; 8], 5)),
    case("scan the YAML of 20 pods of a dump", || {
        let text = dump::text(TIMES);
        measure(|| dump::scan(&text));
    }),
    case(DUMP, || read(TIMES)),
    linear("read 100 pods of a dump", DUMP, || read(5 * TIMES)),
];

const DUMP: &str = "read 20 pods of a dump";

/// A plan under a guard that stays costs at most half as much again as without.
const KEPT: f64 = 1.5;

/// Measures what it costs to read a dump of so many pods.
fn read(pods: usize) {
    let dump = dump::Dump::new(pods);
    measure(|| dump.read());
}

/// Measures what a pod that becomes unready costs in a Service of 20,000 endpoints, as the index plans
/// it: the Service is planned in part.
fn flip(guard: Option<u16>) {
    let mut site = guarded::Site::new(20_000, 3, guard);
    let flip = |site: &mut guarded::Site, pod: usize| {
        site.take_in(pod, false);
        assert_eq!(site.sync(), (1, true), "one slice, planned by itself");
    };
    // Where each pod is becomes known with the first one.
    flip(&mut site, 7);
    measure(|| (0..TIMES).for_each(|time| flip(&mut site, 100 + time * 101)));
}

const REPLAN: &str = "plan 50 right Services, no policy";
const CHANGE: &str = "a pod's change, no policy";
const EVEN_CHANGE: &str = "a pod's change, even zones, no policy";
/// What a policy without a guard may add to planning.
const PREFERRED: f64 = 1.1;
const CLIENT: &str = "a change of one of 10,000 client pods, no policy";

fn guard() -> Value {
    json!({ "prefer": ["Zone"], "guard": { "maxOverloadPercent": 30 } })
}

/// A guard under which a Service with 10 pods can do without one of them.
fn wide_guard() -> Value {
    json!({ "prefer": ["Zone"], "guard": { "maxOverloadPercent": 60 } })
}

/// Measures a change of one of 10,000 pods, all of which are clients of as many other Services by their
/// policies.
fn client(policies: usize) {
    let of = |number: usize| {
        let absent = format!("absent-{number}");
        json!({
            "services": { "names": [format!("svc-{}", 900 + number)] },
            "prefer": ["Zone"],
            "guard": { "maxOverloadPercent": 30 },
            "demand": {
                "source": "Clients",
                "clientSelector": { "matchExpressions": [
                    { "key": "team", "operator": "Exists" },
                    { "key": absent, "operator": "DoesNotExist" },
                ] },
            },
        })
    };
    let policies: Vec<Value> = (0..policies).map(of).collect();
    let shape = Shape { services: 1_000, pods: 10, per_namespace: 1_000 };
    // The changes are those of the Services 0 to 777.
    change_under(shape, Placing::Any, &policies);
}

/// Measures planning 50 Services of 10 pods, of which none must be written.
fn replan(placing: Placing, policies: &[Value]) {
    let shape = Shape { services: 50, pods: 10, per_namespace: 100 };
    let mut site = Site::under(shape, placing, policies);
    for service in 0..50 {
        let event = site.service_event(service, "Local");
        site.take_in(event);
    }
    measure(|| site.settle());
}

/// Measures the search for a new plan with this many endpoints in each zone.
fn search(counts: [usize; 8], cap: u16) {
    let mut in_force = Tally::default();
    for (zone, count) in counts.into_iter().enumerate() {
        in_force.add(Some(zone), Names::only(zone), count);
    }
    let problem = Problem::new(&[0.125; 8], in_force, f64::from(cap) / 100.0);
    measure(|| {
        for _ in 0..TIMES {
            assert!(!black_box(policy::distribute(&problem)).is_empty());
        }
    });
}

const UNGUARDED: &str = "a flip in 20,000 endpoints, no policy";

const ONE: &str = "a pod's change, 1 Service in the namespace";

fn pods(pods: usize) -> Shape {
    Shape { services: pods / 10, pods: 10, per_namespace: 100 }
}

/// As many namespaces as it takes to hold 5,000 Services.
fn in_namespace(services: usize) -> Shape {
    Shape { services: 5_000, pods: 2, per_namespace: services }
}

fn one_service(endpoints: usize) -> Shape {
    Shape { services: 1, pods: endpoints, per_namespace: 1 }
}

/// Measures what a pod that becomes unready costs, from its decoded event to the write that shows
/// it, including the answer and the echo of that write.
fn change(shape: Shape) {
    change_under(shape, Placing::Any, &[]);
}

fn change_under(shape: Shape, placing: Placing, policies: &[Value]) {
    let mut site = Site::under(shape, placing, policies);
    let Shape { services, pods, .. } = shape;
    // These changes are not the first of their kind, so cached results exist.
    let mut places = (0..TIMES + 2).map(|time| (time * 37 % services, time * 101 % pods));
    let flip = |site: &mut Site, (service, pod)| {
        let event = site.flip(service, pod, false);
        site.take_in(event);
        let job = site.next_job().expect("a write");
        assert_eq!(
            job.families.iter().map(closehaul::plan::changes::Changes::len).sum::<usize>(),
            1
        );
        site.written(job);
    };
    places.by_ref().take(2).for_each(|place| flip(&mut site, place));
    let places: Vec<_> = places.collect();
    measure(|| places.into_iter().for_each(|place| flip(&mut site, place)));
}

/// Measures a plan of a Service that has no slices yet.
fn plan(site: &many_ports::Site) {
    measure(|| {
        for _ in 0..TIMES {
            assert!(black_box(site.plan()) > 0);
        }
    });
}

fn slice_of(endpoints: usize) -> Slice {
    Site::new(one_service(endpoints)).latest.expect("a slice")
}

/// The code that valgrind counts, and nothing else.
#[inline(never)]
fn measure(work: impl FnOnce()) {
    measured(&mut Some(work));
}

#[inline(never)]
fn measured(work: &mut Option<impl FnOnce()>) {
    if let Some(work) = work.take() {
        work();
    }
    black_box(());
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.as_slice() {
        [flag, name] if flag == "--run" => {
            let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
            (case.run)();
            ExitCode::SUCCESS
        }
        words => all(words),
    }
}

/// Counts all cases whose names contain these words, and checks their limits.
fn all(words: &[String]) -> ExitCode {
    let valgrind = packages::Program { command: "valgrind", package: "valgrind" };
    if let Err(error) = packages::ensure(&[valgrind]) {
        eprintln!("cost: {error}");
        return ExitCode::FAILURE;
    }
    let mut counts: Vec<(&str, u64)> = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for case in CASES.iter().filter(|case| words.iter().all(|word| case.name.contains(word))) {
        let count = count(case.name) / TIMES as u64;
        counts.push((case.name, count));
        let base = case.limit.and_then(|(limit, than)| {
            let (_, base) = counts.iter().find(|(name, _)| *name == than)?;
            Some((limit, ratio(count, *base)))
        });
        let verdict = base.map_or_else(String::new, |(limit, ratio)| {
            let is_over = ratio > limit;
            if is_over {
                code = ExitCode::FAILURE;
            }
            format!("x{ratio:.2} (at most {limit}){}", if is_over { ": TOO MUCH" } else { "" })
        });
        println!("{count:>10}  {:<45} {verdict}", case.name);
    }
    if words.is_empty() {
        match curve::draw(&counts) {
            Ok(path) => println!("The curves are in {}", path.display()),
            Err(error) => {
                println!("the curves cannot be drawn: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(count: u64, base: u64) -> f64 {
    count as f64 / base as f64
}

/// The instructions of a case.
fn count(name: &str) -> u64 {
    let program = env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=cost::measured*")
        .arg(program)
        .args(["--run", name])
        .stdin(Stdio::null())
        .output()
        .expect("valgrind");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    match count {
        Some(count) if count > 0 && output.status.success() => count,
        _ => panic!("`{name}` was not counted:\n{text}"),
    }
}
