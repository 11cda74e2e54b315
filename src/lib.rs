//! closehaul: an EndpointSlice controller that keeps Kubernetes Service traffic near.

pub mod api;
pub mod causes;
pub mod cli;
pub mod cluster;
pub mod consumers;
pub mod control;
pub mod plan;
