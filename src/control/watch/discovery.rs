//! Discovery: which kinds of closehaul's own group the API server has. The group's document is read
//! again and again, so that objects count soon after their kind is installed.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::{Client, Error};
use kube_runtime::utils::Backoff as _;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{Cause, backoff::backoff};
use crate::{
    api::policy::{GROUP, VERSION},
    causes::causes,
    plain::shortened,
    random::Random,
};

/// From one reading to the next.
const LOOK: Duration = Duration::from_secs(15);
/// How long a request may take.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// What is known of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// It has not been read yet.
    Unread,
    /// The plurals of its kinds; empty if there is no such group.
    Read(BTreeSet<String>),
    /// It could not be read.
    Failed {
        /// For the log.
        error: String,
        /// What kind of failure it was.
        cause: Cause,
        /// The next attempt begins after this.
        will_retry_in: Duration,
    },
}

/// Reads the document of closehaul's own group, and publishes it to each follower whenever it differs.
/// Ends if there is none. A separate channel for each follower keeps the order in which they wake the
/// same in each run; one for all would wake them in random order (tokio).
pub async fn discover(client: Client, mut random: Random, followers: Vec<watch::Sender<Document>>) {
    let mut backoff = backoff(&mut random);
    while followers.iter().any(|document| !document.is_closed()) {
        let (read, wait) = match timeout(LIMIT, kinds(&client)).await {
            Ok(Ok(names)) => {
                backoff.reset();
                (Document::Read(names), LOOK)
            }
            failed => {
                let wait = backoff.next().unwrap_or_default();
                (failure(failed.ok().and_then(Result::err).as_ref(), wait), wait)
            }
        };
        for document in &followers {
            document.send_if_modified(|known| std::mem::replace(known, read.clone()) != read);
        }
        sleep(wait).await;
    }
}

/// The plurals of the kinds of closehaul's own group; empty if there is no such group.
pub async fn kinds(client: &Client) -> Result<BTreeSet<String>, Error> {
    let request = http::Request::get(format!("/apis/{GROUP}/{VERSION}")).body(Vec::new());
    match client.request::<APIResourceList>(request.map_err(Error::HttpError)?).await {
        Ok(document) => Ok(document.resources.into_iter().map(|resource| resource.name).collect()),
        Err(error) if is_not_found(&error) => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// `None` stands for no answer in time.
fn failure(error: Option<&Error>, will_retry_in: Duration) -> Document {
    let Some(error) = error else {
        let cause = Cause::TimedOut;
        return Document::Failed { error: cause.words().to_owned(), cause, will_retry_in };
    };
    let words = match error {
        Error::Api(status) => shortened(format!("{} {}", status.code, status.message)),
        error => causes(error),
    };
    Document::Failed { error: words, cause: Cause::of_request(error), will_retry_in }
}

pub(super) fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 404)
}
