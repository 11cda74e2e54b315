//! The running controller.

pub mod client;
mod pace;
pub mod queue;
pub mod spacing;
mod streaming;
pub mod watch;
