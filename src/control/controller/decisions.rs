//! Decisions: what is told of a plan: a log line when a Service's decision changes, an Event when
//! its state does. What is so already when this copy begins to lead is told in one line: an Event
//! for each would come with every restart.

use std::collections::BTreeMap;

use tokio::time::Instant;
use tracing::info;

use super::Controller;
use crate::{
    control::{other_writer::Finding, outlook::Outlook},
    model::name::ServiceKey,
    observe::announce::News,
};

impl Controller {
    /// Records what a plan of a Service shows, and reports what is new. `left_out` are the Events
    /// for what the plan leaves out.
    pub(super) fn tell_plan(
        &mut self,
        service: &ServiceKey,
        outlook: Outlook,
        left_out: [Option<News>; 2],
        finding: Finding,
        now: Instant,
    ) {
        self.tell_finding(service, finding);
        self.left_out.note(service, left_out, !self.is_summed_up, now);
        let Some(progress) = self.progress.get_mut(service) else { return };
        let before = progress.outlook.replace(outlook);
        let Some(outlook) = progress.outlook.as_ref().filter(|_| self.is_summed_up) else { return };
        let before = before.unwrap_or_else(Outlook::nothing);
        if before == *outlook {
            return;
        }
        info!(
            namespace = %service.namespace, service = %service.name,
            prefer = outlook.prefers.unwrap_or_default(),
            state = %outlook.decision.state, reason = %outlook.decision.reason(),
            reasons = ?outlook.decision.reasons, before = %before.decision.reason(),
            "the decision on a Service has changed"
        );
        let news = outlook.news(&before);
        if let Some(news) = news {
            self.announce(service, news);
        }
    }

    /// Tells, once all Services have been planned for the first time, what was found.
    pub(super) fn sum_up(&mut self) {
        let outlook = |service: &ServiceKey| self.progress.get(service)?.outlook.as_ref();
        let mut served = self.index.services().filter(|service| service.is_served());
        let is_ready = !self.is_summed_up
            && self.leads_since.is_some()
            && served.all(|service| outlook(&service.key).is_some());
        if !is_ready {
            return;
        }
        let mut reasons = BTreeMap::new();
        for outlook in self.progress.values().filter_map(|progress| progress.outlook.as_ref()) {
            *reasons.entry(outlook.decision.reason().to_string()).or_insert(0) += 1;
        }
        let services: i32 = reasons.values().sum();
        self.is_summed_up = true;
        info!(services, ?reasons, "all Services have been planned");
    }

    /// Emits Events for pods that have been left out for a while.
    pub(super) fn tell_left_out(&mut self, now: Instant) {
        for (service, news) in self.left_out.overdue(now) {
            self.announce(&service, news);
        }
    }
}
