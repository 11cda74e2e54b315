//! Contenders side by side, as Markdown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    contender::Contender,
    measure::{Measure, Raw, Row},
    scenario::Scenario,
    shape::Shape,
    statistics::{Spread, number},
};

/// One kind of run.
pub(super) type Key = (Scenario, Shape, String);

/// All results: a table of the first contender with each other one.
pub(super) fn render(raw: &Raw) -> String {
    let contenders = contenders(raw);
    let mut text = format!(
        "`{}` on {}.\nMedians of the runs with the least and the most. A ratio is that of the two \
         runs of one pair: how many times the first one's value the other's is.\n",
        raw.command, raw.machine
    );
    if let Some((first, others)) = contenders.split_first() {
        for other in others {
            beside(&mut text, raw, *first, Some(*other));
        }
        if others.is_empty() {
            beside(&mut text, raw, *first, None);
        }
    }
    if !raw.failures.is_empty() {
        text.push_str("\n**Failed, and not in the tables:**\n\n");
        for failure in &raw.failures {
            line(&mut text, format_args!("- {}: {}", failure.what, failure.why));
        }
    }
    text
}

/// The contenders with results. closehaul, if it is among them, is first.
pub(super) fn contenders(raw: &Raw) -> Vec<Contender> {
    let contenders = raw.rows.iter().map(|row| row.contender).collect::<BTreeSet<_>>();
    contenders.into_iter().collect()
}

fn beside(text: &mut String, raw: &Raw, ours: Contender, theirs: Option<Contender>) {
    let of = |row: &&Row| row.contender == ours || Some(row.contender) == theirs;
    let mut runs = BTreeMap::<Key, Vec<&Row>>::new();
    for row in raw.rows.iter().filter(of) {
        let key = (row.scenario, row.shape, row.variant.clone());
        runs.entry(key).or_default().push(row);
    }
    if let Some(theirs) = theirs {
        // A run that only one of them has done cannot be compared.
        runs.retain(|_, rows| {
            [ours, theirs].iter().all(|it| rows.iter().any(|row| row.contender == *it))
        });
        line(
            text,
            format_args!("\n| | {ours} | {theirs} | ratio | pairs |\n|---|---|---|---|---|"),
        );
    } else {
        line(text, format_args!("\n| | {ours} | runs |\n|---|---|---|"));
    }
    for (key, rows) in &runs {
        let blanks = if theirs.is_some() { " | | | |" } else { " | |" };
        line(text, format_args!("| **{}** |{blanks}", title(key)));
        let measures = rows.iter().flat_map(|row| row.measures.keys().copied());
        for measure in measures.collect::<BTreeSet<_>>() {
            let [left, right] = [Some(ours), theirs].map(|it| values(rows, it, measure));
            let runs = left.len().max(right.len());
            let name = measure.name();
            if theirs.is_none() {
                line(text, format_args!("| {name} | {} | {runs} |", spread(&left)));
                continue;
            }
            let ratios = if measure.has_ratio() { ratios(&left, &right) } else { Vec::new() };
            let ratio = if ratios.is_empty() {
                "-".to_owned()
            } else {
                format!("1 : {}", spread(&by_pair(&ratios)))
            };
            let pairs = left.keys().filter(|pair| right.contains_key(pair)).count();
            let (left, right) = (spread(&left), spread(&right));
            line(text, format_args!("| {name} | {left} | {right} | {ratio} | {pairs} |"));
        }
    }
}

/// A kind of run in words.
fn title((scenario, shape, variant): &Key) -> String {
    let comma = if variant.is_empty() { "" } else { ", " };
    match shape.pods() {
        0 => format!("{scenario} {}", scenario.title()),
        _ => format!("{scenario} {}{comma}{variant}: {shape}", scenario.title()),
    }
}

/// Values by pair.
type Values = BTreeMap<u32, f64>;

fn values(rows: &[&Row], contender: Option<Contender>, measure: Measure) -> Values {
    let rows = rows.iter().filter(|row| Some(row.contender) == contender);
    rows.filter_map(|row| Some((row.pair, *row.measures.get(&measure)?))).collect()
}

/// The other contender's values divided by ours, for each pair that both have.
fn ratios(ours: &Values, theirs: &Values) -> Vec<f64> {
    let ratio = |(pair, ours): (&u32, &f64)| {
        let theirs = *theirs.get(pair)?;
        (*ours > 0.0 && theirs > 0.0).then(|| theirs / ours)
    };
    ours.iter().filter_map(ratio).collect()
}

fn by_pair(values: &[f64]) -> Values {
    (0..).zip(values.iter().copied()).collect()
}

/// The median and, for several values, the minimum and the maximum.
fn spread(values: &Values) -> String {
    let values = values.values().copied().collect::<Vec<_>>();
    match Spread::of(&values) {
        None => "-".to_owned(),
        Some(Spread { median, .. }) if values.len() == 1 => number(median),
        Some(Spread { least, median, most }) => {
            format!("{} ({} to {})", number(median), number(least), number(most))
        }
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::{Failure, Measures};

    fn row(contender: Contender, pair: u32, peak: f64) -> Row {
        Row {
            scenario: Scenario::S2,
            variant: String::new(),
            shape: Shape::spread(2_000),
            contender,
            pair,
            measures: Measures::from([(Measure::Peak, peak), (Measure::Writes, 0.0)]),
            latencies: Vec::new(),
            memory: Vec::new(),
        }
    }

    fn raw(rows: Vec<Row>) -> Raw {
        let failure = Failure { what: "S4".to_owned(), why: "no slice".to_owned() };
        Raw { rows, failures: vec![failure], ..Raw::default() }
    }

    #[test]
    fn ratios_are_those_of_pairs() {
        let (us, them) = (Contender::Closehaul, Contender::BuiltIn);
        // Ratios 10, 5 and, without a partner, none.
        let rows = vec![
            row(us, 0, 10.0),
            row(them, 0, 100.0),
            row(them, 1, 100.0),
            row(us, 1, 20.0),
            row(us, 2, 90.0),
        ];
        let table = render(&raw(rows));
        let wanted = "| peak memory, MB | 20.0 (10.0 to 90.0) | 100 (100 to 100) \
                      | 1 : 7.50 (5.00 to 10.0) | 2 |\n";
        assert!(table.contains(wanted), "{table}");
        assert!(table.contains("| slice writes | 0 (0 to 0) | 0 (0 to 0) | - | 2 |\n"), "{table}");
        assert!(table.contains("| **S2 restart on a right state: 2000 pods, 200 Services, "));
        assert!(table.ends_with("- S4: no slice\n"), "{table}");
    }

    #[test]
    fn one_contender_has_a_table_too() {
        let table = render(&raw(vec![row(Contender::Closehaul, 0, 10.0)]));
        assert!(table.contains("| peak memory, MB | 10.0 | 1 |"), "{table}");
    }

    #[test]
    fn what_only_one_has_done_is_not_compared() {
        let mut other = row(Contender::Floor, 0, 3.0);
        other.scenario = Scenario::S4;
        let table = render(&raw(vec![row(Contender::Closehaul, 0, 10.0), other]));
        assert!(!table.contains("peak memory"), "{table}");
    }
}
