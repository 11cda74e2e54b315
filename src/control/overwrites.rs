//! Overwrites: whether hints stay that were patched into the slices of another controller
//! (docs/assist.md). The admission policy keeps them through the other controller's writes. Where
//! something is wrong with it, that controller writes its own hints at once, and each further patch would
//! only bring another of its writes. So closehaul stops after a few rounds, and tries again after a wait
//! that doubles. Pure: times are arguments.

use std::{hash::BuildHasher as _, time::Duration};

use foldhash::{HashMap, quality::FixedState};
use tokio::time::Instant;

use crate::{
    model::{
        name::{Name, ServiceKey},
        slice::{Endpoint, Slice},
    },
    plan::{changes::Changes, in_force::uid},
};

/// How many times in a row hints of a Service must have been overwritten soon after they were written.
const ROUNDS: u32 = 3;
/// How soon. The other controller answers each patch within seconds.
const SOON: Duration = Duration::from_secs(60);
/// The first wait. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(10 * 60);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(4 * 60 * 60);

/// The Services whose hints were overwritten.
#[derive(Debug, Default)]
pub struct Overwrites(HashMap<ServiceKey, Fight>);

/// What has happened to the hints of one Service.
#[derive(Debug, Default)]
struct Fight {
    /// How often in a row they were overwritten soon after they were written.
    lost: u32,
    /// How often closehaul has given up since then.
    given_up: u32,
    /// Nothing is written before this.
    until: Option<Instant>,
    /// When they were last written.
    written: Option<Instant>,
}

impl Overwrites {
    /// Hints of a Service that were written at `written` were found overwritten. Returns until when
    /// nothing more is written, if closehaul gives up now.
    pub fn lost(
        &mut self,
        service: &ServiceKey,
        written: Instant,
        now: Instant,
    ) -> Option<Instant> {
        let fight = self.0.entry(service.clone()).or_default();
        let is_soon = now.saturating_duration_since(written) < SOON;
        fight.written = None;
        fight.lost = if is_soon { fight.lost.saturating_add(1) } else { 1 };
        if fight.lost < ROUNDS && fight.given_up == 0 {
            return None;
        }
        let wait = FIRST_WAIT.saturating_mul(1_u32 << fight.given_up.min(16)).min(LONGEST_WAIT);
        fight.given_up = fight.given_up.saturating_add(1);
        fight.until = Some(now + wait);
        fight.until
    }

    /// Hints of a Service were written.
    pub fn wrote(&mut self, service: &ServiceKey, now: Instant) {
        if let Some(fight) = self.0.get_mut(service) {
            fight.written = Some(now);
        }
    }

    /// A plan has found that nothing must be written for a Service: its hints stand, whoever wrote them.
    pub fn stand(&mut self, service: &ServiceKey, now: Instant) {
        if let Some(fight) = self.0.get_mut(service) {
            fight.written.get_or_insert(now);
        }
    }

    /// Until when nothing is written for a Service; `None` if it may be.
    pub fn closed_until(&self, service: &ServiceKey, now: Instant) -> Option<Instant> {
        self.0.get(service)?.until.filter(|until| now < *until)
    }

    /// Whether closehaul has given up on a Service, and has not been found to be wrong since.
    pub fn has_given_up(&self, service: &ServiceKey) -> bool {
        self.0.get(service).is_some_and(|fight| fight.given_up > 0)
    }

    /// The Services on which closehaul has given up.
    pub fn given_up(&self) -> impl Iterator<Item = &ServiceKey> {
        self.0.iter().filter(|(_, fight)| fight.given_up > 0).map(|(service, _)| service)
    }

    /// The Service is gone, or nothing is requested for it.
    pub fn forget(&mut self, service: &ServiceKey) {
        self.0.remove(service);
    }

    /// Forgets the Services whose hints stand. Returns those among them on which closehaul had given up,
    /// sorted. Must be called from time to time.
    pub fn tick(&mut self, now: Instant) -> Vec<ServiceKey> {
        let stands = |fight: &Fight| {
            let written = fight.written.filter(|_| fight.until.is_none_or(|until| until <= now));
            written.is_some_and(|written| now.saturating_duration_since(written) >= SOON)
        };
        let standing = self.0.extract_if(|_, fight| stands(fight));
        let freed = standing.filter(|(_, fight)| fight.given_up > 0);
        let mut freed: Vec<ServiceKey> = freed.map(|(service, _)| service).collect();
        freed.sort_unstable();
        freed
    }
}

/// The hints that were last written into the slices of one Service, each as a number.
#[derive(Debug, Default)]
pub struct Hinted(HashMap<Name, Box<[Mark]>>);

/// A pod and its hints.
type Mark = (u64, u64);

impl Hinted {
    /// The hints in these writes.
    pub fn of(writes: &[Changes]) -> Self {
        let slices = writes.iter().flat_map(|changes| &changes.updates);
        let of_slice = |slice: &Slice| {
            let marks = slice.endpoints.iter().filter_map(mark).collect();
            Some((slice.meta.name.clone()?, marks))
        };
        Self(slices.filter_map(of_slice).collect())
    }

    /// Adds those of later writes.
    pub fn append(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a pod has other hints in one of these slices now.
    pub fn differ_from(&self, slices: &[&Slice]) -> bool {
        slices.iter().any(|slice| {
            let written = slice.meta.name.as_ref().and_then(|name| self.0.get(name));
            let Some(written) = written else { return false };
            let written: HashMap<u64, u64> = written.iter().copied().collect();
            let marks = slice.endpoints.iter().filter_map(mark);
            marks.into_iter().any(|(pod, hints)| written.get(&pod).is_some_and(|old| *old != hints))
        })
    }
}

fn mark(endpoint: &Endpoint) -> Option<Mark> {
    let state = FixedState::default();
    Some((state.hash_one(uid(endpoint)?), state.hash_one(&endpoint.hints)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn key() -> ServiceKey {
        ServiceKey { namespace: "shop".into(), name: "web".into() }
    }

    /// Writes and loses hints once, two seconds later.
    fn round(overwrites: &mut Overwrites, now: Instant) -> Option<Duration> {
        overwrites.wrote(&key(), now);
        let until = overwrites.lost(&key(), now, now + 2 * SECOND)?;
        Some(until - (now + 2 * SECOND))
    }

    #[test]
    fn after_three_rounds_it_waits_longer_and_longer() {
        let (mut overwrites, start) = (Overwrites::default(), Instant::now());
        assert_eq!(round(&mut overwrites, start), None);
        assert_eq!(round(&mut overwrites, start + 5 * SECOND), None);
        assert!(!overwrites.has_given_up(&key()));
        assert_eq!(round(&mut overwrites, start + 10 * SECOND), Some(10 * MINUTE));
        assert_eq!(overwrites.closed_until(&key(), start + 9 * MINUTE), Some(start + 612 * SECOND));
        assert_eq!(overwrites.closed_until(&key(), start + 11 * MINUTE), None);
        assert!(overwrites.has_given_up(&key()), "until hints stand");
        let waits: Vec<_> = (1..7)
            .map(|hours| round(&mut overwrites, start + hours * 60 * MINUTE).unwrap() / 60)
            .collect();
        let minutes = [20, 40, 80, 160, 240, 240].map(Duration::from_secs);
        assert_eq!(waits, minutes, "one more round is enough each time");
    }

    #[test]
    fn hints_that_stand_for_a_minute_are_peace() {
        let (mut overwrites, start) = (Overwrites::default(), Instant::now());
        for at in [0, 5, 10] {
            round(&mut overwrites, start + at * SECOND);
        }
        assert_eq!(overwrites.tick(start + 11 * MINUTE), [], "nothing was written");
        let later = start + 11 * MINUTE;
        overwrites.wrote(&key(), later);
        assert_eq!(overwrites.tick(later + 59 * SECOND), []);
        assert_eq!(overwrites.tick(later + MINUTE), [key()]);
        assert!(!overwrites.has_given_up(&key()));
        assert_eq!(round(&mut overwrites, later + 2 * MINUTE), None, "from the beginning");
    }

    #[test]
    fn hints_that_are_right_already_are_peace_too() {
        let (mut overwrites, start) = (Overwrites::default(), Instant::now());
        for at in [0, 5, 10] {
            round(&mut overwrites, start + at * SECOND);
        }
        overwrites.stand(&key(), start + 5 * MINUTE);
        assert_eq!(overwrites.tick(start + 9 * MINUTE), [], "it waits for its time");
        assert_eq!(overwrites.tick(start + 11 * MINUTE), [key()]);
    }

    #[test]
    fn what_is_overwritten_late_does_not_add_up() {
        let (mut overwrites, start) = (Overwrites::default(), Instant::now());
        for number in 0..10 {
            let written = start + number * 3 * MINUTE;
            assert_eq!(overwrites.lost(&key(), written, written + 2 * MINUTE), None);
        }
    }
}
