//! closehaul: an EndpointSlice controller that keeps Kubernetes Service traffic near.

pub mod plan;
