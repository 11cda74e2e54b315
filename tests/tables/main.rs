//! The planner against the written semantics of the built-in controller, table by table.
//! README.md lists which row of the semantics each test covers.

#![cfg(test)]

// The samples name the types by this path.
use closehaul::model;

mod affected;
mod auto;
mod census;
mod cpu_shares;
mod endpoints;
mod history;
mod metadata;
mod moves;
mod objects;
mod packing;
mod placeholder;
mod policies;
mod properties;
mod reading;
mod readme;
#[path = "../../src/model/samples.rs"]
mod samples;
mod service;
mod traffic_distribution;
mod trigger_time;
mod world;
