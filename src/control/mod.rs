//! The running controller.

pub mod client;
pub mod lease;
mod pace;
pub mod queue;
pub mod spacing;
mod streaming;
pub mod watch;
