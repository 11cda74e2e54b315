//! Services and pods of all sorts that an API server accepts, from a seed.
//!
//! [`NODELESS`] is a separate namespace, where pods name nodes that do not exist. No Service has
//! the Auto annotation, because the built-in controller breaks ties at random for it.

use serde_json::{Value, json};

use super::{Error, Kind, Place, Random, World, object};

/// The namespaces of the ordinary part.
pub const NAMESPACES: [&str; 3] = ["east", "north", "west"];
/// The namespace whose pods are all on nodes that do not exist.
pub const NODELESS: &str = "nodeless";
/// The slice that another client manages, in the first of [`NAMESPACES`].
pub const FOREIGN: &str = "managed-elsewhere";
/// Services in [`NODELESS`].
const NODELESS_SERVICES: u64 = 6;
/// Endpoints of the big Services, which need more than two slices and more than one.
const BIG: [u64; 2] = [230, 130];

/// A world before it is created. Its parts are in the order of their creation.
#[derive(Debug, Default)]
pub struct Mixed {
    places: Vec<Value>,
    services: Vec<Value>,
    pods: Vec<Value>,
    slices: Vec<Value>,
    terminating: Vec<Place>,
    gone: Vec<Place>,
}

impl Mixed {
    /// A world of about `services` Services. It is the same for the same seed.
    pub fn new(seed: u64, services: u64) -> Self {
        let mut maker = Maker { random: Random::new(seed), pods: 0, mixed: Self::default() };
        maker.nodes();
        for number in 0..services {
            maker.service(number);
        }
        for number in 0..NODELESS_SERVICES {
            maker.nodeless(number);
        }
        maker.slice_of_somebody_else();
        maker.mixed
    }

    /// How many Services it has.
    pub fn services(&self) -> usize {
        self.services.len()
    }

    /// How many pods it has.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// Creates Services before their pods. Then some pods end and some vanish, so a controller that
    /// runs meanwhile leaves slices with gaps.
    pub async fn create(&self, world: &World) -> Result<(), Error> {
        world.create_all(&self.places).await?;
        world.create_all(&self.services).await?;
        world.create_all(&self.pods).await?;
        world.create_all(&self.slices).await?;
        world.for_all("ending", &self.terminating, async |pod| world.terminate(pod).await).await?;
        world.for_all("deleting", &self.gone, async |pod| world.delete(pod).await).await
    }
}

struct Maker {
    random: Random,
    pods: u64,
    mixed: Mixed,
}

/// The number of sorts of Services. Each Service gets a random traffic distribution.
const SORTS: u64 = 18;

impl Maker {
    fn nodes(&mut self) {
        for name in NAMESPACES.into_iter().chain([NODELESS]) {
            self.mixed.places.push(object::namespace(name));
        }
        for number in 0..9 {
            let zone = format!("zone-{}", ["a", "b", "c"][number % 3]);
            self.mixed.places.push(object::node(&node(number as u64), Some(&zone)));
        }
        self.mixed.places.push(object::node(&node(9), None));
        let mut unready = object::node(&node(10), Some("zone-a"));
        unready["status"]["conditions"] = object::ready(false);
        self.mixed.places.push(unready);
    }

    fn service(&mut self, number: u64) {
        let namespace = NAMESPACES[usize::from(number % 2 == 1) + usize::from(number % 5 == 4)];
        let name = format!("service-{number}");
        let mut service = object::service(namespace, &name);
        self.metadata(&mut service, number);
        let distributions =
            [None, Some("PreferClose"), Some("PreferSameZone"), Some("PreferSameNode")];
        if let Some(value) = self.random.pick(&distributions).copied().flatten() {
            service["spec"]["trafficDistribution"] = json!(value);
        }
        let sort = number % SORTS;
        sorted(&mut service, sort);
        let pods = match (sort, usize::try_from(number / SORTS)) {
            (6, Ok(nth)) => BIG.get(nth).copied().unwrap_or(3),
            (7 | 14 | 15, _) => 0,
            _ => 1 + self.random.below(5),
        };
        self.mixed.services.push(service);
        for ordinal in 0..pods {
            self.pod(namespace, &name, sort, ordinal);
        }
        if sort == 14 {
            self.slice_by_hand(namespace, &name);
        }
    }

    /// Labels, among them reserved keys, and annotations.
    fn metadata(&mut self, service: &mut Value, number: u64) {
        let metadata = &mut service["metadata"];
        if self.random.chance(50) {
            metadata["labels"] = json!({"team": format!("team-{}", number % 4)});
        }
        if self.random.chance(20) {
            metadata["labels"]["endpointslice.kubernetes.io/managed-by"] = json!("me");
            metadata["labels"]["kubernetes.io/service-name"] = json!("another");
            metadata["labels"]["service.kubernetes.io/headless"] = json!("");
        }
        if self.random.chance(20) {
            metadata["annotations"] = json!({"example.com/note": "not copied"});
        }
    }

    fn pod(&mut self, namespace: &str, service: &str, sort: u64, ordinal: u64) {
        let name = format!("{service}-{ordinal}");
        let node = node(self.random.below(11));
        let mut addresses = object::addresses(self.pods).to_vec();
        self.pods += 1;
        if self.random.chance(15) {
            addresses.truncate(1);
        }
        let mut pod = object::pod(namespace, &name, service, &node, &addresses);
        pod["metadata"]["labels"]["shared"] = json!("yes");
        let port = 8080 + self.random.below(2);
        let named = json!([{"name": "web", "containerPort": port}]);
        match sort {
            4 => pod["spec"]["containers"][0]["ports"] = named,
            5 => {
                let sidecar = json!([{"name": "proxy", "image": "none", "restartPolicy": "Always",
                    "ports": named}]);
                pod["spec"]["initContainers"] = sidecar;
            }
            13 => {
                pod["spec"]["hostname"] = json!(name);
                pod["spec"]["subdomain"] = json!(service);
            }
            _ => {}
        }
        self.state(&mut pod);
        self.mixed.pods.push(pod);
    }

    /// Sets the state of the pod.
    fn state(&mut self, pod: &mut Value) {
        let metadata = &pod["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default();
        let place = Place::new(Kind::Pod, text("namespace"), text("name"));
        match self.random.below(20) {
            0 | 1 => pod["status"]["conditions"] = object::ready(false),
            2 => self.mixed.terminating.push(place),
            3 => self.mixed.gone.push(place),
            4 => pod["status"] = json!({"phase": "Pending"}),
            5 => pod["status"]["phase"] = json!("Succeeded"),
            6 => pod["status"]["phase"] = json!("Failed"),
            _ => {}
        }
    }

    fn nodeless(&mut self, number: u64) {
        let name = format!("service-{number}");
        let mut service = object::service(NODELESS, &name);
        service["spec"]["publishNotReadyAddresses"] = json!(number.is_multiple_of(2));
        self.mixed.services.push(service);
        for ordinal in 0..3 {
            let [address, _] = object::addresses(self.pods);
            self.pods += 1;
            let pod = format!("{name}-{ordinal}");
            self.mixed.pods.push(object::pod(NODELESS, &pod, &name, "nowhere", &[address]));
        }
    }

    /// A slice that a user wrote for a Service without a selector.
    fn slice_by_hand(&mut self, namespace: &str, service: &str) {
        let labels = json!({"kubernetes.io/service-name": service});
        self.slice(namespace, &format!("{service}-by-hand"), &labels);
    }

    /// A slice of another manager for a Service with a selector.
    fn slice_of_somebody_else(&mut self) {
        let labels = json!({
            "kubernetes.io/service-name": "service-0",
            "endpointslice.kubernetes.io/managed-by": "somebody.else",
        });
        self.slice(NAMESPACES[0], FOREIGN, &labels);
    }

    fn slice(&mut self, namespace: &str, name: &str, labels: &Value) {
        let [address, _] = object::addresses(59_000 + self.mixed.slices.len() as u64);
        self.mixed.slices.push(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"namespace": namespace, "name": name, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        }));
    }
}

fn node(number: u64) -> String {
    format!("node-{number}")
}

/// Gives `service` the properties of a sort.
fn sorted(service: &mut Value, sort: u64) {
    let spec = &mut service["spec"];
    match sort {
        1 => spec["clusterIP"] = json!("None"),
        2 => spec["ipFamilyPolicy"] = json!("RequireDualStack"),
        3 => spec["ipFamilies"] = json!(["IPv6"]),
        // Ports of containers and of sidecars. Their numbers differ between pods.
        4 | 5 => spec["ports"][0]["targetPort"] = json!("web"),
        8 => spec["publishNotReadyAddresses"] = json!(true),
        9 => {
            spec["ports"] = json!([
                {"name": "http", "port": 80, "targetPort": 8080},
                {"name": "dns", "port": 53, "protocol": "TCP"},
                {"name": "dns-udp", "port": 53, "protocol": "UDP"},
            ]);
        }
        10 => spec["ports"] = json!([{"port": 9, "protocol": "UDP"}]),
        11 => spec["ports"] = json!([{"port": 36_412, "protocol": "SCTP"}]),
        12 => spec["ports"][0]["appProtocol"] = json!("kubernetes.io/h2c"),
        // Pods with hostnames, as of a StatefulSet.
        13 => {
            spec["clusterIP"] = json!("None");
            spec["ports"] = json!([]);
        }
        14 => spec["selector"] = Value::Null,
        15 => {
            spec["type"] = json!("ExternalName");
            spec["externalName"] = json!("elsewhere.example.com");
            spec["ports"] = Value::Null;
        }
        // All pods of the namespace, including those of other Services.
        16 => spec["selector"] = json!({"shared": "yes"}),
        17 => {
            spec["clusterIP"] = json!("None");
            spec["ipFamilyPolicy"] = json!("RequireDualStack");
        }
        // 0 is plain; 6 has many pods, 7 none.
        _ => {}
    }
}
