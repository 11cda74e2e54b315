//! What is told of a running controller: metrics, health and Kubernetes Events. It is given
//! to those who have something to tell and never asked back: nothing that decides may read it.

pub mod announce;
mod built_in;
mod metrics;
mod others;
mod own;
mod process;

pub use self::{
    built_in::{BuiltIn, Operation, Synced},
    metrics::{Metrics, MetricsError},
    others::{Announced, Others},
    own::{Own, Trigger, WriteKind, WriteResult},
};
