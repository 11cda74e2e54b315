//! Endpoint IP: which addresses a slice may contain.
//!
//! A pod's status may hold any IP address; a slice may not. The API server rejects the whole slice
//! for one address that is unspecified, loopback or link-local. The rule is `ValidateEndpointIP` of
//! `pkg/apis/core/validation` (Kubernetes 1.37), which `ValidateEndpointSlice` applies to each
//! address. The ranges are those of Go's `net.IP`; the error messages name them less exactly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the API server accepts a slice with this address. An IPv4-mapped IPv6 address is judged
/// as the IPv4 address that it maps, as in Go, which has one type for both.
pub fn is_allowed(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_v4_allowed(address),
        IpAddr::V6(address) => is_v6_allowed(address),
    }
}

/// Refused: 0.0.0.0, 127.0.0.0/8, 169.254.0.0/16 and 224.0.0.0/24. Other multicast addresses, and
/// the broadcast address, are not.
fn is_v4_allowed(address: Ipv4Addr) -> bool {
    let is_link_local_multicast = matches!(address.octets(), [224, 0, 0, _]);
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_link_local()
        || is_link_local_multicast)
}

/// Refused: `::`, `::1`, `fe80::/10`, and multicast of link-local scope whatever its flags:
/// `ff02::/16`, `ff12::/16` and so on.
fn is_v6_allowed(address: Ipv6Addr) -> bool {
    let [first, ..] = address.segments();
    let is_link_local_multicast = first & 0xff0f == 0xff02;
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_unicast_link_local()
        || is_link_local_multicast)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_what_the_api_server_refuses_is_not_allowed() {
        // The same table is checked against the real API server: e2e/tests/refused.rs.
        let table = [
            ("0.0.0.0", false),
            ("0.0.0.1", true),
            ("10.0.0.1", true),
            ("126.255.255.255", true),
            ("127.0.0.0", false),
            ("127.255.255.255", false),
            ("128.0.0.0", true),
            ("169.253.255.255", true),
            ("169.254.0.0", false),
            ("169.254.169.254", false),
            ("169.254.255.255", false),
            ("169.255.0.0", true),
            ("223.255.255.255", true),
            ("224.0.0.0", false),
            ("224.0.0.255", false),
            ("224.0.1.0", true),
            ("224.1.2.3", true),
            ("239.255.255.250", true),
            ("240.0.0.1", true),
            ("255.255.255.255", true),
            ("::", false),
            ("::1", false),
            ("::2", true),
            ("64:ff9b::7f00:1", true),
            ("fd00::1", true),
            ("fe7f:ffff::1", true),
            ("fe80::", false),
            ("fe80::1", false),
            ("febf:ffff::1", false),
            ("fec0::1", true),
            ("ff01::1", true),
            ("ff02::1", false),
            ("ff12::1", false),
            ("fff2::1", false),
            ("ff03::1", true),
            ("ff05::1", true),
            ("ff0e::1", true),
            ("::ffff:10.0.0.1", true),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.1.1", false),
            ("::ffff:0.0.0.0", false),
            ("::ffff:224.0.0.1", false),
        ];
        for (text, expected) in table {
            assert_eq!(is_allowed(text.parse().unwrap()), expected, "{text}");
        }
    }
}
