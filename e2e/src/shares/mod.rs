//! Clients in every zone, who answers them, and whether that is what `closehaul plan` predicts.
//!
//! - [`Clients`]: sends requests from every zone and counts the answers
//! - [`Endpoint`]: what a slice says about a ready endpoint, and whom a client reaches by it
//! - [`Prediction`]: what `closehaul plan -o summary` says about a Service
//! - [`Comparison`]: what was counted, compared with a prediction
//! - [`Fit`]: whether chance explains a difference

#![allow(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

mod clients;
mod comparison;
mod counts;
mod endpoint;
mod fit;
mod prediction;

pub use self::{
    clients::{Clients, Flows},
    comparison::Comparison,
    counts::{Counts, Measured},
    endpoint::{Endpoint, reached},
    fit::Fit,
    prediction::{Prediction, ZonePrediction},
};

/// The zones of the clients.
pub const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// The namespace of everything here, because the stand-in for the kubelet finds pods in it.
pub const NAMESPACE: &str = "default";
