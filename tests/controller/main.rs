//! The whole controller against an API server inside the tests, in simulated time: what is
//! written, when, and how often, whatever the server, its watches and other writers do.

// Helpers outside the test functions give up with a panic too: there is nothing to recover.
#![allow(clippy::panic, clippy::unwrap_used)]
#![allow(clippy::float_cmp, reason = "metrics that count are whole numbers")]

mod advise;
mod agreement;
mod assist;
mod creates;
mod decisions;
mod determinism;
mod doubts;
mod events;
mod failures;
mod fair;
mod foreign;
mod gaps;
mod history;
mod hung;
mod kinds;
mod leadership;
mod log;
mod metrics;
mod node_hints;
mod nodes;
mod others;
mod pace;
mod piles;
mod policies;
mod policies_many;
mod policies_rolling;
mod ports;
mod recreated;
mod refused;
mod shutdown;
mod stable;
mod start;
mod statuses;
mod unanswered;
mod waits;
mod writes;
