//! How consumers read slices: pure models of their rules, one file for each.

pub mod cilium;
pub mod consumer;
pub mod kube_proxy;
pub mod linkerd;
#[cfg(test)]
mod samples;
pub mod target;
