//! Reporter: what the log, Events, health and metrics say about Services. It consumes what the
//! controller finds out. A Service whose decision changes gets a log line, and an Event if its state
//! changes. What is already so when a replica begins to lead is logged in one line: an Event for
//! each would come with every restart.

use std::collections::BTreeMap;

use foldhash::HashMap;
use tracing::{debug, info, warn};

use super::{
    left_out::LeftOut,
    other_writer::{Finding, OtherWriter},
    tally::Tally,
    write::WriteError,
};
use crate::{
    assess::decision::Decision,
    causes::causes,
    clock::Now,
    cluster::Index,
    model::name::{Name, ServiceKey, Uid},
    observe::{
        Duty, Health, Metrics,
        events::{ObjectEvent, Regarding},
    },
    report::{
        Report,
        news::{EvacuationNews, News},
        outlook::Outlook,
    },
};

/// Of the failures of one Service in a row, every tenth is logged: the first, and later about one in
/// ten minutes. When the API server is away, thousands of Services fail.
const LOG_EVERY: u32 = 10;

/// This many failures in a row lead to an Event. The first retries come within a second, and most
/// failures are over by then.
const TROUBLE: u32 = 3;

/// What is reported about Services.
#[derive(Debug)]
pub struct Reporter {
    /// The metrics.
    pub tally: Tally,
    /// Readiness and liveness.
    pub health: Health,
    services: HashMap<ServiceKey, Box<Reported>>,
    left_out: LeftOut,
    /// Whether the decisions that were found at the start have been logged.
    is_summed_up: bool,
    /// Whether they are logged for each Service.
    logs_all: bool,
    /// Events that have not been fetched yet.
    events: Vec<ObjectEvent>,
}

/// What was last reported about a Service.
#[derive(Debug)]
struct Reported {
    uid: Option<Uid>,
    outlook: Outlook,
    /// Whether there was an Event for the failure of its writes.
    has_failure_event: bool,
}

impl Reporter {
    /// Nothing has been reported yet. `logs_all` means that what is found at the start is logged for
    /// each Service.
    pub fn new(metrics: Metrics, health: Health, logs_all: bool) -> Self {
        Self {
            tally: Tally::new(metrics),
            health,
            services: HashMap::default(),
            left_out: LeftOut::default(),
            is_summed_up: false,
            logs_all,
            events: Vec::new(),
        }
    }

    /// The Events since the last call.
    pub fn events(&mut self) -> Vec<ObjectEvent> {
        std::mem::take(&mut self.events)
    }

    /// Whether the report on a Service with this outlook names what hinders it: the names cost
    /// more to find than the outlook.
    pub fn reports_hindrances(&self, service: &ServiceKey, outlook: &Outlook) -> bool {
        let known = self.services.get(service);
        self.says_all() && known.is_none_or(|reported| reported.outlook != *outlook)
    }

    /// The last decision on a Service.
    pub fn decision(&self, service: &ServiceKey) -> Option<&Decision> {
        self.services.get(service).map(|reported| &reported.outlook.decision)
    }

    /// Reports what is new in the plan of a Service. Returns whether its decision is.
    pub fn planned(&mut self, report: &Report, finding: Finding, now: Now) -> bool {
        let Report { service, uid, outlook, left_out, hindrances, .. } = report;
        let before = if let Some(reported) = self.services.get_mut(service) {
            reported.uid.clone_from(uid);
            (reported.outlook != *outlook)
                .then(|| std::mem::replace(&mut reported.outlook, outlook.clone()))
        } else {
            let (uid, outlook) = (uid.clone(), outlook.clone());
            let reported = Reported { uid, outlook, has_failure_event: false };
            self.services.insert(service.clone(), Box::new(reported));
            Some(Outlook::nothing())
        };
        self.found(service, finding, now);
        self.left_out.note(service, left_out, !self.says_all(), now.monotonic);
        let has_changed = before.is_some();
        let Some(before) = before.filter(|before| self.says_all() && before != outlook) else {
            return has_changed;
        };
        info!(
            namespace = %service.namespace, service = %service.name,
            prefer = outlook.prefers.as_deref().unwrap_or_default(),
            state = %outlook.decision.state, reason = %outlook.decision.reason(),
            reasons = ?outlook.decision.reasons, before = %before.decision.reason(),
            hindrances = %hindrances.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            "the decision on a Service has changed"
        );
        if let Some(news) = outlook.news(&before, hindrances) {
            self.emit(service, news, now);
        }
        has_changed
    }

    fn says_all(&self) -> bool {
        self.is_summed_up || self.logs_all
    }

    /// A Service is not served any more.
    pub fn left(&mut self, service: &ServiceKey) {
        self.tally.left(service);
        self.left_out.forget(service);
        self.services.remove(service);
    }

    /// Logs what was found once all Services have been planned for the first time. `index` has them.
    pub fn sum_up(&mut self, index: &Index) {
        let mut served = index.services().filter(|service| service.is_served());
        if self.is_summed_up || !served.all(|service| self.services.contains_key(&service.key)) {
            return;
        }
        let mut reasons = BTreeMap::new();
        for reported in self.services.values() {
            *reasons.entry(reported.outlook.decision.reason().to_string()).or_insert(0) += 1;
        }
        let services: i32 = reasons.values().sum();
        self.is_summed_up = true;
        info!(services, ?reasons, "all Services have been planned");
    }

    /// Whether all Services have been planned since the start.
    pub fn is_summed_up(&self) -> bool {
        self.is_summed_up
    }

    /// Emits Events for pods that have been left out for a while.
    pub fn left_out_too_long(&mut self, now: Now) {
        for (service, news) in self.left_out.overdue(now.monotonic) {
            self.emit(&service, news, now);
        }
    }

    /// Reports the failures, if any, of a Service's writes, which have failed `before` times in a
    /// row.
    pub fn wrote(&mut self, service: &ServiceKey, failures: &[WriteError], before: u32, now: Now) {
        for failure in failures {
            log(service, failure, before);
            if matches!(failure, WriteError::Refused { .. }) {
                self.health.refused(Duty::Writes, &causes(failure));
            }
        }
        let Some(reported) = self.services.get_mut(service) else { return };
        if failures.is_empty() {
            reported.has_failure_event = false;
        } else if before + 1 >= TROUBLE
            && !reported.has_failure_event
            && let Some(trouble) = failures.iter().find(|failure| failure.is_trouble())
        {
            reported.has_failure_event = true;
            let cause = causes(trouble);
            if trouble.is_invalid() {
                self.emit(service, News::WriteRefused(cause.clone()), now);
            }
            if !matches!(trouble, WriteError::Trimmed { .. }) {
                self.emit(service, News::UpdateFailed(cause), now);
            }
        }
    }

    /// Reports what a plan has shown of another writer.
    fn found(&mut self, service: &ServiceKey, finding: Finding, now: Now) {
        if finding.is_active {
            warn!(
                %service,
                "another controller writes the slices that closehaul manages, too: if it is \
                 kube-controller-manager, append -endpointslice-controller to its --controllers; \
                 if it is a second installation of closehaul, remove one"
            );
        }
        if finding.is_contested {
            warn!(
                %service,
                "another client overwrites the slices of this Service again and again: closehaul \
                 repairs them with growing delays, up to a minute"
            );
        }
        if finding != Finding::default() {
            self.emit(service, News::Overwritten, now);
        }
    }

    /// Reports that nothing more is patched into the slices of a Service for a while.
    pub fn gave_up(&mut self, service: &ServiceKey, now: Now) {
        warn!(
            %service,
            "another controller overwrites the hints of this Service again and again, so they are left \
             to it for ten minutes or longer: the admission policy does not keep them"
        );
        self.emit(service, News::HintsOverwritten, now);
    }

    /// Reports that an evacuation was deleted while it was in force.
    pub fn evacuation_deleted(&mut self, name: &Name, uid: Option<Uid>, now: Now) {
        info!(evacuation = %name, "an evacuation has ended: it was deleted");
        let regarding = Regarding::Evacuation(name.clone());
        let news = News::Evacuation(EvacuationNews::Deleted);
        self.events.push(ObjectEvent { regarding, uid, news, at: now.wall });
    }

    /// Publishes what is known about another writer.
    pub fn other_writer(&self, other_writer: &OtherWriter) {
        let is_active = other_writer.is_active();
        self.health.other_writer(is_active);
        self.tally.others(is_active, other_writer.contested());
    }

    fn emit(&mut self, service: &ServiceKey, news: News, now: Now) {
        let uid = self.services.get(service).and_then(|reported| reported.uid.clone());
        let regarding = Regarding::Service(service.clone());
        self.events.push(ObjectEvent { regarding, uid, news, at: now.wall });
    }
}

/// Logs a failed write of a Service that has failed `before` times in a row.
fn log(key: &ServiceKey, failure: &WriteError, before: u32) {
    let cause = causes(failure);
    if !before.is_multiple_of(LOG_EVERY) {
        debug!(service = %key, cause, before, "a write failed again");
        return;
    }
    match failure {
        WriteError::Conflict { .. } | WriteError::NotLeading { .. } => {
            info!(service = %key, cause, before, "a slice was not written, retrying");
        }
        WriteError::Stopping { .. } => info!(service = %key, cause, "a slice was not written"),
        _ => warn!(service = %key, cause, before, "a write failed, retrying"),
    }
}
