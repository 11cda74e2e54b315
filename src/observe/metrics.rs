//! Metrics: everything that `/metrics` shows, by the names in `docs/metrics.md`.

use std::sync::Arc;

use prometheus::{Registry, TextEncoder};

use super::{built_in::BuiltIn, others::Others, own::Own, process::Process};

/// What a scraper is told; cheap to clone, all clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// The built-in controller's, by its names.
    pub built_in: Arc<BuiltIn>,
    /// Our own.
    pub own: Arc<Own>,
    /// Of other writers, and of announcements.
    pub others: Arc<Others>,
}

/// Metrics that cannot be registered or shown.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A name or label that is not allowed, or is there twice: a fault of ours.
    #[error("cannot set up the metrics")]
    Register(#[source] prometheus::Error),
    /// The text was not made.
    #[error("cannot write the metrics out")]
    Encode(#[source] prometheus::Error),
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Result<Self, MetricsError> {
        Self::register().map_err(MetricsError::Register)
    }

    fn register() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let built_in = Arc::new(BuiltIn::register(&registry)?);
        let own = Arc::new(Own::register(&registry)?);
        let others = Arc::new(Others::register(&registry)?);
        registry.register(Box::new(Process::new()?))?;
        Ok(Self { registry, built_in, own, others })
    }

    /// All metrics in Prometheus' text format 0.0.4.
    pub fn text(&self) -> Result<String, MetricsError> {
        let families = self.registry.gather();
        TextEncoder::new().encode_to_string(&families).map_err(MetricsError::Encode)
    }
}

/// Registers a metric and hands it back.
pub(super) fn register<M: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> prometheus::Result<M> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
