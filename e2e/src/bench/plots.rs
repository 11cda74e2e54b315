//! The plots: latency, memory over time, cost against size.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    chart::{Axis, Chart, Scale, Series},
    contender::Contender,
    measure::{Measure, Raw, Row},
    scenario::Scenario,
    statistics::{median, percentile},
    table::{Key, contenders},
};

/// All plots that the results have data for, by file name.
pub(super) fn all(raw: &Raw) -> Vec<(String, String)> {
    let mut plots = latencies(raw);
    plots.extend(memory(raw));
    for (measure, name) in [(Measure::Peak, "size-memory.svg"), (Measure::Cpu, "size-cpu.svg")] {
        plots.extend(against_size(raw, measure, name));
    }
    plots
}

/// For each kind of churn, the latencies of all pairs together, by percentile.
fn latencies(raw: &Raw) -> Vec<(String, String)> {
    let with = raw.rows.iter().filter(|row| !row.latencies.is_empty());
    let mut runs = BTreeMap::<Key, Vec<&Row>>::new();
    for row in with {
        runs.entry((row.scenario, row.shape, row.variant.clone())).or_default().push(row);
    }
    let plot = |(number, (key, rows)): (usize, (Key, Vec<&Row>))| {
        let series = contenders(raw).into_iter().filter_map(|contender| {
            let rows = rows.iter().filter(|row| row.contender == contender);
            let values = rows.flat_map(|row| row.latencies.iter().copied()).collect::<Vec<_>>();
            // What is seen before its answer is as quick as can be measured.
            let point = |percent| (percent, percentile(&values, percent).max(SHORTEST));
            let points = percents(values.len()).map(point).collect();
            (!values.is_empty()).then(|| line(contender, points, false))
        });
        let chart = Chart {
            title: heading(key.0, &key.2),
            subtitle: key.1.to_string(),
            x: Axis::new("percent of the changes that were seen within it", Scale::Nines),
            y: Axis::new("latency, ms", Scale::Log),
            series: series.collect(),
        };
        (format!("latency-{}.svg", number + 1), chart.render())
    };
    runs.into_iter().enumerate().map(plot).collect()
}

/// Shorter latencies, in ms, are drawn as this one.
const SHORTEST: f64 = 0.1;

/// The percentiles that `count` values can show.
fn percents(count: usize) -> impl Iterator<Item = f64> {
    let fine = (0..=300).map(|step| 100.0 * (1.0 - 10_f64.powf(-f64::from(step) / 100.0)));
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let most = 100.0 - 100.0 / count.max(1) as f64;
    fine.filter(move |percent| *percent <= most)
}

/// Memory over time during the soak.
fn memory(raw: &Raw) -> Option<(String, String)> {
    let rows = raw.rows.iter().filter(|row| !row.memory.is_empty()).collect::<Vec<_>>();
    let first = rows.first()?;
    let series = rows.iter().filter(|row| row.shape == first.shape).map(|row| {
        let points = row.memory.iter().map(|(seconds, size)| (seconds / 60.0, *size));
        line(row.contender, points.collect(), false)
    });
    let chart = Chart {
        title: heading(first.scenario, ""),
        subtitle: first.shape.to_string(),
        x: Axis::new("minutes", Scale::Linear),
        y: Axis::new("resident memory, MB", Scale::Linear),
        series: series.collect(),
    };
    Some(("memory.svg".to_owned(), chart.render()))
}

/// A measure of the restart by the number of pods, if it was run at several sizes.
fn against_size(raw: &Raw, measure: Measure, name: &str) -> Option<(String, String)> {
    let rows = raw.rows.iter().filter(|row| row.scenario == Scenario::S2).collect::<Vec<_>>();
    let sizes = rows.iter().map(|row| row.shape).collect::<BTreeSet<_>>();
    if sizes.len() < 2 {
        return None;
    }
    let series = contenders(raw).into_iter().filter_map(|contender| {
        let mut points = sizes.iter().filter_map(|shape| {
            let rows = rows.iter().filter(|it| it.contender == contender && it.shape == *shape);
            let values = rows.filter_map(|row| row.measures.get(&measure).copied());
            let values = values.collect::<Vec<_>>();
            (!values.is_empty()).then(|| (f64::from(shape.pods()), median(&values)))
        });
        let first = points.next()?;
        let mut points = std::iter::once(first).chain(points).collect::<Vec<_>>();
        points.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        Some(line(contender, points, true))
    });
    let chart = Chart {
        title: heading(Scenario::S2, measure.name()),
        subtitle: "10 pods of each Service, 100 Services in a namespace; medians".to_owned(),
        x: Axis::new("pods", Scale::Log),
        y: Axis::new(measure.name(), Scale::Log),
        series: series.collect(),
    };
    Some((name.to_owned(), chart.render()))
}

fn heading(scenario: Scenario, what: &str) -> String {
    let colon = if what.is_empty() { "" } else { ": " };
    format!("{scenario} {}{colon}{what}", scenario.title())
}

fn line(contender: Contender, points: Vec<(f64, f64)>, dots: bool) -> Series {
    Series { name: contender.name(), colour: colour(contender), points, dots }
}

/// Colours that colour-blind people can distinguish (Okabe and Ito).
fn colour(contender: Contender) -> &'static str {
    match contender {
        Contender::Closehaul => "#0072b2",
        Contender::BuiltIn => "#d55e00",
        Contender::BuiltInStock => "#cc79a7",
        Contender::Library => "#009e73",
        Contender::Floor => "#666666",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{measure::Measures, shape::Shape};

    fn row(scenario: Scenario, contender: Contender, pods: u32) -> Row {
        Row {
            scenario,
            variant: String::new(),
            shape: Shape::spread(pods),
            contender,
            pair: 0,
            measures: Measures::from([(Measure::Peak, f64::from(pods)), (Measure::Cpu, 1.0)]),
            latencies: Vec::new(),
            memory: Vec::new(),
        }
    }

    #[test]
    fn there_is_a_plot_where_there_is_data() {
        let us = Contender::Closehaul;
        let mut churn = row(Scenario::S4, us, 2_000);
        churn.latencies = vec![-1.0, 2.0, 3.0];
        let mut soak = row(Scenario::S8, us, 2_000);
        soak.memory = vec![(0.0, 10.0), (60.0, 11.0)];
        let rows = vec![row(Scenario::S2, us, 2_000), row(Scenario::S2, us, 1_000), churn, soak];
        let plots = all(&Raw { rows, ..Raw::default() });
        let names = plots.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["latency-1.svg", "memory.svg", "size-memory.svg", "size-cpu.svg"]);
        assert!(
            all(&Raw { rows: vec![row(Scenario::S2, us, 2_000)], ..Raw::default() }).is_empty()
        );
    }

    #[test]
    fn few_values_tell_no_high_percentiles() {
        let most = |count| percents(count).fold(0.0, f64::max);
        assert!((most(100) - 99.0).abs() < 1e-6 && most(10) < 90.1 && most(1_000_000) > 99.89);
    }
}
