//! Address: where metrics and health are served.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// How many connections wait to be accepted.
const BACKLOG: i32 = 1024;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Nowhere.
    Off,
    /// On this port of all addresses, of both families.
    All(u16),
    /// On this address.
    At(SocketAddr),
}

/// An address that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no address to listen at; write :PORT for all addresses, IP:PORT, [IPv6]:PORT, or 0 \
     to switch it off"
)]
pub struct AddressError(String);

/// An address at which closehaul cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address} ({flag}): {source}; give another one, or 0 to switch it off")]
pub struct ListenError {
    address: Address,
    flag: &'static str,
    source: io::Error,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "0" {
            return Ok(Self::Off);
        }
        let all = text.strip_prefix(':').and_then(|port| port.parse().ok());
        let address = all.map(Self::All).or_else(|| text.parse().ok().map(Self::At));
        address.ok_or_else(|| AddressError(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("0"),
            Self::All(port) => write!(f, ":{port}"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl Address {
    /// Listens, or returns `None` if switched off. An error names `flag`.
    pub fn listen(self, flag: &'static str) -> Result<Option<TcpListener>, ListenError> {
        let listener = match self {
            Self::Off => return Ok(None),
            Self::At(address) => listen(address),
            Self::All(port) => listen((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| {
                // A machine without IPv6.
                let is_absent = matches!(error.raw_os_error(), Some(EAFNOSUPPORT | EADDRNOTAVAIL));
                let of_four = || listen((Ipv4Addr::UNSPECIFIED, port).into());
                if is_absent { of_four() } else { Err(error) }
            }),
        };
        listener.map(Some).map_err(|source| ListenError { address: self, flag, source })
    }
}

/// Linux' numbers for "address family not supported" and "cannot assign requested address".
const EAFNOSUPPORT: i32 = 97;
const EADDRNOTAVAIL: i32 = 99;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // As in Go, this includes IPv4, whatever the host's default.
        socket.set_only_v6(false)?;
    }
    // A restart need not wait for connections of the previous process.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn what_can_be_written() {
        let read = |text: &str| text.parse::<Address>();
        assert_eq!(read("0").unwrap(), Address::Off);
        assert_eq!(read(":8080").unwrap(), Address::All(8080));
        for text in ["127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0"] {
            assert_eq!(read(text).unwrap(), Address::At(text.parse().unwrap()));
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        for text in ["", "8080", ":", ":x", ":65536", "::1:8080", "localhost:8080", "127.0.0.1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_port_alone_is_both_families() {
        let listener = Address::All(0).listen("--flag").unwrap().unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.unwrap();
        }
        let loopback = "127.0.0.1:0".parse::<Address>().unwrap().listen("--flag").unwrap().unwrap();
        assert!(loopback.local_addr().unwrap().ip().is_loopback());
    }

    #[tokio::test]
    async fn a_port_in_use_names_the_flag() {
        let listener = Address::All(0).listen("--flag").unwrap().unwrap();
        let port = listener.local_addr().unwrap().port();
        for text in [format!(":{port}"), format!("127.0.0.1:{port}")] {
            let address: Address = text.parse().unwrap();
            let error = address.listen("--metrics-bind-address").unwrap_err().to_string();
            assert!(error.contains(&text) && error.contains("--metrics-bind-address"), "{error}");
            assert!(error.contains("in use"), "{error}");
        }
        assert!(Address::Off.listen("--flag").unwrap().is_none());
    }
}
