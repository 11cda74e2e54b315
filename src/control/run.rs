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

use futures::StreamExt;
use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, JoinSet, yield_now},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at},
};
use tracing::{error, info, warn};

use super::{
    admission::{self, Admission},
    controller::{Controller, Event, Role, TURN, Wanted},
    lease::{Farewell, Report},
    status_writer::{StatusWrite, StatusWriter},
    stop::{self, stop},
    watch::{Document, Orders, Reader, discover, follow, follow_if_there, follow_when_needed},
    write::{Outcome, WriteError, Writer},
    writers::Writers,
};
use crate::{
    clock::{Now, WallClock},
    cluster::{Need, Tracked, Visitor, Watched, visit_kinds},
    model::namespace::Namespace,
    observe::events::Recorder,
    random::Random,
};

/// Events between the watches and the controller: enough to keep both busy, few enough not to
/// hold many pods twice.
const EVENTS: usize = 256;

/// Where the controller gets its input from.
pub struct Reading {
    /// Of the API server, for watches.
    pub client: Client,
    /// Determines how long watches last, and lengthens waits after errors.
    pub random: Random,
    /// What the election reports; closed if there is no election.
    pub reports: mpsc::UnboundedReceiver<Report>,
    /// The time of day.
    pub wall: WallClock,
}

/// Runs the controller until `shutdown`, then waits for the answers to the requests that were sent,
/// and for nothing else: the next leader completes what is left of a Service. Returns what may then
/// happen to the lease.
pub async fn run(
    mut controller: Controller,
    reading: Reading,
    mut writer: Writer,
    recorder: Recorder,
    shutdown: impl Future<Output = ()>,
) -> Farewell {
    let (stopping, stop) = stop();
    writer.stop = stop;
    let (events, mut arriving) = mpsc::channel(EVENTS);
    let mut others = JoinSet::new();
    let Reading { client, random, mut reports, wall } = reading;
    let (orders, received) = (Vec::new(), Vec::new());
    let policies = controller.follows_policies();
    let documents = Vec::new();
    let mut watches = Watches {
        tasks: &mut others,
        client,
        random,
        events,
        policies,
        documents,
        orders,
        received,
    };
    visit_kinds(&mut watches);
    let Watches { client, mut random, documents, orders, received, .. } = watches;
    let mut admission = follow_admission(&controller, &mut others, &client);
    others.spawn(discover(client, random.fork(), documents));

    let leadership = writer.leadership.clone();
    let emitters = leadership.clone();
    let (emitter, emitting) = recorder.start(move || emitters.holds());
    others.spawn(emitting);

    let status_writer = StatusWriter {
        client: writer.client.clone(),
        leadership: leadership.clone(),
        health: controller.health(),
        emitter: emitter.clone(),
        wall: wall.clone(),
    };
    let (statuses, arriving_statuses) = mpsc::unbounded_channel();
    others.spawn(status_writer.run(arriving_statuses));

    let metrics = writer.metrics.clone();
    let mut writers = Writers::new(writer, controller.concurrency());
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(shutdown);
    loop {
        controller.turned(Instant::now());
        let role = controller.role(leadership.holds());
        controller.lead(role == Role::Leader, Instant::now());
        let due = controller.next_due().filter(|_| role != Role::Standby);
        let due = due.and_then(|due| writers.room_at(Instant::now()).map(|room| room.max(due)));
        let wake = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(outcome) = writers.ended() => Wake::Written(outcome),
            event = arriving.recv() => {
                let Some(event) = event else { break };
                Wake::Event(event)
            }
            Some(report) = reports.recv() => Wake::Report(report),
            Ok(()) = admission.changed() => Wake::Admission(admission.borrow_and_update().clone()),
            () = until(due) => Wake::Due,
            () = leadership.acquired(), if !leadership.holds() => Wake::Due,
            _ = second.tick() => Wake::Second,
        };
        let now = Now::read(&wall);
        match wake {
            Wake::Written(outcome) => finish(&mut controller, outcome, now),
            Wake::Event(event) => take_in(&mut controller, event, &mut arriving, now),
            Wake::Report(report) => controller.reported(report, now),
            Wake::Admission(found) => controller.found_admission(found, now.monotonic),
            Wake::Second => {
                let received = received.iter().map(|(kind, received)| (*kind, *received.borrow()));
                controller.received(&received.collect::<Vec<_>>(), now);
                controller.tick(now);
                if role == Role::Leader {
                    send_statuses(&mut controller, &statuses, now);
                }
            }
            Wake::Due => {}
        }
        // Once in each iteration at least, however long its events took: they may never cease.
        while writers.has_room(now.monotonic) {
            let role = controller.role(leadership.holds());
            let Some(job) = controller.next_job(role, now) else { break };
            writers.start(job);
            if now.monotonic.elapsed() >= TURN {
                break;
            }
        }
        controller.events().into_iter().for_each(|news| emitter.emit(news));
        pass_on(&mut controller, &orders);
        metrics.own.loop_hold.observe(now.monotonic.elapsed().as_secs_f64());
    }
    let asked = Instant::now();
    stopping.ask();
    info!(under_way = writers.under_way(), "stopping: waiting for the answers to writes in flight");
    others.abort_all();
    let is_over = drain(&mut controller, &mut writers, asked + stop::ANSWERS, &wall).await;
    if is_over {
        Farewell::Release(stop::RELEASE.saturating_sub(asked.elapsed()))
    } else {
        Farewell::Keep
    }
}

/// What is known of the admission policy from now on. Without assist mode, nothing.
fn follow_admission(
    controller: &Controller,
    tasks: &mut JoinSet<()>,
    client: &Client,
) -> watch::Receiver<Admission> {
    let (publish, admission) = watch::channel(Admission::default());
    if controller.is_assisting() {
        tasks.spawn(admission::follow(client.clone(), publish));
    }
    admission
}

/// Sends the statuses that are due.
fn send_statuses(
    controller: &mut Controller,
    statuses: &mpsc::UnboundedSender<StatusWrite>,
    now: Now,
) {
    for write in controller.statuses(now) {
        // The writer ends only with this loop.
        let _ = statuses.send(write);
    }
}

/// What starts an iteration of the loop.
enum Wake {
    /// The writes for a Service have ended.
    Written(Result<Outcome, JoinError>),
    /// An event has arrived, perhaps with others behind it.
    Event(Event),
    /// The election reports about the API server.
    Report(Report),
    /// Something new is known of the admission policy.
    Admission(Admission),
    /// A Service may be planned.
    Due,
    /// A second has passed.
    Second,
}

/// Waits for the writers until `limit`. Returns whether all of their writes are decided, so that
/// none can be applied later.
async fn drain(
    controller: &mut Controller,
    writers: &mut Writers,
    limit: Instant,
    wall: &WallClock,
) -> bool {
    let mut is_over = true;
    loop {
        let Ok(ended) = timeout_at(limit, writers.ended()).await else {
            warn!(unanswered = writers.under_way(), "stopping without answers to some writes");
            return false;
        };
        let Some(outcome) = ended else { return is_over };
        is_over &= outcome
            .as_ref()
            .is_ok_and(|outcome| !outcome.failures.iter().any(WriteError::is_on_its_way));
        finish(controller, outcome, Now::read(wall));
    }
}

/// Waits until `due`, or indefinitely if there is none. If it has passed already, the other futures
/// of this task and thread run first. A sleep would last a millisecond (tokio's tick).
async fn until(due: Option<Instant>) {
    match due {
        Some(due) if due > Instant::now() => sleep_until(due).await,
        Some(_) => yield_now().await,
        None => pending().await,
    }
}

/// Passes on what the controller wants from followers.
fn pass_on(controller: &mut Controller, orders: &[(Watched, watch::Sender<Orders>)]) {
    if let Some(Wanted { list, probe }) = controller.wanted() {
        for (_, orders) in orders {
            orders.send_modify(|orders| {
                orders.relist = orders.relist.max(list);
                orders.probes += u64::from(probe);
            });
        }
    }
    for (kind, ended) in controller.doubted() {
        order(orders, kind, |orders| orders.confirm = Some(ended));
    }
    if controller.needs_namespaces() {
        order(orders, Watched::of::<Namespace>(), |orders| orders.is_needed = true);
    }
}

/// Orders something from the follower of one kind.
fn order(orders: &[(Watched, watch::Sender<Orders>)], kind: Watched, change: impl Fn(&mut Orders)) {
    for (_, orders) in orders.iter().filter(|(of, _)| *of == kind) {
        orders.send_modify(&change);
    }
}

/// Takes in the events that have arrived, as many as fit into an iteration, so that changes that
/// arrive together are planned once.
fn take_in(
    controller: &mut Controller,
    first: Event,
    arriving: &mut mpsc::Receiver<Event>,
    now: Now,
) {
    controller.take_in(first, now);
    for _ in 0..EVENTS {
        if now.monotonic.elapsed() >= TURN {
            break;
        }
        let Ok(event) = arriving.try_recv() else { break };
        controller.take_in(event, now);
    }
}

fn finish(controller: &mut Controller, outcome: Result<Outcome, JoinError>, now: Now) {
    match outcome {
        Ok(outcome) => controller.finish(outcome, now),
        Err(error) => error!(%error, "a writer ended early"),
    }
}

/// The watches, as they are started.
struct Watches<'a> {
    tasks: &'a mut JoinSet<()>,
    client: Client,
    random: Random,
    events: mpsc::Sender<Event>,
    /// Whether policies, and what they need, are followed.
    policies: bool,
    /// Where followers learn which kinds closehaul's own group has.
    documents: Vec<watch::Sender<Document>>,
    /// A separate channel for each watch. One for all would wake them in random order (tokio).
    orders: Vec<(Watched, watch::Sender<Orders>)>,
    /// When something was last received of each kind.
    received: Vec<(Watched, watch::Receiver<Option<Instant>>)>,
}

impl Visitor for Watches<'_> {
    /// Follows all objects of one kind.
    fn visit<T: Tracked>(&mut self) {
        if T::NEED != Need::Required && !self.policies {
            return;
        }
        let (receiving, received) = watch::channel(None);
        self.received.push((Watched::of::<T>(), received));
        let (order, orders) = watch::channel(Orders::default());
        self.orders.push((Watched::of::<T>(), order));
        let reader = Reader {
            client: self.client.clone(),
            page_size: super::watch::PAGE_SIZE,
            random: self.random.fork(),
            orders,
            received: receiving,
        };
        let mut changes = match T::NEED {
            Need::Required => follow::<T>(reader).boxed(),
            Need::Optional => {
                let (publish, document) = watch::channel(Document::Unread);
                self.documents.push(publish);
                follow_if_there::<T>(reader, document).boxed()
            }
            Need::OnDemand => follow_when_needed::<T>(reader).boxed(),
        };
        let events = self.events.clone();
        self.tasks.spawn(async move {
            while let Some(change) = changes.next().await {
                if events.send(change.into()).await.is_err() {
                    break;
                }
            }
        });
    }
}
