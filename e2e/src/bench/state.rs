//! States that all contenders start from: created once, kept as etcd's files.

use std::{path::Path, time::Duration};

use super::{Error, contender::Contender, seed, shape::Shape, witness::Witness};
use crate::{
    cluster::{self, Actor, Cluster, Snapshot, UNLIMITED},
    progress::Progress,
    world::{Canary, World, quiet},
};

/// How long a controller may take to write all slices.
const SETTLE: Duration = Duration::from_secs(600);
/// After this long without a write of a slice, a controller that works has nothing left to write.
const QUIET: Duration = Duration::from_secs(3);
/// How often it may be started to write all slices.
const STARTS: u32 = 5;

/// A state that is kept, and its canary.
#[derive(Debug)]
pub(super) struct Kept {
    snapshot: Snapshot,
    canary: Canary,
}

impl Kept {
    /// A cluster with this state.
    pub(super) async fn start(&self) -> Result<(Cluster, Canary), Error> {
        let options = cluster::Options { state: Some(self.snapshot.path()), ..options() };
        Ok((Cluster::start(options).await?, self.canary.clone()))
    }
}

/// A state of a shape, without slices and with them.
#[derive(Debug)]
pub(super) struct State {
    /// Without any slice, if it was requested.
    pub(super) cold: Option<Kept>,
    /// With all slices.
    pub(super) right: Kept,
}

/// The contender that writes the slices of a state, with its binary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Author<'a>(pub(super) Contender, pub(super) &'a Path);

impl State {
    /// Creates it.
    pub(super) async fn make(shape: Shape, cold: bool, author: Author<'_>) -> Result<Self, Error> {
        let cluster = Cluster::start(options()).await?;
        let world = World::new(cluster.client(Actor::Admin)?);
        let mut canary = Canary::create(&world).await?;
        seed::fill(cluster.etcd_url(), shape).await?;
        let cold = if cold {
            Some(Kept { snapshot: cluster.snapshot().await?, canary: canary.clone() })
        } else {
            None
        };
        write_all(author, &cluster, &world, &mut canary).await?;
        let right = Kept { snapshot: cluster.snapshot().await?, canary };
        cluster.stop().await?;
        Ok(Self { cold, right })
    }
}

/// Makes a controller write all slices. It is restarted until it finds none to write: the built-in
/// controller delays what fails in its first rush for longer than can be waited for.
async fn write_all(
    Author(author, binary): Author<'_>,
    cluster: &Cluster,
    world: &World,
    canary: &mut Canary,
) -> Result<(), Error> {
    let witness = Witness::start(cluster.client(Actor::Admin)?).await?;
    for _ in 0..STARTS {
        let before = witness.writes();
        let process = author.start(cluster, binary).await?;
        settled(cluster, world, canary, &author.name()).await?;
        process.stop(super::stage::STOP).await?;
        if witness.writes() == before {
            return Ok(());
        }
    }
    let what = format!(
        "{author} still writes when it is started for the {STARTS}th time ({})",
        witness.wrote()
    );
    Err(Error::Undone { what })
}

/// Waits until the controller that was started has written all slices.
pub(super) async fn settled(
    cluster: &Cluster,
    world: &World,
    canary: &mut Canary,
    who: &str,
) -> Result<(), Error> {
    let mut progress = Progress::new(format!("{who} writes all slices"));
    canary.follow(world).await?;
    progress.tick();
    quiet(cluster, QUIET, SETTLE).await?;
    progress.done();
    Ok(())
}

/// A cluster without limits for its clients.
pub(super) fn options() -> cluster::Options {
    cluster::Options {
        extra_apiserver_args: UNLIMITED.map(str::to_owned).to_vec(),
        ..cluster::Options::default()
    }
}
