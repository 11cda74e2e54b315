//! EndpointSlice, decoded and encoded.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::{
    Kind, Object, Written,
    endpoint::{self, Fields, POD, Shared, is_foreign},
    field::{FieldError, or_default},
    meta::Meta,
    pairs::labels,
    texts,
};
use crate::model::{
    address::{AddressType, Addresses},
    name::{Name, Uid},
    port::Port,
    slice::{Conditions, Endpoint, Hints, Slice, SliceMeta, Target},
};

/// An EndpointSlice with the fields that are read and written, in JSON.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Document {
    metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    address_type: String,
    #[serde(deserialize_with = "or_default")]
    endpoints: Vec<EndpointBody>,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<PortBody>,
}

/// The same in Protobuf, with undecoded endpoints.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Message {
    #[prost(message, required, tag = "1")]
    metadata: Meta,
    #[prost(string, tag = "4")]
    address_type: String,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    endpoints: Vec<Bytes>,
    #[prost(message, repeated, tag = "3")]
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

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct EndpointBody {
    #[serde(deserialize_with = "or_default")]
    addresses: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    conditions: ConditionsBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_ref: Option<TargetBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hints: Option<HintsBody>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct ConditionsBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serving: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminating: Option<bool>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct TargetBody {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    api_version: String,
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    uid: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    field_path: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct HintsBody {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    for_zones: Vec<Named>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    for_nodes: Vec<Named>,
}

#[derive(Default, Deserialize, Serialize)]
struct Named {
    name: String,
}

impl Kind for Slice {
    const KIND: &'static str = "EndpointSlice";
    const GROUP: &'static str = "discovery.k8s.io";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "endpointslices";
    type Document = Document;
    type Message = Message;
}

impl Written<Slice> for Document {
    fn read(self) -> Result<Object<Slice>, FieldError> {
        let Self { metadata, address_type, endpoints, ports } = self;
        let mut shared = Shared::default();
        let endpoints = endpoints.into_iter().map(|body| endpoint(body, &mut shared)).collect();
        slice(metadata, &address_type, ports, endpoints)
    }
}

impl Written<Slice> for Message {
    fn read(self) -> Result<Object<Slice>, FieldError> {
        let Self { metadata, address_type, endpoints, ports } = self;
        let mut shared = Shared::default();
        let endpoint = |(at, bytes): (usize, &Bytes)| {
            endpoint::endpoint(bytes, &mut shared)
                .map_err(|error| FieldError::new(format!("endpoints[{at}]"), error.to_string()))
        };
        let endpoints: Result<Vec<_>, _> = endpoints.iter().enumerate().map(endpoint).collect();
        slice(metadata, &address_type, ports, endpoints?.into())
    }
}

fn slice(
    mut metadata: Meta,
    address_type: &str,
    ports: Vec<PortBody>,
    endpoints: Arc<[Endpoint]>,
) -> Result<Object<Slice>, FieldError> {
    let owners = metadata.owners();
    let meta = SliceMeta {
        namespace: metadata.namespace.as_str().into(),
        name: given(&metadata.name),
        generate_name: given(&metadata.generate_name),
        uid: metadata.uid(),
        version: metadata.version()?,
        labels: labels(&metadata.labels),
        annotations: texts::kept(&metadata.annotations),
        owners: owners.into(),
        finalizers: metadata.finalizers.iter().map(|name| name.as_str().into()).collect(),
        terminating: metadata.is_terminating(),
    };
    let address_type = match address_type {
        "IPv4" => AddressType::IPv4,
        "IPv6" => AddressType::IPv6,
        _ => AddressType::Other,
    };
    let ports = ports.into_iter().map(port).collect();
    Ok(Object::new(metadata, Slice { meta, address_type, ports, endpoints }))
}

impl From<&Slice> for Document {
    fn from(slice: &Slice) -> Self {
        Self {
            metadata: Meta::from(&slice.meta),
            address_type: slice.address_type.to_string(),
            endpoints: slice.endpoints.iter().map(EndpointBody::from).collect(),
            ports: slice.ports.iter().map(PortBody::from).collect(),
        }
    }
}

/// The approximate number of bytes that an endpoint takes.
const ENDPOINT: usize = 256;

impl Message {
    /// A slice in Protobuf. Its endpoints are written behind the rest: fields may come in any
    /// order.
    pub(super) fn encode(slice: &Slice) -> Vec<u8> {
        let head = Self {
            metadata: Meta::from(&slice.meta),
            address_type: slice.address_type.to_string(),
            endpoints: Vec::new(),
            ports: slice.ports.iter().map(PortBody::from).collect(),
        };
        let mut fields = Fields(head.encode_to_vec());
        fields.0.reserve(slice.endpoints.len() * ENDPOINT);
        slice.endpoints.iter().for_each(|endpoint| fields.endpoint(2, endpoint));
        fields.0
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
            kind: POD.to_owned(),
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

/// A text that is present and not empty.
fn given(text: &str) -> Option<Name> {
    (!text.is_empty()).then(|| text.into())
}

fn endpoint(body: EndpointBody, shared: &mut Shared) -> Endpoint {
    let ConditionsBody { ready, serving, terminating } = body.conditions;
    Endpoint {
        addresses: Addresses::of(&body.addresses),
        conditions: Conditions { ready, serving, terminating },
        target: body.target_ref.map(|body| target(&body, shared)),
        node: body.node_name.map(Name::from),
        zone: body.zone.map(|zone| shared.name(&zone)),
        hostname: body.hostname.map(Name::from),
        hints: body.hints.map(|body| hints(&body, shared)),
    }
}

fn target(body: &TargetBody, shared: &mut Shared) -> Target {
    Target {
        foreign: is_foreign(
            body.kind.as_bytes(),
            body.api_version.as_bytes(),
            body.field_path.as_bytes(),
        ),
        namespace: shared.name(&body.namespace),
        name: body.name.as_str().into(),
        uid: Uid::parse(&body.uid),
    }
}

fn hints(body: &HintsBody, shared: &mut Shared) -> Arc<Hints> {
    let hints = Hints {
        zones: body.for_zones.iter().map(|zone| shared.name(&zone.name)).collect(),
        nodes: body.for_nodes.iter().map(|node| node.name.as_str().into()).collect(),
    };
    shared.hints(hints)
}
