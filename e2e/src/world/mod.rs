//! Worlds for tests: Services, pods and nodes created quickly through the API, and slices compared.
//!
//! - [`World`]: writes and reads of objects as JSON, many in flight
//! - [`object`]: what tests create most often, to be changed in place
//! - [`mixed`]: Services and pods of all sorts, from a seed
//! - [`normal`]: slices without what two controllers may do differently
//! - [`Canary`]: shows that a controller has caught up
//! - [`Random`]: numbers from a seed

mod canary;
pub mod mixed;
pub mod normal;
pub mod object;
mod place;
mod random;
mod request;
mod wait;

use std::time::Duration;

pub use self::{
    canary::Canary,
    place::{Kind, Place},
    random::Random,
    request::World,
    wait::{quiet, until},
};
use crate::cluster;

/// What can go wrong with a world.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed.
    #[error("{what}: {source}")]
    Request {
        /// The request.
        what: String,
        /// Why.
        source: kube::Error,
    },
    /// An object to create lacks a kind or a name.
    #[error("no object with kind and name: {0}")]
    Object(String),
    /// The cluster could not be queried.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Something did not happen in time.
    #[error("{what} did not happen within {limit:?}")]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
    },
}
