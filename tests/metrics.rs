//! `docs/metrics.md` lists exactly the metrics that exist, with their types and labels.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use closehaul::{
    assess::reason::{Reason, State},
    cluster::Watched,
    model::{name::ServiceKey, pod::Pod, service::TrafficDistribution},
    observe::{Metrics, Operation, Resolution, Synced, Trigger, WriteKind, WriteResult},
};

/// Type and labels.
type Shape = (String, BTreeSet<String>);

/// Metrics that all have a value.
fn full() -> Metrics {
    let metrics = Metrics::with_services(1).unwrap();
    let Metrics { built_in, own, services, .. } = &metrics;
    built_in.planned(1, 1);
    built_in.changed(Operation::Create);
    built_in.slices_changed(1, false, Some(TrafficDistribution::PreferSameZone));
    built_in.count(Synced::Success);
    own.watch_restarted(Watched::of::<Pod>(), "expired");
    own.rewound("list");
    own.resolved(Watched::of::<Pod>(), Resolution::Refuted);
    own.queued("endpoints", 1);
    own.propagated(Trigger::Pod, Duration::from_millis(7));
    own.wrote(WriteKind::Hints, Operation::Update, WriteResult::Conflict, None);
    own.retried(WriteResult::Busy);
    own.decided(State::Applied, Reason::Applied, 1);
    own.decided_by(Reason::Applied, 1);
    own.locality(Some(0.9), Some(0.3));
    let key = ServiceKey { namespace: "shop".into(), name: "web".into() };
    services.show(&key, None, (State::Applied, Reason::Applied), 3, 1);
    services.measure(&key, Some(0.9), Some(0.3));
    metrics
}

/// The shape of each metric in the text format.
fn exposed(text: &str) -> BTreeMap<String, Shape> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut shapes = BTreeMap::new();
    for (name, of) in types {
        let parts = ["", "_bucket", "_count", "_sum"].map(|part| format!("{name}{part}"));
        let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let end = line.find(['{', ' ']).unwrap();
            let labels = line.strip_prefix(&line[..end])?.strip_prefix('{').unwrap_or_default();
            parts.iter().any(|part| *part == line[..end]).then(|| labels.split('}').next())?
        });
        let label = |pair: &str| Some(pair.split_once('=')?.0.to_owned());
        let labels = series.flat_map(|labels| labels.split(',')).filter_map(label);
        let labels = labels.filter(|label| of != "histogram" || label != "le").collect();
        shapes.insert(name.to_owned(), (of.to_owned(), labels));
    }
    shapes
}

/// The shapes in the tables of the document.
fn documented() -> BTreeMap<String, Shape> {
    let rows = include_str!("../docs/metrics.md").lines();
    let rows = rows.filter(|line| line.starts_with("| `") && !line.starts_with("| `/"));
    let code = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut shapes = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, of, labels, meaning] = cells[..] else { panic!("{row}") };
        assert!(!meaning.is_empty(), "{row}");
        let name = name.trim_matches('`').to_owned();
        let twice = shapes.insert(name, (of.to_owned(), code(labels)));
        assert_eq!(twice, None, "{row}");
    }
    shapes
}

#[test]
fn the_document_has_every_metric_and_no_other() {
    let exposed = exposed(&full().text().unwrap());
    assert!(exposed.len() > 40, "{}", exposed.len());
    let labels = ["topology", "traffic_distribution"].map(str::to_owned);
    let histogram = ("histogram".to_owned(), labels.into());
    let name = "endpoint_slice_controller_endpointslices_changed_per_sync";
    assert_eq!(exposed[name], histogram, "the text is read as it should be");
    assert_eq!(exposed, documented());
}

/// Counters exist before anything has happened: a counter that appears with its first increase
/// hides that increase.
#[test]
fn counters_begin_at_zero() {
    let text = Metrics::new().unwrap().text().unwrap();
    for series in [
        "endpoint_slice_controller_syncs{result=\"error\"} 0",
        "endpoint_slice_controller_changes{operation=\"delete\"} 0",
        "endpoint_slice_controller_endpointslices_changed_per_sync_count{topology=\"Auto\",\
         traffic_distribution=\"\"} 0",
        "workqueue_retries_total{name=\"endpoint_slice\"} 0",
        "closehaul_decode_errors_total{kind=\"pods\"} 0",
        "closehaul_leader 0",
    ] {
        assert!(text.lines().any(|line| line == series), "{series}\n{text}");
    }
    assert!(!text.contains("closehaul_service_"), "only where it is asked for");
    let value = |name: &str| -> f64 {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_start_time_seconds") > 1.7e9);
    assert!(value("process_open_fds") >= 3.0);
}
