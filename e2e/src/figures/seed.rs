//! A full cluster written straight into etcd, which takes seconds where the API would take
//! minutes (control-plane section 2).

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use k8s_openapi::ByteString;
use kube::{Client, Config};
use serde_json::{Value, json};

use super::Error;
use crate::{cluster, progress::Progress, world::object};

/// Pods of each Service.
pub(super) const PODS_PER_SERVICE: u32 = 10;
/// Services of each namespace.
const SERVICES_PER_NAMESPACE: u32 = 100;
/// The size of a pod as JSON: one with a sidecar, probes, volumes and a status, as clusters have.
const POD_BYTES: usize = 13_000;
/// Objects in one request: below etcd's limit of 1.5 MiB with pods of [`POD_BYTES`] in base64.
const BATCH: usize = 60;
/// Requests in flight.
const IN_FLIGHT: usize = 4;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) services: u32,
    pub(super) nodes: u32,
}

impl State {
    pub(super) fn pods(self) -> u32 {
        self.services * PODS_PER_SERVICE
    }

    /// Keys and objects, made when they are written.
    fn objects(self) -> impl Iterator<Item = (String, Value)> {
        let namespaces = (0..self.services.div_ceil(SERVICES_PER_NAMESPACE)).map(namespace);
        let namespaces = namespaces.map(|name| {
            let mut namespace = object::namespace(&name);
            namespace["status"] = json!({"phase": "Active"});
            (format!("/registry/namespaces/{name}"), stored(namespace))
        });
        let nodes = (0..self.nodes).map(|number| {
            let name = node(number);
            let node = object::node(&name, Some(&zone(number)));
            (format!("/registry/minions/{name}"), stored(node))
        });
        let services = (0..self.services).map(service);
        let pods = (0..self.pods()).map(move |number| pod(number, self.nodes));
        namespaces.chain(nodes).chain(services).chain(pods)
    }
}

/// Writes the state to the etcd at `url`; returns the size of a pod in bytes.
pub(super) async fn fill(url: &str, state: State) -> Result<usize, Error> {
    let uri = url.parse().map_err(|source| cluster::Error::Url { url: url.to_owned(), source })?;
    let client = Client::try_from(Config::new(uri))?;
    let mut progress = Progress::new(format!("filling etcd with {} pods", state.pods()));
    let batches = stream::iter(state.objects()).chunks(BATCH);
    let mut written = batches.map(|batch| put(&client, batch)).buffer_unordered(IN_FLIGHT);
    while written.try_next().await?.is_some() {
        progress.tick();
    }
    progress.done();
    Ok(pod(0, state.nodes).1.to_string().len())
}

/// Writes objects in one transaction through etcd's JSON gateway.
async fn put(client: &Client, batch: Vec<(String, Value)>) -> Result<(), kube::Error> {
    // Its values are base64, as those of a Secret.
    let put = |(key, object): &(String, Value)| {
        let value = ByteString(object.to_string().into_bytes());
        json!({"requestPut": {"key": ByteString(key.clone().into_bytes()), "value": value}})
    };
    let body = json!({"success": batch.iter().map(put).collect::<Vec<_>>()});
    let request = Request::post("/v3/kv/txn").body(body.to_string().into_bytes());
    client.request::<Value>(request.map_err(kube::Error::HttpError)?).await.map(drop)
}

fn namespace(number: u32) -> String {
    format!("team-{number}")
}

pub(super) fn node(number: u32) -> String {
    format!("node-{number}")
}

/// The zone of the node of a number.
pub(super) fn zone(number: u32) -> String {
    format!("zone-{}", ["a", "b", "c"][number as usize % 3])
}

/// What the API server adds to an object when it is created.
fn stored(mut object: Value) -> Value {
    let metadata = &object["metadata"];
    let name = format!("{}/{}/{}", object["kind"], metadata["namespace"], metadata["name"]);
    object["metadata"]["uid"] = json!(uid(&name));
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    object
}

/// A uid made of the name, in the usual form.
fn uid(name: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let hex = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
}

fn service(number: u32) -> (String, Value) {
    let namespace = namespace(number / SERVICES_PER_NAMESPACE);
    let name = format!("service-{number}");
    let mut service = object::service(&namespace, &name);
    let address = format!("10.96.{}.{}", 100 + number / 250, number % 250 + 1);
    let spec = &mut service["spec"];
    spec["ports"][0]["protocol"] = json!("TCP");
    spec["type"] = json!("ClusterIP");
    spec["clusterIP"] = json!(address);
    spec["clusterIPs"] = json!([address]);
    spec["ipFamilies"] = json!(["IPv4"]);
    spec["ipFamilyPolicy"] = json!("SingleStack");
    spec["sessionAffinity"] = json!("None");
    spec["internalTrafficPolicy"] = json!("Cluster");
    spec["trafficDistribution"] = json!("PreferSameZone");
    (format!("/registry/services/specs/{namespace}/{name}"), stored(service))
}

/// A pod as a Deployment and a mesh make it, and its key.
pub(super) fn pod(number: u32, nodes: u32) -> (String, Value) {
    let service_number = number / PODS_PER_SERVICE;
    let namespace = namespace(service_number / SERVICES_PER_NAMESPACE);
    let service = format!("service-{service_number}");
    let name = format!("{service}-6b7f8c9d5-{number:05}");
    // Addresses of 16 bits: more pods than that share one, which is none of the controllers' care.
    let [address, _] = object::addresses(u64::from(number % 60_000));
    let mut pod = object::pod(&namespace, &name, &service, &node(number % nodes), &[address]);
    let metadata = &mut pod["metadata"];
    metadata["generateName"] = json!(format!("{service}-6b7f8c9d5-"));
    metadata["labels"]["pod-template-hash"] = json!("6b7f8c9d5");
    metadata["labels"]["app.kubernetes.io/name"] = json!(service);
    metadata["annotations"] = json!({
        "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z",
        "prometheus.io/scrape": "true",
        "sidecar.example.com/status": "injected",
    });
    metadata["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{service}-6b7f8c9d5"),
        "uid": uid(&service), "controller": true, "blockOwnerDeletion": true,
    }]);
    metadata["managedFields"] =
        json!([managed("kube-controller-manager", "f:spec"), managed("kubelet", "f:status"),]);
    pod["spec"]["containers"] = json!([container("main", 8080), container("proxy", 15_090)]);
    pod["spec"]["volumes"] = json!((0..4).map(volume).collect::<Vec<_>>());
    pod["spec"]["tolerations"] = json!([
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
            "tolerationSeconds": 300},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
            "tolerationSeconds": 300},
    ]);
    pod["spec"]["restartPolicy"] = json!("Always");
    pod["spec"]["dnsPolicy"] = json!("ClusterFirst");
    pod["spec"]["schedulerName"] = json!("default-scheduler");
    pod["status"]["containerStatuses"] = json!([status("main"), status("proxy")]);
    pod["status"]["qosClass"] = json!("Burstable");
    pod["status"]["startTime"] = json!("2026-01-01T00:00:00Z");
    for kind in ["PodScheduled", "Initialized", "ContainersReady", "PodReadyToStartContainers"] {
        if let Some(conditions) = pod["status"]["conditions"].as_array_mut() {
            conditions.push(json!({"type": kind, "status": "True",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}));
        }
    }
    fill_up(&mut pod);
    (format!("/registry/pods/{namespace}/{name}"), stored(pod))
}

/// Gives both containers environment variables until the pod has its size.
fn fill_up(pod: &mut Value) {
    let mut size = pod.to_string().len();
    let mut number = 0;
    while size < POD_BYTES {
        let variable = json!({
            "name": format!("APPLICATION_SETTING_{number}"),
            "value": format!("https://config-{number}.example.com/v1/settings"),
        });
        size += variable.to_string().len() + 1;
        if let Some(env) = pod["spec"]["containers"][number % 2]["env"].as_array_mut() {
            env.push(variable);
        }
        number += 1;
    }
}

fn container(name: &str, port: u32) -> Value {
    let probe = json!({"httpGet": {"path": "/healthz", "port": port, "scheme": "HTTP"},
        "periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3});
    let mounts = (0..4).map(|number| {
        json!({"name": format!("volume-{number}"), "mountPath": format!("/var/lib/{number}")})
    });
    json!({
        "name": name,
        "image": format!("registry.example.com/team/{name}:v1.2.3"),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "env": [],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "256Mi"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
        "volumeMounts": mounts.collect::<Vec<_>>(),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "securityContext": {"readOnlyRootFilesystem": true, "runAsNonRoot": true,
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    })
}

fn volume(number: u32) -> Value {
    let config = json!({"name": format!("settings-{number}"), "defaultMode": 420});
    json!({"name": format!("volume-{number}"), "configMap": config})
}

fn status(name: &str) -> Value {
    json!({
        "name": name,
        "image": format!("registry.example.com/team/{name}:v1.2.3"),
        "imageID": format!("registry.example.com/team/{name}@sha256:{}", uid(name)),
        "containerID": format!("containerd://{}", uid(name)),
        "ready": true,
        "started": true,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        "lastState": {},
    })
}

/// Who has set which fields, as the API server keeps it.
fn managed(manager: &str, part: &str) -> Value {
    let fields = (0..12).map(|number| (format!("f:field{number}"), json!({".": {}, "f:name": {}})));
    let fields = fields.collect::<serde_json::Map<_, _>>();
    json!({
        "manager": manager, "operation": "Update", "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {part: fields},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_have_their_size_and_belong_to_a_service() {
        let (key, object) = pod(9_999, 100);
        assert_eq!(key, "/registry/pods/team-9/service-999-6b7f8c9d5-09999");
        let size = object.to_string().len();
        assert!((POD_BYTES..POD_BYTES + 500).contains(&size), "{size}");
        assert_eq!(object["metadata"]["labels"]["app"], service(999).1["metadata"]["name"]);
        assert!(BATCH * (size * 4 / 3 + 100) < 1_536 * 1024);
    }

    #[test]
    fn each_object_has_its_own_key() {
        let state = State { services: 150, nodes: 7 };
        let keys = state.objects().map(|(key, _)| key).collect::<std::collections::HashSet<_>>();
        assert_eq!(keys.len(), 2 + 7 + 150 + 1500);
    }
}
