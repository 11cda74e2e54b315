//! What Services, pods, nodes and slices are here: plain types that every other module shares. They
//! have no behaviour beyond their fields. What is decided about them is in [`crate::plan`].

pub mod address;
pub mod labels;
pub mod name;
pub mod namespace;
pub mod node;
pub mod pod;
pub mod policy;
pub mod port;
#[cfg(test)]
pub(crate) mod samples;
pub mod selector;
pub mod service;
pub mod slice;
pub mod store;
