//! The addresses of a node or pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of a node or pod: IPv4, and IPv6 in a network of both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The first one.
    pub v4: Ipv4Addr,
    /// The second one.
    pub v6: Option<Ipv6Addr>,
}

impl Addresses {
    /// All addresses, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = IpAddr> {
        [IpAddr::V4(self.v4)].into_iter().chain(self.v6.map(IpAddr::V6))
    }
}

impl From<Ipv4Addr> for Addresses {
    fn from(v4: Ipv4Addr) -> Self {
        Self { v4, v6: None }
    }
}
