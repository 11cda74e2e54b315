//! Progress: what the controller remembers of one Service between two syncs.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    expectations::{Expectations, Foreign, Shown, Sight},
    history::Floor,
    overwrites::Hinted,
    write::WriteError,
};
use crate::{
    assess::decision::Decision,
    model::{address::AddressType, name::Name},
    pace::Pace,
    plan::{
        Plan,
        hints::auto::{CpuShares, ZoneCounts, is_overloaded},
        trigger::{Seen, Sighting},
    },
    report::grounds::Grounds,
};

/// How long a write without an answer may take to be applied: the API server gives up on a request
/// after a minute.
const UNANSWERED: Duration = Duration::from_secs(60);

/// Each slice written makes the next change of the Service's pods wait this long, after
/// [`AT_ONCE`]. In a rolling update, where one change follows the other, the same slices would
/// otherwise be written again and again.
const PER_SLICE: Duration = Duration::from_millis(20);
/// Slices that may be written at once, after a quiet time.
const AT_ONCE: f64 = 10.0;
/// No change of a pod is delayed for longer.
const GATHERED: Duration = Duration::from_millis(250);

/// What is remembered about one Service.
#[derive(Debug)]
pub struct Progress {
    /// For the trigger time.
    pub seen: Option<Seen>,
    /// Restores it to its state before the writes that are under way.
    pub before: Option<Sighting>,
    /// The result of the legacy annotation, by address type. Empty if it is not in effect.
    pub counts: BTreeMap<AddressType, Option<ZoneCounts>>,
    /// When its writes began that are under way.
    pub began: Option<Instant>,
    /// The versions that had been seen when its writes began.
    pub floor: Floor,
    /// Local writes that are not seen yet.
    pub expectations: Expectations,
    /// Writes that have ended and wait to be seen.
    pub ended: Option<Ended>,
    /// Whether anything but its slices has changed since its last plan.
    pub is_affected: bool,
    /// The same for its last plan, whose writes have not ended yet.
    pub was_affected: bool,
    /// Until when an unanswered write may still be applied and shown.
    pub unanswered: Option<Instant>,
    /// Whether the API server has rejected one of its slices as invalid, so that it differs from
    /// the plan.
    pub is_refused: bool,
    /// The slices written recently.
    pub pace: Pace,
    /// Names for its slices that another client's slices have.
    pub taken: Vec<Name>,
    /// Whether its last plan took long.
    pub is_slow: bool,
    /// Whether an evacuation has begun, changed or ended for it, so that its hints are written as
    /// soon as endpoints.
    pub is_urgent: bool,
    /// Whether its slices are as policies request.
    pub programmed: Programmed,
    /// Since when the plan of its hints under a policy has stood, as far as this process knows.
    pub stands_since: Option<Instant>,
    /// The hints that were last patched into its slices, all of them seen since; and when.
    pub hinted: Hinted,
    /// See [`Self::hinted`].
    pub hinted_at: Option<Instant>,
    /// The hints in the patches that are under way.
    pub sent: Hinted,
    /// What was last reported of a preference that it does not request.
    pub offered: Option<Decision>,
    /// The decision on its last plan, and what it was based on.
    pub decided: Option<(Grounds, Decision)>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            seen: None,
            before: None,
            counts: BTreeMap::new(),
            began: None,
            floor: Floor::default(),
            expectations: Expectations::default(),
            ended: None,
            is_affected: false,
            was_affected: false,
            unanswered: None,
            is_refused: false,
            pace: Pace::new(PER_SLICE, AT_ONCE),
            taken: Vec::new(),
            is_slow: false,
            is_urgent: false,
            programmed: Programmed::No,
            hinted: Hinted::default(),
            hinted_at: None,
            sent: Hinted::default(),
            offered: None,
            stands_since: None,
            decided: None,
        }
    }
}

/// Whether the slices of a Service are as policies request, or need not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programmed {
    /// It has not been planned since that changed.
    No,
    /// It has been planned, and its writes are under way.
    Planned,
    /// They are.
    Yes,
}

/// What becomes of the plan of a Service's hints that was in force (docs/planner.md 8.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// There is no policy with a plan.
    None,
    /// It stays.
    Kept,
    /// It stays because it has not stood for this long, which is `hold`.
    Held(Duration),
    /// There is a new plan.
    New,
}

impl Stand {
    /// What becomes of the plan in force under this plan.
    pub fn of(plan: &Plan<'_>) -> Self {
        let Some(request) = plan.intent.request() else { return Self::None };
        let planned = plan.families.iter().filter_map(|family| family.planned.as_ref());
        let mut outcomes = planned.flat_map(|planned| &planned.groups).map(|group| &group.outcome);
        let hold = request.guard.map_or(Duration::ZERO, |guard| guard.hold);
        if outcomes.clone().any(|outcome| outcome.is_held) {
            Self::Held(hold)
        } else if outcomes.all(|outcome| outcome.is_kept) {
            Self::Kept
        } else {
            Self::New
        }
    }
}

/// Writes that have ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// When.
    pub at: Instant,
    /// Whether and how to continue.
    pub verdict: Verdict,
}

/// What follows from the outcome of writes. Of two outcomes, the greater applies to both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All is written.
    Done,
    /// Retry, with back-off.
    Retry,
    /// The same, and a write was not answered.
    RetryUnanswered,
    /// Retry at the time that the API server named.
    RetryAfter(Duration),
}

impl Verdict {
    /// What follows from these failures. A busy server is spared, whatever else has failed.
    pub fn on(failures: &[WriteError]) -> Self {
        let wait = failures.iter().filter_map(|failure| match failure {
            WriteError::Busy { wait, .. } => Some(*wait),
            _ => None,
        });
        match wait.max() {
            Some(wait) => Self::RetryAfter(wait),
            None if failures.is_empty() => Self::Done,
            None if failures.iter().any(WriteError::is_unanswered) => Self::RetryUnanswered,
            None => Self::Retry,
        }
    }
}

impl Progress {
    /// The last decision if it has the same grounds, and else a new one.
    pub fn decision(
        &mut self,
        grounds: Option<Grounds>,
        decide: impl FnOnce() -> Decision,
    ) -> Decision {
        let known = self.decided.as_ref().filter(|(of, _)| grounds == Some(*of));
        if let Some((_, decision)) = known {
            return decision.clone();
        }
        let decision = decide();
        self.decided = grounds.map(|grounds| (grounds, decision.clone()));
        decision
    }

    /// How long the plan of its hints has stood. The time counts from its first plan in this process.
    pub fn stood(&self, now: Instant) -> Duration {
        self.stands_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Records what becomes of the plan of its hints. Returns when to plan again because of `hold`.
    pub fn stand(&mut self, stand: Stand, now: Instant) -> Option<Instant> {
        match stand {
            Stand::None => self.stands_since = None,
            Stand::New => self.stands_since = Some(now),
            Stand::Kept => {
                self.stands_since.get_or_insert(now);
            }
            Stand::Held(hold) => return Some(*self.stands_since.get_or_insert(now) + hold),
        }
        None
    }

    /// Records that it was planned, and whether anything must be written. Returns whether its slices
    /// have become as policies request.
    pub fn planned(&mut self, is_idle: bool) -> bool {
        let before = self.programmed;
        match before {
            Programmed::No if !is_idle => self.programmed = Programmed::Planned,
            Programmed::No | Programmed::Planned if is_idle => self.programmed = Programmed::Yes,
            _ => {}
        }
        before != Programmed::Yes && self.programmed == Programmed::Yes
    }

    /// Records that all of its writes have succeeded. Returns whether its slices have become as
    /// policies request.
    pub fn written(&mut self) -> bool {
        let has_become = self.programmed == Programmed::Planned;
        if has_become {
            self.programmed = Programmed::Yes;
        }
        has_become
    }

    /// Its writes begin, of this many slices.
    pub fn begin(&mut self, slices: usize, now: Instant) {
        self.began = Some(now);
        self.expectations.begin();
        (0..slices).for_each(|_| self.pace.spend(now));
    }

    /// When a change of its pods that arrives `now` may lead to writes.
    pub fn gathered(&self, now: Instant) -> Instant {
        self.pace.ready_at().map_or(now, |ready| ready.clamp(now, now + GATHERED))
    }

    /// Records an event of one of its slices; returns what it shows of other writers.
    pub fn see(&mut self, shown: Shown, now: Instant) -> Foreign {
        let foreign = self.expectations.see(shown);
        self.without_unanswered(foreign, now)
    }

    /// Records the end of its writes; `seen` is the version that the watch has reached. Returns
    /// what the events in between show of other writers.
    pub fn end(
        &mut self,
        written: Vec<Sight>,
        failures: &[WriteError],
        seen: u64,
        now: Instant,
    ) -> Foreign {
        let foreign = self.expectations.end(written, seen);
        if failures.iter().any(WriteError::is_unanswered) {
            self.unanswered = Some(now + UNANSWERED);
        }
        self.is_affected |= self.was_affected && !failures.is_empty();
        self.ended = Some(Ended { at: now, verdict: Verdict::on(failures) });
        self.without_unanswered(foreign, now)
    }

    /// What an unanswered write may have done is no sign of another writer.
    fn without_unanswered(&self, foreign: Foreign, now: Instant) -> Foreign {
        let is_doubtful = self.unanswered.is_some_and(|until| now < until);
        Foreign { signs: if is_doubtful { 0 } else { foreign.signs }, ..foreign }
    }

    /// Whether the legacy annotation is in effect and a change of nodes may change its result.
    pub fn is_unbalanced(&self, shares: Option<&CpuShares>) -> bool {
        self.counts
            .values()
            .any(|counts| counts.as_ref().is_none_or(|counts| is_overloaded(counts, shares)))
    }
}
