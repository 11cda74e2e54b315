//! Outcomes: what follows from the writes for a Service, from their answers until the watch has shown
//! them.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::Controller;
use crate::{
    clock::Now,
    control::{
        expectations::Sight,
        progress::Verdict,
        queue::Class,
        write::{Outcome, WriteError},
    },
    model::{name::ServiceKey, slice::Slice},
};

/// How long to wait for the watch to show a local write before planning again anyway.
const ECHO_LIMIT: Duration = Duration::from_secs(30);

impl Controller {
    /// Records the outcome of the writes for a Service.
    pub fn finish(&mut self, outcome: Outcome, at: Now) {
        let now = at.monotonic;
        self.reporter.tally.ended(&outcome);
        let Outcome { service: key, written, failures, .. } = outcome;
        self.returned(&key, &outcome.shown, now);
        self.found(&key, outcome.found);
        if outcome.node_hints_dropped {
            self.give_up_node_hints(&key, now);
        }
        let versions = written.iter().filter_map(|sight| match sight {
            Sight::Version(version) => Some(*version),
            Sight::Gone(_) => None,
        });
        self.others.first_write = self.others.first_write.or_else(|| versions.min());
        let Some(progress) = self.progress.get_mut(&key) else {
            // It was deleted in the meantime.
            self.queue.done(&key, now);
            return;
        };
        progress.taken.extend(outcome.taken);
        let took = progress.began.take().map(|began| now.saturating_duration_since(began));
        let workers = u32::try_from(self.settings.concurrency).unwrap_or(u32::MAX).max(1);
        self.queue.charge(&key, took.unwrap_or_default() / workers);
        let before = progress.before.take();
        if !failures.is_empty() {
            self.index.unsettle(&key);
            // The next try is for the same changes.
            drop(before.map(|before| before.put(&mut progress.seen)));
        }
        let has_succeeded = failures.is_empty() && !outcome.node_hints_dropped;
        let has_become = failures.is_empty() && progress.written();
        let foreign = progress.end(written, &failures, self.lists.slices_seen, now);
        let was_refused = progress.is_refused;
        progress.is_refused |= failures.iter().any(WriteError::is_invalid);
        if was_refused && failures.is_empty() {
            // The API server accepts all slices now, which the next plan reports. That plan may
            // find more to write, for instance where a webhook changes slices. It must not lead to
            // another plan each time.
            progress.is_refused = false;
            self.enqueue(key.clone(), Class::Endpoints, now);
        }
        let before = self.queue.failures(&key);
        self.patched(&key, has_succeeded, now);
        self.saw_others(&key, foreign, now);
        if foreign.events > 0 {
            let due = self.repair_due(&key, now);
            self.enqueue(key.clone(), Class::Endpoints, due);
        }
        self.reporter.wrote(&key, &failures, before, at);
        if has_become {
            self.statuses.of_service(&self.index, &key, true, now);
        }
        self.unseen.insert(key.clone());
        self.settle(&key, now);
    }

    /// Takes in slices that the watch has not shown yet. One that it has passed may be gone, and a
    /// list tells by itself.
    fn found(&mut self, key: &ServiceKey, slices: Vec<Slice>) {
        for slice in slices {
            let version = slice.meta.version;
            if self.lists.slices.is_none() && version > self.lists.slices_seen {
                self.index.apply_slice(slice);
                if let Some(progress) = self.progress.get_mut(key) {
                    progress.expectations.know(version);
                }
            }
        }
    }

    /// Continues without `forNodes` until this process ends, whatever later answers contain: of
    /// several API servers, as during an upgrade, one may keep what the next one drops. Under policies,
    /// zones may be named differently then.
    fn give_up_node_hints(&mut self, key: &ServiceKey, now: Instant) {
        if !std::mem::replace(&mut self.settings.plan.node_hints, false) {
            return;
        }
        self.reporter.tally.node_hints_dropped();
        warn!(
            service = %key,
            "the API server does not store hints.forNodes of slices: its feature gate \
             PreferSameTrafficDistribution is off (or an admission webhook removes them); Services \
             with PreferSameNode get zone hints only from now on: switch the gate on, then restart \
             closehaul"
        );
        self.index.void_plans();
        let services = self.index.requesting_nodes();
        self.hints_changed(services, now);
    }

    /// Releases a Service whose writes have ended and have all been seen.
    pub(super) fn settle(&mut self, key: &ServiceKey, now: Instant) {
        let Some(progress) = self.progress.get_mut(key) else { return };
        let Some(ended) = progress.ended else { return };
        progress.expectations.reach(self.lists.slices_seen);
        if progress.expectations.are_met() {
            self.unseen.remove(key);
        } else if now.saturating_duration_since(ended.at) >= ECHO_LIMIT {
            warn!(service = %key, "the watch has not shown a local write in time, going on without it");
            progress.expectations.drop_all();
            self.reporter.tally.unseen();
        } else {
            return;
        }
        progress.ended = None;
        match ended.verdict {
            Verdict::Done => self.queue.done(key, now),
            Verdict::Retry => self.queue.retry(key, now, Class::Endpoints),
            Verdict::RetryUnanswered => self.queue.retry_unanswered(key, now, Class::Endpoints),
            Verdict::RetryAfter(wait) => self.queue.retry_after(key, now, Class::Endpoints, wait),
        }
    }

    /// A list of slices is complete: it shows the results of all writes that had ended before it
    /// was requested. A write that it does not show has been undone by another client, and no event
    /// will ever show that.
    pub(super) fn slices_listed(&mut self, now: Instant) {
        let Some(list) = self.lists.slices.take() else { return };
        self.lists.slices_seen = list.seen;
        for key in std::mem::take(&mut self.unseen) {
            let Some(progress) = self.progress.get_mut(&key) else { continue };
            if progress.ended.is_some_and(|ended| ended.at > list.asked) {
                self.unseen.insert(key);
                continue;
            }
            progress.expectations.drop_all();
            let due = self.repair_due(&key, now);
            self.enqueue(key.clone(), Class::Endpoints, due);
            self.settle(&key, now);
        }
    }
}
