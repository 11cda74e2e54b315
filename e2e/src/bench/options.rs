//! What a user may choose.

use std::{ops::RangeInclusive, path::PathBuf};

use clap::Args;

use super::{contender::Contender, scenario::Scenario};

/// What is measured, how large and how often.
#[derive(Args, Debug, Clone, Default)]
pub struct Options {
    /// Which scenarios, such as S2,S4 [default: all but S8]
    #[arg(long, value_delimiter = ',', ignore_case = true, hide_possible_values = false)]
    pub scenario: Vec<Scenario>,
    /// Who is measured; tables compare the first with each other one [default:
    /// closehaul,built-in,floor]
    #[arg(long, value_delimiter = ',')]
    pub contenders: Vec<Contender>,
    /// How often each runs each scenario, in turn [default: 5; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub pairs: Option<u32>,
    /// Small states, few changes, one pair: some minutes, to see that everything works
    #[arg(long)]
    pub quick: bool,
    /// Pods of S1, S2, S6, S7, S8 and of S4's spread state, 10 of each Service; several sizes are
    /// run one after the other and drawn as a curve, 0 is none [default: 50000; with --quick 2000]
    #[arg(long, value_delimiter = ',', value_parser = |text: &str| none_or(text, 50..=200_000))]
    pub pods: Vec<u32>,
    /// Services of S4's dense states, all in one namespace, with 10 pods each, 0 is none [default:
    /// 1000,5000; with --quick 200]
    #[arg(long, value_delimiter = ',', value_parser = |text: &str| none_or(text, 5..=20_000))]
    pub dense: Vec<u32>,
    /// Pods of S5's big Service [default: 20000; with --quick 1000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub big: Option<u32>,
    /// Pods of S3's Service, of which 1,000 at most are replaced [default: 5000; with --quick 500]
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub rolling: Option<u32>,
    /// Readiness changes at 50 a second; at full speed there are three times as many, unless more
    /// than 1,000 Services are in one namespace [default: 1000; with --quick 200]
    #[arg(long, value_parser = clap::value_parser!(u32).range(10..))]
    pub changes: Option<u32>,
    /// How long S8 lasts [default: 30; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub minutes: Option<u32>,
    /// A closehaul that was built earlier, instead of a release build of these sources
    #[arg(long, value_name = "PATH")]
    pub closehaul: Option<PathBuf>,
    /// Where raw data, table and plots go [default: target/bench/TIME]
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,
    /// Runs nothing, but creates one table and plots from the raw.json of earlier runs
    #[arg(long, value_name = "RAW.JSON", num_args = 1..)]
    pub report: Vec<PathBuf>,
}

impl Options {
    /// The scenarios.
    pub fn scenarios(&self) -> Vec<Scenario> {
        or(&self.scenario, &Scenario::USUAL)
    }

    /// The contenders.
    pub fn contenders(&self) -> Vec<Contender> {
        or(&self.contenders, &[Contender::Closehaul, Contender::BuiltIn, Contender::Floor])
    }

    /// The number of pairs.
    pub fn pairs(&self) -> u32 {
        self.pairs.unwrap_or(if self.quick { 1 } else { 5 })
    }

    /// The sizes of the spread state.
    pub fn pods(&self) -> Vec<u32> {
        some(&or(&self.pods, if self.quick { &[2_000] } else { &[50_000] }))
    }

    /// The sizes of the dense state.
    pub fn dense(&self) -> Vec<u32> {
        some(&or(&self.dense, if self.quick { &[200] } else { &[1_000, 5_000] }))
    }

    /// Pods of the big Service.
    pub fn big(&self) -> u32 {
        self.big.unwrap_or(if self.quick { 1_000 } else { 20_000 })
    }

    /// Pods of the Service that gets a rolling update.
    pub fn rolling(&self) -> u32 {
        self.rolling.unwrap_or(if self.quick { 500 } else { 5_000 })
    }

    /// Readiness changes at light load.
    pub fn changes(&self) -> u32 {
        self.changes.unwrap_or(if self.quick { 200 } else { 1_000 })
    }

    /// Minutes of the soak.
    pub fn minutes(&self) -> u32 {
        self.minutes.unwrap_or(if self.quick { 1 } else { 30 })
    }
}

fn or<T: Copy>(named: &[T], usual: &[T]) -> Vec<T> {
    if named.is_empty() { usual.to_vec() } else { named.to_vec() }
}

/// The sizes without the 0 that stands for none.
fn some(sizes: &[u32]) -> Vec<u32> {
    sizes.iter().copied().filter(|size| *size > 0).collect()
}

/// Reads a size within `range`, or 0.
fn none_or(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let (least, most) = (range.start(), range.end());
    match text.parse() {
        Ok(size) if size == 0 || range.contains(&size) => Ok(size),
        _ => Err(format!("not a number from {least} to {most}, or 0 for none")),
    }
}
