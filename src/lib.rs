//! closehaul: an EndpointSlice controller that keeps Kubernetes Service traffic near.

pub mod api;
pub mod cli;
pub mod consumers;
pub mod plan;
