//! Page: answers that no API server gives. A web page in place of an object, and a redirection, fail
//! with words for both; otherwise they would fail as JSON that does not parse.
//!
//! Pages that come with a status of an error stay as they are, since the status counts.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION},
};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tower::BoxError;

use crate::{plain::plain, web_page};

/// How much of a page is read for its title.
const START: usize = 64 * 1024;

/// What stands where the API server was expected.
#[derive(Debug, thiserror::Error)]
pub enum NotTheApi {
    /// Perhaps a captive portal or the page of an ingress.
    #[error(
        "the answer is {0}; is the server's address right, and does a proxy or a login stand before \
         it?"
    )]
    Page(String),
    /// Perhaps to a login.
    #[error(
        "the answer leads to {0}, which API servers do not do; is the server's address right, and \
         does a login stand before it?"
    )]
    Elsewhere(String),
}

/// The answer, unless it cannot be an API server's.
pub(super) async fn check(answer: Response<Incoming>) -> Result<Response<Incoming>, BoxError> {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    if answer.status().is_redirection()
        && let Some(place) = header(LOCATION)
    {
        // What comes after a question mark may be a secret.
        let place = place.split('?').next().unwrap_or_default();
        return Err(NotTheApi::Elsewhere(plain(place)).into());
    }
    let is_page = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
    if !is_page || !answer.status().is_success() {
        return Ok(answer);
    }
    let is_compressed = header(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let start = Limited::new(answer.into_body(), START).collect().await;
    let start = start.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let start = if is_compressed { decompressed(&start) } else { start.to_vec() };
    let words = web_page::words(&String::from_utf8_lossy(&start));
    let words = words.unwrap_or_else(|| "a web page and not the Kubernetes API".to_owned());
    Err(NotTheApi::Page(plain(&words)).into())
}

/// As much of it as can be decompressed.
fn decompressed(bytes: &[u8]) -> Vec<u8> {
    let mut start = Vec::new();
    // What was read before an error stays.
    let _ = GzDecoder::new(bytes).take(START as u64).read_to_end(&mut start);
    start
}
