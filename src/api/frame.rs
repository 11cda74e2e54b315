//! Frames: how an API server encodes events and objects, in Protobuf or in JSON.
//!
//! A watch is a sequence of frames, each an event with an object. Protobuf is a third as long as
//! JSON and gives the length of each field, so that fields that are not needed are skipped unread.
//! It also costs the API server less. The server names the encoding in its answer.

use bytes::{Buf, Bytes};
use kube::{
    api::WatchEvent,
    core::{
        Status, TypeMeta,
        watch::{Bookmark, BookmarkMeta},
    },
};
use prost::Message;
use serde::de::DeserializeOwned;

use super::{
    Kind, Object, Written,
    guard::{Guarded, Malformed, Remains},
    meta::HeaderMeta,
    pairs::Pairs,
    status::StatusMessage,
};
use crate::plain::shortened;

/// The accepted encodings, best first: the value of the header `Accept`.
pub const ACCEPT: &str = "application/vnd.kubernetes.protobuf,application/json";

/// JSON alone: the value of the header `Accept`.
pub const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// What an object in Protobuf begins with (`apimachinery/pkg/runtime/serializer/protobuf`).
const MAGIC: &[u8] = b"k8s\0";
/// No frame is longer. etcd accepts no object above 1.5 MiB by default, and JSON may take several
/// times as much. Decoded, an object may take many times its length.
pub(super) const LONGEST: usize = 16 << 20;

/// How objects are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// One JSON document per line.
    Json,
    /// Frames, each after its length.
    Protobuf,
}

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Not JSON, or not an object that is read.
    #[error("the answer is not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// Not Protobuf, or not an object that is read.
    #[error("the answer is not understood: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// An object without the prefix of all objects.
    #[error("an object is not in Kubernetes' Protobuf")]
    Unmarked,
    /// A kind of event that is not known.
    #[error("an event of the unknown type `{0}`")]
    Type(String),
    /// A length that no object has.
    #[error(
        "an event is longer than {} MiB, and etcd accepts no such object: check any proxy between \
         closehaul and the API server, or delete the object that is so large",
        LONGEST >> 20
    )]
    TooLong,
}

/// `WatchEvent` (meta/v1).
#[derive(Clone, PartialEq, Message)]
struct EventMessage {
    #[prost(string, tag = "1")]
    r#type: String,
    #[prost(message, required, tag = "2")]
    object: RawExtension,
}

/// `RawExtension` (runtime).
#[derive(Clone, PartialEq, Message)]
struct RawExtension {
    #[prost(bytes = "bytes", tag = "1")]
    raw: Bytes,
}

/// `Unknown` (runtime): an object next to its kind.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
}

/// The same with its kind, which is sent to the API server but not read from its answers.
#[derive(Clone, PartialEq, Message)]
struct KindEnvelope {
    #[prost(message, required, tag = "1")]
    kind: KindMessage,
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
}

/// `TypeMeta` (runtime).
#[derive(Clone, PartialEq, Message)]
struct KindMessage {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

/// An object of any kind: its identity.
#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(message, required, tag = "1")]
    metadata: HeaderMeta,
}

/// The object of a bookmark: a version, and what the bookmark marks.
#[derive(Clone, PartialEq, Message)]
struct MarkMessage {
    #[prost(message, required, tag = "1")]
    metadata: MarkMeta,
}

/// What is read of the metadata of such an object.
#[derive(Clone, PartialEq, Message)]
struct MarkMeta {
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: Pairs,
}

impl Encoding {
    /// The encoding that the header `Content-Type` names.
    pub fn of(content_type: &str) -> Self {
        if content_type.starts_with(PROTOBUF) { Self::Protobuf } else { Self::Json }
    }

    /// The header `Content-Type` to send.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Protobuf => PROTOBUF,
        }
    }

    /// Reads an event. An object that is malformed by itself is reported as such.
    ///
    /// # Errors
    /// It is not an event.
    pub fn event<T: Kind>(
        self,
        frame: Bytes,
    ) -> Result<WatchEvent<Guarded<Object<T>>>, FrameError> {
        match self {
            Self::Json => Ok(serde_json::from_slice(&frame)?),
            Self::Protobuf => event(frame),
        }
    }

    /// An object of a kind by itself; `None` if it cannot be understood.
    pub fn read<T: Kind>(self, body: Bytes) -> Option<Object<T>> {
        let guarded = match self {
            Self::Json => serde_json::from_slice(&body).ok()?,
            Self::Protobuf => guarded(object(body).ok()?),
        };
        match guarded {
            Guarded::Good(object) => Some(object),
            Guarded::Bad(_) => None,
        }
    }

    /// Reads an object, or as much of it as `T` has.
    ///
    /// # Errors
    /// It is not an object.
    pub fn object<T: DeserializeOwned + Message + Default>(
        self,
        body: Bytes,
    ) -> Result<T, FrameError> {
        match self {
            Self::Json => Ok(serde_json::from_slice(&body)?),
            Self::Protobuf => Ok(T::decode(object(body)?)?),
        }
    }

    /// Reads what the API server reports about a request that it refused. Returns `None` if the
    /// answer is not from the API server itself.
    pub fn status(self, body: Bytes) -> Option<Status> {
        match self {
            Self::Json => serde_json::from_slice(&body).ok(),
            Self::Protobuf => Some(StatusMessage::decode(object(body).ok()?).ok()?.into()),
        }
    }
}

fn event<T: Kind>(frame: Bytes) -> Result<WatchEvent<Guarded<Object<T>>>, FrameError> {
    let EventMessage { r#type, object: RawExtension { raw } } = EventMessage::decode(frame)?;
    let object = object(raw)?;
    match r#type.as_str() {
        "ADDED" => Ok(WatchEvent::Added(guarded(object))),
        "MODIFIED" => Ok(WatchEvent::Modified(guarded(object))),
        "DELETED" => Ok(WatchEvent::Deleted(guarded(object))),
        "BOOKMARK" => Ok(WatchEvent::Bookmark(bookmark(MarkMessage::decode(object)?.metadata))),
        "ERROR" => Ok(WatchEvent::Error(Status::from(StatusMessage::decode(object)?).boxed())),
        _ => Err(FrameError::Type(r#type)),
    }
}

/// The object without its envelope.
pub(super) fn object(mut raw: Bytes) -> Result<Bytes, FrameError> {
    if !raw.starts_with(MAGIC) {
        return Err(FrameError::Unmarked);
    }
    raw.advance(MAGIC.len());
    Ok(Envelope::decode(raw)?.raw)
}

/// An encoded object with the prefix of all objects in Protobuf.
pub(super) fn enclosed(api_version: &str, kind: &str, object: Vec<u8>) -> Vec<u8> {
    let kind = KindMessage { api_version: api_version.to_owned(), kind: kind.to_owned() };
    let envelope = KindEnvelope { kind, raw: object.into() };
    let mut body = Vec::with_capacity(MAGIC.len() + envelope.encoded_len());
    body.extend_from_slice(MAGIC);
    envelope.encode_raw(&mut body);
    body
}

fn guarded<T: Kind>(object: Bytes) -> Guarded<Object<T>> {
    let read = T::Message::decode(object.clone())
        .map_err(|error| error.to_string())
        .and_then(|message| message.read().map_err(|error| error.to_string()));
    match read {
        Ok(object) => Guarded::Good(object),
        Err(error) => {
            let status = T::status_remains(&object);
            let Header { metadata } = Header::decode(object).unwrap_or_default();
            let remains = Remains { is_terminating: metadata.is_terminating(), ..status };
            Guarded::Bad(Box::new(Malformed {
                metadata: metadata.into(),
                remains,
                error: shortened(error),
            }))
        }
    }
}

fn bookmark(MarkMeta { resource_version, annotations }: MarkMeta) -> Bookmark {
    Bookmark {
        types: TypeMeta::default(),
        metadata: BookmarkMeta { resource_version, annotations },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{
            NoProtobuf,
            field::FieldError,
            frames::Frames,
            meta::Meta,
            status::{CauseMessage, DetailsMessage},
        },
        model::{node::Node, pod::Pod, service::Service, slice::Slice},
    };

    /// An event as the API server frames it.
    fn framed(r#type: &str, object: &impl Message) -> Vec<u8> {
        let raw = enclosed("v1", "Pod", object.encode_to_vec()).into();
        let event = EventMessage { r#type: r#type.into(), object: RawExtension { raw } };
        let event = event.encode_to_vec();
        let length = u32::try_from(event.len()).unwrap().to_be_bytes();
        [&length[..], &event].concat()
    }

    fn decoded<T: Kind>(framed: &[u8]) -> Result<WatchEvent<Guarded<Object<T>>>, FrameError> {
        // The length comes first.
        Encoding::Protobuf.event(Bytes::copy_from_slice(&framed[4..]))
    }

    const POD: &str = r#"{"metadata": {"name": "a", "namespace": "shop", "resourceVersion": "7"},
        "spec": {"nodeName": "n1"}, "status": {"podIPs": [{"ip": "10.0.0.1"}]}}"#;

    /// A kind like those of custom resources.
    #[derive(Clone, Debug)]
    struct Custom;

    #[derive(serde::Deserialize)]
    struct CustomDocument {}

    impl Kind for Custom {
        const KIND: &'static str = "Custom";
        const GROUP: &'static str = "example.com";
        const VERSION: &'static str = "v1";
        const PLURAL: &'static str = "customs";
        const ACCEPT: &'static str = JSON;
        type Document = CustomDocument;
        type Message = NoProtobuf;
    }

    impl Written<Custom> for CustomDocument {
        fn read(self) -> Result<Object<Custom>, FieldError> {
            Ok(Object::new(Meta::default(), Custom))
        }
    }

    #[test]
    fn a_kind_without_protobuf_is_read_in_json_alone() {
        let json = Bytes::from_static(br#"{"type": "ADDED", "object": {}}"#);
        let event = Encoding::Json.event::<Custom>(json).unwrap();
        assert!(matches!(event, WatchEvent::Added(Guarded::Good(_))), "{event:?}");
        let event = decoded::<Custom>(&framed("ADDED", &NoProtobuf {}));
        let Ok(WatchEvent::Added(Guarded::Bad(malformed))) = event else { panic!("{event:?}") };
        assert!(malformed.error.contains("a Custom does not come in Protobuf"), "{malformed:?}");
    }

    fn pod(json: &str) -> <Pod as Kind>::Message {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn frames_come_whole_however_they_arrive() {
        let event = framed("ADDED", &pod(POD));
        let line = format!("{{\"type\":\"ADDED\",\"object\":{}}}\n", POD.replace('\n', ""));
        for (encoding, one) in [(Encoding::Protobuf, event), (Encoding::Json, line.into_bytes())] {
            let sent = one.repeat(3);
            for step in [1, 7, sent.len()] {
                let (mut arrived, mut count) = (Frames::new(encoding), 0);
                for part in sent.chunks(step) {
                    arrived.push(part);
                    while let Some(frame) = arrived.take().unwrap() {
                        let WatchEvent::Added(Guarded::Good(object)) =
                            encoding.event::<Pod>(frame).unwrap()
                        else {
                            panic!("no pod came")
                        };
                        assert_eq!((&*object.name, object.value.version), ("a", 7));
                        count += 1;
                    }
                }
                assert_eq!((count, arrived.rest().len()), (3, 0), "{encoding:?} by {step}");
            }
        }
    }

    #[test]
    fn the_kinds_of_events() {
        let added = decoded::<Pod>(&framed("MODIFIED", &pod(POD))).unwrap();
        assert!(matches!(added, WatchEvent::Modified(Guarded::Good(_))));
        let deleted = decoded::<Pod>(&framed("DELETED", &pod(POD))).unwrap();
        assert!(matches!(deleted, WatchEvent::Deleted(Guarded::Good(_))));
        let unknown = decoded::<Pod>(&framed("MOVED", &pod(POD))).unwrap_err();
        assert_eq!(unknown.to_string(), "an event of the unknown type `MOVED`");

        let annotations = [("k8s.io/initial-events-end".to_owned(), "true".to_owned())];
        let metadata =
            MarkMeta { resource_version: "9".to_owned(), annotations: annotations.into() };
        let marked = MarkMessage { metadata };
        let event = decoded::<Node>(&framed("BOOKMARK", &marked)).unwrap();
        let WatchEvent::Bookmark(Bookmark { metadata, .. }) = event else { panic!("{event:?}") };
        assert_eq!(metadata.resource_version, "9");
        assert_eq!(metadata.annotations["k8s.io/initial-events-end"], "true");

        let causes = vec![CauseMessage {
            reason: "ResourceVersionTooLarge".into(),
            ..CauseMessage::default()
        }];
        let details =
            DetailsMessage { causes, retry_after_seconds: 3, ..DetailsMessage::default() };
        let gone = StatusMessage { code: 410, details: Some(details), ..StatusMessage::default() };
        let event = decoded::<Node>(&framed("ERROR", &gone)).unwrap();
        let WatchEvent::Error(status) = event else { panic!("{event:?}") };
        let details = status.details.unwrap();
        assert_eq!((status.code, details.retry_after_seconds), (410, 3));
        assert_eq!(details.causes[0].reason, "ResourceVersionTooLarge");
    }

    #[test]
    fn a_malformed_object_keeps_its_name_and_version() {
        let bad = pod(&POD.replace("10.0.0.1", "ten"));
        let event = decoded::<Pod>(&framed("ADDED", &bad)).unwrap();
        let WatchEvent::Added(Guarded::Bad(bad)) = event else { panic!("{event:?}") };
        assert_eq!(bad.error, "status.podIPs[0].ip: `ten` is not an IP address");
        let name = (bad.metadata.name.as_deref(), bad.metadata.namespace.as_deref());
        assert_eq!(name, (Some("a"), Some("shop")));
        assert_eq!(bad.metadata.resource_version.as_deref(), Some("7"));

        // A pod's `spec` is a message. Here, it is a number.
        let mut broken = Header::decode(&*pod(POD).encode_to_vec()).unwrap().encode_to_vec();
        broken.extend([2 << 3, 1]);
        let envelope = Envelope { raw: broken.into() }.encode_to_vec();
        let guarded = guarded::<Pod>(object([MAGIC, &envelope].concat().into()).unwrap());
        let Guarded::Bad(bad) = guarded else { panic!("{guarded:?}") };
        assert_eq!(bad.metadata.name.as_deref(), Some("a"));
    }

    /// A hostname that is not UTF-8, or an address that is none, hides neither readiness nor
    /// deletion.
    #[test]
    fn what_can_be_read_of_a_malformed_pod() {
        let object = |status: &str, deleted: &str| {
            let json = format!(
                r#"{{"metadata": {{"name": "a", "uid": "u" {deleted}}}, "spec": {{"hostname": "HOST"}},
                     "status": {{"podIPs": [{{"ip": "ten"}}], {status}}}}}"#
            );
            let mut object = pod(&json).encode_to_vec();
            let guarded: Guarded<Object<Pod>> = serde_json::from_str(&json).unwrap();
            let Guarded::Bad(in_json) = guarded else { panic!("{json}") };
            let at = object.windows(4).position(|part| part == b"HOST").unwrap();
            object[at..at + 4].copy_from_slice(&[0xff; 4]);
            let guarded = super::guarded::<Pod>(object.into());
            let Guarded::Bad(in_protobuf) = guarded else { panic!("{json}") };
            assert!(in_protobuf.error.contains("UTF-8"), "{}", in_protobuf.error);
            assert_eq!(in_json.remains, in_protobuf.remains, "{json}");
            in_json.remains
        };
        let ready = r#""conditions": [{"type": "X", "status": "False"}, {"type": "Ready", "status": "True"}]"#;
        let unready = r#""conditions": [{"type": "X", "status": "True"}, {"type": "Ready", "status": "Unknown"}]"#;
        let deleted = r#", "deletionTimestamp": "2026-01-02T03:04:05Z""#;
        let nothing = Remains::default();
        assert_eq!(object(ready, ""), nothing);
        assert_eq!(object(unready, ""), Remains { is_unready: true, ..nothing });
        assert_eq!(object(r#""conditions": []"#, ""), Remains { is_unready: true, ..nothing });
        assert_eq!(object(ready, deleted), Remains { is_terminating: true, ..nothing });
        let finished = format!(r#""phase": "Succeeded", {ready}"#);
        assert_eq!(object(&finished, ""), Remains { is_finished: true, ..nothing });
        let unreadable: Guarded<Object<Pod>> =
            serde_json::from_str(r#"{"status": {"conditions": "no list"}}"#).unwrap();
        let Guarded::Bad(unreadable) = unreadable else { panic!("{unreadable:?}") };
        assert_eq!(unreadable.remains, nothing);
    }

    /// The API server does not look at the values of annotations, and Go's Protobuf does not
    /// either.
    #[test]
    fn an_annotation_that_is_no_text_hides_nothing() {
        // metadata with the name and an annotation, which has a key and a value.
        let object = b"\x0a\x0d\x0a\x03web\x62\x06\x0a\x01k\x12\x01\xff";
        let envelope = Envelope { raw: Bytes::from_static(object) }.encode_to_vec();
        let bytes = || super::object([MAGIC, &envelope].concat().into()).unwrap();
        let Guarded::Good(service) = guarded::<Service>(bytes()) else { panic!("no Service") };
        assert_eq!((&*service.name, service.value.auto), ("web", false));
        let Guarded::Good(slice) = guarded::<Slice>(bytes()) else { panic!("no slice") };
        assert_eq!(slice.value.meta.annotations.get("k").map(AsRef::as_ref), Some("\u{fffd}"));
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let event = Encoding::Protobuf.event::<Pod>(Bytes::from_static(b"\x0a\x05ADDED\x12\x00"));
        assert!(matches!(event, Err(FrameError::Unmarked)));
        assert!(Encoding::Json.event::<Pod>(Bytes::from_static(b"{")).is_err());
    }

    #[test]
    fn a_refusal_in_either_encoding() {
        let json = Bytes::from_static(br#"{"kind":"Status","code":403,"message":"no"}"#);
        let refusal = StatusMessage { code: 403, message: "no".into(), ..StatusMessage::default() };
        let protobuf = enclosed("v1", "Status", refusal.encode_to_vec()).into();
        for (encoding, body) in [(Encoding::Json, json), (Encoding::Protobuf, protobuf)] {
            let status = encoding.status(body).unwrap();
            assert_eq!((status.code, status.message.as_str()), (403, "no"), "{encoding:?}");
            assert!(encoding.status(Bytes::from_static(b"<html>")).is_none());
        }
    }
}
