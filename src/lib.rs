//! closehaul.

pub mod api;
pub mod control;
