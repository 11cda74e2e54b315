//! The running controller.

mod pace;
pub mod queue;
