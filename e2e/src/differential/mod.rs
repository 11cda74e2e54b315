//! The differential test: it runs the same seeded random histories on two control planes, and
//! compares them when both have settled. One has the built-in controller, the oracle. The other has
//! closehaul.
//!
//! - [`step`], [`shape`]: the steps, as data; [`model`], `change`, [`node`]: what each consists of;
//!   `generate`: random ones, `opening`: what some histories begin with
//! - [`side`]: one control plane; [`view`]: its slices; `edit`: another client's changes
//! - [`form`]: slices compared; [`wanted`]: what may differ, from `e2e/differences.yaml`
//! - [`history`]: the steps of one namespace; `probe`: whether the controllers follow; `judge`:
//!   what a step comes to; [`shrink`]: shorter histories that still fail
//! - [`run`]: many histories at a time; [`restarts`]: the controllers' restarts between

mod change;
mod edit;
pub mod form;
mod generate;
pub mod history;
pub mod model;
pub mod objects;
mod opening;
pub mod restarts;
pub mod run;
pub mod shape;
pub mod shrink;
pub mod side;
pub mod step;
pub mod view;
pub mod wanted;

use std::{io, path::PathBuf};

use futures::future::try_join;

pub use self::run::{Options, Report, run};
use self::{
    restarts::Restarts,
    side::{Side, Who},
    wanted::Wanted,
};
use crate::{closehaul, cluster, world};

/// What can go wrong with the test itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A control plane.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// closehaul.
    #[error(transparent)]
    Closehaul(#[from] closehaul::Error),
    /// A request.
    #[error(transparent)]
    World(#[from] world::Error),
    /// A controller does not follow.
    #[error("a controller did not follow the canary of {namespace}; the end of its log:\n{log}")]
    Stuck {
        /// The canary's namespace.
        namespace: String,
        /// The log.
        log: String,
    },
    /// The file of wanted differences is invalid.
    #[error("e2e/differences.yaml: {0}")]
    Differences(String),
    /// The script cannot be read.
    #[error("{}: {source}", path.display())]
    Script {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Two control planes that were equal at the start, and what may differ.
pub struct Pair {
    /// The oracle's.
    pub built_in: Side,
    /// closehaul's.
    pub closehaul: Side,
    /// The wanted differences.
    pub wanted: Wanted,
    /// The controllers' restarts.
    pub restarts: Restarts,
}

impl Pair {
    /// Starts both, with at most `max` endpoints in a slice.
    pub async fn start(max: usize) -> Result<Self, Error> {
        let wanted = Wanted::read()?;
        let (built_in, closehaul) =
            try_join(Side::start(Who::BuiltIn, max), Side::start(Who::Closehaul, max)).await?;
        Ok(Self { built_in, closehaul, wanted, restarts: Restarts::default() })
    }

    /// Does the same on both sides at the same time.
    pub async fn both(&self, act: impl AsyncFn(&Side) -> Result<(), Error>) -> Result<(), Error> {
        try_join(act(&self.built_in), act(&self.closehaul)).await.map(|_| ())
    }

    /// Restarts both controllers, so neither remembers more than the other.
    pub async fn restart(&self) -> Result<(), Error> {
        self.both(Side::restart).await
    }

    /// Ends both.
    pub async fn stop(self) -> Result<(), Error> {
        try_join(self.built_in.stop(), self.closehaul.stop()).await.map(|_| ())
    }
}
