//! The cluster: three zones with one node and one client each, the custom resource definitions, and
//! closehaul with the permissions of its role.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    time::Duration,
};

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
    site::{Options, Site},
    world::{Kind, Place, World, object, until},
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

/// Each with one node of the same name.
pub const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];
/// The namespace of everything here: the kubelet's stand-in finds pods in it.
pub const NAMESPACE: &str = "default";
/// How long the slightest change may take on a busy machine.
pub const SETTLE: Duration = Duration::from_secs(60);
/// The port on which pods serve unless they say otherwise.
pub const PORT: u16 = 8080;

/// Everything that runs.
pub struct Stage {
    site: Site,
    closehaul: Process,
    world: World,
    clients: BTreeMap<&'static str, Sender>,
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
        let mut stage = Self { site, closehaul, world, clients: BTreeMap::new() };
        for zone in ZONES {
            let name = format!("client-{zone}");
            stage.pod(&name, zone, PORT, &["client"]).await;
            let (namespace, _) = until("the client's namespace", SETTLE, async || {
                Ok(stage.site.pod(&name).await.unwrap())
            })
            .await
            .unwrap();
            stage.clients.insert(zone, Sender::new(&stage.site.server, &namespace));
        }
        stage
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
        let labels: BTreeMap<_, _> = sets.iter().map(|set| (*set, "yes")).collect();
        let pod = json!({
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
        });
        self.world.create(&pod).await.unwrap();
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
            Ok((self.endpoints(service).await.len() == count).then_some(()))
        })
        .await
        .unwrap();
    }

    /// The ready endpoints of a Service.
    pub async fn endpoints(&self, service: &str) -> Vec<Endpoint> {
        let slices = self.world.slices_of(NAMESPACE, service).await.unwrap();
        let mut endpoints = Vec::new();
        for slice in &slices {
            let ready = slice["endpoints"].as_array().into_iter().flatten();
            let ready = ready.filter(|endpoint| endpoint["conditions"]["ready"] == true);
            endpoints.extend(ready.map(|endpoint| Endpoint::read(endpoint, &slice["ports"][0])));
        }
        endpoints
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
    pub async fn predicted(&self, service: &str) -> Value {
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
        let summary: Value = serde_json::from_slice(&plan.stdout).unwrap();
        let services = summary["services"].as_array().unwrap();
        let found = services.iter().find(|it| it["name"] == service);
        found.unwrap_or_else(|| panic!("{service} in {summary:#}")).clone()
    }

    /// The URL of a Service.
    pub async fn url(&self, service: &str) -> String {
        let place = Place::new(Kind::Service, NAMESPACE, service);
        let stored = self.world.get(&place).await.unwrap().unwrap();
        format!("http://{}/", stored["spec"]["clusterIP"].as_str().unwrap())
    }

    /// The client of each zone.
    pub fn clients(&self) -> impl Iterator<Item = (&'static str, &Sender)> {
        self.clients.iter().map(|(zone, client)| (*zone, client))
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

/// A ready endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its pod, as it answers.
    pub pod: String,
    /// Its own zone.
    pub zone: String,
    /// The zones that it is hinted to.
    pub zones: BTreeSet<String>,
    /// The number of its port.
    pub port: u64,
}

impl Endpoint {
    fn read(endpoint: &Value, port: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let zones = endpoint["hints"]["forZones"].as_array().into_iter().flatten();
        Self {
            pod: text(&endpoint["targetRef"]["name"]),
            zone: text(&endpoint["zone"]),
            zones: zones.map(|zone| text(&zone["name"])).collect(),
            port: port["port"].as_u64().unwrap_or_default(),
        }
    }
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
