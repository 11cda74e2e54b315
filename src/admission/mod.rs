//! Admission: what closehaul asks of the API server in assist mode, where another controller writes
//! the slices (docs/assist.md). Pure text; nothing here talks to an API server.
//!
//! - `annotation`: what a slice's annotation says, by which the policy acts

pub mod annotation;
