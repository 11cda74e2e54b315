//! What a user types. One file for each command.

pub mod connection;
mod duration;
pub mod input;
pub mod objects;
pub mod run;
