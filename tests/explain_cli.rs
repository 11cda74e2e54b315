//! `closehaul explain`, run as a user runs it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails")]

#[path = "explain_cli/agreement.rs"]
mod agreement;
#[path = "explain_cli/command.rs"]
mod command;
#[path = "explain_cli/errors.rs"]
mod errors;
#[path = "explain_cli/ports.rs"]
mod ports;
#[path = "explain_cli/situations.rs"]
mod situations;
#[path = "explain_cli/world.rs"]
mod world;
