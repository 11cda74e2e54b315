//! The admission policies of assist mode on a real API server: as a table of writes, at every size of
//! a slice, beside the built-in controller, and for closehaul's own account.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod account;
mod beside;
mod notation;
mod sizes;
mod stage;
mod table;

use std::time::Duration;

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
