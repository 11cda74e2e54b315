//! Leadership: without the lease nothing is written, also in the middle of a job.

use closehaul::{
    control::lease::{self, Identity, LeaseError, Timing, leadership},
    observe::Health,
};
use kube::Api;
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    fake_api::{
        FakeApi,
        faults::{Effect, on},
    },
    log::Log,
    rig::*,
};

const LEASES: &str = "coordination.k8s.io/v1/leases";

/// A copy of the controller that writes only while it holds the lease.
pub struct Copy {
    pub rig: Rig,
    pub election: JoinHandle<Result<(), LeaseError>>,
    _released: oneshot::Sender<()>,
}

impl Copy {
    pub fn start(api: &FakeApi, options: Options) -> Self {
        let (sender, leadership) = leadership();
        let (reports, reported) = mpsc::unbounded_channel();
        let sender = sender.reporting(reports);
        // Shorter than what is left of the lease at its deadline.
        let options = Options { timeout: 4 * SECOND, ..options };
        let rig = Rig::start_reported(api.clone(), options, leadership, reported);
        let (released, shutdown) = oneshot::channel::<()>();
        let leases = Api::namespaced(api.client(), "kube-system");
        let election = tokio::spawn(async move {
            let (identity, timing) = (Identity::new(), Timing::default());
            let shutdown = async { shutdown.await.unwrap_or_default() };
            let health = Health::default();
            lease::run(leases, "closehaul", &identity, &timing, sender, &health, shutdown).await
        });
        Self { rig, election, _released: released }
    }
}

/// Slices of one endpoint, each written in a second: a job of many writes takes long.
fn slow() -> (FakeApi, Options) {
    let pods: Vec<String> = (0..30).map(|number| format!("web-{number}")).collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    api.fault(on("POST", "/endpointslices"), Effect::Delay(SECOND));
    (api, Options { settings: settings_of(1), ..Options::default() })
}

#[tokio::test(start_paused = true)]
async fn of_two_copies_one_writes_and_the_other_is_ready_to() {
    let api = cluster(&["web-1", "web-2"]);
    let first = Copy::start(&api, Options::default());
    first.rig.until_endpoints("web", &["web-1", "web-2"]).await;
    let second = Copy::start(&api, Options::default());
    for is_ready in [false, true] {
        set_ready(&api, "web-1", is_ready);
        first.rig.pass(MINUTE).await;
    }
    let slices = |api: &FakeApi| {
        api.count(|seen| seen.method != "GET" && seen.path.contains("/endpointslices"))
    };
    assert_eq!(slices(&api), 3, "each change is written once");
    first.election.abort();
    first.rig.abort().await;
    set_ready(&api, "web-1", false);
    let took = second.rig.until_endpoints("web", &["web-1!", "web-2"]).await;
    assert!(took < 20 * SECOND, "{took:?}");
    assert_eq!(slices(&api), 4);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_past_the_renew_deadline_in_the_middle_of_a_job() {
    let (api, options) = slow();
    let copy = Copy::start(&api, options);
    copy.rig.until("a slice", |rig| rig.slices("web").len() == 1).await;
    api.fault(on("PUT", "/leases"), Effect::Hang);
    let cut = Instant::now();
    assert!(copy.election.await.unwrap().is_err());
    let lost = Instant::now();
    assert!(lost - cut <= 10 * SECOND, "{:?}", lost - cut);
    copy.rig.pass(10 * MINUTE).await;
    let made = copy.rig.slices("web").len();
    assert!((2..30).contains(&made), "the job was under way: {made}");
    let is_late = |at: Instant| at > lost;
    assert_eq!(api.count(|seen| seen.method != "GET" && is_late(seen.at)), 0);
}

/// Somebody else takes the lease, as a copy would whose renewals got through.
#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_a_job_and_the_next_leader_ends_the_work() {
    let (api, options) = slow();
    let first = Copy::start(&api, options);
    first.rig.until("a slice", |rig| rig.slices("web").len() == 1).await;
    let second = Copy::start(&api, options);
    second.rig.pass(SECOND).await;
    api.edit(LEASES, "kube-system", "closehaul", |lease| {
        lease["spec"]["holderIdentity"] = json!("somebody else");
    });
    assert!(first.election.await.unwrap().is_err());
    let lost = Instant::now();
    let made = first.rig.slices("web").len();
    second.rig.until("all slices", |rig| rig.slices("web").len() == 30).await;
    let writes = api.requests();
    let mut later = writes.iter().filter(|seen| seen.method == "POST" && seen.at > lost);
    let pause = later.next().unwrap().at - lost;
    assert!(made < 10 && pause > 10 * SECOND, "{made} made, then a pause of {pause:?}");
    second.rig.pass(MINUTE).await;
    assert_eq!(second.rig.endpoints("web").len(), 30, "and none twice");
    drop(first.rig);
}

/// Announcements that wait for their turn when the lease is lost are dropped.
#[tokio::test(start_paused = true)]
async fn nothing_is_announced_without_the_lease() {
    let pods: Vec<String> = (0..60).map(|number| format!("s{number}-1")).collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    let first = Copy::start(&api, Options::default());
    let second = Copy::start(&api, Options::default());
    first.rig.until("all", |rig| rig.slices("s59").len() == 1).await;
    first.rig.pass(5 * SECOND).await;
    for number in 0..60 {
        let mut headless = service(&format!("s{number}"));
        headless["spec"]["clusterIP"] = json!("None");
        headless["spec"]["trafficDistribution"] = json!("PreferSameZone");
        api.put(SERVICES, headless);
    }
    first.rig.pass(5 * SECOND).await;
    let sent = api.count(is_event);
    assert!((25..=35).contains(&sent), "{sent}: by one copy, in turn");
    api.fault(on("PUT", "/leases"), Effect::Hang);
    assert!(first.election.await.unwrap().is_err());
    let lost = Instant::now();
    first.rig.pass(10 * MINUTE).await;
    assert_eq!(api.count(|seen| is_event(seen) && seen.at > lost), 0);
    drop(second);
}

/// To a copy that does not lead, all writes are somebody else's; and to one that has just begun,
/// those of the last leader that it had not seen yet.
#[tokio::test(start_paused = true)]
async fn the_leaders_writes_are_no_other_writers() {
    let log = Log::start();
    let api = cluster(&["web-1", "web-2"]);
    let first = Copy::start(&api, Options::default());
    first.rig.until_endpoints("web", &["web-1", "web-2"]).await;
    let second = Copy::start(&api, Options::default());
    for round in 0..60 {
        set_ready(&api, "web-1", round % 2 == 0);
        first.rig.pass(SECOND).await;
    }
    api.hold(SLICES);
    set_ready(&api, "web-1", true);
    first.rig.pass(SECOND).await;
    assert_eq!(first.rig.endpoints("web"), ["web-1", "web-2"]);
    first.election.abort();
    first.rig.abort().await;
    set_ready(&api, "web-2", false);
    let puts = |api: &FakeApi| {
        api.count(|seen| seen.method == "PUT" && seen.path.contains("/endpointslices/"))
    };
    let before = puts(&api);
    second.rig.until("the second leads and tries", |_| puts(&api) > before).await;
    api.release(SLICES);
    second.rig.until_endpoints("web", &["web-1", "web-2!"]).await;
    second.rig.pass(MINUTE).await;
    assert_eq!(second.rig.events("web"), [""; 0]);
    assert_eq!(log.lines("somebody else writes"), [""; 0]);
}
