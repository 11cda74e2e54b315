//! Address: the kinds of addresses that slices hold.

use std::{fmt, net::IpAddr};

/// `addressType` of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressType {
    /// IPv4 addresses.
    IPv4,
    /// IPv6 addresses.
    IPv6,
    /// A type that is never written here: `FQDN`, or the obsolete `IP`.
    Other,
}

impl AddressType {
    /// The type of an IP address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::IPv4 } else { Self::IPv6 }
    }
}

impl fmt::Display for AddressType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IPv4 => "IPv4",
            Self::IPv6 => "IPv6",
            Self::Other => "FQDN",
        })
    }
}

/// The addresses of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// One IP address, written in its canonical form.
    One(IpAddr),
    /// Anything else, as written and in order.
    Many(Box<[Box<str>]>),
}

impl Addresses {
    /// One address in its canonical form is kept as an IP address. Everything else is kept as it
    /// was written, so comparisons are exact.
    pub fn of(texts: &[impl AsRef<str>]) -> Self {
        if let [text] = texts
            && let Ok(address) = text.as_ref().parse::<IpAddr>()
            // An IPv4 address has only one form that is read.
            && (address.is_ipv4() || address.to_string() == text.as_ref())
        {
            return Self::One(address);
        }
        Self::Many(texts.iter().map(|text| text.as_ref().into()).collect())
    }

    /// The first one, if it is an IP address.
    pub fn first(&self) -> Option<IpAddr> {
        match self {
            Self::One(address) => Some(*address),
            Self::Many(texts) => texts.first()?.parse().ok(),
        }
    }
}
