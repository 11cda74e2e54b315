//! What `closehaul plan -o summary` predicts for a Service.

use serde::Deserialize;
use serde_json::Value;

use crate::site::Error;

/// What is predicted for a Service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prediction {
    /// The share of the traffic that stays in its zone, from 0 to 1.
    pub in_zone_share: f64,
    /// How far the load of the busiest endpoint is above the even share: 0.2 for 20 %.
    pub overload: f64,
    /// What is predicted for the clients of each zone.
    pub zones: Vec<ZonePrediction>,
}

/// What is predicted for the clients of a zone.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZonePrediction {
    /// The zone.
    pub zone: String,
    /// How many endpoints they reach.
    pub reachable: usize,
    /// The share of their traffic that stays in the zone.
    pub in_zone_share: f64,
}

impl Prediction {
    /// The prediction for a Service in a summary.
    pub fn read(summary: &str, service: &str) -> Result<Self, Error> {
        let failed = || Error::decode(format!("the prediction for {service}"));
        let mut summary: Value = serde_json::from_str(summary).map_err(failed())?;
        let services = summary["services"].as_array_mut().into_iter().flatten();
        let found = services.into_iter().find(|it| it["name"] == service).map(Value::take);
        serde_json::from_value(found.unwrap_or_default()).map_err(failed())
    }

    /// What is predicted for the clients of a zone.
    pub fn of(&self, zone: &str) -> Option<&ZonePrediction> {
        self.zones.iter().find(|it| it.zone == zone)
    }
}
