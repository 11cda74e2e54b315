//! Render: an EndpointSlice as it is sent, byte for byte like the built-in controller's.

use serde::Serialize;

use super::{
    Kind,
    frame::{Encoding, enclosed},
    slice::{Document, Message},
};
use crate::model::slice::Slice;

const API_VERSION: &str = "discovery.k8s.io/v1";

/// A slice with its kind, as it appears in files and is sent in JSON.
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
/// None that is known: JSON can represent every slice.
pub fn body(slice: &Slice, encoding: Encoding) -> serde_json::Result<Vec<u8>> {
    match encoding {
        Encoding::Json => serde_json::to_vec(&SliceDocument::from(slice)),
        Encoding::Protobuf => Ok(enclosed(API_VERSION, Slice::KIND, Message::encode(slice))),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{Object, Written, frame};

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
        let read = Message::decode(frame::object(sent.into()).unwrap()).unwrap();
        assert_eq!(read.read().unwrap().value, object.value);
    }

    #[test]
    fn absent_lists_may_be_null() {
        let document = json!({"metadata": {"name": "a", "namespace": "b"}, "addressType": "IPv4", "endpoints": null, "ports": null});
        let object: Object<Slice> = serde_json::from_value(document).unwrap();
        let sent: Value = serde_json::to_value(SliceDocument::from(&object.value)).unwrap();
        assert_eq!((&sent["endpoints"], &sent["ports"]), (&json!([]), &json!([])));
    }
}
