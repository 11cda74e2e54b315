//! Rendezvous: which endpoints serve a foreign zone, among those that are equally good. Each endpoint
//! has a fixed rank for each zone, so another endpoint more or fewer changes the others little.

use crate::model::name::ServiceKey;

/// The start and the factor of the 64-bit FNV-1a hash.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const FACTOR: u64 = 0x0100_0000_01b3;

/// The ranks of endpoints of one Service for one zone.
#[derive(Clone, Copy, Debug)]
pub struct Rendezvous(u64);

impl Rendezvous {
    /// For this Service and zone.
    pub fn of(service: &ServiceKey, zone: &str) -> Self {
        let state = add(START, &service.namespace);
        Self(add(add(state, &service.name), zone))
    }

    /// The rank of an endpoint: the lowest serves the zone first.
    pub fn rank(self, key: &str) -> u64 {
        // The hash mixes its last bytes too little for an order.
        let mut mixed = add(self.0, key);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Adds a text and its end.
fn add(state: u64, text: &str) -> u64 {
    let add = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(FACTOR);
    add(text.bytes().fold(state, add), 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks must not differ between versions: after an update, names would move.
    #[test]
    fn ranks_are_fixed_and_differ_by_service_zone_and_endpoint() {
        let service = |name: &str| ServiceKey { namespace: "shop".into(), name: name.into() };
        let rank = |name, zone, key: &str| Rendezvous::of(&service(name), zone).rank(key);
        let first = rank("cart", "a", "uid-1");
        assert_eq!(first, 0x6244_6fe4_29a9_c4e8);
        for other in [rank("card", "a", "uid-1"), rank("cart", "b", "uid-1")] {
            assert_ne!(first, other);
        }
        let mut low = 0;
        for key in 0..1_000 {
            low += usize::from(rank("cart", "a", &format!("uid-{key}")) < u64::MAX / 2);
        }
        assert!((450..550).contains(&low), "{low}");
    }
}
