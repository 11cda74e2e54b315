//! Who a candidate is, and how long it waits.

use std::{fmt, fs, time::Duration};

use crate::random::Random;

/// The three times of leader election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    lease_duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

impl Timing {
    /// Checks the times as client-go does: the lease must outlast the renew deadline, and the
    /// deadline must leave room for more than one attempt. Retries are spread by a factor of 1.2.
    pub fn new(
        lease_duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, TimingError> {
        if retry_period.is_zero() {
            return Err(TimingError::NoRetryPeriod);
        }
        if lease_duration.subsec_nanos() != 0 || i32::try_from(lease_duration.as_secs()).is_err() {
            return Err(TimingError::FractionOfSecond(lease_duration));
        }
        if lease_duration <= renew_deadline {
            return Err(TimingError::LeaseTooShort(lease_duration, renew_deadline));
        }
        if renew_deadline.as_secs_f64() <= retry_period.as_secs_f64() * 1.2 {
            return Err(TimingError::DeadlineTooShort(renew_deadline, retry_period));
        }
        Ok(Self { lease_duration, renew_deadline, retry_period })
    }

    /// How long a lease must be unchanged before another candidate takes over. Whole seconds.
    pub fn lease_duration(&self) -> Duration {
        self.lease_duration
    }

    /// How long after its last successful renewal the holder stops.
    pub fn renew_deadline(&self) -> Duration {
        self.renew_deadline
    }

    /// Between two attempts to renew. Candidates wait 1 to 2.2 times as long.
    pub fn retry_period(&self) -> Duration {
        self.retry_period
    }
}

impl Default for Timing {
    /// 15 s, 10 s and 2 s, as in kube-controller-manager.
    fn default() -> Self {
        let [lease_duration, renew_deadline, retry_period] = [15, 10, 2].map(Duration::from_secs);
        Self { lease_duration, renew_deadline, retry_period }
    }
}

/// Times that are not compatible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// The retry period is zero.
    #[error("the retry period must be longer than zero")]
    NoRetryPeriod,
    /// A Lease has whole seconds, in 32 bits.
    #[error("the lease duration must be a number of whole seconds (is {0:?})")]
    FractionOfSecond(Duration),
    /// Another candidate could take over while the holder still writes.
    #[error("the lease duration ({0:?}) must be longer than the renew deadline ({1:?})")]
    LeaseTooShort(Duration, Duration),
    /// One late answer would lose the lease.
    #[error("the renew deadline ({0:?}) must be longer than 1.2 times the retry period ({1:?})")]
    DeadlineTooShort(Duration, Duration),
}

/// The name of one run of one replica; never used twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(String);

impl Identity {
    /// The host's name (in a cluster, the pod's) and a random part: a restarted replica is another
    /// one, which does not know what the previous one had under way.
    pub fn new(random: &mut Random) -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self(format!("{}_{:016x}{:016x}", host.trim(), random.bits(), random.bits()))
    }

    /// As it is written in the Lease.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Identity {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_do_not_go_together_are_refused() {
        let new = |lease: f64, renew: f64, retry: f64| {
            let [lease, renew, retry] = [lease, renew, retry].map(Duration::from_secs_f64);
            Timing::new(lease, renew, retry)
        };
        assert_eq!(new(15.0, 10.0, 2.0), Ok(Timing::default()));
        assert!(matches!(new(15.0, 15.0, 2.0), Err(TimingError::LeaseTooShort(..))));
        assert!(matches!(new(15.0, 2.4, 2.0), Err(TimingError::DeadlineTooShort(..))));
        assert!(new(15.0, 2.5, 2.0).is_ok());
        assert!(matches!(new(15.0, 10.0, 0.0), Err(TimingError::NoRetryPeriod)));
        assert!(matches!(new(15.5, 10.0, 2.0), Err(TimingError::FractionOfSecond(_))));
    }

    #[test]
    fn no_two_identities_are_alike() {
        let mut random = Random::new();
        assert_ne!(Identity::new(&mut random), Identity::new(&mut random));
        assert_ne!(Identity::new(&mut random), Identity::new(&mut Random::new()));
    }
}
