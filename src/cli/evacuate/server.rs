//! Server: what is asked of the API server besides lists: who we are, what time it is there, whether a
//! leader runs, and the evacuations of a zone.

use http::{Response, header};
use http_body_util::BodyExt;
use jiff::{Timestamp, fmt::rfc2822};
use k8s_openapi::api::{authentication::v1::SelfSubjectReview, coordination::v1::Lease};
use kube::{
    Api, Client, Error, Resource as _,
    api::{DeleteParams, ListParams, PostParams, Preconditions},
    client::Body,
    core::{ApiResource, DynamicObject},
};
use tokio::time::Instant;

use super::{Attempt, EvacuateError};
use crate::{
    api::crd::{definition::ZONE, evacuation::ZoneEvacuation},
    causes::causes,
    control::lease::Record,
    web_page,
};

/// Who writes, as the API server records it.
const FIELD_MANAGER: &str = "closehaul-evacuate";
/// Who the sender of a request is (KEP-3325), in all supported versions.
const REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// What is asked there.
const QUESTION: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;

/// The API server.
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) url: String,
}

/// What an answer says about us and the time.
pub(super) struct Greeting {
    /// Who we are, as the API server sees it; `None` if it does not say.
    pub(super) user: Option<String>,
    /// Its time when it answered; `None` if it does not say.
    time: Option<Timestamp>,
    at: Instant,
}

impl Greeting {
    /// The time now, by the API server's clock if it has one.
    pub(super) fn now(&self) -> Timestamp {
        let Some(time) = self.time else { return Timestamp::now() };
        time.saturating_add(self.at.elapsed()).unwrap_or(time)
    }

    /// Whether the time is that of this machine.
    pub(super) fn is_by_local_clock(&self) -> bool {
        self.time.is_none()
    }
}

/// Whether a leader of closehaul seems to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leader {
    /// It does, or its lease may not be read.
    Unsuspected,
    /// There is no lease.
    NoLease,
    /// Nobody holds the lease, or its holder has not renewed it in time.
    Stale,
}

impl Server {
    /// Asks who we are.
    ///
    /// # Errors
    /// No answer, or the credentials are not accepted.
    pub(super) async fn greet(&self) -> Result<Greeting, EvacuateError> {
        let request = http::Request::post(REVIEW)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(QUESTION.as_bytes().to_vec()));
        let request =
            request.map_err(|error| self.failed(Attempt::Ask, Error::HttpError(error)))?;
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|error| self.failed(Attempt::Ask, error))?;
        let (time, at) = (time(&answer), Instant::now());
        if answer.status() == http::StatusCode::UNAUTHORIZED {
            return Err(EvacuateError::Unknown { url: self.url.clone() });
        }
        let is_answered = answer.status().is_success();
        let body = answer.into_body().collect().await;
        let body = body.map_err(|error| self.failed(Attempt::Ask, error))?.to_bytes();
        let review: Option<SelfSubjectReview> =
            serde_json::from_slice(&body).ok().filter(|_| is_answered);
        let user = review.and_then(|review| review.status?.user_info?.username);
        Ok(Greeting { user: user.filter(|user| !user.is_empty()), time, at })
    }

    /// Whether a leader seems to run at this time.
    pub(super) async fn leader(&self, namespace: &str, name: &str, now: Timestamp) -> Leader {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), namespace);
        match leases.get_opt(name).await {
            Ok(None) => Leader::NoLease,
            Ok(Some(lease)) => {
                let record = lease.spec.as_ref().map(Record::read).unwrap_or_default();
                if is_held(&record, now) { Leader::Unsuspected } else { Leader::Stale }
            }
            Err(_) => Leader::Unsuspected,
        }
    }

    /// Creates an evacuation, or has it only checked. Returns its name.
    ///
    /// # Errors
    /// The API server does not create it.
    pub(super) async fn create(
        &self,
        evacuation: &ZoneEvacuation,
        dry_run: bool,
    ) -> Result<String, EvacuateError> {
        let api: Api<ZoneEvacuation> = Api::all(self.client.clone());
        let field_manager = Some(FIELD_MANAGER.to_owned());
        let created = api.create(&PostParams { dry_run, field_manager }, evacuation).await;
        let created = created.map_err(|error| self.failed(Attempt::Create, error))?;
        Ok(created.metadata.name.unwrap_or_default())
    }

    /// All evacuations.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) async fn list(&self) -> Result<Vec<DynamicObject>, EvacuateError> {
        let listed = self.evacuations().list(&ListParams::default()).await;
        Ok(listed.map_err(|error| self.failed(Attempt::List, error))?.items)
    }

    /// Deletes an evacuation. One that is gone already is no error.
    ///
    /// # Errors
    /// It is still there.
    pub(super) async fn delete(
        &self,
        evacuation: &DynamicObject,
        dry_run: bool,
    ) -> Result<(), EvacuateError> {
        let uid = evacuation.metadata.uid.clone();
        let preconditions = Some(Preconditions { uid, resource_version: None });
        let params = DeleteParams { dry_run, preconditions, ..DeleteParams::default() };
        let name = evacuation.metadata.name.as_deref().unwrap_or_default();
        match self.evacuations().delete(name, &params).await {
            Err(error) if !is_gone(&error) => Err(self.failed(Attempt::Delete, error)),
            _ => Ok(()),
        }
    }

    /// Of any version: what this one does not know must not hinder a cancellation.
    fn evacuations(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &ApiResource::erase::<ZoneEvacuation>(&()))
    }

    fn failed(&self, attempt: Attempt, error: Error) -> EvacuateError {
        let url = self.url.clone();
        let words = |message: String| web_page::words(&message).unwrap_or(message);
        match error {
            Error::Api(status) if status.code == 401 => EvacuateError::Unknown { url },
            Error::Api(status) if status.code == 403 => {
                EvacuateError::Refused { attempt, url, reason: words(status.message) }
            }
            Error::Api(status) if status.code == 404 => EvacuateError::Missing { url },
            Error::Api(status) => {
                EvacuateError::Failed { attempt, url, reason: words(status.message) }
            }
            error => EvacuateError::Failed { attempt, url, reason: causes(&error) },
        }
    }
}

/// The label by which the evacuations of a zone are found.
pub(super) fn is_of(zone: &str, evacuation: &DynamicObject) -> bool {
    let labels = evacuation.meta().labels.as_ref();
    labels.and_then(|labels| labels.get(ZONE)).is_some_and(|of| of == zone)
}

/// Whether a lease is held at this time.
fn is_held(record: &Record, now: Timestamp) -> bool {
    let ends = record.renewed.and_then(|at| at.saturating_add(record.duration).ok());
    !record.holder.is_empty() && ends.is_some_and(|ends| ends >= now)
}

/// The time at which an answer was sent, by its sender's clock.
fn time<T>(answer: &Response<T>) -> Option<Timestamp> {
    let date = answer.headers().get(header::DATE)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().parse_timestamp(date).ok()
}

/// It was deleted, or another object has its name.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 404 || status.code == 409)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_of_an_answer() {
        let dated = |date: &str| time(&Response::builder().header("date", date).body(()).unwrap());
        let expected: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(dated("Fri, 02 Jan 2026 03:04:05 GMT"), Some(expected));
        assert_eq!(dated("soon"), None);
        assert_eq!(time(&Response::new(())), None);
    }

    #[test]
    fn a_lease_is_held_until_it_expires() {
        let renewed: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let record = Record {
            holder: "one".to_owned(),
            duration: Duration::from_secs(15),
            renewed: Some(renewed),
            ..Record::default()
        };
        assert!(is_held(&record, renewed + Duration::from_secs(15)));
        assert!(!is_held(&record, renewed + Duration::from_secs(16)));
        let nobody = Record { holder: String::new(), ..record };
        assert!(!is_held(&nobody, renewed));
        assert!(!is_held(&Record::default(), renewed));
    }
}
