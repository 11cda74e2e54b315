//! What is told of a running controller: metrics and health. It is given to those who have
//! something to tell and never asked back: nothing that decides may read it.

mod address;
mod built_in;
mod health;
mod metrics;
mod own;
mod process;
mod server;
mod services;

pub use self::{
    address::{Address, AddressError, ListenError},
    built_in::{BuiltIn, Operation, Synced},
    health::{Check, Health},
    metrics::{Metrics, MetricsError},
    own::{Own, Trigger, WriteKind, WriteResult},
    server::{Subject, serve},
    services::Services,
};
