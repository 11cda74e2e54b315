//! What is told of a running controller: metrics and health. It is given to those who have
//! something to tell and never asked back: nothing that decides may read it.

mod built_in;
mod metrics;
mod own;
mod process;

pub use self::{
    built_in::{BuiltIn, Operation, Synced},
    metrics::{Metrics, MetricsError},
    own::{Own, Trigger, WriteKind, WriteResult},
};
