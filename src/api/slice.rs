//! EndpointSlice, decoded and encoded.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Kind, Object,
    field::{FieldError, or_default},
    meta::{Meta, labels},
};
use crate::plan::{
    address::{AddressType, Addresses},
    name::{Name, Uid},
    port::Port,
    slice::{Conditions, Endpoint, Hints, Slice, SliceMeta, Target},
};

/// An EndpointSlice with the fields that are read and written.
#[derive(Clone, PartialEq, Deserialize, Serialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
pub struct Document {
    #[prost(message, required, tag = "1")]
    metadata: Meta,
    #[prost(string, tag = "4")]
    #[serde(deserialize_with = "or_default")]
    address_type: String,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    endpoints: Vec<EndpointBody>,
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    ports: Vec<PortBody>,
}

#[derive(Clone, PartialEq, Deserialize, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
struct PortBody {
    #[prost(string, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[prost(int32, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<i32>,
    #[prost(string, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[prost(string, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    app_protocol: Option<String>,
}

#[derive(Clone, PartialEq, Deserialize, Serialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
struct EndpointBody {
    #[prost(string, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    addresses: Vec<String>,
    #[prost(message, required, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    conditions: ConditionsBody,
    #[prost(string, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    target_ref: Option<TargetBody>,
    #[prost(string, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<String>,
    #[prost(string, optional, tag = "7")]
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[prost(message, optional, tag = "8")]
    #[serde(skip_serializing_if = "Option::is_none")]
    hints: Option<HintsBody>,
}

#[derive(Clone, Copy, PartialEq, Deserialize, Serialize, prost::Message)]
#[serde(default)]
struct ConditionsBody {
    #[prost(bool, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<bool>,
    #[prost(bool, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    serving: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    terminating: Option<bool>,
}

#[derive(Clone, PartialEq, Deserialize, Serialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
struct TargetBody {
    #[prost(string, tag = "5")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    api_version: String,
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[prost(string, tag = "4")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    uid: String,
    #[prost(string, tag = "7")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    field_path: String,
}

#[derive(Clone, PartialEq, Deserialize, Serialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
struct HintsBody {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    for_zones: Vec<Named>,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    for_nodes: Vec<Named>,
}

#[derive(Clone, PartialEq, Deserialize, Serialize, prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

impl Kind for Slice {
    const KIND: &'static str = "EndpointSlice";
    const GROUP: &'static str = "discovery.k8s.io";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "endpointslices";
    type Document = Document;

    fn read(document: Document) -> Result<Object<Self>, FieldError> {
        let Document { mut metadata, address_type, endpoints, ports } = document;
        let mut shared = Shared::default();
        let owners = metadata.owners();
        let meta = SliceMeta {
            namespace: metadata.namespace.as_str().into(),
            name: given(&metadata.name),
            generate_name: given(&metadata.generate_name),
            uid: metadata.uid(),
            version: metadata.version()?,
            labels: labels(&metadata.labels),
            annotations: labels(&metadata.annotations),
            owners: owners.into(),
            finalizers: metadata.finalizers.iter().map(|name| name.as_str().into()).collect(),
            terminating: metadata.is_terminating(),
        };
        let address_type = match address_type.as_str() {
            "IPv4" => AddressType::IPv4,
            "IPv6" => AddressType::IPv6,
            _ => AddressType::Other,
        };
        let ports = ports.into_iter().map(port).collect();
        let endpoints = endpoints.into_iter().map(|body| endpoint(body, &mut shared)).collect();
        Ok(Object::new(metadata, Self { meta, address_type, ports, endpoints }))
    }
}

impl Document {
    /// A slice but for its endpoints.
    pub(super) fn without_endpoints(slice: &Slice) -> Self {
        Self {
            metadata: Meta::from(&slice.meta),
            address_type: slice.address_type.to_string(),
            endpoints: Vec::new(),
            ports: slice.ports.iter().map(PortBody::from).collect(),
        }
    }
}

impl From<&Slice> for Document {
    fn from(slice: &Slice) -> Self {
        let endpoints = slice.endpoints.iter().map(EndpointBody::from).collect();
        Self { endpoints, ..Self::without_endpoints(slice) }
    }
}

impl From<&Endpoint> for EndpointBody {
    fn from(endpoint: &Endpoint) -> Self {
        let Conditions { ready, serving, terminating } = endpoint.conditions;
        Self {
            addresses: match &endpoint.addresses {
                Addresses::One(address) => vec![address.to_string()],
                Addresses::Many(many) => many.iter().map(|text| String::from(&**text)).collect(),
            },
            conditions: ConditionsBody { ready, serving, terminating },
            hostname: text(endpoint.hostname.as_ref()),
            node_name: text(endpoint.node.as_ref()),
            zone: text(endpoint.zone.as_ref()),
            target_ref: endpoint.target.as_ref().map(TargetBody::from),
            hints: endpoint.hints.as_deref().map(HintsBody::from),
        }
    }
}

impl From<&Target> for TargetBody {
    fn from(target: &Target) -> Self {
        Self {
            kind: "Pod".to_owned(),
            namespace: String::from(&*target.namespace),
            name: String::from(&*target.name),
            uid: target.uid.as_ref().map_or_else(String::new, String::from),
            ..Self::default()
        }
    }
}

impl From<&Hints> for HintsBody {
    fn from(hints: &Hints) -> Self {
        let named = |names: &[Name]| {
            names.iter().map(|name| Named { name: String::from(&**name) }).collect::<Vec<_>>()
        };
        Self { for_zones: named(&hints.zones), for_nodes: named(&hints.nodes) }
    }
}

impl From<&Port> for PortBody {
    fn from(port: &Port) -> Self {
        Self {
            name: text(port.name.as_ref()),
            port: port.number,
            protocol: text(port.protocol.as_ref()),
            app_protocol: text(port.app_protocol.as_ref()),
        }
    }
}

fn text(name: Option<&Name>) -> Option<String> {
    name.map(|name| String::from(&**name))
}

fn port(body: PortBody) -> Port {
    Port {
        name: body.name.map(Name::from),
        number: body.port,
        protocol: body.protocol.map(Name::from),
        app_protocol: body.app_protocol.map(Name::from),
    }
}

/// A text that is there and not empty.
fn given(text: &str) -> Option<Name> {
    (!text.is_empty()).then(|| text.into())
}

/// What many endpoints of one slice have in common.
#[derive(Default)]
struct Shared {
    /// Namespaces and zones; the first few.
    names: Vec<Name>,
    hints: HashMap<Hints, Arc<Hints>>,
}

impl Shared {
    fn name(&mut self, text: String) -> Name {
        if let Some(name) = self.names.iter().find(|name| ***name == *text) {
            return name.clone();
        }
        let name = Name::from(text);
        if self.names.len() < SHARED_NAMES {
            self.names.push(name.clone());
        }
        name
    }

    fn hints(&mut self, body: HintsBody) -> Arc<Hints> {
        let zones = body.for_zones.into_iter().map(|zone| self.name(zone.name)).collect();
        let nodes = body.for_nodes.into_iter().map(|node| node.name.into()).collect();
        let hints = Hints { zones, nodes };
        self.hints.entry(hints).or_insert_with_key(|hints| Arc::new(hints.clone())).clone()
    }
}

/// More names than this are not looked through for an equal one.
const SHARED_NAMES: usize = 8;

fn endpoint(body: EndpointBody, shared: &mut Shared) -> Endpoint {
    let ConditionsBody { ready, serving, terminating } = body.conditions;
    Endpoint {
        addresses: addresses(body.addresses),
        conditions: Conditions { ready, serving, terminating },
        target: body.target_ref.map(|body| target(body, shared)),
        node: body.node_name.map(Name::from),
        zone: body.zone.map(|zone| shared.name(zone)),
        hostname: body.hostname.map(Name::from),
        hints: body.hints.map(|hints| shared.hints(hints)),
    }
}

fn target(body: TargetBody, shared: &mut Shared) -> Target {
    Target {
        foreign: body.kind != "Pod" || !body.api_version.is_empty() || !body.field_path.is_empty(),
        namespace: shared.name(body.namespace),
        name: body.name.into(),
        uid: Uid::parse(&body.uid),
    }
}

/// One address in its canonical form is kept as such; everything else as it was written, so
/// that comparing is exact.
fn addresses(texts: Vec<String>) -> Addresses {
    if let [text] = texts.as_slice()
        && let Ok(address) = text.parse::<IpAddr>()
        // An IPv4 address has one form alone that is read.
        && (address.is_ipv4() || address.to_string() == *text)
    {
        return Addresses::One(address);
    }
    Addresses::Many(texts.into_iter().map(String::into_boxed_str).collect())
}
