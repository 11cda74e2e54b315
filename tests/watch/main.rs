//! Following objects through everything an API server may do, in simulated time.

// `until` gives up with a panic, outside the test functions themselves.
#![allow(clippy::panic)]

mod rewound;
mod silence;
mod streaming;

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    time::Duration,
};

use closehaul::{
    control::{
        history::Rewind,
        watch::{Change, Orders, Reader, follow},
    },
    model::pod::Pod,
    random::Random,
};
use fake_api::{
    FakeApi, Seen,
    collections::{NODES, PODS},
    faults::{Effect, on, on_streaming, on_watch},
};
use futures::{Stream, StreamExt};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

const SECOND: Duration = Duration::from_secs(1);

/// A consumer as the index is one: it knows the objects only by what it received.
struct View {
    changes: Pin<Box<dyn Stream<Item = Change<Pod>>>>,
    /// Names and nodes.
    pods: BTreeMap<String, String>,
    /// Applied or malformed since the list began.
    stamped: BTreeSet<String>,
    lists: usize,
    /// When the last list was requested.
    asked: Option<Instant>,
    restarts: usize,
    malformed: Vec<(String, bool)>,
    failures: Vec<(String, Duration)>,
    causes: Vec<&'static str>,
    rewinds: Vec<Rewind>,
    orders: watch::Sender<Orders>,
    received: watch::Receiver<Option<Instant>>,
}

impl View {
    fn new(api: &FakeApi) -> Self {
        let ((orders, ordered), (receiving, received)) =
            (watch::channel(Orders::default()), watch::channel(None));
        let reader = Reader {
            client: api.client(),
            page_size: 2,
            random: Random::seeded(7),
            orders: ordered,
            received: receiving,
        };
        Self {
            changes: Box::pin(follow(reader)),
            pods: BTreeMap::new(),
            stamped: BTreeSet::new(),
            lists: 0,
            asked: None,
            restarts: 0,
            malformed: Vec::new(),
            failures: Vec::new(),
            causes: Vec::new(),
            rewinds: Vec::new(),
            orders,
            received,
        }
    }

    fn take(&mut self, change: Change<Pod>) {
        match change {
            Change::Restarted { asked } => {
                self.asked = Some(asked);
                self.restarts += 1;
                self.stamped.clear();
            }
            Change::Applied(pod) => {
                self.stamped.insert(pod.name.to_string());
                let node = pod.value.node.map(|node| node.to_string());
                self.pods.insert(pod.name.to_string(), node.unwrap_or_default());
            }
            Change::Deleted(pod) => {
                self.pods.remove(&*pod.name);
            }
            Change::Listed => {
                self.lists += 1;
                self.pods.retain(|name, _| self.stamped.contains(name));
            }
            Change::Absent => self.pods.clear(),
            Change::Malformed { object, deleted } => {
                let name = object.metadata.name.unwrap_or_default();
                self.stamped.insert(name.clone());
                if deleted {
                    self.pods.remove(&name);
                }
                self.malformed.push((name, deleted));
            }
            Change::Rewound(rewind) => self.rewinds.push(rewind),
            Change::Failed { error, cause, will_retry_in } => {
                self.failures.push((error, will_retry_in));
                self.causes.push(cause.as_str());
            }
        }
    }

    /// Takes changes until `so` holds, for at most an hour.
    async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + 3600 * SECOND;
        while !so(self) {
            let change = timeout_at(end, self.changes.next()).await;
            self.take(change.ok().flatten().unwrap_or_else(|| panic!("{what}: not in an hour")));
        }
    }

    /// Takes changes for this long.
    async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(Some(change)) = timeout_at(end, self.changes.next()).await {
            self.take(change);
        }
    }

    async fn until_listed(&mut self, lists: usize) {
        self.until("listed", |view| view.lists == lists).await;
    }

    async fn until_pods(&mut self, names: &[&str]) {
        self.until("pods", |view| view.names() == names).await;
    }

    fn names(&self) -> Vec<&str> {
        self.pods.keys().map(String::as_str).collect()
    }
}

fn pod(name: &str) -> Value {
    json!({ "metadata": { "namespace": "ns", "name": name }, "spec": { "containers": [] } })
}

fn bad_pod(name: &str) -> Value {
    json!({ "metadata": { "namespace": "ns", "name": name }, "spec": { "containers": "no list" } })
}

/// A server with these pods and a view of it that has its first list.
async fn listed(names: &[&str], streaming: bool) -> (FakeApi, View) {
    let api = FakeApi::new();
    for name in names {
        api.put(PODS, pod(name));
    }
    if !streaming {
        api.fault(on_streaming("/pods"), Effect::Answer(422));
    }
    let mut view = View::new(&api);
    view.until_listed(1).await;
    // The watch after a paged list starts when the next change is requested.
    view.pass(SECOND).await;
    assert_eq!(view.names(), names);
    view.failures.clear();
    view.causes.clear();
    (api, view)
}

fn is_streaming(seen: &Seen) -> bool {
    seen.query.contains("sendInitialEvents=true")
}

#[tokio::test(start_paused = true)]
async fn changes_arrive_by_watch_and_over_a_resumed_watch() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a", "b", "c"], streaming).await;
        api.edit(PODS, "ns", "a", |pod| pod["spec"]["nodeName"] = json!("node"));
        api.remove(PODS, "ns", "b");
        view.until("a moved", |view| view.pods["a"] == "node").await;
        view.until_pods(&["a", "c"]).await;
        api.disconnect();
        api.remove(PODS, "ns", "c");
        api.put(PODS, pod("d"));
        view.pass(20 * SECOND).await;
        assert_eq!(view.names(), ["a", "c"], "what was known stays while there is no connection");
        api.connect();
        view.until_pods(&["a", "d"]).await;
        assert_eq!(view.restarts, 1, "the watch resumed, streaming: {streaming}");
    }
}

/// Each object of a list once cost a tick of the timer, a millisecond. Only a real clock shows it.
#[tokio::test]
async fn objects_that_are_there_are_not_waited_for() {
    let api = FakeApi::new();
    for number in 0..3000 {
        api.put(PODS, pod(&format!("pod-{number}")));
    }
    let started = Instant::now();
    let mut view = View::new(&api);
    view.until_listed(1).await;
    assert_eq!(view.pods.len(), 3000);
    assert!(started.elapsed() < 2 * SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_delete_in_a_gap_is_found_by_the_fresh_list() {
    for streaming in [true, false] {
        for gone_as_status in [true, false] {
            let (api, mut view) = listed(&["a", "b", "c"], streaming).await;
            api.gone_as_status(gone_as_status);
            api.disconnect();
            api.remove(PODS, "ns", "b");
            api.compact();
            api.connect();
            view.until_pods(&["a", "c"]).await;
            assert_eq!(view.lists, 2, "streaming {streaming}, status {gone_as_status}");
            api.put(PODS, pod("d"));
            view.until_pods(&["a", "c", "d"]).await;
        }
    }
}

/// The kind is listed again, but never without a wait.
#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_long_leads_to_a_list_after_a_wait() {
    let api = FakeApi::new();
    api.put(PODS, pod("a"));
    let mut view = View::new(&api);
    let long = format!(r#"{{"type":"ADDED","object":"{}"}}"#, "x".repeat(16 << 20));
    for times in 1..=4 {
        view.until_listed(times).await;
        view.pass(10 * SECOND).await;
        api.inject(PODS, &long);
        view.until("too long", |view| view.failures.len() == times).await;
    }
    for (error, wait) in &view.failures {
        assert!(error.contains("an event is longer than 16 MiB"), "{error}");
        assert!(*wait >= 800 * SECOND / 1000, "{wait:?}");
    }
    assert_eq!(view.causes, ["undecodable"; 4]);
    assert!(view.failures[3].1 > 6 * SECOND, "the wait grows: {:?}", view.failures[3]);
}

#[tokio::test(start_paused = true)]
async fn a_410_in_the_middle_of_a_watch_leads_to_a_fresh_list() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a", "b"], streaming).await;
        api.expire_watches(PODS);
        api.remove(PODS, "ns", "a");
        view.until_listed(2).await;
        assert_eq!(view.names(), ["b"], "streaming {streaming}");
        assert_eq!(view.failures.last().unwrap().1.as_millis() / 800, 1, "0.8 s to 1.6 s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_before_the_end_of_a_streamed_list_is_seen() {
    let api = FakeApi::new();
    api.put(PODS, pod("a"));
    api.put(PODS, pod("b"));
    api.fault(on_streaming("/pods"), Effect::MarkAfter(10 * SECOND));
    let mut view = View::new(&api);
    view.until_pods(&["a", "b"]).await;
    assert_eq!(view.lists, 0);
    api.remove(PODS, "ns", "a");
    view.until_listed(1).await;
    assert_eq!(view.names(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn watches_closed_at_once_are_started_once_a_second() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        let before = api.count(Seen::is_watch);
        api.fault(on_watch("/pods").times(100), Effect::CloseAtOnce);
        api.end_watches();
        api.put(PODS, pod("b"));
        let start = Instant::now();
        view.pass(60 * SECOND).await;
        let within_a_minute = api.count(Seen::is_watch) - before;
        assert!((55..=63).contains(&within_a_minute), "{within_a_minute} requests");
        view.until_pods(&["a", "b"]).await;
        assert!(start.elapsed() > 95 * SECOND);
        assert_eq!((view.restarts, api.count(Seen::is_watch) - before), (1, 101));
    }
}

#[tokio::test(start_paused = true)]
async fn one_malformed_object_does_not_hide_the_others() {
    for streaming in [true, false] {
        let api = FakeApi::new();
        api.put(PODS, pod("a"));
        api.put(PODS, bad_pod("b"));
        api.put(PODS, pod("c"));
        if !streaming {
            api.fault(on_streaming("/pods"), Effect::Answer(422));
        }
        let mut view = View::new(&api);
        view.until_listed(1).await;
        assert_eq!(view.names(), ["a", "c"]);
        assert_eq!(view.malformed, [("b".to_owned(), false)]);

        api.put(PODS, bad_pod("a"));
        api.put(PODS, pod("b"));
        view.until_pods(&["a", "b", "c"]).await;
        assert_eq!(view.malformed.last().unwrap(), &("a".to_owned(), false));
        api.remove(PODS, "ns", "a");
        view.until_pods(&["b", "c"]).await;
        assert_eq!(view.malformed.last().unwrap(), &("a".to_owned(), true));
        assert_eq!((view.restarts, view.lists), (1, 1), "nothing of this costs a list");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_no_event_costs_a_fresh_list() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        api.inject(PODS, r#"{"type":"ADDED","object":]"#);
        view.until_listed(2).await;
        assert_eq!(view.names(), ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_waited_out_ever_longer_and_forgotten_after_a_change() {
    let (api, mut view) = listed(&["a"], true).await;
    api.fault(on("GET", "/pods"), Effect::Answer(500));
    let before = api.requests().len();
    api.end_watches();
    view.pass(600 * SECOND).await;
    let waits: Vec<_> = view.failures.iter().map(|(_, wait)| wait.as_millis()).collect();
    for (wait, least) in waits.iter().zip([800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]) {
        assert!((least..=2 * least).contains(wait), "{waits:?}");
    }
    let tries = api.requests().len() - before;
    assert!((10..=25).contains(&tries), "{tries} tries in ten minutes");
    assert_eq!(view.restarts, 1, "no list succeeds either");

    api.clear_faults();
    api.put(PODS, pod("b"));
    view.until_pods(&["a", "b"]).await;
    api.put(PODS, pod("c"));
    view.until_pods(&["a", "b", "c"]).await;
    view.failures.clear();
    api.fault(on("GET", "/pods").times(1), Effect::Answer(500));
    api.end_watches();
    view.until("failed", |view| !view.failures.is_empty()).await;
    assert!(view.failures[0].1 <= 1600 * Duration::from_millis(1), "{:?}", view.failures);
}

#[tokio::test(start_paused = true)]
async fn lists_that_work_do_not_hide_watches_that_never_do() {
    let (api, mut view) = listed(&["a"], false).await;
    api.fault(on_watch("/pods"), Effect::Answer(410));
    api.end_watches();
    view.pass(600 * SECOND).await;
    assert!((10..=25).contains(&view.lists), "{} lists in ten minutes", view.lists);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_never_answered_is_given_up() {
    for request in ["limit=", "resourceVersion=1"] {
        let (api, mut view) = listed(&["a"], false).await;
        api.fault(on("GET", "/pods").query(request).times(1), Effect::Hang);
        api.put(PODS, pod("b"));
        api.expire_watches(PODS);
        view.until_listed(2).await;
        api.put(PODS, pod("c"));
        view.until_pods(&["a", "b", "c"]).await;
        assert!(view.failures.iter().any(|(error, _)| error.contains("timed out")));
    }
}
