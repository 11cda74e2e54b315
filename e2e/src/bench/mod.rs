//! The cluster bench: what closehaul costs compared with the built-in controller and others, and
//! how late slices are, on the same states (method: docs/performance.md).
//!
//! - [`options`]: what is measured, how large and how often
//! - [`scenario`]: the scenarios, and the sessions that they are run in
//! - [`shape`], `seed`, `state`: states of a size, written into etcd, completed with slices, and
//!   kept
//! - [`contender`], [`floor`]: the programs that are measured
//! - `stage`, `step`: one contender on a separate cluster, and what happens there
//! - `usage`, `connections`, `garbage`, `witness`: what is read from the kernel and from the API
//!   server
//! - [`admission`]: what the admission policies of assist mode cost, measured separately
//! - [`relabel`]: changes of pods while all nodes move, measured separately
//! - [`measure`]: the results, as written to `raw.json`
//! - [`statistics`], `table`, `chart`, `plots`: the results for people

pub mod admission;
pub mod contender;
pub mod floor;
pub mod measure;
pub mod options;
pub mod relabel;
pub mod scenario;
pub mod shape;
pub mod statistics;

mod chart;
mod connections;
mod error;
mod garbage;
mod output;
mod plots;
mod run;
mod seed;
mod session;
mod stage;
mod state;
mod step;
mod table;
mod usage;
mod witness;

pub use self::{error::Error, options::Options, run::run};
