//! Render: an EndpointSlice as it is sent, byte for byte what the built-in controller means.

use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use serde::Serialize;

use super::{
    Kind,
    frame::{Encoding, enclosed},
    slice::Document,
};
use crate::plan::{
    address::Addresses,
    name::Name,
    slice::{Conditions, Endpoint, Hints, Slice, Target},
};

const API_VERSION: &str = "discovery.k8s.io/v1";

/// A slice with its kind, as it stands in files and is sent in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SliceDocument {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    slice: Document,
}

impl From<&Slice> for SliceDocument {
    fn from(slice: &Slice) -> Self {
        Self { api_version: API_VERSION, kind: Slice::KIND, slice: slice.into() }
    }
}

/// The body of a request that writes a slice.
///
/// # Errors
/// None that is known: JSON has words for all that a slice has.
pub fn body(slice: &Slice, encoding: Encoding) -> serde_json::Result<Vec<u8>> {
    match encoding {
        Encoding::Json => serde_json::to_vec(&SliceDocument::from(slice)),
        Encoding::Protobuf => Ok(enclosed(API_VERSION, Slice::KIND, protobuf(slice))),
    }
}

/// What there are many of is written straight away, the rest by way of its document; fields may
/// come in any order.
fn protobuf(slice: &Slice) -> Vec<u8> {
    let mut fields = Fields(Document::without_endpoints(slice).encode_to_vec());
    for endpoint in slice.endpoints.iter() {
        fields.message(2, |fields| fields.endpoint(endpoint));
    }
    fields.0
}

/// A message as far as it is written.
struct Fields(Vec<u8>);

impl Fields {
    fn endpoint(&mut self, endpoint: &Endpoint) {
        match &endpoint.addresses {
            Addresses::One(address) => self.text(1, &address.to_string()),
            Addresses::Many(many) => many.iter().for_each(|address| self.text(1, address)),
        }
        let Conditions { ready, serving, terminating } = endpoint.conditions;
        self.message(2, |fields| {
            fields.flag(1, ready);
            fields.flag(2, serving);
            fields.flag(3, terminating);
        });
        self.name(3, endpoint.hostname.as_ref());
        if let Some(Target { namespace, name, uid, .. }) = &endpoint.target {
            self.message(4, |fields| {
                fields.text(1, "Pod");
                fields.text(2, namespace);
                fields.text(3, name);
                if let Some(uid) = uid {
                    fields.text(4, &String::from(uid));
                }
            });
        }
        self.name(6, endpoint.node.as_ref());
        self.name(7, endpoint.zone.as_ref());
        if let Some(Hints { zones, nodes }) = endpoint.hints.as_deref() {
            self.message(8, |fields| {
                for (tag, names) in [(1, zones), (2, nodes)] {
                    for name in names {
                        fields.message(tag, |fields| fields.text(1, name));
                    }
                }
            });
        }
    }

    fn name(&mut self, tag: u32, name: Option<&Name>) {
        if let Some(name) = name {
            self.text(tag, name);
        }
    }

    fn text(&mut self, tag: u32, text: &str) {
        encode_key(tag, WireType::LengthDelimited, &mut self.0);
        encode_varint(text.len() as u64, &mut self.0);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn flag(&mut self, tag: u32, flag: Option<bool>) {
        if let Some(flag) = flag {
            encode_key(tag, WireType::Varint, &mut self.0);
            self.0.push(flag.into());
        }
    }

    /// A message within this one. Its length, which stands before it, is known after it.
    fn message(&mut self, tag: u32, write: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        write(self);
        let end = self.0.len();
        encode_key(tag, WireType::LengthDelimited, &mut self.0);
        encode_varint((end - start) as u64, &mut self.0);
        let head = self.0.len() - end;
        self.0[start..].rotate_right(head);
    }
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
        let sent = body(&object.value, Encoding::Json).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), document);
        let sent = body(&object.value, Encoding::Protobuf).unwrap();
        let read: Document = Encoding::Protobuf.object(sent.into()).unwrap();
        assert_eq!(Slice::read(read).unwrap().value, object.value);
    }

    #[test]
    fn absent_lists_may_be_null() {
        let document = json!({"metadata": {"name": "a", "namespace": "b"}, "addressType": "IPv4", "endpoints": null, "ports": null});
        let object: Object<Slice> = serde_json::from_value(document).unwrap();
        let sent: Value = serde_json::to_value(SliceDocument::from(&object.value)).unwrap();
        assert_eq!((&sent["endpoints"], &sent["ports"]), (&json!([]), &json!([])));
    }
}
