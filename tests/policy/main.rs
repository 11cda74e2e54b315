//! The planner of policies: the worked cases and the properties of docs/planner.md 8.

#![cfg(test)]

mod brute;
mod cases;
mod draw;
mod properties;
