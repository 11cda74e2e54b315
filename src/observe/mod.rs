//! What a running controller reports: metrics, health and Kubernetes Events. It is passed to
//! code that has something to report. Nothing that decides may read it.

mod address;
mod built_in;
pub mod events;
mod health;
mod metrics;
mod others;
mod own;
#[cfg(target_os = "linux")]
mod process;
mod register;
mod server;
mod services;

pub use self::{
    address::{Address, AddressError, ListenError},
    built_in::{BuiltIn, Operation, Synced},
    health::{Check, Duty, Health},
    metrics::{Metrics, MetricsError},
    others::{Emitted, Others},
    own::{Own, Resolution, Trigger, WriteKind, WriteResult},
    server::{Subject, serve},
    services::Services,
};
