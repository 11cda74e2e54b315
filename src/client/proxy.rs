//! Proxy: which proxy leads to the API server, by the environment, as Go reads it
//! (`golang.org/x/net/http/httpproxy`).
//!
//! hyper-util's own reader follows curl: it knows no ports in `NO_PROXY`, and would use a proxy for
//! the loopback address.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

/// What the environment says about proxies.
#[derive(Debug)]
pub struct Proxies {
    http: Option<(&'static str, String)>,
    https: Option<(&'static str, String)>,
    none: Vec<Exempt>,
}

/// Where no proxy is used.
#[derive(Debug)]
enum Exempt {
    All,
    Network(IpNet),
    Address(IpAddr, Option<u16>),
    /// The name with a dot before it.
    Domain {
        name: String,
        port: Option<u16>,
        /// Also the name itself, and not only what is below it.
        itself: bool,
    },
    /// A port that is no number: nothing matches.
    Nothing,
}

impl Proxies {
    /// Reads them; `get` returns the value of an environment variable. The upper-case name comes
    /// first, and an empty value is none.
    pub fn new(get: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            let value = |name: &&'static str| get(name).filter(|value| !value.is_empty());
            names.iter().find_map(|name| Some((*name, value(name)?)))
        };
        let none = first(["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
        Self {
            http: first(["HTTP_PROXY", "http_proxy"]),
            https: first(["HTTPS_PROXY", "https_proxy"]),
            none: none.split(',').filter_map(Exempt::of).collect(),
        }
    }

    /// The variable that names the proxy for `url`, and its value.
    pub fn choose(&self, url: &Uri) -> Option<(&'static str, &str)> {
        let is_https = url.scheme_str() == Some("https");
        let (variable, proxy) = if is_https { &self.https } else { &self.http }.as_ref()?;
        let host = url.host()?.trim_matches(['[', ']']).to_lowercase();
        let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let is_local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let is_exempt = is_local || self.none.iter().any(|it| it.matches(&host, address, port));
        (!is_exempt).then_some((*variable, proxy.as_str()))
    }
}

impl Exempt {
    /// One entry of `NO_PROXY`.
    fn of(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_lowercase();
        if entry == "*" {
            return Some(Self::All);
        }
        if let Ok(network) = entry.parse() {
            return Some(Self::Network(network));
        }
        if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical(), None));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, "")) => (host, None),
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => return Some(Self::Nothing),
            },
            None => (entry.as_str(), None),
        };
        if host.is_empty() {
            return None;
        }
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical(), port));
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let itself = !host.starts_with('.');
        let name = if itself { format!(".{host}") } else { host.to_owned() };
        Some(Self::Domain { name, port, itself })
    }

    fn matches(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let fits = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Self::All => true,
            Self::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Self::Address(exempt, wanted) => address == Some(*exempt) && fits(wanted),
            Self::Domain { name, port: wanted, itself } => {
                (host.ends_with(name.as_str()) || *itself && host == &name[1..]) && fits(wanted)
            }
            Self::Nothing => false,
        }
    }
}

/// The URL of a proxy. Without a scheme it is `http://`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Uri, String> {
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    // A password may be part of it, which no message may show.
    let url: Uri = full.parse().map_err(|error| format!("it is no URL: {error}"))?;
    if url.host().is_none_or(str::is_empty) {
        return Err("it has no host".to_owned());
    }
    match url.scheme_str() {
        Some("http" | "https" | "socks5" | "socks5h") => Ok(url),
        other => Err(format!(
            "the scheme is {} instead of http, https or socks5",
            other.unwrap_or_default()
        )),
    }
}

/// The URL without the password that may be part of it.
pub(super) fn shown(proxy: &Uri) -> String {
    let authority = proxy.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    format!("{}://{address}", proxy.scheme_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let url = url.parse().unwrap();
        Proxies::new(get).choose(&url).map(|(_, proxy)| proxy.to_owned())
    }

    #[test]
    fn variables_in_both_cases() {
        for (variables, url, expected) in [
            (&[("HTTPS_PROXY", "a")][..], "https://x", Some("a")),
            (&[("https_proxy", "a")], "https://x", Some("a")),
            (&[("HTTPS_PROXY", "a"), ("https_proxy", "b")], "https://x", Some("a")),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "b")], "https://x", Some("b")),
            (&[("HTTPS_PROXY", "a")], "http://x", None),
            (&[("HTTP_PROXY", "a")], "https://x", None),
            (&[("HTTP_PROXY", "a")], "http://x", Some("a")),
            (&[("http_proxy", "a")], "http://x", Some("a")),
            (&[("ALL_PROXY", "a")], "https://x", None),
            (&[("HTTPS_PROXY", "a"), ("no_proxy", "x")], "https://x", None),
            (&[("HTTPS_PROXY", "a"), ("NO_PROXY", "y"), ("no_proxy", "x")], "https://x", Some("a")),
        ] {
            assert_eq!(chosen(variables, url).as_deref(), expected, "{variables:?} {url}");
        }
    }

    /// By the rules of Go's reader, entry by entry.
    #[test]
    fn exemptions() {
        for (none, url, is_exempt) in [
            ("", "https://localhost:6443", true),
            ("", "https://127.0.0.1", true),
            ("", "https://127.1.2.3", true),
            ("", "https://[::1]:6443", true),
            ("", "https://192.0.2.1", false),
            ("*", "https://192.0.2.1", true),
            ("example.com", "https://example.com", true),
            ("example.com", "https://api.example.com", true),
            ("example.com", "https://badexample.com", false),
            (".example.com", "https://example.com", false),
            (".example.com", "https://api.example.com", true),
            ("*.example.com", "https://example.com", false),
            ("*.example.com", "https://api.example.com", true),
            ("EXAMPLE.com", "https://API.example.COM", true),
            ("example.com:6443", "https://example.com:6443", true),
            ("example.com:6443", "https://example.com", false),
            ("example.com:443", "https://example.com", true),
            ("example.com:x", "https://example.com", false),
            ("192.0.2.1", "https://192.0.2.1:6443", true),
            ("192.0.2.1:6443", "https://192.0.2.1:6443", true),
            ("192.0.2.1:6443", "https://192.0.2.1", false),
            ("192.0.2.0/24", "https://192.0.2.77", true),
            ("192.0.2.0/24", "https://192.0.3.77", false),
            ("2001:db8::/32", "https://[2001:db8::1]", true),
            ("2001:db8::1", "https://[2001:db8::1]", true),
            ("[2001:db8::1]:6443", "https://[2001:db8::1]:6443", true),
            ("[2001:db8::1]:6443", "https://[2001:db8::1]", false),
            ("::ffff:192.0.2.1", "https://192.0.2.1", true),
            (" a , ,example.com ", "https://example.com", true),
            (",:,", "https://example.com", false),
            ("foobar.com, .barbaz.net", "https://www.barbaz.net", true),
            ("foobar.com, .barbaz.net", "https://barbaz.net", false),
        ] {
            let variables = [("HTTPS_PROXY", "proxy"), ("NO_PROXY", none)];
            assert_eq!(chosen(&variables, url).is_none(), is_exempt, "{none} {url}");
        }
    }

    #[test]
    fn urls_of_proxies() {
        for (text, expected) in [
            ("proxy:3128", "http://proxy:3128/"),
            ("10.0.0.1", "http://10.0.0.1/"),
            ("socks5://me:secret@[::1]:1080", "socks5://me:secret@[::1]:1080/"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected);
        }
        for text in ["ftp://me:secret@a", "http://", "http://me:secret@a b", "socks4://a"] {
            let reason = parse(text).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
        assert_eq!(shown(&parse("socks5://me:secret@[::1]:1080").unwrap()), "socks5://[::1]:1080");
    }
}
