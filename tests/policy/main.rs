//! The planner of policies: the worked cases and the properties of docs/planner.md 8.

#![cfg(test)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts here are below 100"
)]

mod brute;
mod cases;
mod draw;
mod evacuation;
mod others;
mod properties;
mod rules;
mod service;
mod time;
