//! Events: Kubernetes Events on Services and evacuations, as `kubectl describe` shows them. What they
//! say is in [`words`].
//!
//! There is one Event for each change of a state. The built-in controller emits another one with
//! every sync (kubernetes#113544). A separate task sends them, behind a queue that drops what it
//! cannot hold, so that no write ever waits for an Event. Each is a new object of the group
//! `events.k8s.io`, which requires no permission but to create. A series, as kube's recorder
//! creates it, would report a second failure in the words of the first.

mod words;

use std::{collections::HashMap, fmt, future::Future, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, warn};

use super::{Duty, Emitted, Health, Metrics};
use crate::{
    api::{Kind as _, refusal::is_namespace_terminating},
    causes::causes,
    clock::WallClock,
    model::{
        name::{Name, ServiceKey, Uid},
        policy::ZoneEvacuation,
        service::Service,
    },
    pace::Pace,
    report::news::News,
};

/// How many Events may wait to be sent. What happens to a whole cluster at once is in the metrics.
const WAITING: usize = 256;
/// Events in a row, and the time between two after that.
const BURST: f64 = 25.0;
/// See [`BURST`].
const INTERVAL: Duration = Duration::from_secs(1);
/// The same for one object, whose state may flap.
const OBJECT_BURST: f64 = 10.0;
/// See [`OBJECT_BURST`].
const OBJECT_INTERVAL: Duration = Duration::from_secs(60);
/// How many objects' paces are kept before those that have no effect any more are dropped.
const PACES: usize = 1000;
/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest `note` that the API server accepts, in bytes.
const NOTE: usize = 1024;

/// The longest name of an object.
const NAME: usize = 253;
/// Where Events on objects without a namespace are: the API server accepts no other place.
const DEFAULT_NAMESPACE: &str = "default";

/// The object that an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Regarding {
    /// A Service.
    Service(ServiceKey),
    /// A `ZoneEvacuation`.
    Evacuation(Name),
}

impl fmt::Display for Regarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => write!(f, "Service {service}"),
            Self::Evacuation(name) => write!(f, "{} {name}", ZoneEvacuation::KIND),
        }
    }
}

impl Regarding {
    fn name(&self) -> &Name {
        match self {
            Self::Service(service) => &service.name,
            Self::Evacuation(name) => name,
        }
    }

    /// `None` if it is of none.
    fn namespace(&self) -> Option<&Name> {
        match self {
            Self::Service(service) => Some(&service.namespace),
            Self::Evacuation(_) => None,
        }
    }

    /// The namespace of its Events.
    fn event_namespace(&self) -> &str {
        self.namespace().map_or(DEFAULT_NAMESPACE, |namespace| namespace)
    }

    /// Its kind, with the version of its API.
    fn kind(&self) -> (String, &'static str) {
        match self {
            Self::Service(_) => (Service::VERSION.to_owned(), Service::KIND),
            Self::Evacuation(_) => (
                format!("{}/{}", ZoneEvacuation::GROUP, ZoneEvacuation::VERSION),
                ZoneEvacuation::KIND,
            ),
        }
    }
}

/// Something new about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEvent {
    /// The object.
    pub regarding: Regarding,
    /// Its UID, without which `kubectl describe` does not find the Event.
    pub uid: Option<Uid>,
    /// What has changed.
    pub news: News,
    /// When.
    pub at: Timestamp,
}

/// Where Events are handed in.
#[derive(Clone, Debug)]
pub struct Emitter {
    sender: mpsc::Sender<ObjectEvent>,
    metrics: Metrics,
}

impl Emitter {
    /// Hands one in; it is dropped if too many wait.
    pub fn emit(&self, event: ObjectEvent) {
        if let Err(dropped) = self.sender.try_send(event) {
            self.metrics.others.emitted(Emitted::Dropped);
            debug!(event = ?dropped.into_inner(), "too many Events wait, dropped one");
        }
    }
}

/// What sends Events.
#[derive(Clone)]
pub struct Recorder {
    /// The client; it must not retry by itself.
    pub client: Client,
    /// Which replica of closehaul it is; at most 128 bytes.
    pub instance: String,
    /// Where Events are counted.
    pub metrics: Metrics,
    /// Where refusals are reported.
    pub health: Health,
    /// When Events are sent, from which their names follow.
    pub wall: WallClock,
}

impl Recorder {
    /// Returns where Events are handed in, and the task that sends them one after the other. It drops
    /// those whose turn comes when `may_send` does not hold.
    pub fn start<F: Fn() -> bool + Send>(
        self,
        may_send: F,
    ) -> (Emitter, impl Future<Output = ()> + Send + use<F>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let emitter = Emitter { sender, metrics: self.metrics.clone() };
        let sending = Sending {
            recorder: self,
            may_send,
            pace: Pace::new(INTERVAL, BURST),
            objects: HashMap::new(),
            is_failing: false,
        };
        (emitter, sending.run(receiver))
    }
}

struct Sending<F> {
    recorder: Recorder,
    may_send: F,
    pace: Pace,
    objects: HashMap<Regarding, Pace>,
    /// Whether the last one failed, which is logged once.
    is_failing: bool,
}

impl<F: Fn() -> bool> Sending<F> {
    async fn run(mut self, mut receiver: mpsc::Receiver<ObjectEvent>) {
        while let Some(event) = receiver.recv().await {
            let emitted = if self.book(&event.regarding, Instant::now()) {
                sleep_until(self.pace.book(Instant::now())).await;
                if (self.may_send)() { self.send(&event).await } else { Emitted::Dropped }
            } else {
                debug!(?event, "too many Events of one object, dropped one");
                Emitted::Dropped
            };
            self.recorder.metrics.others.emitted(emitted);
        }
    }

    /// Whether an object may have another Event.
    fn book(&mut self, object: &Regarding, now: Instant) -> bool {
        if self.objects.len() >= PACES {
            self.objects.retain(|_, pace| !pace.is_full(now));
        }
        let fresh = || Pace::new(OBJECT_INTERVAL, OBJECT_BURST);
        let pace = self.objects.entry(object.clone()).or_insert_with(fresh);
        let may_go = pace.ready_at().is_none_or(|ready| ready <= now);
        if may_go {
            pace.spend(now);
        }
        may_go
    }

    async fn send(&mut self, event: &ObjectEvent) -> Emitted {
        let regarding = &event.regarding;
        let event = body(event, &self.recorder.instance, self.recorder.wall.now());
        let events: Api<Event> =
            Api::namespaced(self.recorder.client.clone(), regarding.event_namespace());
        let parameters =
            PostParams { field_manager: Some("closehaul".to_owned()), ..PostParams::default() };
        let cause = match timeout(LIMIT, events.create(&parameters, &event)).await {
            Ok(Ok(_)) => {
                self.is_failing = false;
                return Emitted::Sent;
            }
            Ok(Err(kube::Error::Api(status))) if is_namespace_terminating(&status) => {
                return Emitted::Dropped;
            }
            Ok(Err(error)) => {
                let cause = causes(&error);
                if matches!(error, kube::Error::Api(_)) {
                    self.recorder.health.refused(Duty::Events, &cause);
                }
                cause
            }
            Err(_) => format!("no answer within {LIMIT:?}"),
        };
        if std::mem::replace(&mut self.is_failing, true) {
            debug!(%regarding, cause, "an Event was not sent again");
        } else {
            warn!(
                %regarding, cause,
                "an Event was not sent; if it was forbidden, closehaul lacks the permission to \
                 create events of the group events.k8s.io. Everything else goes on"
            );
        }
        Emitted::Failed
    }
}

/// The object to create, at `now`.
fn body(event: &ObjectEvent, instance: &str, now: Timestamp) -> Event {
    let ObjectEvent { regarding, uid, news, at } = event;
    let mut note = news.note();
    note.truncate((0..=NOTE).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0));
    let (api_version, kind) = regarding.kind();
    Event {
        metadata: ObjectMeta {
            namespace: Some(regarding.event_namespace().to_owned()),
            name: Some(name(regarding.name(), now)),
            ..ObjectMeta::default()
        },
        action: Some(news.action().to_owned()),
        event_time: Some(MicroTime(*at)),
        note: Some(note),
        reason: Some(news.reason()),
        regarding: Some(ObjectReference {
            api_version: Some(api_version),
            kind: Some(kind.to_owned()),
            namespace: regarding.namespace().map(ToString::to_string),
            name: Some(regarding.name().to_string()),
            uid: uid.as_ref().map(ToString::to_string),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(news.controller().to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(if news.is_warning() { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

/// The usual name of an Event on an object with this name, which is shortened if it must be.
fn name(object: &str, now: Timestamp) -> String {
    let end = format!(".{:x}", now.as_nanosecond());
    let begin = &object[..object.len().min(NAME - end.len())];
    // A part of a name ends with a letter or a digit.
    format!("{}{end}", begin.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_events_are_short_enough() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(name("zone-a-x7k2p", now), "zone-a-x7k2p.1886caf21c963200");
        let long = name(&("x".repeat(235) + "-." + &"y".repeat(16)), now);
        assert_eq!(long, "x".repeat(235) + ".1886caf21c963200");
    }
}
