//! A cluster with the Service `shop/cart`: zones a, b and c with one node each.

use serde_json::{Value, json};

/// The cluster, to which a test adds what it is about.
#[derive(Clone, Debug)]
pub struct World {
    pub objects: Vec<Value>,
    pods: usize,
}

impl World {
    /// With so many ready pods in each zone, and this `trafficDistribution`.
    pub fn new(counts: [usize; 3], distribution: Option<&str>) -> Self {
        let mut world = Self { objects: Vec::new(), pods: 0 };
        for zone in ["a", "b", "c"] {
            world.node(&format!("node-{zone}"), Some(zone));
        }
        world.objects.push(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "cart", "namespace": "shop", "uid": "service" },
            "spec": {
                "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"], "selector": { "app": "cart" },
                "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }],
                "trafficDistribution": distribution,
            },
        }));
        // Otherwise what there is none of is not known.
        for (version, kind) in [
            ("discovery.k8s.io/v1", "EndpointSliceList"),
            ("v1", "PodList"),
            ("closehaul.io/v1alpha1", "LocalityPolicyList"),
            ("closehaul.io/v1alpha1", "ClusterLocalityPolicyList"),
            ("closehaul.io/v1alpha1", "ZoneEvacuationList"),
        ] {
            world.objects.push(json!({ "apiVersion": version, "kind": kind, "items": [] }));
        }
        for (zone, count) in ["a", "b", "c"].into_iter().zip(counts) {
            for _ in 0..count {
                world.pod(&format!("node-{zone}"), &json!({}));
            }
        }
        world
    }

    pub fn node(&mut self, name: &str, zone: Option<&str>) -> &mut Self {
        let zone =
            zone.map(|zone| json!({ "topology.kubernetes.io/zone": format!("zone-{zone}") }));
        self.objects.push(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "labels": zone },
            "status": {
                "allocatable": { "cpu": "4" },
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        }));
        self
    }

    /// Adds a ready pod on a node, with these changes.
    pub fn pod(&mut self, node: &str, changes: &Value) -> &mut Self {
        self.pods += 1;
        let number = self.pods;
        let (ip, ip6) = (format!("10.0.0.{number}"), format!("fd00::{number:x}"));
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("cart-{number}"), "namespace": "shop", "uid": format!("pod-{number}"),
                "labels": { "app": "cart" },
            },
            "spec": { "nodeName": node, "containers": [{
                "name": "main", "image": "cart", "ports": [{ "name": "web", "containerPort": 8080 }],
            }] },
            "status": {
                "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }, { "ip": ip6 }],
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        });
        merge(&mut pod, changes);
        self.objects.push(pod);
        self
    }

    /// Changes the Service.
    pub fn service(&mut self, changes: &Value) -> &mut Self {
        let service = self.objects.iter_mut().find(|object| object["kind"] == "Service");
        merge(service.unwrap(), changes);
        self
    }

    /// Changes the object of this kind and name.
    pub fn change(&mut self, kind: &str, name: &str, changes: &Value) -> &mut Self {
        let is_it =
            |object: &&mut Value| object["kind"] == kind && object["metadata"]["name"] == name;
        merge(self.objects.iter_mut().find(is_it).unwrap(), changes);
        self
    }

    pub fn add(&mut self, object: Value) -> &mut Self {
        self.objects.push(object);
        self
    }

    /// Adds a `LocalityPolicy` for the namespace.
    pub fn policy(&mut self, name: &str, spec: &Value) -> &mut Self {
        self.add(json!({
            "apiVersion": "closehaul.io/v1alpha1", "kind": "LocalityPolicy",
            "metadata": { "name": name, "namespace": "shop" }, "spec": spec,
        }))
    }

    /// Adds a policy with a guard for the namespace.
    pub fn guard(&mut self, max: u16, more: &Value) -> &mut Self {
        let mut guard = json!({ "maxOverloadPercent": max });
        merge(&mut guard, more);
        self.policy("even", &json!({ "guard": guard }))
    }

    /// Adds an evacuation that is in force.
    pub fn evacuate(&mut self, zones: &[&str]) -> &mut Self {
        let zones: Vec<String> = zones.iter().map(|zone| format!("zone-{zone}")).collect();
        self.add(json!({
            "apiVersion": "closehaul.io/v1alpha1", "kind": "ZoneEvacuation",
            "metadata": { "name": "sick" },
            "spec": { "zones": zones, "until": "2026-01-02T04:00:00Z" },
        }))
    }

    /// Adds a slice of another controller with one endpoint.
    pub fn foreign(&mut self) -> &mut Self {
        self.add(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": "cart-mesh", "namespace": "shop",
                "labels": {
                    "kubernetes.io/service-name": "cart",
                    "endpointslice.kubernetes.io/managed-by": "mesh.example.com",
                },
            },
            "addressType": "IPv4",
            "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
            "endpoints": [{ "addresses": ["10.9.9.9"], "conditions": { "ready": true } }],
        }))
    }
}

/// Lays `changes` over an object, as a JSON Merge Patch does.
pub fn merge(object: &mut Value, changes: &Value) {
    let Some(fields) = changes.as_object() else {
        *object = changes.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, change) in fields {
        merge(&mut object[name], change);
    }
}
