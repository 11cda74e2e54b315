//! Following objects through everything an API server may do, in simulated time.

// `until` gives up by panic, outside the test functions themselves.
#![allow(clippy::panic)]

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

/// A consumer as the index is one: it knows the objects by what it was told alone.
struct View {
    changes: Pin<Box<dyn Stream<Item = Change<Pod>>>>,
    /// Names and nodes.
    pods: BTreeMap<String, String>,
    /// Applied or malformed since the list began.
    stamped: BTreeSet<String>,
    lists: usize,
    /// Of the last list.
    asked: Option<Instant>,
    restarts: usize,
    malformed: Vec<(String, bool)>,
    failures: Vec<(String, Duration)>,
    causes: Vec<&'static str>,
    rewinds: Vec<Rewind>,
    orders: watch::Sender<Orders>,
    heard: watch::Receiver<Option<Instant>>,
}

impl View {
    fn new(api: &FakeApi) -> Self {
        let ((orders, ordered), (hear, heard)) =
            (watch::channel(Orders::default()), watch::channel(None));
        let reader = Reader {
            client: api.client(),
            page_size: 2,
            random: Random::seeded(7),
            orders: ordered,
            heard: hear,
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
            heard,
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

    /// Takes changes until it is so, for an hour at most.
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
    // The watch after a paged list starts when the next change is asked for.
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

/// Once each object of a list cost a tick of the timer, a millisecond; only the real clock has it.
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
async fn streaming_that_is_refused_falls_back_once_and_for_good() {
    for effect in [Effect::Answer(404), Effect::Answer(422), Effect::Silence, Effect::Hang] {
        let api = FakeApi::new();
        for name in ["a", "b", "c"] {
            api.put(PODS, pod(name));
        }
        api.fault(on_streaming("/pods"), effect.clone());
        let mut view = View::new(&api);
        view.until_listed(1).await;
        assert_eq!(view.names(), ["a", "b", "c"]);
        assert_eq!(view.failures.len(), 1, "{effect:?}: {:?}", view.failures);
        assert_eq!(view.failures[0].1, Duration::ZERO);
        view.pass(SECOND).await;
        api.expire_watches(PODS);
        view.until_listed(2).await;
        assert_eq!(api.count(is_streaming), 1, "{effect:?}");
        assert_eq!(api.count(Seen::is_paged_list), 4, "two lists of two pages of two pods");
    }
}

/// An API server that is restarted breaks one list, a proxy that cuts each.
#[tokio::test(start_paused = true)]
async fn streaming_that_breaks_falls_back_the_second_time_in_a_row() {
    for effect in [Effect::Answer(500), Effect::CloseAtOnce, Effect::CloseBeforeMark] {
        for (times, paged) in [(1, 0), (2, 2)] {
            let api = FakeApi::new();
            for name in ["a", "b", "c"] {
                api.put(PODS, pod(name));
            }
            api.fault(on_streaming("/pods").times(times), effect.clone());
            let mut view = View::new(&api);
            view.until_listed(1).await;
            assert_eq!(view.names(), ["a", "b", "c"]);
            assert_eq!(view.failures.len(), times as usize, "{effect:?}: {:?}", view.failures);
            assert_eq!(api.count(is_streaming), 2, "{effect:?}");
            assert_eq!(api.count(Seen::is_paged_list), paged, "{effect:?}");
            // One break more is again the first in a row.
            view.pass(SECOND).await;
            api.fault(on_streaming("/pods").times(1), effect.clone());
            api.expire_watches(PODS);
            view.until_listed(2).await;
            assert_eq!(api.count(Seen::is_paged_list), 2 * paged, "{effect:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_within_a_streamed_list_is_a_break() {
    let api = FakeApi::new();
    api.put(PODS, pod("a"));
    api.fault(on_streaming("/pods").times(2), Effect::MarkAfter(10 * SECOND));
    let mut view = View::new(&api);
    let status = json!({ "kind": "Status", "status": "Failure", "code": 504, "message": "etcd" });
    for breaks in 1..=2 {
        view.pods.clear();
        view.until_pods(&["a"]).await;
        api.inject(PODS, &format!(r#"{{"type":"ERROR","object":{status}}}"#));
        view.until("broken", |view| view.failures.len() == breaks).await;
    }
    view.until_listed(1).await;
    assert_eq!((api.count(is_streaming), api.count(Seen::is_paged_list)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_yet_does_not_speak_against_streaming() {
    for effect in [
        Effect::Refuse,
        Effect::Answer(401),
        Effect::Answer(403),
        Effect::Answer(503),
        Effect::TooMany(1),
    ] {
        let api = FakeApi::new();
        api.put(PODS, pod("a"));
        api.fault(on("GET", "/pods").times(3), effect.clone());
        let mut view = View::new(&api);
        view.until_listed(1).await;
        assert_eq!(view.failures.len(), 3, "{effect:?}");
        assert_eq!((api.count(is_streaming), api.count(Seen::is_paged_list)), (4, 0));
    }
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
async fn bookmarks_move_the_version_that_a_watch_resumes_from() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        api.put(NODES, json!({ "metadata": { "name": "node" } }));
        let version = api.version();
        view.pass(70 * SECOND).await;
        api.compact();
        api.end_watches();
        view.pass(10 * SECOND).await;
        let last = api.requests().pop().unwrap();
        assert_eq!(last.parameter("resourceVersion"), version.to_string());
        assert_eq!(view.lists, 1, "the old version would have been gone");
    }
}

/// What only a watch that is resumed asks for.
const RESUMED: &str = "allowWatchBookmarks=true&resourceVersion=1";

#[tokio::test(start_paused = true)]
async fn a_watch_that_goes_silent_is_noticed_within_85_seconds() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        api.fault(on("GET", "/pods").query(RESUMED).times(1), Effect::Silence);
        api.end_watches();
        view.pass(SECOND).await;
        let heard = view.heard.borrow().unwrap();
        api.put(PODS, pod("b"));
        view.until("noticed", |view| !view.failures.is_empty()).await;
        let took = heard.elapsed();
        assert!((65 * SECOND..=86 * SECOND).contains(&took), "{took:?}");
        assert_eq!((*view.heard.borrow(), &view.causes[..]), (Some(heard), &["silent"][..]));
        view.until_pods(&["a", "b"]).await;
        assert!(heard.elapsed() <= 88 * SECOND, "{:?}", heard.elapsed());
        assert_eq!((view.restarts, view.rewinds.len()), (1, 0), "resuming is not listing");
    }
}

#[tokio::test(start_paused = true)]
async fn each_watch_is_ended_by_the_server_after_60_to_80_seconds() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        let mut oldest = Duration::ZERO;
        for _ in 0..1800 {
            view.pass(SECOND).await;
            oldest = oldest.max(view.heard.borrow().unwrap().elapsed());
        }
        let resumed = api.requests().into_iter().filter(|seen| seen.query.contains(RESUMED));
        let seconds: Vec<u32> =
            resumed.map(|seen| seen.parameter("timeoutSeconds").parse().unwrap()).collect();
        assert!((22..=30).contains(&seconds.len()), "{seconds:?}");
        assert!(seconds.iter().all(|seconds| (60..=80).contains(seconds)), "{seconds:?}");
        assert!(seconds.iter().collect::<BTreeSet<_>>().len() > 10, "at random: {seconds:?}");
        assert!(oldest <= 86 * SECOND, "{oldest:?}");
        let probes = api.count(|seen| seen.query.contains("limit=1"));
        assert_eq!((view.lists, view.failures.len(), probes), (1, 0, 0), "idle for half an hour");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_be_resumed_is_replaced_by_a_list() {
    let answers = [400, 404, 500, 503, 504].map(Effect::Answer);
    for effect in answers.into_iter().chain([Effect::Refuse, Effect::CloseAtOnce, Effect::Silence])
    {
        for streaming in [true, false] {
            let (api, mut view) = listed(&["a"], streaming).await;
            api.fault(on("GET", "/pods").query(RESUMED), effect.clone());
            api.end_watches();
            api.put(PODS, pod("b"));
            let start = Instant::now();
            view.until(&format!("listed, {effect:?}, streaming: {streaming}"), |view| {
                view.lists == 2
            })
            .await;
            let took = start.elapsed();
            assert!(took < 190 * SECOND, "{effect:?}: {took:?}");
            assert_eq!(view.names(), ["a", "b"], "{effect:?}, streaming: {streaming}");
            let streamed = api.count(is_streaming);
            assert_eq!(streamed, if streaming { 2 } else { 1 }, "{effect:?}: still streaming");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_without_a_version_leads_to_a_fresh_list() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a", "b"], streaming).await;
        let mark = json!({ "kind": "Pod", "apiVersion": "v1", "metadata": {} });
        api.inject(PODS, &format!(r#"{{"type":"BOOKMARK","object":{mark}}}"#));
        api.remove(PODS, "ns", "a");
        view.until_listed(2).await;
        assert_eq!((view.names(), &view.causes[..]), (vec!["b"], &["undecodable"][..]));
    }
}

/// As after a restore from a backup: the connection breaks, and comes back to an earlier state.
async fn restored(api: &FakeApi, view: &mut View, version: u64) {
    api.disconnect();
    view.pass(3 * SECOND).await;
    api.restore(version);
    api.connect();
}

#[tokio::test(start_paused = true)]
async fn a_history_that_went_back_shows_before_the_watch_is_resumed() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        let backup = api.version();
        api.put(PODS, pod("b"));
        view.until_pods(&["a", "b"]).await;
        view.pass(60 * SECOND).await;
        restored(&api, &mut view, backup).await;
        view.until("seen", |view| !view.rewinds.is_empty()).await;
        api.remove(PODS, "ns", "a");
        view.pass(300 * SECOND).await;
        assert_eq!(view.names(), ["a", "b"], "a resumed watch is blind, as upstream's");
        view.orders.send_modify(|orders| orders.relist = Some(Instant::now()));
        view.until_pods(&[]).await;
        view.pass(300 * SECOND).await;
        let signs: Vec<_> = view.rewinds.iter().map(|rewind| rewind.sign.as_str()).collect();
        assert_eq!((signs, view.lists), (vec!["list"], 2), "streaming: {streaming}");
    }
}

/// The list is asked for by a 410, and not by an order.
#[tokio::test(start_paused = true)]
async fn a_list_that_shows_the_new_history_is_not_repeated_for_it() {
    let (api, mut view) = listed(&["a"], true).await;
    let backup = api.version();
    api.put(PODS, pod("b"));
    view.until_pods(&["a", "b"]).await;
    view.pass(60 * SECOND).await;
    api.restore(backup);
    api.expire_watches(PODS);
    view.until_listed(2).await;
    let [rewind] = view.rewinds[..] else { panic!("{:?}", view.rewinds) };
    view.orders.send_modify(|orders| orders.relist = Some(rewind.at));
    view.pass(300 * SECOND).await;
    assert_eq!((view.names(), view.lists), (vec!["a"], 2));
}

#[tokio::test(start_paused = true)]
async fn lists_are_ordered_at_most_every_30_seconds() {
    for streaming in [true, false] {
        let (_, mut view) = listed(&["a"], streaming).await;
        for _ in 0..300 {
            view.orders.send_modify(|orders| orders.relist = Some(Instant::now()));
            view.pass(SECOND).await;
        }
        assert!((9..=11).contains(&view.lists), "{} lists in five minutes", view.lists);
    }
}

/// An order that comes while the answer to the request for a list is still to come.
#[tokio::test(start_paused = true)]
async fn a_list_that_was_requested_before_an_order_does_not_answer_to_it() {
    let api = FakeApi::new();
    api.put(PODS, pod("a"));
    api.fault(on_streaming("/pods").times(1), Effect::Delay(20 * SECOND));
    let mut view = View::new(&api);
    let began = Instant::now();
    view.pass(10 * SECOND).await;
    view.orders.send_modify(|orders| orders.relist = Some(Instant::now()));
    view.until_listed(1).await;
    assert_eq!(view.asked, Some(began));
    view.pass(60 * SECOND).await;
    assert_eq!(view.lists, 2);
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_made_on_demand_and_costs_no_list() {
    let (api, mut view) = listed(&["a"], true).await;
    let is_probe = |seen: &Seen| seen.query.contains("limit=1");
    view.orders.send_modify(|orders| orders.probes += 1);
    view.pass(SECOND).await;
    api.put(PODS, pod("b"));
    view.until_pods(&["a", "b"]).await;
    assert_eq!((api.count(is_probe), view.lists, view.rewinds.len()), (1, 1, 0));
}

/// Of two API servers one lags behind: a watch may show old events, and lists are quorum reads.
#[tokio::test(start_paused = true)]
async fn an_api_server_that_lags_is_no_sign() {
    let (api, mut view) = listed(&["a"], true).await;
    for round in 0..20 {
        api.hold(PODS);
        api.edit(PODS, "ns", "a", |pod| pod["spec"]["nodeName"] = json!(format!("n{round}")));
        api.end_watches();
        view.pass(10 * SECOND).await;
        api.release(PODS);
        api.end_watches();
        view.pass(10 * SECOND).await;
    }
    assert_eq!((&*view.pods["a"], view.lists, view.rewinds.len()), ("n19", 1, 0));
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
