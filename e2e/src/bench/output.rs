//! The output of a run: raw data, a table and plots.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Error,
    measure::{Failure, Raw, Row},
    options::Options,
    plots, table,
};

/// Where results are written, and the results so far.
pub(super) struct Output {
    directory: PathBuf,
    raw: Raw,
}

impl Output {
    /// Creates the directory. Its results begin with the earlier ones, if they are shown.
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let directory = options.out.clone().unwrap_or_else(|| {
            let now = Timestamp::now().to_zoned(TimeZone::UTC);
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
            root.join(now.strftime("%Y-%m-%dT%H-%M-%S").to_string())
        });
        fs::create_dir_all(&directory)
            .map_err(|source| Error::File { path: directory.clone(), source })?;
        let mut raw = Raw { machine: machine(), command: command(), ..Raw::default() };
        for (index, path) in options.report.iter().enumerate() {
            let text = fs::read(path);
            let text = text.map_err(|source| Error::File { path: path.clone(), source })?;
            let part = serde_json::from_slice::<Raw>(&text);
            let part = part.map_err(|source| Error::Raw { path: path.clone(), source })?;
            if index == 0 {
                raw = part;
            } else {
                append(&mut raw, part);
            }
        }
        Ok(Self { directory, raw })
    }

    pub(super) fn add(&mut self, rows: Vec<Row>) {
        self.raw.rows.extend(rows);
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.raw.failures.push(failure);
    }

    /// Writes the raw data, so an interrupted run loses nothing.
    pub(super) fn save(&self) -> Result<(), Error> {
        let path = self.directory.join("raw.json");
        let text = serde_json::to_string(&self.raw)
            .map_err(|source| Error::Raw { path: path.clone(), source })?;
        write(&path, &text)
    }

    /// Writes everything and prints where.
    pub(super) fn finish(self) -> Result<Raw, Error> {
        self.save()?;
        let directory = &self.directory;
        let table = table::render(&self.raw);
        write(&directory.join("table.md"), &table)?;
        for (name, svg) in plots::all(&self.raw) {
            write(&directory.join(name), &svg)?;
        }
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        println!("{table}\nTable, plots and raw.json are in {}", directory.display());
        Ok(self.raw)
    }
}

/// Appends a later run to an earlier one. Its pairs get new numbers, because each run counts from
/// 0.
fn append(raw: &mut Raw, later: Raw) {
    let pairs = raw.rows.iter().map(|row| row.pair + 1).max().unwrap_or_default();
    raw.command = format!("{}; {}", raw.command, later.command);
    raw.rows.extend(later.rows.into_iter().map(|row| Row { pair: row.pair + pairs, ..row }));
    raw.failures.extend(later.failures);
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// CPUs, memory and kernel, but no name.
fn machine() -> String {
    let cpus = available_parallelism().map_or(0, usize::from);
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (memory, model) = (read("/proc/meminfo"), read("/proc/cpuinfo"));
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim_start_matches([':', ' ', '\t']).to_owned()
    };
    let kibibytes = field(&memory, "MemTotal").trim_end_matches(" kB").parse::<u64>();
    let gibibytes = kibibytes.unwrap_or_default() >> 20;
    let kernel = read("/proc/sys/kernel/osrelease");
    let model = field(&model, "model name");
    format!("{cpus} CPUs ({model}), {gibibytes} GiB, Linux {}", kernel.trim())
}

fn command() -> String {
    let args = env::args().skip(1).collect::<Vec<_>>();
    format!("cargo bench-cluster {}", args.join(" ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{contender::Contender, measure::Measures, scenario::Scenario, shape::Shape};

    #[test]
    fn pairs_of_two_runs_stay_apart() {
        let row = |contender, pair| Row {
            scenario: Scenario::S2,
            variant: String::new(),
            shape: Shape::spread(2_000),
            contender,
            pair,
            measures: Measures::new(),
            latencies: Vec::new(),
            memory: Vec::new(),
        };
        let run = || Raw {
            rows: vec![row(Contender::Closehaul, 0), row(Contender::BuiltIn, 0)],
            ..Raw::default()
        };
        let mut raw = run();
        append(&mut raw, run());
        assert_eq!(raw.rows.iter().map(|row| row.pair).collect::<Vec<_>>(), [0, 0, 1, 1]);
    }
}
