//! Server: the URL of the API server that a kubeconfig means, as client-go reads it
//! (`DefaultServerURL` in `rest/url_utils.go`).

use http::Uri;

/// The URL for `server`. Without a scheme it is a host and perhaps a port, reached by TLS if
/// anything about TLS is configured (`has_tls`).
///
/// # Errors
/// Why it is none.
pub(super) fn url(server: &str, has_tls: bool) -> Result<Uri, String> {
    let (scheme, rest) = match server.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None if server.trim_end_matches('/').contains('/') => {
            return Err("without https:// it must be HOST or HOST:PORT".to_owned());
        }
        None => ((if has_tls { "https" } else { "http" }).to_owned(), server),
    };
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(format!("the scheme is {scheme} instead of https or http"));
    }
    let url: Uri = format!("{scheme}://{rest}").parse().map_err(|it| format!("{it}"))?;
    if url.host().is_none_or(str::is_empty) {
        return Err("it has no host".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_added_as_client_go_does() {
        for (server, has_tls, expected) in [
            ("https://api.example.com:6443", false, "https://api.example.com:6443/"),
            ("HTTPS://api.example.com", false, "https://api.example.com/"),
            ("https://rancher/k8s/clusters/c-1", true, "https://rancher/k8s/clusters/c-1"),
            ("10.0.0.1:6443", false, "http://10.0.0.1:6443/"),
            ("10.0.0.1:6443", true, "https://10.0.0.1:6443/"),
            ("localhost", false, "http://localhost/"),
            ("localhost:8080/", false, "http://localhost:8080/"),
            ("[::1]:6443", true, "https://[::1]:6443/"),
        ] {
            assert_eq!(url(server, has_tls).unwrap().to_string(), expected, "{server}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_server() {
        for server in
            ["api/k8s", "ftp://a", "https://", "://a", "https://a b", "a:b:c", "unix:///x"]
        {
            assert!(url(server, true).is_err(), "{server}");
        }
    }
}
