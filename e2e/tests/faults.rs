//! Several faults at the same time between closehaul and a real API server. `SEEDS=30` runs more of
//! them, `SEED=7` a single one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use e2e::{
    closehaul::{self, Profile},
    cluster::{Actor, Cluster, Options},
    faulty::{Proxy, Recorder},
    process::Process,
    world::{Kind, Place, World, normal::items, object, until},
};
use fake_api::{
    dice::Dice,
    faults::{Effect, On, on, on_watch},
    invariants::{Limits, Violation, listed_addresses, violations},
    recorder::Caller,
    seeds::seeds,
};
use futures::StreamExt;
use http::Request;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SEEDS: u64 = 2;
const SERVICES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];
const PODS: u64 = 4;
const MAX: usize = 3;
/// How long each set of faults is active.
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: u64 = 6;
/// How long it may take until the slices are right, once all faults have ended: a watch that fell
/// silent is given up after at most 85 s.
const SETTLE: Duration = Duration::from_secs(150);
/// How old the knowledge of a replica may be.
const STALENESS: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn the_invariants_hold_on_a_real_api_server() {
    timeout(LIMIT, piles()).await.expect("the time limit");
}

async fn piles() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    for (number, zone) in ["zone-a", "zone-b", "zone-c"].into_iter().enumerate() {
        world.create(&object::node(&format!("node-{number}"), Some(zone))).await.unwrap();
    }
    let mut all = Vec::new();
    for seed in seeds(SEEDS) {
        let started = Instant::now();
        let mut pile = Pile::start(&cluster, seed).await;
        pile.run().await;
        let found = pile.end().await;
        let seconds = started.elapsed().as_secs();
        eprintln!("faults: seed {seed}: {} violations  {seconds} s", found.len());
        all.extend(found);
    }
    cluster.stop().await.unwrap();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

struct Pile {
    seed: u64,
    namespace: String,
    world: World,
    proxy: Proxy,
    recorder: Recorder,
    closehaul: Process,
    dice: Dice,
    history: Vec<String>,
}

impl Pile {
    async fn start(cluster: &Cluster, seed: u64) -> Self {
        let client = cluster.client(Actor::Admin).unwrap();
        let world = World::new(client.clone());
        let namespace = format!("pile-{seed}");
        let proxy = Proxy::before(cluster.client(Actor::Closehaul).unwrap()).await.unwrap();
        let recorder = Recorder::start(&client).await.unwrap();
        let name = format!("{namespace}.kubeconfig");
        let kubeconfig = cluster.kubeconfig_at(Actor::Closehaul, proxy.url(), &name).unwrap();
        let binary = closehaul::build(Profile::Dev).await.unwrap();
        let max = format!("--max-endpoints-per-slice={MAX}");
        let args = ["--leader-elect=false", &max];
        let closehaul = closehaul::command(&binary, &kubeconfig, &args);
        let closehaul = closehaul.start(cluster.directory()).unwrap();
        world.create(&object::namespace(&namespace)).await.unwrap();
        for service in SERVICES {
            world.create(&object::service(&namespace, service)).await.unwrap();
        }
        let (dice, history) = (Dice::new(seed), Vec::new());
        let mut pile = Self { seed, namespace, world, proxy, recorder, closehaul, dice, history };
        for service in SERVICES {
            for number in 0..PODS {
                pile.create(&format!("{service}-{number}")).await;
            }
        }
        pile
    }

    async fn run(&mut self) {
        for _ in 0..ROUNDS {
            self.faults();
            let end = Instant::now() + ROUND;
            while Instant::now() < end {
                self.change().await;
                sleep(Duration::from_millis(self.dice.roll(400))).await;
            }
        }
        self.proxy.clear_faults();
        self.proxy.break_watches();
    }

    /// Ends all faults and begins three or four others.
    fn faults(&mut self) {
        self.proxy.clear_faults();
        let count = 3 + usize::from(self.dice.one_in(2));
        let mut active = BTreeSet::new();
        while active.len() < count {
            active.insert(self.dice.roll(FAULTS));
        }
        for fault in &active {
            let (on, effect) = self.fault(*fault);
            self.history.push(format!("{on:?} {effect:?}"));
            self.proxy.fault(on, effect);
        }
        self.proxy.break_watches();
    }

    fn fault(&mut self, fault: u64) -> (On, Effect) {
        let method = self.dice.pick(&["POST", "PUT", "DELETE", ""]);
        let write = on(method, "/endpointslices").service(self.dice.pick(&SERVICES));
        let watch = on_watch(self.dice.pick(&["/pods", "/endpointslices", "/services"]));
        match fault {
            0 => (write, Effect::Refuse),
            1 => (write.times(2), Effect::Hang),
            2 => (write, Effect::Delay(Duration::from_secs(1))),
            3 => (write, Effect::DoAndRefuse),
            4 => (write, Effect::DoAndAnswer(500)),
            5 => (write.times(2), Effect::DoAndHang),
            6 => (write, Effect::Answer(self.dice.pick(&[409, 500, 503, 504]))),
            7 => (write, Effect::TooMany(1)),
            8 => (watch, Effect::CloseAtOnce),
            9 => (watch, Effect::CloseAfter(Duration::from_millis(300))),
            10 => (watch, Effect::Repeat),
            11 => (watch.times(2), Effect::Truncate),
            12 => (watch, Effect::Throttle(2_000)),
            13 => (watch.times(2), Effect::Answer(self.dice.pick(&[410, 500, 503]))),
            14 => (watch, Effect::BlankBookmarks),
            _ => (watch.times(1), Effect::Silence),
        }
    }

    async fn change(&mut self) {
        let service = self.dice.pick(&SERVICES);
        let name = format!("{service}-{}", self.dice.roll(PODS));
        let place = Place::new(Kind::Pod, &self.namespace, &name);
        let exists = self.world.get(&place).await.unwrap().is_some();
        match self.dice.roll(8) {
            0 if exists => {
                self.history.push(format!("remove pod {name}"));
                self.world.delete(&place).await.unwrap();
            }
            1 => {
                let prefer =
                    self.dice.pick(&[None, Some("PreferSameZone"), Some("PreferSameNode")]);
                self.history.push(format!("trafficDistribution of {service}: {prefer:?}"));
                let patch = json!({ "spec": { "trafficDistribution": prefer } });
                let service = Place::new(Kind::Service, &self.namespace, service);
                self.world.patch(&service, &patch).await.unwrap();
            }
            _ if exists => {
                let is_ready = self.dice.one_in(2);
                self.history.push(format!("readiness of pod {name}: {is_ready}"));
                let status = json!({ "conditions": object::ready(is_ready) });
                self.world.patch_status(&place, &status).await.unwrap();
            }
            _ => self.create(&name).await,
        }
    }

    async fn create(&mut self, pod: &str) {
        self.history.push(format!("create pod {pod}"));
        let (service, number) = pod.split_once('-').unwrap();
        let number: u64 = number.parse().unwrap();
        let at = SERVICES.iter().position(|other| *other == service).unwrap();
        let [address, _] = object::addresses(u64::try_from(at).unwrap() * 10 + number);
        let node = format!("node-{}", number % 3);
        let object = object::pod(&self.namespace, pod, service, &node, &[address]);
        self.world.create(&object).await.unwrap();
    }

    /// Waits until the slices are right, and returns what was violated before.
    async fn end(self) -> Vec<String> {
        let wait =
            until("the slices are right", SETTLE, async || Ok(self.is_right().await.then_some(())));
        let ((), took) = wait.await.unwrap_or_else(|error| {
            panic!("seed {}: {error}\n{}", self.seed, self.history.join("\n"))
        });
        eprintln!("faults: seed {}: right after {:.1} s", self.seed, took.as_secs_f64());
        let (proxy, seed) = (&self.proxy, self.seed);
        let limits = Limits {
            max_endpoints: MAX,
            staleness: Some(STALENESS),
            stores_node_hints: true,
            lag: None,
        };
        // The watches of the recorder may be behind.
        sleep(Duration::from_secs(1)).await;
        let record = self.recorder.record(&proxy.written());
        let writes = record.iter().filter(|change| change.by != Caller::World).count();
        assert!(writes > 20, "the recorder knows of {writes} writes");
        let violations = violations(&record, limits);
        self.closehaul.stop(Duration::from_secs(10)).await.unwrap();
        let history = self.history.join("\n");
        let text = |violation: &Violation| {
            format!("seed {seed}: {}: {}\n{history}", violation.invariant, violation.what)
        };
        violations.iter().map(text).collect()
    }

    async fn is_right(&self) -> bool {
        let list = async |kind| self.world.list(kind, Some(&self.namespace)).await.unwrap();
        let (services, pods) = (list(Kind::Service).await, list(Kind::Pod).await);
        let slices = list(Kind::Slice).await;
        services.iter().all(|service| {
            let wanted = pods.iter().flat_map(|pod| {
                let ready = &pod["status"]["conditions"][0]["status"];
                let addresses = listed_addresses(service, pod, true);
                addresses.into_iter().map(move |ip| format!("{ip} {}", *ready == "True"))
            });
            let wanted: Vec<String> = sorted(wanted);
            let name = &service["metadata"]["name"];
            let of_service = slices
                .iter()
                .filter(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == *name);
            let found = of_service.flat_map(|slice| items(&slice["endpoints"])).map(|endpoint| {
                let ip = endpoint["addresses"][0].as_str().unwrap_or_default();
                format!("{ip} {}", endpoint["conditions"]["ready"])
            });
            sorted(found) == wanted
        })
    }
}

/// How many there are in [`Pile::fault`].
const FAULTS: u64 = 16;

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts
}

/// What the proxy does, one effect at a time.
#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_fails_as_it_says() {
    timeout(LIMIT, effects()).await.expect("the time limit");
}

async fn effects() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let proxy = Proxy::before(cluster.client(Actor::Admin).unwrap()).await.unwrap();
    let client = Client::try_from(Config::new(proxy.url().parse().unwrap())).unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    let maps = "/api/v1/namespaces/default/configmaps";
    let create = async |name: &str| {
        let answer = timeout(Duration::from_secs(2), post(proxy.url(), maps, name)).await;
        let answer = answer.unwrap_or_else(|_| "no answer".to_owned());
        let list = Request::get(maps).body(Vec::new()).unwrap();
        let all: Value = cluster.client(Actor::Admin).unwrap().request(list).await.unwrap();
        let exists = items(&all["items"]).any(|map| map["metadata"]["name"] == name);
        (answer, exists)
    };
    let second = Duration::from_secs(1);
    for (name, effect, answer, exists) in [
        ("refuse", Effect::Refuse, "broken", false),
        ("hang", Effect::Hang, "no answer", false),
        ("delay", Effect::Delay(second), "201", true),
        ("answer", Effect::Answer(503), "503", false),
        ("too-many", Effect::TooMany(7), "429", false),
        ("do-and-hang", Effect::DoAndHang, "no answer", true),
        ("do-and-delay", Effect::DoAndDelay(second), "201", true),
        ("do-and-refuse", Effect::DoAndRefuse, "broken", true),
        ("do-and-answer", Effect::DoAndAnswer(500), "500", true),
    ] {
        proxy.fault(on("POST", "/configmaps"), effect);
        let started = Instant::now();
        assert_eq!(create(name).await, (answer.to_owned(), exists), "{name}");
        if name.ends_with("delay") {
            assert!(started.elapsed() >= second, "{name}: {:?}", started.elapsed());
        }
        proxy.clear_faults();
    }
    assert_eq!(create("plain").await, ("201".to_owned(), true));
    for (name, effect, shown) in [
        ("plain", None, "ADDED MODIFIED MODIFIED end"),
        ("close-at-once", Some(Effect::CloseAtOnce), "end"),
        ("close-after", Some(Effect::CloseAfter(second / 2)), "ADDED end"),
        ("silence", Some(Effect::Silence), "silent"),
        ("repeat", Some(Effect::Repeat), "ADDED ADDED MODIFIED MODIFIED MODIFIED MODIFIED end"),
        ("truncate", Some(Effect::Truncate), "ADDED broken"),
        ("throttle", Some(Effect::Throttle(1_000)), "ADDED"),
    ] {
        let map = format!("watched-{name}");
        world
            .create(&json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "namespace": "default", "name": map },
                "spec": { "containers": [{ "name": "main", "image": "none" }] },
            }))
            .await
            .unwrap();
        if let Some(effect) = effect {
            proxy.fault(on_watch("/pods"), effect);
        }
        let watched = watched(&client, &world, &map).await;
        let is_shown = if shown == "ADDED" { watched.starts_with(shown) } else { watched == shown };
        assert!(is_shown, "{name}: {watched}");
        proxy.clear_faults();
    }
    cluster.stop().await.unwrap();
}

/// Creates a `ConfigMap` without a client that would try again. Returns the status code.
async fn post(url: &str, path: &str, name: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = json!({ "metadata": { "name": name } }).to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap_or_default();
    let code = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    code.unwrap_or("broken").to_owned()
}

/// What a watch of one pod shows while the pod is labelled twice, and how it ends.
async fn watched(client: &Client, world: &World, pod: &str) -> String {
    let path = format!(
        "/api/v1/namespaces/default/pods?watch=true&resourceVersion=0&timeoutSeconds=3\
         &fieldSelector=metadata.name%3D{pod}"
    );
    let request = Request::get(path).body(kube::client::Body::empty()).unwrap();
    let answer = client.send(request).await.unwrap();
    let place = Place::new(Kind::Pod, "default", pod);
    let change = async {
        for label in ["x", "y"] {
            sleep(Duration::from_secs(1)).await;
            world
                .patch(&place, &json!({ "metadata": { "labels": { "l": label } } }))
                .await
                .unwrap();
        }
    };
    let read = async {
        let (mut text, mut shown) = (String::new(), Vec::new());
        let mut data = http_body_util::BodyExt::into_data_stream(answer.into_body());
        let end = loop {
            match timeout(Duration::from_secs(5), data.next()).await {
                Err(_) => break "silent",
                Ok(None) => break "end",
                Ok(Some(Err(_))) => break "broken",
                Ok(Some(Ok(bytes))) => text += &String::from_utf8_lossy(&bytes),
            }
        };
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            shown.push(line["type"].as_str().unwrap_or_default().to_owned());
        }
        shown.push(end.to_owned());
        shown.join(" ")
    };
    let ((), shown) = tokio::join!(change, read);
    shown
}
