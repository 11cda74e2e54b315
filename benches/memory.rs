//! How much memory the controller takes for clusters of some shapes: its peak until all slices are
//! written, and what remains.
//!
//! `cargo bench --bench memory` runs each case in a process of its own, without client and watches.
//! [docs/install.md](../docs/install.md) has the results.

// The API documents what it expects. A bench that cannot continue may panic.
#![allow(clippy::expect_used, missing_docs)]

#[allow(dead_code, reason = "other benches need more of it")]
mod site;

use std::{
    env, fs,
    hint::black_box,
    process::{Command, ExitCode},
};

use self::site::{Shape, Site};

/// A cluster by name.
struct Case {
    name: &'static str,
    build: fn() -> Site,
}

const CASES: &[Case] = &[
    Case {
        name: "1,000 Services, each with 10 pods of its own",
        build: || Site::new(Shape { services: 1_000, pods: 10, per_namespace: 100 }),
    },
    Case {
        name: "15,000 Services, each with 10 pods of its own",
        build: || Site::new(Shape { services: 15_000, pods: 10, per_namespace: 100 }),
    },
    Case {
        name: "1,000 Services that all select 1,000 pending pods",
        build: || Site::crowd(1_000),
    },
    Case {
        name: "5,000 Services that all select 5,000 pending pods",
        build: || Site::crowd(5_000),
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [flag, name] = arguments.as_slice()
        && flag == "--run"
    {
        let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
        let site = black_box((case.build)());
        println!("{:>9} {:>9}  {name}", megabytes("VmHWM"), megabytes("VmRSS"));
        drop(site);
        return ExitCode::SUCCESS;
    }
    println!("{:>9} {:>9}", "peak, MB", "rest, MB");
    let program = env::current_exe().expect("this program");
    let has_run = |case: &Case| {
        let status = Command::new(&program).args(["--run", case.name]).status();
        status.expect("this program").success()
    };
    if CASES.iter().all(has_run) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A figure of this process's memory, in megabytes.
fn megabytes(name: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").expect("figures of this process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    let bytes: u64 = kibibytes.map_or(0, |number: u64| number * 1024);
    format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10)
}
