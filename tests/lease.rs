//! Leader election between several candidates on one API server, in simulated time.

use std::time::Duration;

use closehaul::{
    clock::Clock,
    control::lease::{
        Election, Farewell, Identity, Leadership, LeaseError, Report, Timing, leadership,
    },
    model::name::ServiceKey,
    observe::Health,
    pulse::Pulse,
};
use fake_api::{
    FakeApi,
    collections::{CONFIG_MAPS, LEASES},
    faults::{Effect, on},
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

const NAME: &str = "closehaul";
const SECOND: Duration = Duration::from_secs(1);

/// A running replica; dropping `stop` without sending is no shutdown.
struct Candidate {
    leadership: Leadership,
    clock: Clock,
    stop: oneshot::Sender<Farewell>,
    task: JoinHandle<Result<(), LeaseError>>,
    reports: mpsc::UnboundedReceiver<Report>,
}

impl Candidate {
    /// Starts one with a separate connection to `api`. Its main loop turns.
    fn start(api: &FakeApi, name: &str) -> Self {
        let pulse = Pulse::new();
        let candidate = Self::start_beating(api, name, pulse.clone());
        tokio::spawn(async move {
            loop {
                pulse.turned(Instant::now());
                sleep(SECOND).await;
            }
        });
        candidate
    }

    fn start_beating(api: &FakeApi, name: &str, pulse: Pulse) -> Self {
        let clock = Clock::runtime();
        let (sender, leadership) = leadership(clock.clone());
        let (reporter, reports) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let election = Election {
            leases: Api::<Lease>::namespaced(api.client(), "ns"),
            name: NAME.to_owned(),
            identity: Identity::from(name.to_owned()),
            timing: Timing::default(),
            leadership: sender.reporting(reporter),
            clock: clock.clone(),
            wall: api.wall_clock(),
            random: api.random(),
            pulse,
            health: Health::default(),
        };
        let task = tokio::spawn(election.run(async {
            match stopped.await {
                Ok(farewell) => farewell,
                Err(_) => std::future::pending().await,
            }
        }));
        Self { leadership, clock, stop, task, reports }
    }

    fn leads(&self) -> bool {
        self.leadership.holds()
    }

    /// How long it still leads unless it renews the lease.
    fn left(&self) -> Option<Duration> {
        let deadline = self.leadership.deadline();
        deadline.map(|deadline| deadline.saturating_since(self.clock.now()))
    }

    /// Waits until it leads, and returns how long that took.
    async fn acquired(&self) -> Duration {
        let start = Instant::now();
        timeout(600 * SECOND, self.leadership.acquired()).await.unwrap_or_default();
        start.elapsed()
    }
}

fn lease(api: &FakeApi) -> Value {
    api.get(LEASES, "ns", NAME).unwrap_or_default()["spec"].clone()
}

#[tokio::test(start_paused = true)]
async fn one_of_two_leads_and_the_record_is_client_gos() {
    let api = FakeApi::new();
    let first = Candidate::start(&api, "first");
    assert!(first.acquired().await < SECOND);
    let second = Candidate::start(&api, "second");
    let acquired = lease(&api)["acquireTime"].clone();
    for _ in 0..120 {
        sleep(SECOND).await;
        assert!(first.leads() && !second.leads());
    }
    let spec = lease(&api);
    assert_eq!(spec["holderIdentity"], "first");
    assert_eq!((&spec["leaseDurationSeconds"], &spec["leaseTransitions"]), (&json!(15), &json!(0)));
    assert_eq!(spec["acquireTime"], acquired);
    assert_ne!(spec["renewTime"], acquired);
    let puts = api.count(|seen| seen.method == "PUT");
    assert!((58..=61).contains(&puts), "{puts} renewals in two minutes");
    let left = first.left();
    assert!(left.is_some_and(|left| 8 * SECOND <= left && left <= 10 * SECOND), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_hands_over_at_once() {
    let api = FakeApi::new();
    let first = Candidate::start(&api, "first");
    first.acquired().await;
    let second = Candidate::start(&api, "second");
    sleep(5 * SECOND).await;
    first.stop.send(Farewell::Release(5 * SECOND)).unwrap();
    assert!(first.task.await.unwrap().is_ok());
    assert!(!first.leadership.holds());
    let released = lease(&api);
    assert_eq!(
        (&released["holderIdentity"], &released["leaseDurationSeconds"]),
        (&json!(""), &json!(1))
    );
    assert!(second.acquired().await <= 5 * SECOND);
    assert_eq!(lease(&api)["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_dies_silently_is_waited_out() {
    let api = FakeApi::new();
    let first = Candidate::start(&api, "first");
    first.acquired().await;
    let second = Candidate::start(&api, "second");
    sleep(30 * SECOND).await;
    first.task.abort();
    let renewed = api.requests().iter().rfind(|seen| seen.method == "PUT").unwrap().at;
    second.acquired().await;
    let silence = renewed.elapsed();
    assert!(silence >= 15 * SECOND, "{silence:?}");
    assert!(silence <= 25 * SECOND, "{silence:?}");
}

#[tokio::test(start_paused = true)]
async fn the_holders_clock_does_not_matter() {
    for clock in ["1970-01-01T00:00:00.000000Z", "2200-01-01T00:00:00.000000Z"] {
        let api = FakeApi::new();
        let put = |renewals: u32| {
            let spec = json!({
                "holderIdentity": "skewed", "leaseDurationSeconds": 15, "renewTime": clock,
                "acquireTime": clock, "leaseTransitions": renewals,
            });
            api.put(
                LEASES,
                json!({ "metadata": { "namespace": "ns", "name": NAME }, "spec": spec }),
            );
        };
        put(0);
        let candidate = Candidate::start(&api, "candidate");
        for renewals in 1..30 {
            sleep(4 * SECOND).await;
            put(renewals);
        }
        assert!(!candidate.leads(), "it saw every change");
        let waited = candidate.acquired().await;
        assert!(waited >= 15 * SECOND && waited <= 25 * SECOND, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_ends_leadership_before_another_can_take_it() {
    for effect in [Effect::Refuse, Effect::Hang, Effect::DoAndHang, Effect::Answer(500)] {
        let api = FakeApi::new();
        let first = Candidate::start(&api, "first");
        first.acquired().await;
        let second = Candidate::start(&api, "second");
        sleep(9 * SECOND).await;
        // Only the leader's: the other replica does not write before it may take over.
        api.fault(on("PUT", "/leases").times(20), effect.clone());
        let start = Instant::now();
        timeout(600 * SECOND, first.leadership.lost()).await.unwrap();
        let lost = Instant::now();
        assert!(start.elapsed() >= 6 * SECOND && start.elapsed() <= 10 * SECOND, "{effect:?}");
        assert!(!second.leads());
        let ended = timeout(SECOND / 10, first.task).await.unwrap();
        let error = ended.unwrap().unwrap_err();
        assert!(matches!(error, LeaseError::NotRenewed { .. }), "{error}");
        api.clear_faults();
        second.acquired().await;
        assert!(lost.elapsed() >= 4 * SECOND, "{effect:?}: {:?} apart", lost.elapsed());
        assert!(second.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_does_not_cost_the_lease() {
    for effect in [Effect::Refuse, Effect::Answer(503), Effect::DoAndAnswer(504), Effect::DoAndHang]
    {
        let api = FakeApi::new();
        let first = Candidate::start(&api, "first");
        first.acquired().await;
        sleep(5 * SECOND).await;
        api.fault(on("PUT", "/leases").times(1), effect.clone());
        for _ in 0..30 {
            sleep(SECOND).await;
            assert!(first.leads(), "{effect:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_done_but_not_answered_is_found() {
    for effect in [Effect::DoAndHang, Effect::DoAndAnswer(504)] {
        let api = FakeApi::new();
        api.fault(on("POST", "/leases").times(1), effect);
        let first = Candidate::start(&api, "first");
        assert!(first.acquired().await < 12 * SECOND);
        assert_eq!(
            (lease(&api)["leaseTransitions"].clone(), api.list(LEASES).len()),
            (json!(0), 1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_the_start_of_the_request() {
    let api = FakeApi::new();
    api.fault(on("POST", "/leases"), Effect::Delay(4 * SECOND));
    let first = Candidate::start(&api, "first");
    assert_eq!(first.acquired().await.as_secs(), 4);
    let left = first.left();
    assert!(left.is_some_and(|left| left <= 6 * SECOND), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_write_is_looked_at_and_a_take_over_obeyed() {
    let api = FakeApi::new();
    let first = Candidate::start(&api, "first");
    first.acquired().await;
    api.edit(LEASES, "ns", NAME, |lease| lease["metadata"]["annotations"] = json!({ "a": "b" }));
    sleep(31 * SECOND).await;
    assert!(first.leads(), "a conflict with the lease still ours");
    assert_eq!(api.get(LEASES, "ns", NAME).unwrap()["metadata"]["annotations"]["a"], "b");

    api.edit(LEASES, "ns", NAME, |lease| lease["spec"]["holderIdentity"] = json!("rival"));
    timeout(2 * SECOND, first.leadership.lost()).await.unwrap();
    let error = first.task.await.unwrap().unwrap_err();
    assert!(matches!(&error, LeaseError::Taken { holder, .. } if holder == "rival"), "{error}");
    assert_eq!(lease(&api)["holderIdentity"], "rival", "nothing is written over it");
}

#[tokio::test(start_paused = true)]
async fn of_many_that_come_at_once_one_leads() {
    let api = FakeApi::new();
    api.fault(on("GET", "/leases").times(5), Effect::Delay(SECOND));
    let names = ["a", "b", "c", "d", "e"];
    let candidates = names.map(|name| Candidate::start(&api, name));
    for _ in 0..60 {
        sleep(SECOND).await;
        assert!(candidates.iter().filter(|candidate| candidate.leads()).count() <= 1);
    }
    assert_eq!(candidates.iter().filter(|candidate| candidate.leads()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_stops_leaves_the_lease_alone() {
    let api = FakeApi::new();
    let first = Candidate::start(&api, "first");
    first.acquired().await;
    let second = Candidate::start(&api, "second");
    sleep(5 * SECOND).await;
    second.stop.send(Farewell::Release(5 * SECOND)).unwrap();
    assert!(second.task.await.unwrap().is_ok());
    assert_eq!(lease(&api)["holderIdentity"], "first");
}

#[tokio::test(start_paused = true)]
async fn without_election_leadership_never_ends() {
    let leadership = Leadership::always();
    leadership.acquired().await;
    sleep(3600 * SECOND).await;
    assert!(leadership.holds());
    assert_eq!((leadership.deadline(), leadership.overdue()), (None, None));
    assert!(timeout(3600 * SECOND, leadership.lost()).await.is_err());
}

/// The loop of `first` turns only at the start, and then plans a Service.
#[tokio::test(start_paused = true)]
async fn a_leader_whose_loop_hangs_stops_renewing_and_ends() {
    let api = FakeApi::new();
    let pulse = Pulse::new();
    let first = Candidate::start_beating(&api, "first", pulse.clone());
    first.acquired().await;
    let second = Candidate::start(&api, "second");
    sleep(3 * SECOND).await;
    let service = ServiceKey { namespace: "shop".into(), name: "web".into() };
    pulse.begin(&service, Instant::now());
    let error = timeout(25 * SECOND, first.task).await.unwrap().unwrap().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("has made no progress for 20 s"), "{text}");
    assert!(text.contains("planning Service shop/web for 17 s"), "{text}");
    let ended = Instant::now();
    assert!(!first.leadership.holds());
    assert_eq!(lease(&api)["holderIdentity"], "first", "a write may be under way");
    second.acquired().await;
    let gap = ended.elapsed();
    assert!(10 * SECOND <= gap && gap <= 20 * SECOND, "{gap:?}");
    let late = |at: Instant| at > ended;
    assert_eq!(
        api.count(|seen| late(seen.at) && seen.body["spec"]["holderIdentity"] == "first"),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_standby_whose_loop_hangs_does_not_try_for_the_lease() {
    let api = FakeApi::new();
    let first = Candidate::start(&api, "first");
    first.acquired().await;
    let pulse = Pulse::new();
    let hung = Candidate::start_beating(&api, "hung", pulse.clone());
    sleep(6 * SECOND).await;
    first.stop.send(Farewell::Release(5 * SECOND)).unwrap();
    sleep(8 * SECOND).await;
    assert!(!hung.leads(), "silent for 14 s");
    pulse.turned(Instant::now());
    assert!(hung.acquired().await < 3 * SECOND);
    let error = hung.task.await.unwrap().unwrap_err();
    assert!(matches!(error, LeaseError::Hangs { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_with_a_write_under_way_is_not_given_back() {
    let api = FakeApi::new();
    let first = Candidate::start(&api, "first");
    first.acquired().await;
    let second = Candidate::start(&api, "second");
    sleep(5 * SECOND).await;
    first.stop.send(Farewell::Keep).unwrap();
    assert!(first.task.await.unwrap().is_ok());
    let stopped = Instant::now();
    assert!(!first.leadership.holds());
    assert_eq!(lease(&api)["holderIdentity"], "first");
    second.acquired().await;
    assert!(stopped.elapsed() >= 12 * SECOND, "{:?}", stopped.elapsed());
}

#[tokio::test(start_paused = true)]
async fn giving_back_takes_no_longer_than_it_may() {
    let api = FakeApi::new();
    let first = Candidate::start(&api, "first");
    first.acquired().await;
    api.fault(on("", "/leases"), Effect::Hang);
    first.stop.send(Farewell::Release(2 * SECOND)).unwrap();
    let asked = Instant::now();
    assert!(first.task.await.unwrap().is_ok());
    assert!(asked.elapsed() <= 2 * SECOND, "{:?}", asked.elapsed());
}

/// A backup is restored, and its history grows past the lost version. The holder sees the Lease
/// with an older time, and renews it before the standby looks. It also takes the Lease again, which
/// shows the standby what happened.
#[tokio::test(start_paused = true)]
async fn a_lease_that_stepped_back_is_reported_by_holder_and_standby() {
    let api = FakeApi::new();
    let mut first = Candidate::start(&api, "a");
    first.acquired().await;
    let mut second = Candidate::start(&api, "b");
    sleep(10 * SECOND).await;
    let backup = api.version();
    sleep(20 * SECOND).await;
    let looks = || api.count(|seen| seen.method == "GET");
    let before = looks();
    while looks() == before {
        sleep(SECOND / 100).await;
    }
    let lost = api.version();
    let stepped = |reports: &mut mpsc::UnboundedReceiver<Report>| {
        let reports = std::iter::from_fn(|| reports.try_recv().ok());
        reports.filter(|report| matches!(report, Report::SteppedBack { .. })).count()
    };
    assert_eq!([stepped(&mut first.reports), stepped(&mut second.reports)], [0, 0]);
    api.restore(backup);
    while api.version() <= lost {
        let data = json!({ "version": api.version() });
        api.put(
            CONFIG_MAPS,
            json!({ "metadata": { "namespace": "ns", "name": "m" }, "data": data }),
        );
    }
    sleep(10 * SECOND).await;
    assert_eq!([stepped(&mut first.reports), stepped(&mut second.reports)], [1, 1]);
    assert!(first.leads() && !second.leads());
    sleep(60 * SECOND).await;
    assert_eq!([stepped(&mut first.reports), stepped(&mut second.reports)], [0, 0]);
}
