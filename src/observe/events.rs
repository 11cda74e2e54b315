//! Events: Kubernetes Events on Services, as `kubectl describe service` shows them.
//!
//! There is one Event for each change of a state. The built-in controller emits another one with
//! every sync (kubernetes#113544). A separate task sends them, behind a queue that drops what it
//! cannot hold, so that no write ever waits for an Event. Each is a new object of the group
//! `events.k8s.io`, which requires no permission but to create. A series, as kube's recorder
//! creates it, would report a second failure in the words of the first.

use std::{collections::HashMap, future::Future, time::Duration};

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
    api::refusal::is_namespace_terminating,
    assess::reason::Reason,
    causes::causes,
    clock::WallClock,
    model::name::{ServiceKey, Uid},
    pace::Pace,
    report::news::News,
};

/// How many Events may wait to be sent. What happens to a whole cluster at once is in the metrics.
const WAITING: usize = 256;
/// Events in a row, and the time between two after that.
const BURST: f64 = 25.0;
/// See [`BURST`].
const INTERVAL: Duration = Duration::from_secs(1);
/// The same for one Service, whose state may flap.
const SERVICE_BURST: f64 = 10.0;
/// See [`SERVICE_BURST`].
const SERVICE_INTERVAL: Duration = Duration::from_secs(60);
/// How many Services' paces are kept before those that have no effect any more are dropped.
const PACES: usize = 1000;
/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest `note` that the API server accepts, in bytes.
const NOTE: usize = 1024;

/// A change of a Service's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEvent {
    /// The Service.
    pub service: ServiceKey,
    /// Its UID, without which `kubectl describe` does not find the Event.
    pub uid: Option<Uid>,
    /// What has changed.
    pub news: News,
    /// When.
    pub at: Timestamp,
}

impl News {
    /// The reporting controller. The reasons of the built-in controller come with its name, by which
    /// users may search for them. The instance shows in any case that it was closehaul.
    fn controller(&self) -> &'static str {
        match self {
            Self::UpdateFailed(_) | Self::AutoHints | Self::NoAutoHints(_) | Self::AutoRemoved => {
                "endpoint-slice-controller"
            }
            _ => "closehaul",
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::UpdateFailed(_) => "FailedToUpdateEndpointSlices".to_owned(),
            Self::AutoHints => "TopologyAwareHintsEnabled".to_owned(),
            Self::NoAutoHints(_) | Self::AutoRemoved => "TopologyAwareHintsDisabled".to_owned(),
            Self::Ineffective { reason, .. } => reason.to_string(),
            Self::Effective => Reason::Applied.to_string(),
            Self::NodeMissing { .. } => Reason::NodeMissing.to_string(),
            Self::AddressNotAllowed { .. } => Reason::AddressNotAllowed.to_string(),
            Self::WriteRefused(_) => Reason::WriteRefused.to_string(),
            Self::Overwritten => Reason::OverwrittenByOtherController.to_string(),
        }
    }

    fn is_warning(&self) -> bool {
        !matches!(self, Self::AutoHints | Self::Effective)
    }

    /// What closehaul was about to do.
    fn action(&self) -> &'static str {
        match self {
            Self::UpdateFailed(_) | Self::WriteRefused(_) | Self::Overwritten => "WriteSlices",
            Self::NodeMissing { .. } | Self::AddressNotAllowed { .. } => "ListEndpoints",
            _ => "PlaceHints",
        }
    }

    fn note(&self) -> String {
        match self {
            Self::UpdateFailed(cause) => {
                format!("The EndpointSlices cannot be written, retrying: {cause}")
            }
            Self::AutoHints => "Hints by the topology annotation are in force".to_owned(),
            Self::NoAutoHints(reason) => format!(
                "Hints by the topology annotation are not in force: {}",
                reason.map_or("the CPU of a node is not known", meaning)
            ),
            Self::AutoRemoved => {
                "Hints by the topology annotation are no longer in force: it is gone".to_owned()
            }
            Self::Ineffective { reason, detail } => {
                let detail = detail.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
                format!("Traffic is not kept local as requested: {}{detail}", meaning(*reason))
            }
            Self::Effective => "Traffic is kept local as requested".to_owned(),
            Self::NodeMissing { pod, others: 0 } => {
                format!("Pod {pod} is left out of the EndpointSlices: its node is not known")
            }
            Self::NodeMissing { pod, others } => format!(
                "Pod {pod} and {others} more are left out of the EndpointSlices: their nodes are \
                 not known"
            ),
            Self::AddressNotAllowed { pod, address, others } => {
                let left_out = match others {
                    0 => "is left out".to_owned(),
                    others => format!("and {others} more are left out"),
                };
                format!(
                    "Address {address} of pod {pod} {left_out} of the EndpointSlices: the API \
                     server rejects slices with unspecified, loopback or link-local addresses"
                )
            }
            Self::WriteRefused(cause) => {
                format!("An EndpointSlice differs from the plan, retrying: {cause}")
            }
            Self::Overwritten => "Another controller writes the EndpointSlices, too: is the \
                                  endpointslice-controller of kube-controller-manager still on, or \
                                  a second closehaul installed?"
                .to_owned(),
        }
    }
}

/// A reason in words.
fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::SingleZone => "all nodes are in one zone",
        Reason::TooFewInZone => "there are fewer ready endpoints than zones",
        Reason::ZoneEmpty => "a zone has no ready endpoint",
        Reason::OverloadExceeded => "the endpoints of a zone would be overloaded",
        Reason::EndpointWithoutZone => "a ready endpoint has no zone, as its node has none",
        Reason::NodeMissing => "a pod's node is not known",
        Reason::AddressNotAllowed => "a pod has an address that slices must not contain",
        Reason::WriteRefused => "the API server rejects an EndpointSlice as invalid",
        Reason::NodeWithoutZoneLabel => "a node has no label topology.kubernetes.io/zone",
        Reason::ForeignSliceWithoutHints => {
            "an EndpointSlice of another manager has ready endpoints without hints"
        }
        Reason::OverwrittenByOtherController => "another controller writes the EndpointSlices, too",
        Reason::TrafficPolicyLocal => "hints are ignored under the traffic policy Local",
        Reason::Headless => "no proxy sees a headless Service",
        Reason::HiddenFromProxy => "the Service is left to another proxy by a label",
        Reason::NoMatchingPods => "the selector matches no pod",
        Reason::NoSuchPort => "no pod declares the port that the Service names",
        Reason::NoAddressInFamily => "no pod has an address of this family",
        Reason::NothingReady => "no endpoint is ready",
        Reason::ExternalName => "the Service is an alias",
        Reason::NoSelector => "the Service has no selector",
        Reason::LegacyAnnotationWins => "the topology annotation takes precedence",
        Reason::NoPreference => "no locality is requested",
        Reason::OptedOut => "the Service or its policy opts out",
        Reason::Shadow => "the policy is only reported",
        Reason::Conflicted => "two policies of the same rank are for the Service",
        Reason::PolicyUnknown => "what the policy requests is not known",
        Reason::PolicyNotFound => "the annotation names a policy that does not exist",
        Reason::PolicyInvalid => "the policy is invalid",
        Reason::Widened => "endpoints of other zones serve a zone, too, to keep within the limit",
        Reason::Evacuated => "a zone is evacuated",
        Reason::RolloutPending => "a zone is not kept local yet",
        Reason::Held => "a better plan waits until the present one has stood long enough",
        Reason::TooManyZones => "an endpoint would need more names than it may have",
        Reason::Applied | Reason::Lent => "hints are in force",
    }
}

/// Where Events are handed in.
#[derive(Debug)]
pub struct Emitter {
    sender: mpsc::Sender<ServiceEvent>,
    metrics: Metrics,
}

impl Emitter {
    /// Hands one in; it is dropped if too many wait.
    pub fn emit(&self, event: ServiceEvent) {
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
            services: HashMap::new(),
            is_failing: false,
        };
        (emitter, sending.run(receiver))
    }
}

struct Sending<F> {
    recorder: Recorder,
    may_send: F,
    pace: Pace,
    services: HashMap<ServiceKey, Pace>,
    /// Whether the last one failed, which is logged once.
    is_failing: bool,
}

impl<F: Fn() -> bool> Sending<F> {
    async fn run(mut self, mut receiver: mpsc::Receiver<ServiceEvent>) {
        while let Some(event) = receiver.recv().await {
            let emitted = if self.book(&event.service, Instant::now()) {
                sleep_until(self.pace.book(Instant::now())).await;
                if (self.may_send)() { self.send(&event).await } else { Emitted::Dropped }
            } else {
                debug!(?event, "too many Events of one Service, dropped one");
                Emitted::Dropped
            };
            self.recorder.metrics.others.emitted(emitted);
        }
    }

    /// Whether a Service may have another Event.
    fn book(&mut self, service: &ServiceKey, now: Instant) -> bool {
        if self.services.len() >= PACES {
            self.services.retain(|_, pace| !pace.is_full(now));
        }
        let fresh = || Pace::new(SERVICE_INTERVAL, SERVICE_BURST);
        let pace = self.services.entry(service.clone()).or_insert_with(fresh);
        let may_go = pace.ready_at().is_none_or(|ready| ready <= now);
        if may_go {
            pace.spend(now);
        }
        may_go
    }

    async fn send(&mut self, event: &ServiceEvent) -> Emitted {
        let service = &event.service;
        let event = body(event, &self.recorder.instance, self.recorder.wall.now());
        let events: Api<Event> = Api::namespaced(self.recorder.client.clone(), &service.namespace);
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
            debug!(%service, cause, "an Event was not sent again");
        } else {
            warn!(
                %service, cause,
                "an Event was not sent; if it was forbidden, closehaul lacks the permission to \
                 create events of the group events.k8s.io. Everything else goes on"
            );
        }
        Emitted::Failed
    }
}

/// The object to create, at `now`.
fn body(event: &ServiceEvent, instance: &str, now: Timestamp) -> Event {
    let ServiceEvent { service, uid, news, at } = event;
    let mut note = news.note();
    note.truncate((0..=NOTE).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0));
    Event {
        metadata: ObjectMeta {
            namespace: Some(service.namespace.to_string()),
            // The usual name of an Event. A Service's name leaves room for it.
            name: Some(format!("{}.{:x}", service.name, now.as_nanosecond())),
            ..ObjectMeta::default()
        },
        action: Some(news.action().to_owned()),
        event_time: Some(MicroTime(*at)),
        note: Some(note),
        reason: Some(news.reason()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(service.namespace.to_string()),
            name: Some(service.name.to_string()),
            uid: uid.as_ref().map(ToString::to_string),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(news.controller().to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(if news.is_warning() { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}
