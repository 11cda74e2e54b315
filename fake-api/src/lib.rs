//! An API server inside a test, and the rig around it: the running controller on that server, in
//! simulated time.
//!
//! - [`FakeApi`]: the server, without sockets and on tokio's paused time
//! - [`faults`]: what can fail, and for which requests
//! - [`collections`]: the names under which the server keeps objects
//! - [`admission`]: what the admission policy of assist mode does to slices
//! - [`recorder`]: every change of every object, with its time and who made it
//! - [`invariants`]: what must hold at all times, checked over what was recorded
//! - [`samples`]: test objects, written once for all tests
//! - [`replica`], [`rig`]: the running controller on a server with and without its election, and what it has
//!   written
//! - [`dice`]: choices that depend only on a seed
//! - [`world`]: a world that changes at random, determined by a seed
//! - [`policies`]: policies and evacuations drawn at random
//! - [`settled`]: whether the slices are what the plan requires
//! - [`piles`]: many faults at the same time
//! - [`seeds`]: runs in simulated time, each determined by its seed
//!
//! Use the least powerful test that can fail for the right reason. What pure functions decide needs
//! no server, and what only a real API server can show belongs in `e2e`.

#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support: a failure here fails the test"
)]

pub mod admission;
mod clock;
pub mod collections;
pub mod dice;
pub mod faults;
mod gates;
pub mod invariants;
pub mod piles;
pub mod policies;
pub mod recorder;
mod refusal;
pub mod replica;
mod request;
mod respond;
pub mod rig;
pub mod samples;
pub mod seeds;
mod selector;
mod server;
pub mod settled;
mod store;
mod validation;
pub mod world;

pub use self::{request::Seen, server::FakeApi};
