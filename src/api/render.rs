//! Render: an EndpointSlice as it is sent, byte for byte what the built-in controller means.

#![expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes each field by reference")]

use serde::{Serialize, Serializer, ser::SerializeSeq};

use crate::plan::{
    address::Addresses,
    labels::Labels,
    name::Name,
    port::Port,
    slice::{Endpoint, Hints, Owner, Slice},
};

/// The JSON document of a slice.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SliceDocument<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    #[serde(serialize_with = "display")]
    address_type: crate::plan::address::AddressType,
    endpoints: Vec<EndpointBody<'a>>,
    ports: Vec<PortBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generate_name: Option<&'a str>,
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<String>,
    #[serde(skip_serializing_if = "Labels::is_empty", serialize_with = "pairs")]
    labels: &'a Labels,
    #[serde(skip_serializing_if = "Labels::is_empty", serialize_with = "pairs")]
    annotations: &'a Labels,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owner_references: Vec<OwnerBody<'a>>,
    #[serde(skip_serializing_if = "<[Name]>::is_empty")]
    finalizers: &'a [Name],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnerBody<'a> {
    api_version: &'a str,
    kind: &'a str,
    name: &'a str,
    uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_owner_deletion: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointBody<'a> {
    #[serde(serialize_with = "addresses")]
    addresses: &'a Addresses,
    conditions: ConditionsBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_ref: Option<TargetBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hints: Option<HintsBody<'a>>,
}

#[derive(Serialize)]
struct ConditionsBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serving: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminating: Option<bool>,
}

#[derive(Serialize)]
struct TargetBody<'a> {
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HintsBody<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    for_zones: Vec<Named<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    for_nodes: Vec<Named<'a>>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PortBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_protocol: Option<&'a str>,
}

impl<'a> From<&'a Slice> for SliceDocument<'a> {
    fn from(slice: &'a Slice) -> Self {
        let meta = &slice.meta;
        Self {
            api_version: "discovery.k8s.io/v1",
            kind: "EndpointSlice",
            metadata: Metadata {
                name: meta.name.as_deref(),
                generate_name: meta.generate_name.as_deref(),
                namespace: &meta.namespace,
                uid: meta.uid.as_ref().map(ToString::to_string),
                resource_version: (meta.version != 0).then(|| meta.version.to_string()),
                labels: &meta.labels,
                annotations: &meta.annotations,
                owner_references: meta.owners.iter().map(owner).collect(),
                finalizers: &meta.finalizers,
            },
            address_type: slice.address_type,
            endpoints: slice.endpoints.iter().map(endpoint).collect(),
            ports: slice.ports.iter().map(port).collect(),
        }
    }
}

fn owner(owner: &Owner) -> OwnerBody<'_> {
    OwnerBody {
        api_version: &owner.api_version,
        kind: &owner.kind,
        name: &owner.name,
        uid: owner.uid.to_string(),
        controller: owner.controller,
        block_owner_deletion: owner.block_owner_deletion,
    }
}

fn endpoint(endpoint: &Endpoint) -> EndpointBody<'_> {
    let conditions = endpoint.conditions;
    EndpointBody {
        addresses: &endpoint.addresses,
        conditions: ConditionsBody {
            ready: conditions.ready,
            serving: conditions.serving,
            terminating: conditions.terminating,
        },
        hostname: endpoint.hostname.as_deref(),
        target_ref: endpoint.target.as_ref().map(|target| TargetBody {
            kind: "Pod",
            namespace: &target.namespace,
            name: &target.name,
            uid: target.uid.as_ref().map(ToString::to_string),
        }),
        node_name: endpoint.node.as_deref(),
        zone: endpoint.zone.as_deref(),
        hints: endpoint.hints.as_deref().map(hints),
    }
}

fn hints(hints: &Hints) -> HintsBody<'_> {
    HintsBody { for_zones: named(&hints.zones), for_nodes: named(&hints.nodes) }
}

fn named(names: &[Name]) -> Vec<Named<'_>> {
    names.iter().map(|name| Named { name }).collect()
}

fn port(port: &Port) -> PortBody<'_> {
    PortBody {
        name: port.name.as_deref(),
        port: port.number,
        protocol: port.protocol.as_deref(),
        app_protocol: port.app_protocol.as_deref(),
    }
}

fn pairs<S: Serializer>(labels: &&Labels, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().map(|(key, value)| (key, value)))
}

fn addresses<S: Serializer>(addresses: &&Addresses, serializer: S) -> Result<S::Ok, S::Error> {
    match addresses {
        Addresses::Many(many) => serializer.collect_seq(many.iter()),
        Addresses::One(address) => {
            let mut list = serializer.serialize_seq(Some(1))?;
            list.serialize_element(address)?;
            list.end()
        }
    }
}

fn display<S: Serializer>(
    value: &crate::plan::address::AddressType,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::Object;

    #[test]
    fn a_slice_is_sent_as_it_was_read() {
        let document = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "cart-x", "generateName": "cart-", "namespace": "shop", "uid": "6f1c2a40-0b1d-4c3e-9a77-00000000beef",
                "resourceVersion": "12", "labels": {"a": "1", "kubernetes.io/service-name": "cart"}, "annotations": {"x": "y"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "cart", "uid": "u", "controller": true, "blockOwnerDeletion": true}],
                "finalizers": ["example.com/keep"]},
            "addressType": "IPv6",
            "endpoints": [
                {"addresses": ["fd00::1"], "conditions": {"ready": true, "serving": true, "terminating": false}, "hostname": "h",
                 "targetRef": {"kind": "Pod", "namespace": "shop", "name": "p", "uid": "u2"}, "nodeName": "n", "zone": "a",
                 "hints": {"forZones": [{"name": "a"}], "forNodes": [{"name": "n"}]}},
                {"addresses": ["FD00::2", "fd00::3"], "conditions": {}, "hints": {}}],
            "ports": [{"name": "", "port": 80, "protocol": "TCP"}, {"name": "b", "port": 81, "protocol": "UDP", "appProtocol": "example.com/x"}]});
        let object: Object<Slice> = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(SliceDocument::from(&object.value)).unwrap(), document);
    }

    #[test]
    fn absent_lists_may_be_null() {
        let document = json!({"metadata": {"name": "a", "namespace": "b"}, "addressType": "IPv4", "endpoints": null, "ports": null});
        let object: Object<Slice> = serde_json::from_value(document).unwrap();
        let sent: Value = serde_json::to_value(SliceDocument::from(&object.value)).unwrap();
        assert_eq!((&sent["endpoints"], &sent["ports"]), (&json!([]), &json!([])));
    }
}
