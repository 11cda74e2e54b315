//! Run: the tasks around the controller, and the loop that joins them.
//!
//! ```text
//! watch -> index -> queue -> plan -> write
//!   ^                                  |
//!   +----------- API server <----------+
//! ```

use std::{
    future::{Future, pending},
    time::Duration,
};

use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, yield_now},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracing::{error, info};

use super::{
    controller::{Controller, Event, Wanted},
    lease::Report,
    watch::{Change, Orders, Reader, follow},
    write::{Outcome, Writer},
};
use crate::{
    api::Kind,
    cluster::Watched,
    observe::announce::Reporter,
    plan::{node::Node, pod::Pod, service::Service, slice::Slice},
    random::Random,
};

/// Events between the watches and the controller: enough to keep both busy, few enough not to
/// hold many pods twice.
const EVENTS: usize = 256;

/// Where the controller learns from.
pub struct Reading {
    /// Of the API server, for watches.
    pub client: Client,
    /// How long watches last is drawn from this.
    pub random: Random,
    /// What the election reports; closed where there is none.
    pub reports: mpsc::UnboundedReceiver<Report>,
}

/// Runs the controller until `shutdown`, then lets the writes that are under way end, so that
/// no Service is left half done. `concurrency` Services are written at the same time.
pub async fn run(
    mut controller: Controller,
    reading: Reading,
    writer: Writer,
    reporter: Reporter,
    concurrency: usize,
    shutdown: impl Future<Output = ()>,
) {
    let (events, mut arriving) = mpsc::channel(EVENTS);
    let mut others = JoinSet::new();
    let Reading { client, random, mut reports } = reading;
    let mut watches =
        Watches { tasks: &mut others, client, random, events, orders: watch::Sender::default() };
    let heard = [
        (Watched::Services, watches.start::<Service>(Event::Service)),
        (Watched::Pods, watches.start::<Pod>(Event::Pod)),
        (Watched::Nodes, watches.start::<Node>(Event::Node)),
        (Watched::Slices, watches.start::<Slice>(Event::Slice)),
    ];
    let orders = watches.orders;
    drop(watches.events);

    let leadership = writer.leadership.clone();
    let (announcer, announcing) = reporter.start(move || leadership.holds(Instant::now()));
    others.spawn(announcing);

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
            Some(report) = reports.recv() => controller.reported(report, Instant::now()),
            () = until(due) => {}
            () = writer.leadership.acquired(), if !writer.leadership.holds(Instant::now()) => {}
            _ = second.tick() => {
                let heard = heard.each_ref().map(|(kind, heard)| (*kind, *heard.borrow()));
                controller.heard(&heard, Instant::now());
                controller.tick(Instant::now());
            }
        }
        while may_write(&controller, &writer, &writers, concurrency) {
            let Some(job) = controller.next_job(Instant::now()) else { break };
            writers.spawn(writer.clone().write(job.service, job.families));
        }
        controller.announcements().into_iter().for_each(|news| announcer.announce(news));
        if let Some(Wanted { list, probe }) = controller.wanted() {
            orders.send_modify(|orders| {
                orders.relist = orders.relist.max(list);
                orders.probes += u64::from(probe);
            });
        }
    }
    info!(under_way = writers.len(), "stopping: waiting for writes that are under way");
    others.abort_all();
    while let Some(outcome) = writers.join_next().await {
        finish(&mut controller, outcome);
    }
}

/// Waits until `due`, for ever if it is never. Where that has come already the others of this task
/// and thread have their turn, the lease among them; a sleep would last a millisecond (tokio's tick).
async fn until(due: Option<Instant>) {
    match due {
        Some(due) if due > Instant::now() => sleep_until(due).await,
        Some(_) => yield_now().await,
        None => pending().await,
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

/// The watches, as they are started.
struct Watches<'a> {
    tasks: &'a mut JoinSet<()>,
    client: Client,
    random: Random,
    events: mpsc::Sender<Event>,
    orders: watch::Sender<Orders>,
}

impl Watches<'_> {
    /// Follows all objects of one kind; returns when it was last heard of.
    fn start<T: Kind>(
        &mut self,
        event: fn(Change<T>) -> Event,
    ) -> watch::Receiver<Option<Instant>> {
        let (hear, heard) = watch::channel(None);
        let changes = follow(Reader {
            client: self.client.clone(),
            page_size: super::watch::PAGE_SIZE,
            random: self.random.fork(),
            orders: self.orders.subscribe(),
            heard: hear,
        });
        let events = self.events.clone();
        self.tasks.spawn(async move {
            let mut changes = std::pin::pin!(changes);
            while let Some(change) = futures::StreamExt::next(&mut changes).await {
                if events.send(event(change)).await.is_err() {
                    break;
                }
            }
        });
        heard
    }
}
