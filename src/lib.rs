//! closehaul: an EndpointSlice controller that keeps Kubernetes Service traffic near.

pub mod api;
pub mod cluster;
pub mod control;
pub mod plan;
