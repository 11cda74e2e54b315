//! Clocks: the one that decides when leadership ends, and the time of day.
//!
//! For the other replicas, a lease also expires while this machine is suspended. `CLOCK_MONOTONIC`,
//! which [`std::time::Instant`] and tokio read, stands still during that time, so a leader that
//! resumes would believe that it still leads. `CLOCK_BOOTTIME` continues (`clock_gettime(2)`).

use std::{fmt, ops::Add, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

/// The longest sleep before the clock is read again. Timers stand still while the machine is
/// suspended, so that a deadline may have passed unnoticed for this long after it continues.
const LOOK: Duration = Duration::from_secs(1);

/// A time of a [`Clock`]. Times of different clocks must not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The moment that is `time` after the start of the clock.
    pub fn after_start(time: Duration) -> Self {
        Self(time)
    }

    /// The time from `earlier` until this; zero if this is earlier.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

/// A clock that can be read from any thread. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// The clock that `now` reads. It must never go back.
    pub fn new(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time since the machine started, including the time while it was suspended.
    #[cfg(target_os = "linux")]
    pub fn boot() -> Self {
        Self::new(|| Moment(duration(rustix::time::ClockId::Boottime)))
    }

    /// The closest clock where there is no `CLOCK_BOOTTIME`. The controller runs on Linux only.
    #[cfg(not(target_os = "linux"))]
    pub fn boot() -> Self {
        Self::runtime()
    }

    /// The async runtime's clock, which tests pause.
    pub fn runtime() -> Self {
        let start = Instant::now();
        Self::new(move || Moment(start.elapsed()))
    }

    /// The time.
    pub fn now(&self) -> Moment {
        (self.0)()
    }

    /// Waits until the clock shows `at`, or up to a second more if the machine was suspended.
    pub async fn reached(&self, at: Moment) {
        loop {
            let left = at.saturating_since(self.now());
            if left.is_zero() {
                return;
            }
            sleep(left.min(LOOK)).await;
        }
    }
}

/// The time of day, for what others read: nothing here is decided by it. Cheap to clone.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl WallClock {
    /// The clock that `now` reads.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's.
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// The time of one iteration of the main loop, which is read once: all that happens in the iteration
/// happens at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For due times and ages: the async runtime's clock, which tests pause.
    pub monotonic: Instant,
    /// For times that others read or have set.
    pub wall: Timestamp,
}

impl Now {
    /// The time, with the time of day by `wall`.
    pub fn read(wall: &WallClock) -> Self {
        Self { monotonic: Instant::now(), wall: wall.now() }
    }
}

/// The CPU time of this thread. Unlike a clock, it does not count the time during which the thread
/// waited for a processor.
#[cfg(target_os = "linux")]
pub fn cpu_time() -> Duration {
    duration(rustix::time::ClockId::ThreadCPUTime)
}

/// Nothing is measured elsewhere: the controller runs on Linux only.
#[cfg(not(target_os = "linux"))]
pub fn cpu_time() -> Duration {
    Duration::ZERO
}

/// What a clock of the system shows.
#[cfg(target_os = "linux")]
fn duration(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WallClock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[cfg(target_os = "linux")]
    #[test]
    fn boot_time_is_the_systems_uptime() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let past = Clock::boot().now().0.as_secs_f64() - uptime;
        assert!((0.0..5.0).contains(&past), "{past}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_waits_takes_no_cpu_time() {
        let start = cpu_time();
        std::thread::sleep(Duration::from_millis(200));
        let waited = cpu_time();
        assert!(waited < start + Duration::from_millis(100), "{start:?} {waited:?}");
        let mut sum = 0_u64;
        while cpu_time() == waited {
            sum = std::hint::black_box(sum + 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_ends_a_wait_within_a_second() {
        let seconds = Arc::new(AtomicU64::new(0));
        let clock = Clock::new({
            let seconds = Arc::clone(&seconds);
            move || Moment(Duration::from_secs(seconds.load(Ordering::Relaxed)))
        });
        let start = Instant::now();
        let jump = async {
            sleep(60 * SECOND).await;
            seconds.store(30, Ordering::Relaxed);
        };
        tokio::join!(clock.reached(Moment(30 * SECOND)), jump);
        assert!(start.elapsed() <= 61 * SECOND, "{:?}", start.elapsed());
        assert!(start.elapsed() >= 60 * SECOND, "the clock stood still until then");
    }
}
