//! The collections of kube-apiserver's garbage. One takes both of two cores for a moment, and when
//! it comes depends on how full the heap was before: so each scenario begins after one, and how
//! many follow is counted.

use http::Request;
use kube::Client;

use super::Error;

/// Go's heap profile as text. Its last lines are about the collector.
const PROFILE: &str = "/debug/pprof/heap?debug=1";

/// Makes the API server collect its garbage. Returns how many times it did since its start.
pub(super) async fn collect(client: &Client) -> Result<u64, Error> {
    ask(client, &format!("{PROFILE}&gc=1")).await
}

/// How many times it has done so.
pub(super) async fn collections(client: &Client) -> Result<u64, Error> {
    ask(client, PROFILE).await
}

async fn ask(client: &Client, path: &str) -> Result<u64, Error> {
    let request = Request::get(path).body(Vec::new());
    let request = request.map_err(|source| Error::Garbage(kube::Error::HttpError(source)))?;
    let profile = client.request_text(request).await.map_err(Error::Garbage)?;
    number(&profile).ok_or_else(|| Error::Uncounted { path: path.to_owned() })
}

fn number(profile: &str) -> Option<u64> {
    profile.lines().find_map(|line| line.strip_prefix("# NumGC = ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn the_number_is_in_the_profile() {
        let profile = "heap profile: 1: 2 [3: 4] @ heap/1048576\n# NextGC = 9\n# NumGC = 41\n";
        assert_eq!(number(profile), Some(41));
        assert_eq!(number("# NumForcedGC = 41\n"), None);
    }
}
