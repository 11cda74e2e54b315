//! The figures side by side, as a Markdown table.

use std::fmt;

use super::{Sample, seed::State};

/// One row: what closehaul and the built-in controller need of something, run by run.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What, with its unit.
    pub name: String,
    /// closehaul's values.
    pub ours: Vec<f64>,
    /// The built-in controller's.
    pub theirs: Vec<f64>,
}

impl Figure {
    /// How many times closehaul's median the other's is.
    pub fn ratio(&self) -> f64 {
        median(&self.theirs) / median(&self.ours)
    }
}

/// All figures. Its text is a Markdown table.
#[derive(Debug, Clone)]
pub struct Report {
    what: String,
    /// The rows.
    pub figures: Vec<Figure>,
}

impl Report {
    pub(super) fn new(
        state: State,
        pod_bytes: usize,
        runs: u32,
        sizes: [u64; 2],
        idle: &[Vec<Sample>; 2],
        full: &[Vec<Sample>; 2],
    ) -> Self {
        let what = format!(
            "{} pods of {:.1} kB of JSON behind {} Services on {} nodes, slices right at the start; \
             {runs} starts of each in turn: median (least to most). The built-in controller is \
             kube-controller-manager with no other controller switched on; its binary holds them all.",
            state.pods(),
            kilo(pod_bytes),
            state.services,
            state.nodes,
        );
        let at = format!("at {} pods", state.pods());
        let row = |name: String, samples: &[Vec<Sample>; 2], value: fn(&Sample) -> f64| {
            let [ours, theirs] = samples.each_ref().map(|all| all.iter().map(value).collect());
            Figure { name, ours, theirs }
        };
        let [ours, theirs] = sizes.map(|bytes| vec![megabytes(bytes)]);
        let figures = vec![
            Figure { name: "binary, MB".to_owned(), ours, theirs },
            row("memory in an empty cluster, MB".to_owned(), idle, |it| {
                megabytes(it.usage.resident)
            }),
            row("caught up in an empty cluster, s after the start".to_owned(), idle, |it| {
                it.caught_up.as_secs_f64()
            }),
            row(format!("memory {at}, MB"), full, |it| megabytes(it.usage.resident)),
            row(format!("peak memory {at}, MB"), full, |it| megabytes(it.usage.peak)),
            row(format!("CPU of a start {at}, s"), full, |it| it.usage.cpu()),
            row(format!("caught up {at}, s after the start"), full, |it| {
                it.caught_up.as_secs_f64()
            }),
        ];
        Self { what, figures }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.what)?;
        writeln!(out, "| | closehaul | built-in | ratio |")?;
        writeln!(out, "|---|---|---|---|")?;
        for figure in &self.figures {
            let Figure { name, ours, theirs } = figure;
            let ratio = figure.ratio();
            writeln!(out, "| {name} | {} | {} | 1 : {ratio:.1} |", spread(ours), spread(theirs))?;
        }
        Ok(())
    }
}

/// Median and, of several values, the least and the most.
fn spread(values: &[f64]) -> String {
    let sorted = sorted(values);
    let middle = number(median(values));
    match (sorted.first(), sorted.last()) {
        (Some(least), Some(most)) if sorted.len() > 1 => {
            format!("{middle} ({} to {})", number(*least), number(*most))
        }
        _ => middle,
    }
}

/// Three significant digits, more or less.
fn number(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

#[allow(clippy::cast_precision_loss, reason = "rounded for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[allow(clippy::cast_precision_loss, reason = "rounded for people")]
fn kilo(bytes: usize) -> f64 {
    bytes as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_medians_spread_and_ratio() {
        let figure = Figure {
            name: "memory, MB".to_owned(),
            ours: vec![11.0, 10.0, 30.0],
            theirs: vec![120.0, 110.0],
        };
        assert!((figure.ratio() - 115.0 / 11.0).abs() < 1e-9);
        let report = Report { what: "Something.".to_owned(), figures: vec![figure] };
        let row = "| memory, MB | 11.0 (10.0 to 30.0) | 115 (110 to 120) | 1 : 10.5 |\n";
        assert!(report.to_string().ends_with(row), "{report}");
    }
}
