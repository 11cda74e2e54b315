//! Admission: what closehaul asks of the API server in assist mode, where another controller writes
//! the slices (docs/assist.md). Pure text; nothing here talks to an API server.
//!
//! - `annotation`: what a slice's annotation says, by which the policy acts
//! - `mark`: which slices have it, and what it says under a plan
//! - `names`: what the chart installs

pub mod annotation;
pub mod mark;
pub mod names;
