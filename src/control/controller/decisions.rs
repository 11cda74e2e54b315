//! Decisions: what is told of a plan: a log line when a Service's decision changes, an Event when
//! its state does. What is so already when this copy begins to lead is told in one line: an Event
//! for each would come with every restart.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use tracing::info;

use super::Controller;
use crate::{
    control::{other_writer::Finding, outlook::Outlook},
    observe::announce::News,
    plan::name::{Name, ServiceKey},
};

/// A pod is often seen before its node; only after so long is that worth an Event.
const NODELESS: Duration = Duration::from_secs(10);

/// Pods of one Service whose node is not known.
#[derive(Debug)]
pub(super) struct Nodeless {
    since: Instant,
    /// One of them.
    pod: Name,
    /// How many others there are.
    others: usize,
    is_told: bool,
}

impl Controller {
    /// Takes note of what a plan of a Service shows, and tells what is new; `nodeless` is a pod whose
    /// node is not known, with how many others there are.
    pub(super) fn tell_plan(
        &mut self,
        service: &ServiceKey,
        outlook: Outlook,
        nodeless: Option<(Name, usize)>,
        finding: Finding,
        now: Instant,
    ) {
        self.tell_finding(service, finding);
        self.note_nodeless(service, nodeless, now);
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

    fn note_nodeless(
        &mut self,
        service: &ServiceKey,
        nodeless: Option<(Name, usize)>,
        now: Instant,
    ) {
        let Some((pod, others)) = nodeless else {
            self.nodeless.remove(service);
            return;
        };
        let is_told = !self.is_summed_up;
        let fresh = || Nodeless { since: now, pod: pod.clone(), others, is_told };
        let known = self.nodeless.entry(service.clone()).or_insert_with(fresh);
        (known.pod, known.others) = (pod, others);
    }

    /// Announces pods that have been left out for a while as their node is not known.
    pub(super) fn tell_nodeless(&mut self, now: Instant) {
        let mut overdue = Vec::new();
        for (service, nodeless) in &mut self.nodeless {
            let waits = now.saturating_duration_since(nodeless.since);
            if !nodeless.is_told && waits >= NODELESS {
                nodeless.is_told = true;
                let pod = nodeless.pod.clone();
                overdue.push((service.clone(), News::NodeMissing { pod, others: nodeless.others }));
            }
        }
        for (service, news) in overdue {
            self.announce(&service, news);
        }
    }
}
