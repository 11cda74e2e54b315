//! EndpointSlice, decoded.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use serde::Deserialize;

use super::{
    Kind, Object,
    field::{FieldError, or_default},
    meta::Meta,
};
use crate::plan::{
    address::{AddressType, Addresses},
    name::{Name, Uid},
    port::Port,
    slice::{Conditions, Endpoint, Hints, Slice, SliceMeta, Target},
};

/// An EndpointSlice with the fields that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Document {
    metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    address_type: Name,
    #[serde(deserialize_with = "or_default")]
    endpoints: Vec<EndpointBody>,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<PortBody>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PortBody {
    name: Option<Name>,
    port: Option<i32>,
    protocol: Option<Name>,
    app_protocol: Option<Name>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EndpointBody {
    #[serde(deserialize_with = "or_default")]
    addresses: Vec<Box<str>>,
    #[serde(deserialize_with = "or_default")]
    conditions: ConditionsBody,
    hostname: Option<Name>,
    node_name: Option<Name>,
    zone: Option<Name>,
    target_ref: Option<TargetBody>,
    hints: Option<HintsBody>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConditionsBody {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TargetBody {
    api_version: Option<Name>,
    kind: Option<Name>,
    #[serde(deserialize_with = "or_default")]
    namespace: Name,
    #[serde(deserialize_with = "or_default")]
    name: Name,
    #[serde(deserialize_with = "or_default")]
    uid: Name,
    field_path: Option<Name>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HintsBody {
    #[serde(deserialize_with = "or_default")]
    for_zones: Vec<Named>,
    #[serde(deserialize_with = "or_default")]
    for_nodes: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: Name,
}

impl Kind for Slice {
    const KIND: &'static str = "EndpointSlice";
    const GROUP: &'static str = "discovery.k8s.io";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "endpointslices";
    type Document = Document;

    fn read(document: Document) -> Result<Object<Self>, FieldError> {
        let Document { mut metadata, address_type, endpoints, ports } = document;
        let mut shared = HashMap::new();
        let owners = metadata.owners();
        let meta = SliceMeta {
            namespace: metadata.namespace.clone(),
            name: Some(metadata.name.clone()).filter(|name| !name.is_empty()),
            generate_name: metadata.generate_name.clone(),
            uid: metadata.uid(),
            version: metadata.version()?,
            labels: metadata.labels.0.clone(),
            annotations: metadata.annotations.0.clone(),
            owners: owners.into(),
            finalizers: metadata.finalizers.as_slice().into(),
            terminating: metadata.deletion_timestamp.is_some(),
        };
        let address_type = match &*address_type {
            "IPv4" => AddressType::IPv4,
            "IPv6" => AddressType::IPv6,
            _ => AddressType::Other,
        };
        let ports = ports.into_iter().map(port).collect();
        let endpoints = endpoints.into_iter().map(|body| endpoint(body, &mut shared)).collect();
        Ok(Object::new(&metadata, Self { meta, address_type, ports, endpoints }))
    }
}

fn port(body: PortBody) -> Port {
    Port {
        name: body.name,
        number: body.port,
        protocol: body.protocol,
        app_protocol: body.app_protocol,
    }
}

fn endpoint(body: EndpointBody, shared: &mut HashMap<Hints, Arc<Hints>>) -> Endpoint {
    let names = |named: Vec<Named>| named.into_iter().map(|named| named.name).collect();
    let hints = body.hints.map(|hints| {
        let hints = Hints { zones: names(hints.for_zones), nodes: names(hints.for_nodes) };
        shared.entry(hints).or_insert_with_key(|hints| Arc::new(hints.clone())).clone()
    });
    let ConditionsBody { ready, serving, terminating } = body.conditions;
    Endpoint {
        addresses: addresses(body.addresses),
        conditions: Conditions { ready, serving, terminating },
        target: body.target_ref.map(target),
        node: body.node_name,
        zone: body.zone,
        hostname: body.hostname,
        hints,
    }
}

fn target(body: TargetBody) -> Target {
    let is_given = |text: &Option<Name>| text.as_ref().is_some_and(|text| !text.is_empty());
    Target {
        foreign: body.kind.as_deref() != Some("Pod")
            || is_given(&body.api_version)
            || is_given(&body.field_path),
        namespace: body.namespace,
        name: body.name,
        uid: Uid::parse(&body.uid),
    }
}

/// One address in its canonical form is kept as such; everything else as it was written, so
/// that comparing is exact.
fn addresses(texts: Vec<Box<str>>) -> Addresses {
    if let [text] = texts.as_slice()
        && let Ok(address) = text.parse::<IpAddr>()
        && address.to_string() == **text
    {
        return Addresses::One(address);
    }
    Addresses::Many(texts.into())
}
