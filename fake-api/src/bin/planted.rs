//! Planted bugs (`cargo planted`): the patches in `fake-api/planted` are applied to a copy of this
//! checkout, one at a time, and the same piles must find each.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use clap::Parser;

/// Bugs planted in closehaul, found by piles of faults
#[derive(Parser)]
#[command(name = "cargo planted", bin_name = "cargo planted")]
struct Args {
    /// How many seeds for each bug
    #[arg(long, default_value_t = 40)]
    seeds: u64,
    /// Only the patches with these names
    names: Vec<String>,
}

/// How each invariant is violated.
type Found = BTreeMap<String, Violated>;

#[derive(Clone, Debug)]
struct Violated {
    /// How often, in all seeds.
    times: u64,
    /// By which seeds.
    seeds: BTreeSet<u64>,
}

impl Violated {
    /// Reads what the piles print after the invariant.
    fn parse(text: &str) -> Option<Self> {
        let (times, rest) = text.split_once(" times, ")?;
        let (_, seeds) = rest.split_once(" seeds, [")?;
        let seeds = seeds.trim_end_matches(']').split(", ").map(str::parse);
        Some(Self { times: times.parse().ok()?, seeds: seeds.collect::<Result<_, _>>().ok()? })
    }
}

/// Whether an invariant is violated by other seeds than before, or at least twice as often.
fn is_worse(found: &Found, before: &Found) -> bool {
    found.iter().any(|(invariant, now)| {
        before.get(invariant).is_none_or(|before| {
            !now.seeds.is_subset(&before.seeds) || now.times >= 2 * before.times
        })
    })
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot run {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("{what} failed:\n{output}")]
    Failed { what: String, output: String },
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => {
            println!("{missed} planted bugs were not found");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns how many bugs were not found.
fn run(args: &Args) -> Result<usize, Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let checkout = target.join("planted");
    copy(&root, &checkout)?;
    let patches = root.join("fake-api/planted");
    let entries = fs::read_dir(&patches).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
    });
    let mut patches = entries.map_err(|source| Error::File { path: patches, source })?;
    let name = |patch: &Path| {
        patch.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    patches.retain(|patch| args.names.is_empty() || args.names.contains(&name(patch)));
    patches.sort_unstable();
    let before = piles(&checkout, &target, args.seeds)?;
    show("nothing planted", &before);
    let mut missed = 0;
    for patch in &patches {
        apply(&checkout, patch, &[])?;
        let found = piles(&checkout, &target, args.seeds);
        apply(&checkout, patch, &["--reverse"])?;
        let found = found?;
        show(&name(patch), &found);
        if !is_worse(&found, &before) {
            missed += 1;
            println!("  NOT FOUND");
        }
    }
    Ok(missed)
}

fn show(name: &str, found: &Found) {
    println!("{name}");
    for (invariant, Violated { times, seeds }) in found {
        println!("  {invariant}: {times} times, {} seeds, {seeds:?}", seeds.len());
    }
}

/// Copies what git tracks.
fn copy(root: &Path, checkout: &Path) -> Result<(), Error> {
    let files = output(Command::new("git").args(["ls-files", "-z"]).current_dir(root), "git")?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (root.join(file), checkout.join(file));
        if !from.is_file() {
            continue;
        }
        let is_same = || Some(fs::read(&from).ok()? == fs::read(&to).ok()?);
        if is_same() == Some(true) {
            continue;
        }
        let folder = to.parent().unwrap_or(checkout);
        fs::create_dir_all(folder)
            .and_then(|()| fs::copy(&from, &to))
            .map_err(|source| Error::File { path: to.clone(), source })?;
    }
    Ok(())
}

fn apply(checkout: &Path, patch: &Path, options: &[&str]) -> Result<(), Error> {
    let mut command = Command::new("git");
    // The copy is no repository, and must not be taken for a part of the one around it.
    command.env("GIT_CEILING_DIRECTORIES", checkout.parent().unwrap_or(checkout));
    command.arg("apply").args(options).arg(patch).current_dir(checkout);
    output(&mut command, "git apply").map(drop)
}

/// Builds and runs the piles of the copy.
fn piles(checkout: &Path, target: &Path, seeds: u64) -> Result<Found, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "fake-api", "--bin", "piles", "--"]);
    command.args(["--shrink", "0", "--seeds", &seeds.to_string()]);
    command.env("CARGO_TARGET_DIR", target).current_dir(checkout).stderr(Stdio::inherit());
    let started = command.output();
    let program = "cargo".to_owned();
    let done = started.map_err(|source| Error::Start { program, source })?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    // The piles end with 1 if they find something new.
    if done.status.code().is_none_or(|code| code > 1) || !text.contains(" piles in ") {
        return Err(Error::Failed { what: "cargo piles".to_owned(), output: text });
    }
    let found = text.lines().filter_map(|line| {
        let (invariant, violated) = line.split_once(": ")?;
        Some((invariant.to_owned(), Violated::parse(violated)?))
    });
    Ok(found.collect())
}

fn output(command: &mut Command, what: &str) -> Result<String, Error> {
    let done = command.output();
    let done = done.map_err(|source| Error::Start { program: what.to_owned(), source })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let output = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(Error::Failed { what: what.to_owned(), output })
}
