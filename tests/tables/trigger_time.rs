//! The trigger time (docs/semantics.md 4.6, 10.5).

use closehaul::{
    model::{pod::Pod, service::Service, slice::TRIGGER_TIME},
    plan::trigger::{Seen, trigger_time, trigger_time_of},
};
use jiff::Timestamp;

use crate::world::{self, Cluster, at, pod};

/// Replays syncs of a Service and its pods.
#[derive(Default)]
struct Memory(Option<Seen>);

impl Memory {
    fn sync(&mut self, service: &Service, pods: &[Pod]) -> Option<Timestamp> {
        let pods: Vec<&Pod> = pods.iter().collect();
        let (time, sighting) = trigger_time(self.0.as_ref(), service, &pods);
        let _ = sighting.put(&mut self.0);
        time
    }
}

fn created(second: i64) -> Service {
    Service { created: Some(at(second)), ..world::service() }
}

fn since(number: u16, second: i64) -> Pod {
    Pod { ready_since: Some(at(second)), ..pod(number) }
}

#[test]
fn a_new_service_without_pods_counts_from_its_creation() {
    assert_eq!(Memory::default().sync(&created(10), &[]), Some(at(10)));
}

#[test]
fn a_new_service_with_pods_counts_from_its_creation() {
    for ready in [5, 15] {
        let pods = [since(1, ready), since(2, 20)];
        assert_eq!(Memory::default().sync(&created(10), &pods), Some(at(10)), "{ready}");
    }
}

#[test]
fn pods_added_give_the_earliest_of_them() {
    let mut memory = Memory::default();
    memory.sync(&created(10), &[since(1, 11)]);
    let pods = [since(1, 11), since(2, 23), since(3, 22)];
    assert_eq!(memory.sync(&created(10), &pods), Some(at(22)));
}

#[test]
fn pods_updated_give_the_earliest_of_those_that_changed() {
    let mut memory = Memory::default();
    memory.sync(&created(10), &[since(1, 11), since(2, 12), since(3, 13)]);
    let pods = [since(1, 11), since(2, 32), since(3, 31)];
    assert_eq!(memory.sync(&created(10), &pods), Some(at(31)));
}

#[test]
fn nothing_new_gives_no_time() {
    let mut memory = Memory::default();
    let pods = [since(1, 11), since(2, 12)];
    memory.sync(&created(10), &pods);
    assert_eq!(memory.sync(&created(10), &pods), None);
    let earlier = [since(1, 9), since(2, 12)];
    assert_eq!(memory.sync(&created(10), &earlier), None, "an earlier time is nothing new");
    let unknown = [Pod { ready_since: None, ..pod(1) }, since(2, 12)];
    assert_eq!(memory.sync(&created(10), &unknown), None, "no Ready condition, no time");
}

#[test]
fn a_pod_deleted_and_added_again() {
    let mut memory = Memory::default();
    memory.sync(&created(10), &[since(1, 11), since(2, 12)]);
    assert_eq!(memory.sync(&created(10), &[since(1, 11)]), None, "a deletion has no time");
    // It was forgotten, so any time is later.
    assert_eq!(memory.sync(&created(10), &[since(1, 11), since(2, 12)]), Some(at(12)));
    assert_eq!(memory.sync(&created(10), &[since(1, 11), since(2, 40)]), Some(at(40)));
}

#[test]
fn a_service_deleted_and_added_again() {
    let mut memory = Memory::default();
    memory.sync(&created(10), &[since(1, 11)]);
    // Its deletion was seen: the memory is gone.
    assert_eq!(Memory::default().sync(&created(50), &[since(1, 11)]), Some(at(50)));
    // Its deletion was missed.
    assert_eq!(memory.sync(&created(50), &[since(1, 11)]), Some(at(50)));
    assert_eq!(memory.sync(&created(50), &[since(1, 11)]), None);
    assert_eq!(memory.sync(&created(70), &[since(1, 60)]), Some(at(60)), "the minimum of both");
    assert_eq!(memory.sync(&created(65), &[since(1, 60)]), None, "an earlier time is nothing new");
}

#[test]
fn a_service_updated_without_change_of_pods_gives_no_time() {
    let mut memory = Memory::default();
    let pods = [since(1, 11)];
    memory.sync(&created(10), &pods);
    let labelled = Service { labels: world::labels(&[("a", "b")]), version: 2, ..created(10) };
    assert_eq!(memory.sync(&labelled, &pods), None);
}

/// 4.6: set on everything written, removed if there is no time, unchanged elsewhere.
#[test]
fn the_annotation_follows_each_write() {
    let annotation = |slice: &closehaul::model::slice::Slice| {
        slice.meta.annotations.get(TRIGGER_TIME).map(ToString::to_string)
    };
    let mut cluster = Cluster::with(world::pods(0..3));
    cluster.settings.max_endpoints = 2;
    cluster.trigger_time = Some(at(0) + jiff::SignedDuration::new(0, 120_000_005));
    assert_eq!(cluster.sync().tally(), (2, 0, 0));
    let time = Some("2023-11-14T22:13:20.120000005Z".to_owned());
    assert!(cluster.live().all(|slice| annotation(slice) == time));

    for slice in &mut cluster.slices {
        slice.meta.annotations = slice.meta.annotations.with("example.com/note", Some("kept"));
    }
    cluster.trigger_time = None;
    cluster.pods[0].ready = false;
    let writes = cluster.sync();
    assert_eq!(writes.tally(), (0, 1, 0));
    assert_eq!(annotation(&writes.updates[0]), None);
    assert_eq!(annotation(&writes.unchanged[0]), time, "an unchanged slice keeps what it has");
    let kept = |slice: &closehaul::model::slice::Slice| {
        slice.meta.annotations.get("example.com/note").is_some()
    };
    assert!(cluster.live().all(kept), "annotations by others stay");

    // Another time alone is no reason to write.
    cluster.trigger_time = Some(at(99));
    cluster.plan().assert_none();
}

/// RFC 3339 with nanoseconds as Go prints it: no trailing zeros.
#[test]
fn the_annotation_is_written_as_go_writes_it() {
    for (nanoseconds, text) in [
        (0, "2023-11-14T22:13:20Z"),
        (500_000_000, "2023-11-14T22:13:20.5Z"),
        (1_000, "2023-11-14T22:13:20.000001Z"),
    ] {
        let mut cluster = Cluster::with(vec![pod(1)]);
        cluster.trigger_time = Some(at(0) + jiff::SignedDuration::new(0, nanoseconds));
        cluster.sync();
        let annotations = world::labels(&[(TRIGGER_TIME, text)]);
        assert_eq!(cluster.only_slice().meta.annotations, annotations);
    }
}

#[test]
fn pods_looked_at_alone_give_what_all_of_them_would() {
    let service = created(10);
    let before = [since(1, 11), since(2, 12), since(3, 13)];
    let after = [since(1, 31), since(2, 30), since(3, 13)];
    let mut memory = Memory::default();
    memory.sync(&service, &before);
    let first = memory.0.clone();

    let changed: Vec<&Pod> = after[..2].iter().collect();
    let (time, sighting) = trigger_time_of(first.as_ref().unwrap(), &changed);
    let undo = sighting.put(&mut memory.0);
    let mut whole = Memory(first.clone());
    assert_eq!((time, whole.sync(&service, &after)), (Some(at(30)), Some(at(30))));
    assert_eq!(memory.0, whole.0);
    assert_eq!(memory.sync(&service, &after), None);
    let _ = undo.put(&mut memory.0);
    assert_eq!(memory.0, first, "a failure puts back what was seen before");
}
