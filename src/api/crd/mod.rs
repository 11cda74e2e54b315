//! The kinds of closehaul's own API group as the API server knows them: custom resource definitions,
//! derived from types. What is in force of them is read in [`policy`](super::policy), which accepts
//! and rejects the same, and by itself, because a file never meets an API server.

pub mod definition;
pub mod demand;
pub mod evacuation;
pub mod label;
mod rule;
pub mod spec;
pub mod status;
