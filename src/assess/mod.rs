//! What a plan amounts to: the state of a Service's preference with the reasons for it, and the
//! share of the traffic that each endpoint gets. Pure functions over plans and slices.

pub mod decision;
pub mod share;
pub mod topology;
