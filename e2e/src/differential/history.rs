//! History: the steps of one namespace on both sides, each compared when both have settled.

mod judge;
pub(super) mod probe;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use serde_json::Value;

use self::{judge::Outcome, probe::CANARY_NODE};
use super::{
    Error, Pair,
    change::is_left_alone,
    form::{self, Comparison, Form, Loose, compare},
    model::{Effect, Model, every_service},
    objects,
    step::{NODES, Step},
};
use crate::world::{normal::items, object};

/// How often slices are checked.
pub const POLL: Duration = Duration::from_millis(20);
/// The minimum of [`History::quiet`].
pub(super) const QUIET: Duration = Duration::from_millis(300);
/// How long both may take to agree. The built-in controller backs off for some seconds when its
/// watch is behind.
pub(super) const AGREE: Duration = Duration::from_secs(15);
/// How long to wait for the built-in controller if it may be backing off.
pub(super) const PATIENT: Duration = Duration::from_secs(2);

/// How many repairs a minute closehaul attributes to manual edits.
const HAND: usize = 2;
/// A minute, plus the time by which a repair may come later than the edit.
const MINUTE: Duration = Duration::from_secs(65);

/// The outcome of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The step did not fit and was left out.
    Nothing,
    /// Both agree, as far as they must.
    Agreed,
    /// They differ, in these lines.
    Different(Vec<String>),
}

/// A namespace on both sides.
pub struct History<'p> {
    pub(super) pair: &'p Pair,
    pub(super) namespace: String,
    /// What exists.
    pub model: Model,
    pub(super) probes: u64,
    pub(super) flips: u64,
    pub(super) touches: u64,
    pub(super) hints: bool,
    /// If neither side has written for this long after the canary's slice, both have settled.
    pub(super) quiet: Duration,
    /// How many comparisons were made.
    pub comparisons: u64,
    /// The Services for which the events since both last agreed have more than one correct outcome.
    pub(super) loose: Loose,
    /// How long the built-in controller's log was when both last agreed.
    pub(super) logged: u64,
    /// How many restarts there had been at the last step.
    restarts: u64,
    /// When another client last changed slices, at most [`HAND`] times.
    edits: VecDeque<Instant>,
}

impl<'p> History<'p> {
    /// Creates the namespace, its first nodes and its canary.
    pub async fn begin(pair: &'p Pair, namespace: &str) -> Result<Self, Error> {
        let model = Model::new(namespace);
        let mut history = Self {
            pair,
            namespace: namespace.to_owned(),
            model,
            probes: 0,
            flips: 0,
            touches: 0,
            hints: false,
            quiet: QUIET,
            comparisons: 0,
            loose: Loose::default(),
            logged: pair.built_in.log_length(),
            restarts: pair.restarts.count(),
            edits: VecDeque::new(),
        };
        let mut objects = vec![object::namespace(namespace)];
        objects.extend(history.model.objects());
        objects.extend(probe::canary(namespace));
        pair.both(async |side| {
            for object in &objects {
                side.create(object).await?;
            }
            Ok(())
        })
        .await?;
        history.probe(true).await?;
        Ok(history)
    }

    /// Takes a step on both sides and compares. If a controller may be trapped, or the step is a
    /// restart, it waits for a restart of the controllers.
    pub async fn step(&mut self, step: &Step) -> Result<Verdict, Error> {
        let mut model = self.model.clone();
        let Some(effect) = model.take(step) else { return Ok(Verdict::Nothing) };
        let was_held = std::mem::replace(&mut self.model, model).held;
        if effect.restart {
            return self.restart().await;
        }
        if effect.edits {
            self.take_time().await;
        }
        let outcome = {
            let _running = self.pair.restarts.running().await;
            self.act(&effect, was_held).await?
        };
        let mut verdict = match outcome {
            Outcome::Judged(verdict) => verdict,
            Outcome::Trapped => {
                self.pair.restarts.wait().await;
                let _running = self.pair.restarts.running().await;
                self.after_trap().await?
            }
        };
        if let Verdict::Different(lines) = &mut verdict {
            lines.extend(self.outline());
        }
        Ok(verdict)
    }

    async fn act(&mut self, effect: &Effect, was_held: bool) -> Result<Outcome, Error> {
        let namespace = &self.namespace;
        let served = self.served();
        self.pair
            .both(async |side| {
                for action in &effect.actions {
                    side.perform(namespace, action).await?;
                }
                Ok(())
            })
            .await?;
        let restarts = self.pair.restarts.count();
        // A restart while a slice was held has let the built-in controller write.
        let was_freed = was_held && restarts != self.restarts;
        self.restarts = restarts;
        self.loose.extend(effect.loose.iter().cloned());
        if was_freed {
            self.loose = every_service();
        }
        self.probe(effect.pods).await?;
        if effect.slices {
            self.probe_slices().await?;
        }
        if effect.lag == Some("deleted-nodes") {
            self.outlast_nodes().await?;
        }
        if effect.nodes {
            self.probe_nodes().await?;
        }
        self.probe_hints().await?;
        let outcome = self.judge(effect).await?;
        if effect.lag == Some("held-slices") {
            let now = self.served();
            if now != served {
                let line =
                    format!("closehaul served {served:?} before a slice was held, then {now:?}");
                return Ok(Outcome::Judged(Verdict::Different(vec![line])));
            }
        }
        Ok(outcome)
    }

    /// Waits until one more edit still counts as manual. Otherwise closehaul assumes a second
    /// controller, and repairs with growing delays.
    async fn take_time(&mut self) {
        if self.edits.len() == HAND
            && let Some(first) = self.edits.pop_front()
        {
            tokio::time::sleep(MINUTE.saturating_sub(first.elapsed())).await;
        }
        self.edits.push_back(Instant::now());
    }

    /// What closehaul serves. Services that the controllers ignore do not count.
    fn served(&self) -> BTreeMap<String, Vec<String>> {
        let services = self.model.services.iter().enumerate();
        let services = services.filter_map(|(number, shape)| {
            shape.as_ref().filter(|shape| !is_left_alone(shape))?;
            Some(objects::service_name(number))
        });
        let services = services.collect::<BTreeSet<_>>();
        let mut forms = self.pair.closehaul.forms(&self.namespace);
        forms.retain(|form| services.contains(&form.group.service));
        form::served(&forms)
    }

    /// Restarts both controllers. closehaul must find its slices correct.
    async fn restart(&mut self) -> Result<Verdict, Error> {
        let Pair { closehaul, restarts, .. } = self.pair;
        let before = closehaul.by_name(&self.namespace);
        restarts.wait().await;
        let _running = restarts.running().await;
        self.follow().await?;
        if let Some(lines) = self.written_since(&before, "its restart") {
            return Ok(Verdict::Different(lines));
        }
        match self.judge(&Effect::default()).await? {
            Outcome::Judged(verdict) => Ok(verdict),
            Outcome::Trapped => Ok(Verdict::Different(vec!["trapped after a restart".to_owned()])),
        }
    }

    /// Waits until both controllers follow, and have written what they must.
    pub async fn follow(&mut self) -> Result<(), Error> {
        self.probe(true).await?;
        self.settle(AGREE).await;
        Ok(())
    }

    /// Deletes all objects of the history.
    pub async fn end(self) -> Result<(), Error> {
        let namespace = &self.namespace;
        let nodes = (0..NODES).chain([CANARY_NODE]);
        let nodes = nodes.map(|number| objects::node_name(namespace, number)).collect::<Vec<_>>();
        let _running = self.pair.restarts.running().await;
        self.pair.both(async |side| side.clear(namespace, &nodes).await).await
    }

    pub(super) fn forms(&self) -> (Vec<Form>, Vec<Form>) {
        let Pair { built_in, closehaul, .. } = self.pair;
        (built_in.forms(&self.namespace), closehaul.forms(&self.namespace))
    }

    /// A summary of all slices, for the report of a failure.
    fn outline(&self) -> Vec<String> {
        let (left, right) = self.forms();
        let line = |(side, form): (&str, &Form)| {
            let metadata = &form.slice["metadata"];
            let pods = items(&form.slice["endpoints"]).map(|endpoint| {
                let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
                let zones = items(&endpoint["hints"]["forZones"]).map(|zone| text(&zone["name"]));
                let name = text(&endpoint["targetRef"]["name"]);
                zones.fold(name, |text, zone| text + ">" + &zone)
            });
            let pods = pods.collect::<Vec<_>>().join(" ");
            let (group, version) = (&form.group, &metadata["resourceVersion"]);
            let (service, family, ports) = (&group.service, &group.address_type, group.ports.len());
            let name = &metadata["name"];
            format!("all of {side}: {service} {family} {name} {version} {ports} ports [{pods}]")
        };
        let left = left.iter().map(|form| line(("built-in", form)));
        let all = left.chain(right.iter().map(|form| line(("closehaul", form))));
        let log = self.pair.closehaul.logged_since(0);
        let of_history = ["\"", " "].map(|before| format!("{before}{}/", self.namespace));
        let is_of_history = |line: &&str| of_history.iter().any(|text| line.contains(text));
        let log = log.lines().filter(is_of_history).map(str::to_owned);
        all.chain(self.logged()).chain(log).collect()
    }

    /// Waits until neither side has written for a while, and for up to `patience` more if they
    /// differ.
    pub(super) async fn settle(&mut self, patience: Duration) -> Comparison {
        self.comparisons += 1;
        let quiet = self.quiet;
        let started = Instant::now();
        let mut last = (None, None);
        let mut found = Comparison::Different(Vec::new());
        loop {
            let Pair { built_in, closehaul, .. } = self.pair;
            let changed =
                (built_in.view.changed(&self.namespace), closehaul.view.changed(&self.namespace));
            if found != Comparison::Same && changed != last || last.0.is_none() {
                let (left, right) = self.forms();
                found = compare(&left, &right, &self.loose);
                last = changed;
            }
            let still = [changed.0, changed.1].into_iter().flatten().max().unwrap_or(started);
            let still = still.max(started).elapsed();
            let agreed = !matches!(found, Comparison::Different(_));
            if still >= quiet && (agreed || started.elapsed() >= quiet + patience) {
                let (left, right) = self.forms();
                return compare(&left, &right, &self.loose);
            }
            if started.elapsed() >= quiet + patience + AGREE {
                return Comparison::Different(vec!["the slices do not settle".to_owned()]);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
