//! closehaul: an EndpointSlice controller that keeps Kubernetes Service traffic near.
//!
//! The house, from the street to the cellar; each room knows only those below it.
//!
//! - [`cli`]: what a user types, one file for each command
//! - [`control`]: the running controller: watch, queue, sync, write, lease
//! - [`observe`]: what a running controller reports: metrics, health and Events
//! - [`pulse`]: whether the main loop makes progress, as other threads see it
//! - [`cluster`]: what is known of the cluster now, and which Services a change touches
//! - [`api`]: what is spoken with the API server: objects in, slices out
//! - [`consumers`]: how those who send traffic read slices, as pure models
//! - [`plan`]: everything that decides, as pure functions
//! - [`pace`]: how often something may happen
//! - [`clock`]: the clock that decides when leadership ends
//! - [`random`]: random numbers, from one source
//! - [`causes`]: an error told whole, wherever one is told
//!
//! Data goes one way: `watch -> index -> queue -> plan -> write`; what the API server answers comes
//! in again by the watch.

// Both macros panic if the output is closed or full.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod api;
pub mod causes;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod consumers;
pub mod control;
pub mod observe;
pub mod pace;
pub mod plan;
pub mod pulse;
pub mod random;
