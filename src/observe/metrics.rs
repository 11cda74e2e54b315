//! Metrics: everything that `/metrics` shows, with the names in `docs/metrics.md`.

use std::sync::Arc;

use prometheus::{Registry, TextEncoder};

use super::{built_in::BuiltIn, others::Others, own::Own, services::Services};

/// What a scraper reads. Clones are cheap, and all count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// The built-in controller's, with its names.
    pub built_in: Arc<BuiltIn>,
    /// closehaul's.
    pub own: Arc<Own>,
    /// Of other writers, and of Events.
    pub others: Arc<Others>,
    /// Those of single Services.
    pub services: Arc<Services>,
}

/// Metrics that cannot be registered or shown.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A name or label that is not allowed, or is registered twice: a bug.
    #[error("cannot set up the metrics")]
    Register(#[source] prometheus::Error),
    /// The text was not rendered.
    #[error("cannot write the metrics out")]
    Encode(#[source] prometheus::Error),
}

impl Metrics {
    /// All metrics at zero, without those of single Services.
    pub fn new() -> Result<Self, MetricsError> {
        Self::with_services(0)
    }

    /// All metrics at zero, with those of single Services for at most `limit` of them.
    pub fn with_services(limit: usize) -> Result<Self, MetricsError> {
        Self::register(limit).map_err(MetricsError::Register)
    }

    fn register(limit: usize) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let built_in = Arc::new(BuiltIn::register(&registry)?);
        let own = Arc::new(Own::register(&registry)?);
        let others = Arc::new(Others::register(&registry)?);
        let services = Arc::new(Services::register(&registry, limit)?);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(super::process::Process::new()?))?;
        Ok(Self { registry, built_in, own, others, services })
    }

    /// All metrics in Prometheus' text format 0.0.4.
    pub fn text(&self) -> Result<String, MetricsError> {
        let families = self.registry.gather();
        TextEncoder::new().encode_to_string(&families).map_err(MetricsError::Encode)
    }
}
