//! The running controller: `watch -> index -> queue -> plan -> write`, and back only through
//! the API server. Decisions are made elsewhere ([`crate::plan`]). Here, things happen in time.

pub mod admission;
pub mod controller;
pub mod expectations;
pub mod history;
pub mod lease;
pub mod left_out;
pub mod other_writer;
pub mod overwrites;
pub mod progress;
pub mod queue;
mod reporter;
pub mod run;
pub mod status_writer;
pub mod stop;
mod tally;
pub mod watch;
pub mod write;
pub mod writers;
