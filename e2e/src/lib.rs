//! End-to-end.

pub mod net;
