//! Services and slices for the tests of the models.

use std::sync::Arc;

use super::target::Client;
use crate::{
    model::{
        address::Addresses,
        name::{Name, ServiceKey},
        samples,
        service::{Service, TargetPort},
        slice::{Conditions, Endpoint, Hints, Slice, SliceMeta},
    },
    plan::metadata,
};

/// Service `cart` with the port `http`.
pub(super) fn service() -> Service {
    Service {
        key: ServiceKey { namespace: "shop".into(), name: "cart".into() },
        ports: vec![samples::service_port("http", TargetPort::Number(80))],
        ..samples::service()
    }
}

/// An endpoint at 10.0.0.`number`, described by words: `on:NODE`, `zone:NAME` and `node:NAME` for
/// hints, `unready`, `terminating` (not ready, but serving), `gone` (neither), `unsaid` (no
/// condition given).
pub(super) fn endpoint(number: u8, words: &str) -> Endpoint {
    let named = |prefix: &str| -> Vec<Name> {
        words.split(' ').filter_map(|word| word.strip_prefix(prefix)).map(Name::from).collect()
    };
    let has = |word: &str| words.split(' ').any(|other| other == word);
    let is_ending = has("terminating") || has("gone");
    let conditions = Conditions {
        ready: Some(!has("unready") && !is_ending),
        serving: Some(!has("unready") && !has("gone")),
        terminating: Some(is_ending),
    };
    let hints = Hints { zones: named("zone:"), nodes: named("node:") };
    Endpoint {
        addresses: Addresses::One([10, 0, 0, number].into()),
        conditions: if has("unsaid") { Conditions::default() } else { conditions },
        target: None,
        node: named("on:").pop(),
        zone: None,
        hostname: None,
        hints: (hints != Hints::default()).then(|| Arc::new(hints)),
    }
}

pub(super) fn slice(name: &str, endpoints: Vec<Endpoint>) -> Slice {
    let meta = SliceMeta { name: Some(name.into()), ..metadata::fresh(&service()) };
    Slice {
        meta,
        ports: [samples::port("http", 80)].into_iter().collect(),
        endpoints: endpoints.into(),
        ..samples::slice()
    }
}

pub(super) fn of(endpoints: &[&str]) -> Slice {
    let numbered = (1_u8..).zip(endpoints);
    slice("cart-1", numbered.map(|(number, words)| endpoint(number, words)).collect())
}

/// A client on node `n1` in zone `a`.
pub(super) const HERE: Client<'_> = Client { node: "n1", zone: Some("a") };

/// The last numbers of the addresses.
pub(super) fn numbers(targets: &[super::target::Target<'_>]) -> String {
    let number = |target: &super::target::Target<'_>| target.address.replace("10.0.0.", "");
    targets.iter().map(number).collect::<Vec<_>>().join(" ")
}
