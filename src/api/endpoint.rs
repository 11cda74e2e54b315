//! Endpoint: one endpoint of a slice in Protobuf. A slice has up to a thousand endpoints, and each
//! change of a pod sends all of them and receives them back. They are therefore encoded and decoded
//! directly, without prost's messages (`Endpoint` in `generated.proto` of
//! `k8s.io/api/discovery/v1`).

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    str::from_utf8,
    sync::Arc,
};

use prost::{
    DecodeError,
    encoding::{
        DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
    },
};

use crate::model::{
    address::Addresses,
    name::{Name, Uid},
    slice::{Conditions, Endpoint, Hints, Target},
};

/// The kind of object that is behind an endpoint.
pub(super) const POD: &str = "Pod";

// === writing ===

/// A message as far as it has been written.
pub(super) struct Fields(pub(super) Vec<u8>);

impl Fields {
    /// An endpoint as a field.
    pub(super) fn endpoint(&mut self, tag: u32, endpoint: &Endpoint) {
        self.message(tag, |fields| fields.of_endpoint(endpoint));
    }

    fn of_endpoint(&mut self, endpoint: &Endpoint) {
        match &endpoint.addresses {
            Addresses::One(IpAddr::V4(address)) => {
                self.delimited(1, |bytes| write_ipv4(*address, bytes));
            }
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
                fields.text(1, POD);
                fields.text(2, namespace);
                fields.text(3, name);
                if let Some(uid) = uid {
                    fields.delimited(4, |bytes| uid.write(bytes));
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

    fn delimited(&mut self, tag: u32, write: impl FnOnce(&mut Vec<u8>)) {
        self.message(tag, |fields| write(&mut fields.0));
    }

    /// A message within this one. Its length precedes it but is known only afterwards. Most lengths
    /// are below 128 and fit in the one byte that is reserved.
    fn message(&mut self, tag: u32, write: impl FnOnce(&mut Self)) {
        encode_key(tag, WireType::LengthDelimited, &mut self.0);
        let place = self.0.len();
        self.0.push(0);
        write(self);
        let length = self.0.len() - place - 1;
        if let Ok(short @ ..128) = u8::try_from(length) {
            self.0[place] = short;
        } else {
            let mut long = Vec::new();
            encode_varint(length as u64, &mut long);
            self.0.splice(place..=place, long);
        }
    }
}

/// Avoids `format!` because it runs for each endpoint of each slice that is sent.
fn write_ipv4(address: Ipv4Addr, to: &mut Vec<u8>) {
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            to.push(b'.');
        }
        if octet >= 100 {
            to.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            to.push(b'0' + octet / 10 % 10);
        }
        to.push(b'0' + octet % 10);
    }
}

// === reading ===

/// Why an endpoint could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum EndpointError {
    #[error("{0}")]
    Protobuf(#[from] DecodeError),
    #[error("a field is longer than what it is in")]
    Cut,
}

/// A text as Go passes it on to readers of JSON. The API server does not check all texts in
/// Protobuf. One that is not UTF-8 must not hide the slice: it equals no text that closehaul would
/// write, so that a managed slice with it is rewritten.
fn lossy(text: &[u8]) -> Cow<'_, str> {
    // Mostly, all is right, and to find only that costs two fifths less.
    from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed)
}

/// Reads an endpoint. It shares what it has in common with the endpoints before it.
pub(super) fn endpoint(bytes: &[u8], shared: &mut Shared) -> Result<Endpoint, EndpointError> {
    let mut addresses = Vec::new();
    let mut conditions = Conditions::default();
    let (mut target, mut node, mut zone, mut hostname, mut hints) = (None, None, None, None, None);
    each_field(bytes, |tag, value| {
        match (tag, value) {
            (1, Value::Bytes(text)) => addresses.push(lossy(text)),
            (2, Value::Bytes(message)) => conditions = self::conditions(message)?,
            (3, Value::Bytes(text)) => hostname = Some(lossy(text).as_ref().into()),
            (4, Value::Bytes(message)) => target = Some(self::target(message, shared)?),
            (6, Value::Bytes(text)) => node = Some(lossy(text).as_ref().into()),
            (7, Value::Bytes(text)) => zone = Some(shared.read(text)),
            (8, Value::Bytes(message)) => hints = Some(self::hints(message, shared)?),
            _ => {}
        }
        Ok(())
    })?;
    let addresses = Addresses::of(&addresses);
    Ok(Endpoint { addresses, conditions, target, node, zone, hostname, hints })
}

fn conditions(bytes: &[u8]) -> Result<Conditions, EndpointError> {
    let mut conditions = Conditions::default();
    each_field(bytes, |tag, value| {
        match (tag, value) {
            (1, Value::Number(flag)) => conditions.ready = Some(flag != 0),
            (2, Value::Number(flag)) => conditions.serving = Some(flag != 0),
            (3, Value::Number(flag)) => conditions.terminating = Some(flag != 0),
            _ => {}
        }
        Ok(())
    })?;
    Ok(conditions)
}

fn target(bytes: &[u8], shared: &mut Shared) -> Result<Target, EndpointError> {
    let (mut kind, mut namespace, mut name, mut uid) = (&[][..], &[][..], &[][..], &[][..]);
    let (mut api_version, mut field_path) = (&[][..], &[][..]);
    each_field(bytes, |tag, value| {
        match (tag, value) {
            (1, Value::Bytes(text)) => kind = text,
            (2, Value::Bytes(text)) => namespace = text,
            (3, Value::Bytes(text)) => name = text,
            (4, Value::Bytes(text)) => uid = text,
            (5, Value::Bytes(text)) => api_version = text,
            (7, Value::Bytes(text)) => field_path = text,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Target {
        foreign: is_foreign(kind, api_version, field_path),
        namespace: shared.read(namespace),
        name: lossy(name).as_ref().into(),
        uid: Uid::parse(&lossy(uid)),
    })
}

/// Whether a reference contains more than one to a pod does; see [`Target::foreign`].
pub(super) fn is_foreign(kind: &[u8], api_version: &[u8], field_path: &[u8]) -> bool {
    kind != POD.as_bytes() || !api_version.is_empty() || !field_path.is_empty()
}

fn hints(bytes: &[u8], shared: &mut Shared) -> Result<Arc<Hints>, EndpointError> {
    let mut hints = Hints::default();
    each_field(bytes, |tag, value| {
        if let (1 | 2, Value::Bytes(message)) = (tag, value) {
            let mut name = &[][..];
            each_field(message, |tag, value| {
                if let (1, Value::Bytes(text)) = (tag, value) {
                    name = text;
                }
                Ok(())
            })?;
            if tag == 1 {
                hints.zones.push(shared.read(name));
            } else {
                hints.nodes.push(lossy(name).as_ref().into());
            }
        }
        Ok(())
    })?;
    Ok(shared.hints(hints))
}

/// The value of a field, of the types that an endpoint needs.
enum Value<'a> {
    Number(u64),
    /// A text, or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order there.
fn each_field<'a>(
    mut message: &'a [u8],
    mut take: impl FnMut(u32, Value<'a>) -> Result<(), EndpointError>,
) -> Result<(), EndpointError> {
    while !message.is_empty() {
        let (tag, wire_type) = decode_key(&mut message)?;
        match wire_type {
            WireType::Varint => take(tag, Value::Number(decode_varint(&mut message)?))?,
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut message)?);
                let parts = length.ok().and_then(|length| message.split_at_checked(length));
                let (value, rest) = parts.ok_or(EndpointError::Cut)?;
                message = rest;
                take(tag, Value::Bytes(value))?;
            }
            _ => skip_field(wire_type, tag, &mut message, DecodeContext::default())?,
        }
    }
    Ok(())
}

// === what endpoints have in common ===

/// What many endpoints of one slice have in common: the first few names and hints.
#[derive(Default)]
pub(super) struct Shared {
    names: Vec<Name>,
    hints: Vec<Arc<Hints>>,
}

/// The search for an equal one covers at most this many.
const SHARED: usize = 8;

impl Shared {
    pub(super) fn name(&mut self, text: &str) -> Name {
        if let Some(name) = self.names.iter().find(|name| &***name == text) {
            return name.clone();
        }
        let name = Name::from(text);
        if self.names.len() < SHARED {
            self.names.push(name.clone());
        }
        name
    }

    fn read(&mut self, bytes: &[u8]) -> Name {
        match self.names.iter().find(|name| name.as_bytes() == bytes) {
            Some(name) => name.clone(),
            None => self.name(&lossy(bytes)),
        }
    }

    pub(super) fn hints(&mut self, hints: Hints) -> Arc<Hints> {
        if let Some(shared) = self.hints.iter().find(|shared| ***shared == hints) {
            return shared.clone();
        }
        let hints = Arc::new(hints);
        if self.hints.len() < SHARED {
            self.hints.push(hints.clone());
        }
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(endpoint: &Endpoint) -> Vec<u8> {
        let mut fields = Fields(Vec::new());
        fields.of_endpoint(endpoint);
        fields.0
    }

    /// The longer its names, the more bytes their lengths take.
    fn sample(length: usize) -> Endpoint {
        let zone = Name::from("z".repeat(length));
        let hints = Hints { zones: vec![zone.clone()], nodes: vec!["n".repeat(length).into()] };
        Endpoint {
            addresses: Addresses::of(&[if length == 1 { "fd00::1" } else { "10.0.255.94" }]),
            conditions: Conditions { ready: Some(true), serving: None, terminating: Some(false) },
            target: Some(Target {
                namespace: "shop".into(),
                name: "p".repeat(length).into(),
                uid: Uid::parse("6f1c2a40-0b1d-4c3e-9a77-00000000beef"),
                foreign: false,
            }),
            node: Some("n".repeat(length).into()),
            zone: Some(zone),
            hostname: Some("h".into()),
            hints: Some(hints.into()),
        }
    }

    #[test]
    fn an_endpoint_is_read_as_it_was_written() {
        for length in [0, 1, 100, 127, 128, 300, 20_000] {
            let sample = sample(length);
            let read = endpoint(&written(&sample), &mut Shared::default()).unwrap();
            assert_eq!(read, sample, "{length}");
        }
        let bare = endpoint(&[], &mut Shared::default()).unwrap();
        assert_eq!(bare.addresses, Addresses::of(&[""; 0]));
        assert_eq!(endpoint(&written(&bare), &mut Shared::default()).unwrap(), bare);
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let sample = sample(3);
        let mut fields = Fields(Vec::new());
        fields.text(5, "topology, as v1beta1 had it");
        fields.flag(1, Some(true));
        encode_key(99, WireType::ThirtyTwoBit, &mut fields.0);
        fields.0.extend([1, 2, 3, 4]);
        fields.of_endpoint(&sample);
        assert_eq!(endpoint(&fields.0, &mut Shared::default()).unwrap(), sample);
    }

    /// The API server does not check the texts of a reference.
    #[test]
    fn a_text_that_is_not_utf_8_hides_nothing() {
        let mut fields = Fields(Vec::new());
        fields.message(4, |fields| {
            fields.text(1, POD);
            fields.delimited(3, |bytes| bytes.extend(b"web-\xff"));
        });
        fields.delimited(6, |bytes| bytes.push(0xfe));
        let read = endpoint(&fields.0, &mut Shared::default()).unwrap();
        assert_eq!(&*read.target.unwrap().name, "web-\u{fffd}");
        assert_eq!(read.node.as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn a_reference_that_says_more_is_foreign() {
        for (tag, text, is_foreign) in
            [(6, "12", false), (5, "v1", true), (7, "spec", true), (1, "Node", true)]
        {
            let mut fields = Fields(Vec::new());
            fields.message(4, |fields| {
                fields.text(1, POD);
                fields.text(tag, text);
            });
            let read = endpoint(&fields.0, &mut Shared::default()).unwrap();
            assert_eq!(read.target.unwrap().foreign, is_foreign, "{tag}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_an_error() {
        let whole = written(&sample(9));
        let errors = (0..whole.len())
            .filter(|length| endpoint(&whole[..*length], &mut Shared::default()).is_err());
        // Cut between two of its fields, it is a shorter endpoint.
        assert_eq!(errors.count(), whole.len() - 7);
    }

    #[test]
    fn endpoints_share_what_they_have_in_common() {
        let (bytes, mut shared) = (written(&sample(3)), Shared::default());
        let [one, other] = [(); 2].map(|()| endpoint(&bytes, &mut shared).unwrap());
        assert!(Arc::ptr_eq(one.hints.as_ref().unwrap(), other.hints.as_ref().unwrap()));
        assert!(Arc::ptr_eq(one.zone.as_ref().unwrap(), &one.hints.as_ref().unwrap().zones[0]));
    }
}
