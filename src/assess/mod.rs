//! What a plan amounts to: the state of a Service's preference with the reasons for it, and the
//! share of the traffic that each endpoint gets. Both follow from the rule of kube-proxy, applied to
//! the clients of each zone, for each port and address type of the Service. Pure functions over plans
//! and slices.
//!
//! ```text
//! slices -> crowd -> verdict -> decision
//!             |----> share
//!             '----> matrix
//! ```

pub mod crowd;
pub mod decision;
pub mod explained;
pub mod matrix;
mod policies;
pub mod reason;
pub mod share;
pub mod verdict;
