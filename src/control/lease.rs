//! stub
#![allow(missing_docs)]
use tokio::time::Instant;
#[derive(Clone)]
pub struct Leadership;
impl Leadership {
    pub fn always() -> Self {
        Self
    }
    pub fn holds(&self, _: Instant) -> bool {
        true
    }
}
pub struct Identity;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct LeaseError;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct TimingError;
pub struct Timing {
    pub lease_duration: std::time::Duration,
    pub renew_deadline: std::time::Duration,
    pub retry_period: std::time::Duration,
}
impl Timing {
    pub fn check(&self) -> Result<(), TimingError> {
        Ok(())
    }
}
