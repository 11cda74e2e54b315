//! What a Lease contains, and what to do about it: pure.

use std::time::Duration;

use super::{Identity, Timing};
use crate::clock::Moment;
use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

/// client-go's `LeaderElectionRecord`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Who holds it. Empty if no one does.
    pub holder: String,
    /// How long it holds after a change was seen, in whole seconds.
    pub duration: Duration,
    /// When the holder took it, by the holder's clock. For people only.
    pub acquired: Option<Timestamp>,
    /// When the holder renewed it, by its own clock. Only changes of it matter, not its value.
    pub renewed: Option<Timestamp>,
    /// How often the holder has changed.
    pub transitions: i32,
}

impl Record {
    /// The contents of a Lease; what is missing is zero or empty, as in client-go.
    pub fn read(spec: &LeaseSpec) -> Self {
        let seconds = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        Self {
            holder: spec.holder_identity.clone().unwrap_or_default(),
            duration: Duration::from_secs(seconds),
            acquired: spec.acquire_time.as_ref().map(|time| time.0),
            renewed: spec.renew_time.as_ref().map(|time| time.0),
            transitions: spec.lease_transitions.unwrap_or(0),
        }
    }

    /// Whether its holder may still lead at this time, by its own record of when it renewed. For
    /// clients that are no candidates and look once. A candidate waits until it has seen nothing
    /// change for the duration, see [`decide`].
    pub fn is_held(&self, now: Timestamp) -> bool {
        let until = self.renewed.and_then(|renewed| renewed.checked_add(self.duration).ok());
        !self.holder.is_empty() && until.is_some_and(|until| now < until)
    }

    /// Puts this into a Lease, without changing what leader election does not use.
    pub(super) fn write(&self, spec: &mut LeaseSpec) {
        spec.holder_identity = Some(self.holder.clone());
        spec.lease_duration_seconds = i32::try_from(self.duration.as_secs()).ok();
        spec.acquire_time = self.acquired.map(MicroTime);
        spec.renew_time = self.renewed.map(MicroTime);
        spec.lease_transitions = Some(self.transitions);
    }

    /// `old` taken over or renewed by `me`; the first record if there is none.
    pub(super) fn held(
        old: Option<&Self>,
        me: &Identity,
        timing: &Timing,
        clock: Timestamp,
    ) -> Self {
        let mine = old.filter(|old| old.holder == me.as_str());
        let now = micros(clock);
        Self {
            holder: me.as_str().to_owned(),
            duration: timing.lease_duration(),
            acquired: mine.and_then(|mine| mine.acquired).or(Some(now)),
            renewed: Some(now),
            transitions: match (old, mine) {
                (None, _) => 0,
                (_, Some(mine)) => mine.transitions,
                (Some(other), None) => other.transitions.saturating_add(1),
            },
        }
    }

    /// Released: no one holds it, and not for long.
    pub(super) fn released(&self, clock: Timestamp) -> Self {
        let now = Some(micros(clock));
        Self {
            holder: String::new(),
            duration: Duration::from_secs(1),
            acquired: now,
            renewed: now,
            transitions: self.transitions,
        }
    }
}

/// A Lease has microseconds. With more digits, what was written would differ from what is read.
fn micros(clock: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(clock.as_microsecond()).unwrap_or(clock)
}

/// A record, and when it was first seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The record.
    pub record: Record,
    /// By the clock of the observer.
    pub since: Moment,
}

/// What a candidate does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is no Lease: create it.
    Create,
    /// Nobody holds it, or its holder has gone silent: take it over.
    Take,
    /// It is ours: renew it.
    Renew,
    /// Another client holds it, and will for at least this long.
    Wait(Duration),
}

/// What `me` does about a Lease as `observed`. `None` means that there is none.
pub fn decide(observed: Option<&Observed>, me: &Identity, now: Moment) -> Step {
    let Some(Observed { record, since }) = observed else { return Step::Create };
    if record.holder == me.as_str() {
        return Step::Renew;
    }
    let left = (*since + record.duration).saturating_since(now);
    if record.holder.is_empty() || left.is_zero() { Step::Take } else { Step::Wait(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn record(holder: &str) -> Record {
        let record = Record { holder: holder.into(), duration: 15 * SECOND, ..Record::default() };
        Record { transitions: 3, ..record }
    }

    #[test]
    fn what_to_do_about_a_lease() {
        let (me, now) = (Identity::from("me".to_owned()), Moment::after_start(100 * SECOND));
        let after = |holder: &str, age: u32| {
            let since = Moment::after_start((100 - age) * SECOND);
            let observed = Observed { record: record(holder), since };
            decide(Some(&observed), &me, now)
        };
        assert_eq!(decide(None, &me, now), Step::Create);
        assert_eq!(after("", 0), Step::Take, "nobody's");
        assert_eq!(after("other", 0), Step::Wait(15 * SECOND));
        assert_eq!(after("other", 14), Step::Wait(SECOND));
        assert_eq!(after("other", 15), Step::Take, "silent for its duration");
        assert_eq!(after("me", 0), Step::Renew);
        assert_eq!(after("me", 99), Step::Renew, "no other client took it");
    }

    #[test]
    fn the_holders_clock_is_not_read() {
        let (me, now) = (Identity::from("me".to_owned()), Moment::after_start(SECOND));
        for renewed in ["1970-01-01T00:00:00Z", "2200-01-01T00:00:00Z"] {
            let record = Record { renewed: Some(renewed.parse().unwrap()), ..record("other") };
            let step = decide(Some(&Observed { record, since: now }), &me, now);
            assert_eq!(step, Step::Wait(15 * SECOND));
        }
    }

    #[test]
    fn a_lease_is_held_for_its_duration() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let renewed = Record { renewed: Some(at(100)), ..record("other") };
        assert!(renewed.is_held(at(100)) && renewed.is_held(at(114)));
        assert!(!renewed.is_held(at(115)), "expired");
        assert!(renewed.is_held(at(0)), "its clock is ahead");
        assert!(!Record { holder: String::new(), ..renewed }.is_held(at(100)), "nobody's");
        assert!(!record("other").is_held(at(100)), "never renewed");
    }

    #[test]
    fn records_are_written_as_client_go_writes_them() {
        let (me, timing) = (Identity::from("me".to_owned()), Timing::default());
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let first = Record::held(None, &me, &timing, at(10));
        assert_eq!(
            (first.transitions, first.acquired, first.renewed),
            (0, Some(at(10)), Some(at(10)))
        );
        let renewed = Record::held(Some(&first), &me, &timing, at(12));
        assert_eq!(
            (renewed.transitions, renewed.acquired, renewed.renewed),
            (0, Some(at(10)), Some(at(12)))
        );
        let released = renewed.released(at(20));
        assert_eq!((released.holder.as_str(), released.duration), ("", SECOND));
        let taken =
            Record::held(Some(&released), &Identity::from("you".to_owned()), &timing, at(21));
        assert_eq!(
            (taken.transitions, taken.acquired, taken.duration),
            (1, Some(at(21)), 15 * SECOND)
        );

        let mut spec = LeaseSpec { strategy: Some("kept".into()), ..LeaseSpec::default() };
        taken.write(&mut spec);
        assert_eq!((Record::read(&spec), spec.strategy.as_deref()), (taken, Some("kept")));
    }
}
