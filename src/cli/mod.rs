//! What a user types. One file for each command.

pub mod connection;
pub mod input;
pub mod live;
pub mod objects;
pub mod plan;
