//! Other writer: whether another client writes the slices that closehaul manages, such as the
//! built-in controller left running beside it, or a second installation (docs/semantics.md 9).
//! Pure: it receives the signs with their times, and returns what follows.
//!
//! A sign is a write of another client that creates a slice, or changes its endpoints or ports. The
//! next plan of the Service shows what it means:
//!
//! - There is nothing to do, though the slices had been as planned before: the other writer
//!   *agrees*. Only a controller does that. Two such writes within some minutes, whatever the
//!   Services, mean that one is at work.
//! - Something must be repaired, though nothing else had happened to the Service: the other
//!   writer *differs*. That may be a user. Three times a minute at the same Service, the two compete,
//!   and repairs are made with growing delays.
//! - Something must be done, but Service, pods or nodes had changed too: that means nothing.

use std::time::Duration;

use foldhash::HashMap;

use tokio::time::Instant;

use crate::model::name::ServiceKey;

/// How many repairs of one Service in [`CONTEST`] mean that two writers compete: no user does that.
const REPAIRS: usize = 3;
/// See [`REPAIRS`].
const CONTEST: Duration = Duration::from_secs(60);
/// How many writes that agree, in all of the cluster within [`QUIET`], reveal a controller. One
/// alone may have been a local write of which nothing is known.
const AGREEING: usize = 2;
/// Without a sign for this long, the other writer is gone.
pub const QUIET: Duration = Duration::from_secs(5 * 60);
/// The wait before the first delayed repair; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(2);
/// The longest wait before a repair.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What is known about other writers.
#[derive(Debug, Default)]
pub struct OtherWriter {
    /// Services with signs in the last minutes.
    signs: HashMap<ServiceKey, Signs>,
    /// The latest writes that agreed, at most [`AGREEING`].
    agreeing: Vec<Instant>,
    /// When the latest sign was seen, if there is another writer.
    active: Option<Instant>,
}

/// The signs for one Service.
#[derive(Debug)]
struct Signs {
    latest: Instant,
    /// There is one since the Service was last planned.
    is_open: bool,
    /// The latest repairs, at most [`REPAIRS`].
    repairs: Vec<Instant>,
    /// How many repairs there were since the two compete; 0 if they do not.
    contests: u32,
}

/// What has just become known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// There is another writer, which was not known before.
    pub is_active: bool,
    /// The Service's slices are repeatedly overwritten, which was not known before.
    pub is_contested: bool,
}

/// What is too long ago to matter.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The other writer has just been found to be gone.
    pub is_gone: bool,
    /// Services whose slices are no longer overwritten, sorted.
    pub freed: Vec<ServiceKey>,
}

impl OtherWriter {
    /// Another client wrote slices of this Service.
    pub fn wrote(&mut self, service: &ServiceKey, now: Instant) {
        if let Some(active) = &mut self.active {
            *active = now;
        }
        let fresh = Signs { latest: now, is_open: true, repairs: Vec::new(), contests: 0 };
        let signs = self.signs.entry(service.clone()).or_insert(fresh);
        signs.latest = now;
        signs.is_open = true;
    }

    /// A Service was planned: whether something must be written, and whether anything but slices
    /// had changed since its last plan.
    pub fn planned(
        &mut self,
        service: &ServiceKey,
        is_needed: bool,
        is_affected: bool,
        now: Instant,
    ) -> Finding {
        let mut finding = Finding::default();
        let Some(signs) = self.signs.get_mut(service).filter(|signs| signs.is_open) else {
            return finding;
        };
        signs.is_open = false;
        if !is_needed {
            note(&mut self.agreeing, now, AGREEING, QUIET);
            finding.is_active = self.agreeing.len() == AGREEING;
        } else if !is_affected {
            note(&mut signs.repairs, now, REPAIRS, CONTEST);
            if signs.contests > 0 || signs.repairs.len() == REPAIRS {
                finding = Finding { is_active: true, is_contested: signs.contests == 0 };
                signs.contests = signs.contests.saturating_add(1);
            }
        }
        if finding.is_active {
            finding.is_active = self.active.replace(now).is_none();
        }
        finding
    }

    /// How long a repair of this Service must wait; zero if no other writer competes.
    pub fn delay(&self, service: &ServiceKey) -> Duration {
        let contests = self.signs.get(service).map_or(0, |signs| signs.contests);
        match contests.checked_sub(1) {
            None => Duration::ZERO,
            Some(before) => FIRST_DELAY.saturating_mul(1_u32 << before.min(16)).min(LONGEST_DELAY),
        }
    }

    /// Whether another writer is at work.
    pub fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// Whether the slices of this Service are repeatedly overwritten.
    pub fn is_contested(&self, service: &ServiceKey) -> bool {
        self.signs.get(service).is_some_and(|signs| signs.contests > 0)
    }

    /// How many Services' slices are repeatedly overwritten.
    pub fn contested(&self) -> usize {
        self.signs.values().filter(|signs| signs.contests > 0).count()
    }

    /// The Service is gone.
    pub fn forget(&mut self, service: &ServiceKey) {
        self.signs.remove(service);
    }

    /// Forgets what is too long ago to matter. Must be called from time to time.
    pub fn tick(&mut self, now: Instant) -> Forgotten {
        let is_past = |at: Instant| now.saturating_duration_since(at) >= QUIET;
        let past = self.signs.extract_if(|_, signs| is_past(signs.latest));
        let mut freed: Vec<_> =
            past.filter(|(_, signs)| signs.contests > 0).map(|(service, _)| service).collect();
        freed.sort_unstable();
        let is_gone = self.active.is_some_and(is_past);
        if is_gone {
            self.active = None;
        }
        Forgotten { is_gone, freed }
    }
}

/// Adds `now` to the latest times, of which `most` are kept, none older than `within`.
fn note(times: &mut Vec<Instant>, now: Instant, most: usize, within: Duration) {
    times.retain(|time| now.saturating_duration_since(*time) < within);
    if times.len() == most {
        times.remove(0);
    }
    times.push(now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ServiceKey {
        ServiceKey { namespace: "shop".into(), name: name.into() }
    }

    /// What a plan finds after another client's write.
    #[derive(Clone, Copy)]
    enum Plan {
        Agrees,
        Differs,
        /// Differs, but pods had changed too.
        Mixed,
    }
    use Plan::{Agrees, Differs, Mixed};

    /// Plays signs, each at a second and at a Service. Returns at which seconds another writer was
    /// found, and at which Services were found contested.
    fn play(signs: &[(u64, &str, Plan)]) -> (Vec<u64>, Vec<u64>) {
        let start = Instant::now();
        let mut other = OtherWriter::default();
        let (mut active, mut contested) = (Vec::new(), Vec::new());
        for (second, service, plan) in signs {
            let now = start + Duration::from_secs(*second);
            other.tick(now);
            // Several at once are one occasion.
            other.wrote(&key(service), now);
            other.wrote(&key(service), now);
            let (is_needed, is_affected) = match plan {
                Agrees => (false, true),
                Differs => (true, false),
                Mixed => (true, true),
            };
            let finding = other.planned(&key(service), is_needed, is_affected, now);
            active.extend(finding.is_active.then_some(*second));
            contested.extend(finding.is_contested.then_some(*second));
            assert_eq!(other.planned(&key(service), is_needed, false, now), Finding::default());
        }
        (active, contested)
    }

    #[test]
    fn a_hand_is_no_other_writer() {
        assert_eq!(play(&[(0, "a", Differs)]), (vec![], vec![]));
        assert_eq!(play(&[(0, "a", Differs), (5, "a", Differs)]), (vec![], vec![]));
        let slow = [(0, "a", Differs), (40, "a", Differs), (80, "a", Differs), (120, "a", Differs)];
        assert_eq!(play(&slow), (vec![], vec![]));
        let many = [(0, "a", Differs), (1, "b", Differs), (2, "c", Differs), (3, "d", Differs)];
        assert_eq!(play(&many), (vec![], vec![]), "each Service once, as a script would");
    }

    #[test]
    fn a_fight_is_three_repairs_a_minute() {
        let fight = [(0, "a", Differs), (20, "a", Differs), (59, "a", Differs)];
        assert_eq!(play(&fight), (vec![59], vec![59]));
        let late = [(0, "a", Differs), (20, "a", Differs), (60, "a", Differs), (79, "a", Differs)];
        assert_eq!(play(&late), (vec![79], vec![79]));
        let two = [
            (0, "a", Differs),
            (0, "b", Differs),
            (1, "a", Differs),
            (1, "b", Differs),
            (2, "a", Differs),
            (3, "b", Differs),
            (4, "b", Differs),
        ];
        assert_eq!(play(&two), (vec![2], vec![2, 3]), "found once, contested each");
    }

    #[test]
    fn what_had_another_cause_means_nothing() {
        let churn = [(0, "a", Mixed), (1, "a", Mixed), (2, "a", Mixed), (3, "a", Mixed)];
        assert_eq!(play(&churn), (vec![], vec![]));
    }

    #[test]
    fn who_agrees_twice_is_a_controller() {
        assert_eq!(play(&[(0, "a", Agrees)]), (vec![], vec![]));
        assert_eq!(play(&[(0, "a", Agrees), (200, "b", Agrees)]), (vec![200], vec![]));
        assert_eq!(
            play(&[(0, "a", Agrees), (300, "b", Agrees)]),
            (vec![], vec![]),
            "too far apart"
        );
        let later = [(0, "a", Agrees), (300, "b", Agrees), (599, "b", Agrees)];
        assert_eq!(play(&later), (vec![599], vec![]));
    }

    #[test]
    fn it_is_forgotten_after_five_quiet_minutes_and_found_again() {
        let two = |at| [(at, "a", Agrees), (at + 1, "a", Agrees)];
        assert_eq!(play(&[two(0), two(300)].concat()).0, [1], "it never was quiet for so long");
        assert_eq!(play(&[two(0), two(301)].concat()).0, [1, 302]);
        // A sign of any kind keeps it known.
        let kept = [&two(0)[..], &[(200, "b", Mixed)], &two(400)].concat();
        assert_eq!(play(&kept).0, [1]);
    }

    #[test]
    fn blows_come_ever_more_slowly() {
        let start = Instant::now();
        let mut other = OtherWriter::default();
        let (mut now, mut delays) = (start, Vec::new());
        for _ in 0..10 {
            other.wrote(&key("a"), now);
            delays.push(other.delay(&key("a")).as_secs());
            now += other.delay(&key("a")).max(Duration::from_secs(1));
            other.planned(&key("a"), true, false, now);
            other.tick(now);
        }
        assert_eq!(delays, [0, 0, 0, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!((other.contested(), other.delay(&key("b"))), (1, Duration::ZERO));
        assert_eq!(other.tick(now + QUIET - Duration::from_secs(100)), Forgotten::default());
        let forgotten = Forgotten { is_gone: true, freed: vec![key("a")] };
        assert_eq!(other.tick(now + QUIET), forgotten);
        assert_eq!((other.contested(), other.is_active()), (0, false));
        assert_eq!(other.delay(&key("a")), Duration::ZERO);
    }
}
