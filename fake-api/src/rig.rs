//! The rig: the running controller on a server, what it has written, and short names for the
//! server's objects as in [`crate::samples`].

use std::{thread, time::Duration};

use closehaul::{
    control::{
        controller::{Controller, Mode, Settings},
        lease::{Farewell, Leadership, Report},
        run::{Reading, run},
        stop::Stop,
        write::{Answers, Limit, WriteEncoding, Writer},
    },
    observe::{Health, Metrics, events::Recorder},
    plan,
};
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    FakeApi, Seen,
    collections::{NODES, PODS, SERVICES, SLICES},
    samples::{node, parts, pod, ready_condition, service},
};

/// The default settings, with at most this many endpoints in a slice.
pub fn settings_of(max_endpoints: usize) -> Settings {
    Settings { plan: plan::Settings::with(max_endpoints), ..Options::default().settings }
}

/// A millisecond.
pub const MS: Duration = Duration::from_millis(1);
/// A second.
pub const SECOND: Duration = Duration::from_secs(1);
/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);

/// How the controller runs.
#[derive(Clone, Copy)]
pub struct Options {
    /// The controller's settings.
    pub settings: Settings,
    /// How long one write may take.
    pub timeout: Duration,
    /// Writes per second; 0 means no limit.
    pub qps: f64,
    /// How many Services may have metrics of their own.
    pub services: usize,
    /// Whether it stands for another controller, whose writes are not judged by the invariants.
    pub is_foreign: bool,
}

impl Default for Options {
    fn default() -> Self {
        let settings = Settings {
            plan: plan::Settings::with(100),
            batch_period: Duration::ZERO,
            replan_qps: 100.0,
            concurrency: 5,
            policies: true,
            mode: Mode::Replace,
            renew_deadline: 10 * SECOND,
        };
        Self { settings, timeout: 10 * SECOND, qps: 0.0, services: 2, is_foreign: false }
    }
}

/// The running controller.
pub struct Rig {
    /// The server that it runs on.
    pub api: FakeApi,
    /// The controller's metrics.
    pub metrics: Metrics,
    /// The controller's health.
    pub health: Health,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Farewell>,
    /// The number of writes that the test has already seen.
    mark: usize,
    _checked: Checked,
}

/// Checks the invariants when a test is done with its rig.
struct Checked {
    api: FakeApi,
    max_endpoints: usize,
}

impl Drop for Checked {
    fn drop(&mut self) {
        // A test that has failed says why, and a panic in it would hide that.
        if !thread::panicking() {
            self.api.check(self.max_endpoints);
        }
    }
}

impl Rig {
    /// A controller with the default options that always leads.
    pub fn start(api: FakeApi) -> Self {
        Self::start_with(api, Options::default())
    }

    /// A controller that always leads.
    pub fn start_with(api: FakeApi, options: Options) -> Self {
        Self::start_led(api, options, Leadership::always())
    }

    /// A controller that writes only while it leads.
    pub fn start_led(api: FakeApi, options: Options, leadership: Leadership) -> Self {
        Self::start_reported(api, options, leadership, mpsc::unbounded_channel().1)
    }

    /// A controller with leader election, which reports what it observes.
    pub fn start_reported(
        api: FakeApi,
        options: Options,
        leadership: Leadership,
        reports: mpsc::UnboundedReceiver<Report>,
    ) -> Self {
        let api = if options.is_foreign { api } else { api.replica() };
        let (stop, stopped) = oneshot::channel();
        let metrics = Metrics::with_services(options.services).unwrap();
        let health = Health::default();
        let writer = Writer {
            client: api.client(),
            leadership,
            stop: Stop::default(),
            timeout: options.timeout,
            limit: Limit::new(options.qps, 1),
            encoding: WriteEncoding::default(),
            metrics: metrics.clone(),
            answers: Answers::default(),
        };
        let wall = api.wall_clock();
        let (client, random) = (api.client(), api.random());
        let reading = Reading { client, random, reports, wall: wall.clone() };
        let recorder = Recorder {
            client: api.client(),
            instance: "closehaul-0".to_owned(),
            metrics: metrics.clone(),
            health: health.clone(),
            wall,
        };
        let controller = Controller::new(options.settings, metrics.clone(), health.clone());
        let running = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            run(controller, reading, writer, recorder, stopped).await
        });
        let max_endpoints = options.settings.plan.max_endpoints;
        let checked = Checked { api: api.clone(), max_endpoints };
        Self { api, metrics, health, stop, running, mark: 0, _checked: checked }
    }

    /// A controller that has completed its initial writes. Later looks do not show these writes.
    pub async fn settled(api: FakeApi) -> Self {
        Self::settled_with(api, Options::default()).await
    }

    /// The same with other options than the default.
    pub async fn settled_with(api: FakeApi, options: Options) -> Self {
        let mut rig = Self::start_with(api, options);
        rig.pass(5 * SECOND).await;
        rig.look();
        rig
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        sleep(time).await;
    }

    /// Waits until `so` holds, for at most ten minutes. Returns how long that took. `what` is for
    /// the message if it does not.
    pub async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) -> Duration {
        let start = Instant::now();
        while !so(self) {
            assert!(start.elapsed() < 10 * MINUTE, "not within ten minutes: {what}");
            sleep(5 * MS).await;
        }
        start.elapsed()
    }

    /// Waits until these are the endpoints of a Service.
    pub async fn until_endpoints(&self, service: &str, endpoints: &[&str]) -> Duration {
        let what = format!("{service} has {endpoints:?}");
        self.until(&what, |rig| rig.endpoints(service) == endpoints).await
    }

    /// All writes so far in order of arrival, without Events.
    pub fn writes(&self) -> Vec<Seen> {
        let mut requests = self.api.requests();
        requests.retain(|seen| seen.method != "GET" && !is_event(seen));
        requests
    }

    /// The Events of a Service, each as its reason, in order of arrival.
    pub fn events(&self, service: &str) -> Vec<String> {
        let (namespace, name) = parts(service);
        let requests = self.api.requests().into_iter().filter(is_event).map(|seen| seen.body);
        let of_service = requests.filter(|event| {
            let about = &event["regarding"];
            about["kind"] == "Service" && about["namespace"] == namespace && about["name"] == name
        });
        of_service.map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// The writes since the last look.
    pub fn look(&mut self) -> Vec<Seen> {
        let new = self.writes().split_off(self.mark);
        self.mark += new.len();
        new
    }

    /// The methods of the writes since the last look.
    pub fn methods(&mut self) -> Vec<String> {
        self.look().into_iter().map(|seen| seen.method).collect()
    }

    /// The live slices of a Service.
    pub fn slices(&self, service: &str) -> Vec<Value> {
        let (namespace, name) = parts(service);
        let mut slices = self.api.list(SLICES);
        slices.retain(|slice| {
            let meta = &slice["metadata"];
            meta["namespace"] == namespace
                && meta["labels"]["kubernetes.io/service-name"] == name
                && meta["deletionTimestamp"].is_null()
        });
        slices
    }

    /// The one live slice of a Service.
    pub fn slice(&self, service: &str) -> Value {
        let mut slices = self.slices(service);
        assert_eq!(slices.len(), 1, "{slices:#?}");
        slices.remove(0)
    }

    /// The pods behind a Service's slices, sorted; `web-1!` is not ready.
    pub fn endpoints(&self, service: &str) -> Vec<String> {
        let slices = self.slices(service);
        let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap());
        let text = |endpoint: &Value| {
            let pod = endpoint["targetRef"]["name"].as_str().unwrap();
            let is_ready = endpoint["conditions"]["ready"] == true;
            format!("{pod}{}", if is_ready { "" } else { "!" })
        };
        let mut endpoints: Vec<_> = endpoints.map(text).collect();
        endpoints.sort();
        endpoints
    }

    /// The value of a series, named as in `/metrics`; 0 if it does not exist.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.metrics.text().unwrap();
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        text.lines().find_map(value).unwrap_or_default()
    }

    /// Ends the controller at once, as a crash does, and starts another.
    pub async fn crash(self, options: Options) -> Self {
        let api = self.api.clone();
        self.abort().await;
        Self::start_with(api, options)
    }

    /// Ends the controller at once, as a crash does.
    pub async fn abort(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    /// Asks the controller to stop. Returns what to do with the lease.
    pub fn stop(self) -> JoinHandle<Farewell> {
        self.stop.send(()).unwrap();
        self.running
    }
}

/// A server with nodes a1, b1 and c1, these pods spread over them in turn, and their Services.
pub fn cluster(pods: &[&str]) -> FakeApi {
    let api = FakeApi::new();
    for name in ["a1", "b1", "c1"] {
        api.put(NODES, node(name));
    }
    for name in pods {
        let (namespace, _) = parts(name);
        let service = service(name.rsplit_once('-').unwrap().0);
        if api.get(SERVICES, namespace, crate::samples::name(&service)).is_none() {
            api.put(SERVICES, service);
        }
        api.put(PODS, pod(name));
    }
    api
}

/// Whether an Event is created.
pub fn is_event(seen: &Seen) -> bool {
    seen.method == "POST" && seen.path.ends_with("/events")
}

/// Sets whether a pod is ready.
pub fn set_ready(api: &FakeApi, name: &str, is_ready: bool) {
    let (namespace, name) = parts(name);
    api.edit(PODS, namespace, name, |pod| {
        pod["status"]["conditions"][0] = ready_condition(is_ready);
    });
}

/// Changes an object, which must exist.
pub fn edit(api: &FakeApi, collection: &str, name: &str, edit: impl FnOnce(&mut Value)) {
    let (namespace, name) = parts(name);
    api.edit(collection, namespace, name, edit);
}

/// Removes an object at once, regardless of its finalizers.
pub fn remove(api: &FakeApi, collection: &str, name: &str) {
    let (namespace, name) = parts(name);
    api.remove(collection, namespace, name);
}
