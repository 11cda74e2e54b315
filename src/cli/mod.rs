//! What a user types. One file for each command, and what they share.

pub mod connection;
pub mod crds;
mod duration;
pub mod evacuate;
pub mod explain;
pub mod input;
pub mod live;
pub mod objects;
pub mod plan;
mod print;
mod rate;
pub mod restore;
pub mod run;
pub mod say;
mod snapshot;
mod sources;
