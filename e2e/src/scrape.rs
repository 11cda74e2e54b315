//! Metrics of processes, as Prometheus reads them, and their health checks.

use std::collections::BTreeMap;

use http::{Request, uri::InvalidUri};
use kube::{Client, Config, client::Body};

/// What can go wrong with a request to a process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is invalid.
    #[error("{url}: {source}")]
    Url {
        /// The address.
        url: String,
        /// Why it is invalid.
        source: InvalidUri,
    },
    /// There was no answer.
    #[error("no answer at {path}: {source}")]
    Request {
        /// What was requested.
        path: String,
        /// Why.
        source: kube::Error,
    },
    /// The metrics are not served, or are malformed.
    #[error("no metrics (status {status}): {text}")]
    Metrics {
        /// The status code.
        status: u16,
        /// The answer, or the malformed line.
        text: String,
    },
}

/// Metrics at one moment.
#[derive(Debug, Clone, Default)]
pub struct Scraped {
    /// The text as received.
    pub text: String,
    /// The type of each metric.
    pub types: BTreeMap<String, String>,
    /// The value of each series, by its name in the text, where labels are sorted.
    pub series: BTreeMap<String, f64>,
}

impl Scraped {
    /// Parses the text format. Returns a malformed line as the error.
    pub fn parse(text: String) -> Result<Self, String> {
        let mut scraped = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(words) = line.strip_prefix("# TYPE ") {
                let (name, of) = words.split_once(' ').ok_or(line)?;
                scraped.types.insert(name.to_owned(), of.to_owned());
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').ok_or(line)?;
                scraped.series.insert(series.to_owned(), value.parse().map_err(|_| line)?);
            }
        }
        scraped.text = text;
        Ok(scraped)
    }

    /// The value of a series; 0 if there is none.
    pub fn value(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_default()
    }
}

/// A client of a process at `url`, without TLS.
pub fn client(url: &str) -> Result<Client, Error> {
    let parsed = url.parse().map_err(|source| Error::Url { url: url.to_owned(), source })?;
    let mut config = Config::new(parsed);
    // It would retry if the answer is that something is not ready.
    config.default_retry = false;
    Client::try_from(config).map_err(|source| Error::Request { path: url.to_owned(), source })
}

/// The status code and the text at a path.
pub async fn get(client: &Client, path: &str) -> Result<(u16, String), Error> {
    let failed = |source| Error::Request { path: path.to_owned(), source };
    let request = Request::get(path).body(Body::empty()).map_err(kube::Error::HttpError);
    let answer = client.send(request.map_err(failed)?).await.map_err(failed)?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await.map_err(failed)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Everything at `/metrics`.
pub async fn scrape(client: &Client) -> Result<Scraped, Error> {
    let (status, text) = get(client, "/metrics").await?;
    if status != 200 {
        return Err(Error::Metrics { status, text });
    }
    Scraped::parse(text).map_err(|text| Error::Metrics { status, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_format() {
        let text = "# HELP a A.\n# TYPE a counter\na{b=\"c d\"} 1\na{b=\"e\"} 2.5e+3\n";
        let scraped = Scraped::parse(text.to_owned()).unwrap();
        assert_eq!(scraped.types["a"], "counter");
        assert_eq!((scraped.value("a{b=\"c d\"}"), scraped.value("a{b=\"e\"}")), (1.0, 2500.0));
        assert_eq!(Scraped::parse("a b\n".to_owned()).unwrap_err(), "a b");
    }
}
