//! What is told of a running controller: metrics, health and Kubernetes Events. It is given
//! to those who have something to tell and never asked back: nothing that decides may read it.

mod address;
pub mod announce;
mod built_in;
mod health;
mod metrics;
mod others;
mod own;
mod process;
mod register;
mod server;
mod services;

pub use self::{
    address::{Address, AddressError, ListenError},
    built_in::{BuiltIn, Operation, Synced},
    health::{Check, Duty, Health},
    metrics::{Metrics, MetricsError},
    others::{Announced, Others},
    own::{Own, Trigger, WriteKind, WriteResult},
    server::{Subject, serve},
    services::Services,
};
