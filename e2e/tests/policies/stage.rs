//! The cluster: three zones with one node and one client each, the custom resource definitions, and
//! closehaul with the permissions of its role.

use std::{collections::BTreeMap, env, fs, path::Path, time::Duration};

use e2e::{
    closehaul::{self, Profile},
    cluster::{self, Actor},
    components::{Component, Kubernetes},
    kubelet::{NodeSpec, Termination, requests::Sender},
    machine,
    net::Network,
    packages,
    process::Process,
    proxy::Mode,
    shares::{Clients, Counts, Endpoint, NAMESPACE, Prediction, ZONES},
    site::{Options, Site},
    world::{World, object, until},
};
use serde_json::{Value, json};

/// All components that may have to be built.
const COMPONENTS: [Component; 5] = [
    Component::Etcd,
    Component::Etcdctl,
    Component::KubeApiserver,
    Component::Kubectl,
    Component::KubeProxy,
];

/// How many requests each of the three clients sends to a Service.
const REQUESTS: u64 = 1_700;
/// How long the slightest change may take on a busy machine.
pub const SETTLE: Duration = Duration::from_secs(60);
/// The port on which pods serve unless they say otherwise.
pub const PORT: u16 = 8080;

/// Everything that runs.
pub struct Stage {
    site: Site,
    closehaul: Process,
    world: World,
    /// One in every zone.
    pub clients: Clients,
}

impl Stage {
    /// Starts everything, without pods other than the clients.
    pub async fn start() -> Self {
        machine::require_namespaces().unwrap();
        packages::ensure(machine::NETWORK).unwrap();
        let site = Site::start(Options {
            network: Some(Network::new().unwrap()),
            components: cluster::ensure(Kubernetes::default(), &COMPONENTS).await.unwrap(),
            cluster: cluster::Options::default(),
            termination: Termination::default(),
            proxy: match env::var("PROXY").as_deref() {
                Ok("iptables") => Mode::Iptables,
                _ => Mode::Nftables,
            },
            server: Path::new(env!("CARGO_BIN_EXE_walkthrough")),
        });
        // An error has many lines that explain it, so it is printed as it is.
        let mut site = site.await.unwrap_or_else(|error| panic!("{error}"));
        install(&site).await;
        let closehaul = closehaul::start(&site.cluster, &["--mode=replace"]).await.unwrap();
        for zone in ZONES {
            site.join(NodeSpec::worker(zone, zone)).await.unwrap();
        }
        site.ready().await.unwrap_or_else(|error| panic!("{error}"));
        let world = World::new(site.cluster.client(Actor::Admin).unwrap());
        let mut senders = BTreeMap::new();
        for zone in ZONES {
            let name = format!("client-{zone}");
            world.create(&pod(&name, zone, PORT, &["client"])).await.unwrap();
            let (namespace, _) = until("the client's namespace", SETTLE, async || {
                Ok(site.pod(&name).await.unwrap())
            })
            .await
            .unwrap();
            senders.insert(zone, Sender::new(&site.server, &namespace));
        }
        let clients = Clients::new(World::new(site.cluster.client(Actor::Admin).unwrap()), senders);
        Self { site, closehaul, world, clients }
    }

    /// Six, four and two pods in the zones: `a0` to `a5` in the first one. Smaller sets are parts of
    /// the larger ones.
    pub async fn populate(&self) {
        for (zone, sizes) in ZONES.into_iter().zip([[6, 3, 2], [4, 3, 1], [2, 1, 1]]) {
            let [large, middle, small] = sizes;
            for number in 0..large {
                let mut sets = vec!["large"];
                sets.extend((number < middle).then_some("middle"));
                sets.extend((number < small).then_some("small"));
                sets.extend((zone == ZONES[0] && number < 2).then_some("only"));
                self.pod(&format!("{}{number}", letter(zone)), zone, PORT, &sets).await;
            }
        }
    }

    /// Creates a pod with a port `http` of this number that belongs to these sets.
    pub async fn pod(&self, name: &str, zone: &str, port: u16, sets: &[&str]) {
        self.world.create(&pod(name, zone, port, sets)).await.unwrap();
    }

    /// Creates a Service named after a set of pods, and waits until it has `count` ready endpoints.
    pub async fn service(&self, name: &str, set: &str, count: usize) {
        let mut service = object::service(NAMESPACE, name);
        service["spec"]["selector"] = json!({set: "yes"});
        service["spec"]["ports"][0]["targetPort"] = json!("http");
        self.world.create(&service).await.unwrap();
        self.listed(name, count).await;
    }

    /// Waits until a Service has this many ready endpoints.
    pub async fn listed(&self, service: &str, count: usize) {
        until(&format!("{count} endpoints of {service}"), SETTLE, async || {
            Ok((self.clients.endpoints(service).await.unwrap().len() == count).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Creates what this text describes, as a person does.
    pub async fn apply(&self, text: &str) {
        let file = self.site.cluster.directory().join("applied.yaml");
        fs::write(&file, text).unwrap();
        let applied = ["apply", "-f", &file.display().to_string()];
        self.site.cluster.kubectl(&applied).await.unwrap().success().unwrap();
    }

    /// What kubectl shows of an object.
    pub async fn get(&self, kind: &str, name: &str) -> Value {
        let get = ["get", kind, name, "-n", NAMESPACE, "-o", "json"];
        let shown = self.site.cluster.kubectl(&get).await.unwrap().success().unwrap();
        serde_json::from_str(&shown).unwrap()
    }

    /// What `closehaul plan -o summary` predicts for a Service, from what kubectl prints.
    pub async fn predicted(&self, service: &str) -> Prediction {
        let kinds = "nodes,services,pods,endpointslices,localitypolicies,clusterlocalitypolicies,\
            zoneevacuations";
        let dump = ["get", kinds, "-A", "-o", "yaml"];
        let dump = self.site.cluster.kubectl(&dump).await.unwrap().success().unwrap();
        let file = self.site.cluster.directory().join("dump.yaml");
        fs::write(&file, dump).unwrap();
        let binary = closehaul::build(Profile::Dev).await.unwrap();
        let plan = tokio::process::Command::new(binary)
            .args(["plan", "-f"])
            .arg(&file)
            .args(["-o", "summary"])
            .output()
            .await
            .unwrap();
        assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
        let summary = String::from_utf8(plan.stdout).unwrap();
        Prediction::read(&summary, service).unwrap_or_else(|error| panic!("{error}: {summary}"))
    }

    /// Waits until each client reaches exactly the endpoints that its kube-proxy must send it to.
    pub async fn in_effect(&self, service: &str, predicted: Option<&Prediction>) -> Vec<Endpoint> {
        let waited = self.clients.in_effect(service, predicted, SETTLE).await;
        waited.unwrap_or_else(|error| panic!("{error}: {predicted:#?}"))
    }

    /// Counts requests from every zone. None may fail.
    pub async fn count(&self, service: &str) -> Counts {
        let counts = self.clients.count(service, requests()).await.unwrap();
        assert!(counts.failed.is_empty(), "{service}: {:#?}", counts.failed);
        counts
    }

    /// Fails if something has ended that must run.
    pub async fn check(&mut self) {
        self.site.check().await.unwrap_or_else(|error| panic!("{error}"));
        self.closehaul.must_run().unwrap();
    }

    /// Stops everything in order: clients before servers.
    pub async fn stop(mut self) {
        self.site.stop_proxies().await.unwrap();
        let ended = self.closehaul.stop(Duration::from_secs(5)).await.unwrap();
        assert!(ended.is_some_and(|status| status.success()));
        self.site.stop().await.unwrap();
    }
}

/// The requests of each client.
fn requests() -> u64 {
    let more = env::var("REQUESTS").ok().map(|count| count.parse::<u64>().unwrap());
    more.unwrap_or_default().max(REQUESTS)
}

/// A pod with a port `http` of this number that belongs to these sets.
fn pod(name: &str, zone: &str, port: u16, sets: &[&str]) -> Value {
    let labels: BTreeMap<_, _> = sets.iter().map(|set| (*set, "yes")).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": NAMESPACE, "name": name, "labels": labels},
        "spec": {
            "nodeName": zone,
            // Every node tolerates what admission adds to a new one.
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "main", "image": "none",
                "ports": [{"name": "http", "containerPort": port}],
            }],
        },
    })
}

/// The letter that ends the name of a zone.
fn letter(zone: &str) -> char {
    zone.chars().next_back().unwrap()
}

/// Installs the custom resource definitions from the repository.
async fn install(site: &Site) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds").display().to_string();
    let kubectl = async |args: &[&str]| {
        site.cluster.kubectl(args).await.unwrap().success().unwrap();
    };
    kubectl(&["apply", "-f", &folder]).await;
    kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", &folder]).await;
}
