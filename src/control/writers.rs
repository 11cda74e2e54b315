//! Writers: those that are under way, each with the writes of one Service. A slow one makes room for
//! another, so that other Services do not wait for an answer that may never come.

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};

use super::{
    controller::Job,
    write::{Answers, Outcome, Writer},
};

/// How many more may be under way where some are slow: enough for a few Services whose writes are
/// never answered, few enough for an API server that answers none at all.
const EXTRA: usize = 20;

/// The writers under way.
pub struct Writers {
    writer: Writer,
    running: JoinSet<Outcome>,
    answers: Vec<(Id, Answers)>,
    concurrency: usize,
}

impl Writers {
    /// None yet. At most `concurrency` that are not slow are under way at the same time.
    pub fn new(writer: Writer, concurrency: usize) -> Self {
        Self { writer, running: JoinSet::new(), answers: Vec::new(), concurrency }
    }

    /// Starts one.
    pub fn start(&mut self, job: Job) {
        let answers = Answers::default();
        let writer = Writer { answers: answers.clone(), ..self.writer.clone() };
        let task = self.running.spawn(writer.write(job.service, job.families));
        self.answers.push((task.id(), answers));
    }

    /// Waits until one has ended; `None` if none is under way. Cancel safe.
    pub async fn ended(&mut self) -> Option<Result<Outcome, JoinError>> {
        let ended = self.running.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        self.answers.retain(|(other, _)| *other != id);
        Some(ended.map(|(_, outcome)| outcome))
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.running.len()
    }

    /// Whether another one may start now.
    pub fn has_room(&self, now: Instant) -> bool {
        self.room_at(now).is_some_and(|at| at <= now)
    }

    /// When another one may start if no answer comes before; `None` if only an answer can make room.
    pub fn room_at(&self, now: Instant) -> Option<Instant> {
        let all = self.answers.len();
        if all < self.concurrency {
            return Some(now);
        }
        if all >= self.concurrency + EXTRA {
            return None;
        }
        let mut slow_at: Vec<_> =
            self.answers.iter().filter_map(|(_, answers)| answers.slow_at()).collect();
        slow_at.sort_unstable();
        // Once this one is slow, too, fewer than `concurrency` are not.
        slow_at.get(all - self.concurrency).copied()
    }
}
