//! Address: IP addresses as they may appear in objects.

use std::net::{IpAddr, Ipv4Addr};

/// Reads an address as leniently as the built-in controller does (docs/semantics.md 3.2).
/// IPv4 numbers may have leading zeros, and an IPv4-mapped IPv6 address is the IPv4 address that it
/// maps, since Go has one type for both. The API server accepts both forms in data from older
/// servers, or without its feature gate `StrictIPCIDRValidation`.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok().or_else(|| match text.rsplit_once(':') {
        Some((prefix, v4)) => format!("{prefix}:{}", sloppy_v4(v4)?).parse().ok(),
        None => sloppy_v4(text).map(IpAddr::V4),
    })?;
    Some(address.to_canonical())
}

/// An IPv4 address whose numbers may have leading zeros.
fn sloppy_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *octet =
            part.trim_start_matches('0').parse().ok().or_else(|| {
                (!part.is_empty() && part.bytes().all(|byte| byte == b'0')).then_some(0)
            })?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_have_leading_zeros_and_be_mapped() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("010.000.0.001", Some("10.0.0.1")),
            ("fd00:0::1", Some("fd00::1")),
            ("10.0.0", None),
            ("10.0.0.256", None),
            ("10.0.0.1.2", None),
            ("10..0.1", None),
            ("", None),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("::ffff:0a00:1", Some("10.0.0.1")),
            ("::ffff:010.0.0.01", Some("10.0.0.1")),
            ("64:ff9b::10.0.0.01", Some("64:ff9b::a00:1")),
            ("fd00::g", None),
            ("fd00:", None),
        ] {
            assert_eq!(address(text).map(|ip| ip.to_string()).as_deref(), expected, "{text}");
        }
    }
}
