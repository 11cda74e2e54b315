//! Frames: events as an API server sends them in Protobuf. They have everything that real pods have
//! and closehaul does not read: environments, probes, volumes, statuses, managed fields.

use bytes::Bytes;
use closehaul::{
    api::{frame::Encoding, render},
    model::slice::Slice,
};
use prost::encoding::{WireType, encode_key, encode_varint};

/// A message that is being written.
#[derive(Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    pub fn bytes(mut self, tag: u32, value: &[u8]) -> Self {
        encode_key(tag, WireType::LengthDelimited, &mut self.0);
        encode_varint(value.len() as u64, &mut self.0);
        self.0.extend_from_slice(value);
        self
    }

    pub fn text(self, tag: u32, value: &str) -> Self {
        self.bytes(tag, value.as_bytes())
    }

    pub fn number(mut self, tag: u32, value: u64) -> Self {
        encode_key(tag, WireType::Varint, &mut self.0);
        encode_varint(value, &mut self.0);
        self
    }

    pub fn message(self, tag: u32, value: &Self) -> Self {
        self.bytes(tag, &value.0)
    }

    pub fn pair(self, tag: u32, key: &str, value: &str) -> Self {
        self.message(tag, &message().text(1, key).text(2, value))
    }
}

pub fn message() -> Fields {
    Fields::default()
}

/// A framed event without its length, for an object and its wrapper.
pub fn event(kind: &str, raw: &[u8]) -> Bytes {
    message().text(1, kind).message(2, &message().bytes(1, raw)).0.into()
}

/// This many bytes that look like managed fields.
fn filler(length: usize) -> Vec<u8> {
    br#"{"f:metadata":{"f:annotations":{".":{},"f:checksum":{}}}}"#.iter().copied().cycle().take(length).collect()
}

fn container(name: &str, port: u64) -> Fields {
    let port = message().text(1, "http").number(3, port).text(4, "TCP");
    let mut container = message()
        .text(1, name)
        .text(2, "registry.example.com/shop/front:v1.2.3")
        .message(6, &port)
        .bytes(10, &filler(120))
        .bytes(11, &filler(120));
    for number in 0..25 {
        let value = format!("the value of a variable {number}");
        container = container.pair(7, &format!("VARIABLE_{number}"), &value);
    }
    for _ in 0..4 {
        container = container.bytes(9, &filler(60));
    }
    container
}

/// A pod's event as the API server sends it. The same object is 13 kB as JSON.
pub fn pod(number: usize) -> Bytes {
    let name = format!("front-7c9d8f6b5d-{number:05}");
    let mut meta = message()
        .text(1, &name)
        .text(3, "shop")
        .text(5, &format!("{number:08x}-0000-4000-8000-000000000000"))
        .text(6, &(1000 + number).to_string())
        .message(8, &message().number(1, 1_790_000_000))
        .message(
            13,
            &message()
                .text(1, "ReplicaSet")
                .text(3, "front-7c9d8f6b5d")
                .text(4, "uid")
                .text(5, "apps/v1"),
        );
    for (key, value) in [("app", "front"), ("pod-template-hash", "7c9d8f6b5d"), ("team", "shop")] {
        meta = meta.pair(11, key, value);
    }
    meta = meta.pair(12, "checksum/config", &"0123456789abcdef".repeat(4));
    meta = meta.pair(12, "sidecar/status", &String::from_utf8_lossy(&filler(500)));
    for manager in ["kube-controller-manager", "kubelet"] {
        let fields = message().bytes(1, &filler(1500));
        meta = meta.message(17, &message().text(1, manager).text(2, "Update").message(7, &fields));
    }
    let spec = message()
        .bytes(1, &filler(300))
        .message(2, &container("front", 8080))
        .message(2, &container("sidecar", 9090))
        .text(10, "node-17");
    let condition = |kind| {
        message().text(1, kind).text(2, "True").message(4, &message().number(1, 1_790_000_000))
    };
    let mut status = message()
        .text(1, "Running")
        .text(6, "10.0.0.1")
        .message(12, &message().text(1, "10.0.0.1"));
    for kind in ["PodScheduled", "Initialized", "ContainersReady", "Ready"] {
        status = status.message(2, &condition(kind));
    }
    status = status.bytes(8, &filler(250)).bytes(8, &filler(250));
    let pod = message().message(1, &meta).message(2, &spec).message(3, &status);
    let envelope = message().message(2, &pod);
    event("MODIFIED", &[b"k8s\0", &*envelope.0].concat())
}

/// A slice's event.
pub fn slice(slice: &Slice) -> Bytes {
    event("MODIFIED", &render::body(slice, Encoding::Protobuf).expect("a slice"))
}
