//! Replica: the controller with its election.

use closehaul::{
    clock::Clock,
    control::lease::{Election, Farewell, Identity, LeaseError, Timing, leadership},
};
use kube::Api;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    FakeApi,
    rig::{Options, Rig, SECOND},
};

/// A replica of the controller, which writes only while it holds the lease.
pub struct Replica {
    /// The controller.
    pub rig: Rig,
    /// The election, which ends when the lease is lost.
    pub election: JoinHandle<Result<(), LeaseError>>,
    farewell: oneshot::Sender<Farewell>,
}

impl Replica {
    /// A replica on a machine that is never suspended.
    pub fn start(api: &FakeApi, options: Options) -> Self {
        Self::start_by(Clock::runtime(), api, options)
    }

    /// A replica with this clock.
    pub fn start_by(clock: Clock, api: &FakeApi, options: Options) -> Self {
        let (sender, leadership) = leadership(clock.clone());
        let (reports, reported) = mpsc::unbounded_channel();
        // Shorter than what is left of the lease at its deadline.
        let options = Options { timeout: 4 * SECOND, ..options };
        let rig = Rig::start_reported(api.clone(), options, leadership, reported);
        let (farewell, said) = oneshot::channel();
        let mut random = api.random();
        let election = Election {
            leases: Api::namespaced(rig.api.client(), "kube-system"),
            name: "closehaul".to_owned(),
            identity: Identity::new(&mut random),
            timing: Timing::default(),
            leadership: sender.reporting(reports),
            clock,
            wall: api.wall_clock(),
            random,
            pulse: rig.health.pulse().clone(),
            health: rig.health.clone(),
        };
        let said = async { said.await.unwrap_or(Farewell::Keep) };
        Self { rig, election: tokio::spawn(election.run(said)), farewell }
    }

    /// Ends it at once, as a crash does.
    pub async fn crash(self) {
        self.election.abort();
        self.rig.abort().await;
    }

    /// Asks it to stop, and returns how it left the lease.
    pub async fn stop(self) -> Farewell {
        let farewell = self.rig.stop().await.unwrap();
        self.farewell.send(farewell).unwrap();
        self.election.await.unwrap().unwrap();
        farewell
    }
}
