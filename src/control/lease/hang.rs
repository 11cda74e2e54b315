//! What a main loop that hangs means for the election: its replica must not lead, and must give way
//! to one that works.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::pulse::{Hang, Pulse};

/// How long the loop may be busy with one thing. It runs at least once a second, and no object that
/// the API server accepts keeps it busy for longer than that.
const LIMIT: Duration = Duration::from_secs(20);
/// A replica whose loop has been silent for this long does not try to acquire the lease.
const FRESH: Duration = Duration::from_secs(5);
/// Between two checks of the loop.
const LOOK: Duration = Duration::from_secs(1);
/// A longer time than this between two checks means that the whole process stood still, stopped or
/// frozen. The loop could not run during that time.
const STANDSTILL: Duration = Duration::from_secs(3);

/// What a replica may do after its main loop has been silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Acquire the lease, and renew it.
    Lead,
    /// Renew the lease if it is held, but do not acquire it.
    Hold,
    /// Neither: the process must end.
    End,
}

/// Judges a main loop that has made no progress for `silence`.
fn judge(silence: Duration) -> Verdict {
    if silence < FRESH {
        Verdict::Lead
    } else if silence < LIMIT {
        Verdict::Hold
    } else {
        Verdict::End
    }
}

/// Counts how long the loop has been silent while the process was running.
#[derive(Debug)]
struct Observer {
    looked: Instant,
    running_since: Instant,
}

impl Observer {
    fn new(now: Instant) -> Self {
        Self { looked: now, running_since: now }
    }

    /// The silence of a loop that last ran at `turned`. Must be called every [`LOOK`].
    fn silence(&mut self, turned: Instant, now: Instant) -> Duration {
        if now.saturating_duration_since(self.looked) > STANDSTILL {
            self.running_since = now;
        }
        self.looked = now;
        now.saturating_duration_since(turned.max(self.running_since))
    }
}

/// Waits until the main loop hangs for good.
pub(super) async fn hangs(pulse: &Pulse) -> Hang {
    let mut observer = Observer::new(Instant::now());
    loop {
        sleep(LOOK).await;
        let now = Instant::now();
        if judge(observer.silence(pulse.last_turn(), now)) == Verdict::End {
            return pulse.hang(now);
        }
    }
}

/// Waits until the main loop ran recently enough for its replica to acquire the lease.
pub(super) async fn turns(pulse: &Pulse) {
    while judge(pulse.hang(Instant::now()).silence) != Verdict::Lead {
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_a_silent_loop_may_do() {
        for (silence, verdict) in [
            (0, Verdict::Lead),
            (4, Verdict::Lead),
            (5, Verdict::Hold),
            (19, Verdict::Hold),
            (20, Verdict::End),
            (60, Verdict::End),
        ] {
            assert_eq!(judge(silence * SECOND), verdict, "{silence} s");
        }
    }

    /// SIGSTOP, the freezer of a container runtime, a suspended machine.
    #[test]
    fn a_process_that_stood_still_is_not_a_loop_that_hangs() {
        let start = Instant::now();
        let at = |seconds: u32| start + seconds * SECOND;
        let mut observer = Observer::new(start);
        for second in 1..=5 {
            assert_eq!(observer.silence(start, at(second)), second * SECOND);
        }
        assert_eq!(observer.silence(start, at(65)), Duration::ZERO, "stopped for a minute");
        assert_eq!(observer.silence(start, at(66)), SECOND, "and continued");
        assert_eq!(observer.silence(at(66), at(67)), SECOND, "the loop turned");
        for second in 68..=86 {
            observer.silence(at(66), at(second));
        }
        assert_eq!(judge(observer.silence(at(66), at(87))), Verdict::End);
    }
}
