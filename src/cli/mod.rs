//! What a user types. One file for each command, and what they share.

pub mod connection;
mod duration;
pub mod input;
pub mod live;
pub mod objects;
pub mod plan;
mod rate;
pub mod run;
pub mod say;
