//! What a user types. One file for each command, and what they share.

pub mod check;
pub mod completion;
pub mod connection;
pub mod crds;
mod duration;
pub mod evacuate;
pub mod explain;
pub mod failure;
pub mod input;
pub mod invoked;
pub mod live;
pub mod look;
pub mod man;
pub mod objects;
mod place;
pub mod plan;
pub mod print;
mod progress;
mod rate;
pub mod restore;
pub mod run;
pub mod say;
mod selector;
mod snapshot;
mod sources;
pub mod version;
