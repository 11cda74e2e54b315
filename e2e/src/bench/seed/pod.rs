//! A pod of the size that pods have: with a sidecar, probes, volumes, a status and its managed
//! fields, as a Deployment and a mesh create it.

use serde_json::{Value, json};

use super::uid;
use crate::world::object;

/// The size of a pod as JSON.
const POD_BYTES: usize = 13_000;
/// A pod's conditions except `Ready`. (The kubelet changes `ContainersReady` together with it, but
/// nothing here reads that.)
const CONDITIONS: [&str; 4] =
    ["PodScheduled", "Initialized", "ContainersReady", "PodReadyToStartContainers"];

/// The ready pod `name` of a Service, on a node and at an address.
pub fn pod(namespace: &str, name: &str, service: &str, node: &str, address: String) -> Value {
    let mut pod = object::pod(namespace, name, service, node, &[address]);
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
        "uid": uid(service), "controller": true, "blockOwnerDeletion": true,
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
    pod["status"]["conditions"] = conditions(true);
    fill_up(&mut pod);
    pod
}

/// All conditions of a pod that has just become ready or unready.
pub fn conditions(ready: bool) -> Value {
    let mut conditions = object::ready(ready);
    if let Some(conditions) = conditions.as_array_mut() {
        conditions.extend(CONDITIONS.map(|kind| {
            json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"})
        }));
    }
    conditions
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

/// Who has set which fields, as the API server stores it.
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
    fn pods_have_their_size() {
        let pod = pod("team-9", "a", "service-999", "node-1", "10.128.0.1".to_owned());
        let size = pod.to_string().len();
        assert!((POD_BYTES..POD_BYTES + 500).contains(&size), "{size}");
    }
}
