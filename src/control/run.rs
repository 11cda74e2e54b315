//! Run: the tasks around the controller, and the loop that joins them.
//!
//! ```text
//! watch -> index -> queue -> plan -> write
//!   ^                                  |
//!   +----------- API server <----------+
//! ```

use std::{future::Future, time::Duration};

use kube::Client;
use tokio::{
    sync::mpsc,
    task::{JoinSet, yield_now},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracing::{error, info};

use super::{
    controller::{Controller, Event},
    watch::{Change, follow},
    write::{Outcome, Writer},
};
use crate::{
    api::Kind,
    plan::{node::Node, pod::Pod, service::Service, slice::Slice},
};

/// Events between the watches and the controller: enough to keep both busy, few enough not to
/// hold many pods twice.
const EVENTS: usize = 256;

/// Runs the controller until `shutdown`, then lets the writes that are under way end, so that
/// no Service is left half done. `concurrency` Services are written at the same time.
pub async fn run(
    mut controller: Controller,
    reader: &Client,
    writer: Writer,
    concurrency: usize,
    shutdown: impl Future<Output = ()>,
) {
    let (events, mut arriving) = mpsc::channel(EVENTS);
    let mut watches = JoinSet::new();
    watch::<Service>(&mut watches, reader, &events, Event::Service);
    watch::<Pod>(&mut watches, reader, &events, Event::Pod);
    watch::<Node>(&mut watches, reader, &events, Event::Node);
    watch::<Slice>(&mut watches, reader, &events, Event::Slice);
    drop(events);

    let mut writers: JoinSet<Outcome> = JoinSet::new();
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(shutdown);
    loop {
        controller.lead(controller.is_complete() && writer.leadership.holds(Instant::now()));
        let due = controller
            .next_due()
            .filter(|_| may_write(&controller, &writer, &writers, concurrency));
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(outcome) = writers.join_next() => finish(&mut controller, outcome),
            event = arriving.recv() => {
                let Some(event) = event else { break };
                take_in(&mut controller, event, &mut arriving);
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            () = writer.leadership.acquired(), if !writer.leadership.holds(Instant::now()) => {}
            _ = second.tick() => controller.tick(Instant::now()),
        }
        while may_write(&controller, &writer, &writers, concurrency) {
            let Some(job) = controller.next_job(Instant::now()) else { break };
            writers.spawn(writer.clone().write(job.service, job.families));
        }
        // While many Services are due nothing here waits, and the lease may share this task.
        yield_now().await;
    }
    info!(under_way = writers.len(), "stopping: waiting for writes that are under way");
    watches.abort_all();
    while let Some(outcome) = writers.join_next().await {
        finish(&mut controller, outcome);
    }
}

/// Whether a write may begin now.
fn may_write(
    controller: &Controller,
    writer: &Writer,
    writers: &JoinSet<Outcome>,
    concurrency: usize,
) -> bool {
    writers.len() < concurrency
        && writer.leadership.holds(Instant::now())
        && controller.is_complete()
}

/// Takes in all events that have arrived, so that changes which come together are planned once.
fn take_in(controller: &mut Controller, first: Event, arriving: &mut mpsc::Receiver<Event>) {
    let now = Instant::now();
    controller.take_in(first, now);
    for _ in 0..EVENTS {
        let Ok(event) = arriving.try_recv() else { break };
        controller.take_in(event, now);
    }
}

fn finish(controller: &mut Controller, outcome: Result<Outcome, tokio::task::JoinError>) {
    match outcome {
        Ok(outcome) => controller.finish(outcome, Instant::now()),
        Err(error) => error!(%error, "a writer ended early"),
    }
}

/// Follows all objects of one kind.
fn watch<T: Kind>(
    watches: &mut JoinSet<()>,
    client: &Client,
    events: &mpsc::Sender<Event>,
    event: fn(Change<T>) -> Event,
) {
    let changes = follow(client.clone(), super::watch::Settings::default());
    let events = events.clone();
    watches.spawn(async move {
        let mut changes = std::pin::pin!(changes);
        while let Some(change) = futures::StreamExt::next(&mut changes).await {
            if events.send(event(change)).await.is_err() {
                break;
            }
        }
    });
}
