//! Optional: follows a kind that the API server may not have, or that is not needed yet.
//!
//! Whether the API server has a kind is what the group's document ([`super::discovery`]) and a list
//! say together: around its start, an API server answers 404 for kinds that it has. Once the kind has
//! been listed, both must say so for two minutes ([`GONE`]).

use std::time::Duration;

use futures::{FutureExt, Stream, stream::unfold};
use kube::{Api, Client, api::ListParams};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    Cause, Change, Follower, Reader, changed,
    discovery::{Document, LIMIT, is_not_found},
};
use crate::api::{Kind, Object, guard::Guarded};

/// How long a kind that has been listed must be absent before it counts as absent.
const GONE: Duration = Duration::from_secs(120);

/// Follows all objects of a kind that the API server may not have, by the `document` of its group.
/// Never ends.
pub fn follow_if_there<T: Kind>(
    reader: Reader,
    document: watch::Receiver<Document>,
) -> impl Stream<Item = Change<T>> + Send + 'static {
    let optional = Optional {
        reader,
        document,
        follower: None,
        has_been_listed: false,
        absent_since: None,
        is_reported: false,
    };
    unfold(optional, async |mut optional| Some((optional.next().await, optional)))
}

/// Follows all objects of a kind from when that is ordered. Never ends.
pub fn follow_when_needed<T: Kind>(
    mut reader: Reader,
) -> impl Stream<Item = Change<T>> + Send + 'static {
    let start = async move {
        while !reader.orders.borrow_and_update().is_needed {
            changed(&mut reader.orders).await;
        }
        super::follow(reader)
    };
    start.flatten_stream()
}

struct Optional<T> {
    reader: Reader,
    document: watch::Receiver<Document>,
    /// While the kind is there.
    follower: Option<Follower<T>>,
    has_been_listed: bool,
    /// Since when it has been absent.
    absent_since: Option<Instant>,
    /// The consumer knows that it is absent.
    is_reported: bool,
}

impl<T: Kind> Optional<T> {
    async fn next(&mut self) -> Change<T> {
        loop {
            let Some(follower) = &mut self.follower else {
                if let Some(change) = self.look().await {
                    return change;
                }
                continue;
            };
            let change = follower.next().await;
            match &change {
                Change::Failed { cause: Cause::NoSuchKind, .. } if self.is_gone() => {
                    return self.absent();
                }
                Change::Listed => {
                    self.has_been_listed = true;
                    self.absent_since = None;
                }
                _ => {}
            }
            return change;
        }
    }

    /// Reads the document while the kind is not followed. Returns what is new about the kind.
    async fn look(&mut self) -> Option<Change<T>> {
        let document = self.document.borrow_and_update().clone();
        let is_absent = match &document {
            Document::Unread => false,
            Document::Read(names) => !names.contains(T::PLURAL),
            Document::Failed { error, cause, will_retry_in } if !self.is_reported => {
                let (error, cause) = (error.clone(), *cause);
                let failed = Change::Failed { error, cause, will_retry_in: *will_retry_in };
                changed_document(&mut self.document).await;
                return Some(failed);
            }
            // What is known to be absent stays so until it is seen.
            Document::Failed { .. } => true,
        };
        let is_there = matches!(document, Document::Read(_)) && !is_absent;
        if is_there
            || (is_absent
                && !self.is_reported
                && !is_refused::<T>(self.reader.client.clone()).await)
        {
            self.is_reported = false;
            self.follower = Some(Follower::new(self.reader.renewed()));
        } else if is_absent && !self.is_reported {
            return Some(self.absent());
        } else {
            changed_document(&mut self.document).await;
        }
        None
    }

    /// Whether a kind is gone of which the last request was answered with 404.
    fn is_gone(&mut self) -> bool {
        let is_named = !matches!(&*self.document.borrow(), Document::Read(names) if !names.contains(T::PLURAL));
        if is_named {
            self.absent_since = None;
            return false;
        }
        let since = *self.absent_since.get_or_insert_with(Instant::now);
        !self.has_been_listed || since.elapsed() >= GONE
    }

    fn absent(&mut self) -> Change<T> {
        self.follower = None;
        self.absent_since = None;
        self.is_reported = true;
        // A watch that does not run is not silent.
        self.reader.received.send_replace(None);
        Change::Absent
    }
}

/// Whether a list of the kind is answered with 404.
async fn is_refused<T: Kind>(client: Client) -> bool {
    let api: Api<Guarded<Object<T>>> = Api::all_with(client, &());
    let list = timeout(LIMIT, api.list_metadata(&ListParams::default().limit(1))).await;
    matches!(list, Ok(Err(error)) if is_not_found(&error))
}

/// Ends when the document was read again, with another result.
async fn changed_document(document: &mut watch::Receiver<Document>) {
    if document.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
