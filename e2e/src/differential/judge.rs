//! Judge: what the slices of both sides come to after a step, before and after a touch.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    Error,
    form::{CURRENT, Comparison, Form, compare},
    history::{AGREE, History, PATIENT, Verdict},
    model::Effect,
    probe::repaired,
    side::{CANARY, place},
};

/// How often both sides are brought together for one comparison: the built-in controller may still
/// be writing what it need not, and breaks ties anew each time that it tries a sync again.
const ROUNDS: u32 = 3;

/// How the built-in controller logs a write that failed.
const FAILED_WRITE: &str = "failed to ";

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is judged.
    Judged(Verdict),
    /// The built-in controller may be trapped: to be compared after its restart.
    Trapped,
}

impl History<'_> {
    /// Compares before and after a touch.
    pub(super) async fn judge(&mut self, effect: &Effect) -> Result<Outcome, Error> {
        let wanted = &self.pair.wanted;
        let mut lag = effect.lag.filter(|lag| wanted.has(lag));
        // Before the touch: closehaul must have followed; the built-in controller too, unless an
        // entry says that it may not.
        let mut early = self.settle(if lag.is_some() { Duration::ZERO } else { PATIENT }).await;
        if self.model.held {
            // The built-in controller writes nothing now; what it has to do is done after. With
            // more than one step until then there is more than one way to do it.
            self.loose |= lag.is_none();
            if matches!(early, Comparison::Different(_)) {
                wanted.meet("held-slices");
            }
            return Ok(Outcome::Judged(Verdict::Agreed));
        }
        // A write that failed loses its trigger time, and the built-in controller does not get it
        // back (endpointslice-semantics 4.6).
        self.loose |= self.logged().iter().any(|line| line.contains(FAILED_WRITE));
        if matches!(early, Comparison::Different(_)) && lag.is_none() {
            // What is wanted shows at once; only a back-off is over with the touch.
            if !self.is_explained() && !self.has_failed() {
                early = self.settle(AGREE).await;
            }
            if matches!(early, Comparison::Same | Comparison::Placed) {
            } else if !self.is_explained() && wanted.has("back-off") && self.has_failed() {
                lag = Some("back-off");
            } else {
                match self.explained(effect, early.clone()).await? {
                    Outcome::Judged(Verdict::Agreed) => {}
                    outcome => return Ok(outcome),
                }
            }
        }
        let early_forms = self.pair.closehaul.forms(&self.namespace);
        let is_late = matches!(early, Comparison::Different(_));
        let late = self.settle_touched().await?;
        let has_agreed = !matches!(late, Comparison::Different(_));
        if let Some(lag) = lag.filter(|_| is_late && has_agreed) {
            wanted.meet(lag);
        }
        let late_forms = self.pair.closehaul.forms(&self.namespace);
        if let Comparison::Different(mut lines) = compare(&early_forms, &late_forms, false) {
            lines.insert(0, "closehaul wrote at the touch (before: built-in):".to_owned());
            return Ok(Outcome::Judged(Verdict::Different(lines)));
        }
        self.explained(effect, late).await
    }

    /// Whether the wanted differences are enough for what differs now.
    fn is_explained(&self) -> bool {
        let (left, right) = self.forms();
        self.pair.wanted.explain(&left, &right, &self.model, self.loose).is_some()
    }

    /// Whether the built-in controller has said since both last agreed that a sync has failed for
    /// its own slices, so that it backs off. A pod whose node is missing fails each sync as well,
    /// but after everything else is written.
    fn has_failed(&self) -> bool {
        let of_slices = ["informer cache is out of date", FAILED_WRITE];
        self.logged().iter().any(|line| of_slices.iter().any(|words| line.contains(words)))
    }

    /// What the built-in controller has logged of the Services, the canary apart, since both last
    /// agreed.
    pub(super) fn logged(&self) -> Vec<String> {
        let of_history = format!("key=\"{}/", self.namespace);
        let of_canary = format!("key=\"{}/{CANARY}\"", self.namespace);
        let log = self.pair.built_in.logged_since(self.logged);
        let lines = log.lines().filter(|line| line.contains(&of_history));
        lines.filter(|line| !line.contains(&of_canary)).map(str::to_owned).collect()
    }

    /// Touches all Services until both agree, or differ as they may: a sync that the built-in
    /// controller's own watch was behind for is not repeated soon without.
    async fn settle_touched(&mut self) -> Result<Comparison, Error> {
        let started = Instant::now();
        loop {
            self.touch().await?;
            let found = self.settle(PATIENT).await;
            if !matches!(found, Comparison::Different(_))
                || started.elapsed() >= AGREE
                || self.is_explained()
            {
                return Ok(found);
            }
        }
    }

    /// What a comparison comes to with the wanted differences; if it comes to nothing, both sides
    /// are brought together.
    async fn explained(&mut self, effect: &Effect, found: Comparison) -> Result<Outcome, Error> {
        let mut found = found;
        let mut rounds = 0;
        while found != Comparison::Same {
            let (left, right) = self.forms();
            let wanted = &self.pair.wanted;
            if let Comparison::Different(mut lines) = found {
                let Some(names) = wanted.explain(&left, &right, &self.model, self.loose) else {
                    if effect.trap && rounds == 0 && wanted.has("tracker-trap") {
                        return Ok(Outcome::Trapped);
                    }
                    lines.insert(0, format!("after both were brought together {rounds} times:"));
                    return Ok(Outcome::Judged(Verdict::Different(lines)));
                };
                for name in &names {
                    wanted.meet(name);
                }
                if names.contains(&"own-placeholder") {
                    return self.collect().await.map(Outcome::Judged);
                }
                if rounds == ROUNDS {
                    break;
                }
            }
            self.align(&left).await?;
            (self.loose, rounds) = (false, rounds + 1);
            found = self.settle(AGREE).await;
            if found == Comparison::Placed {
                break;
            }
        }
        self.loose = false;
        self.logged = self.pair.built_in.log_length();
        Ok(Outcome::Judged(Verdict::Agreed))
    }

    /// Makes closehaul's slices like the other side's; closehaul has seen it then, so that its next
    /// write is on these.
    async fn align(&self, left: &[Form]) -> Result<(), Error> {
        let side = &self.pair.closehaul;
        side.align(&self.namespace, left).await?;
        repaired(side, &self.namespace).await
    }

    /// Does the garbage collector's work, and takes away what lost its owner; after a touch both
    /// must agree.
    async fn collect(&mut self) -> Result<Verdict, Error> {
        let namespace = &self.namespace;
        self.pair
            .both(async |side| {
                let owned = |form: &Form| form.group.owners.iter().any(|it| it.contains(CURRENT));
                let mut forms = side.forms(namespace);
                forms.retain(|form| form.is_managed() && !owned(form));
                for form in &forms {
                    let free = json!({"metadata": {"finalizers": null}});
                    side.patch_slice(&form.slice, &free).await?;
                    side.world.delete(&place(&form.slice)).await?;
                }
                Ok(())
            })
            .await?;
        self.probe_slices().await?;
        self.touch().await?;
        match self.settle(AGREE).await {
            Comparison::Different(mut lines) => {
                // The trigger time of the placeholder that was made later.
                let (left, right) = self.forms();
                if compare(&left, &right, true) == Comparison::Placed {
                    self.align(&left).await?;
                    return Ok(Verdict::Agreed);
                }
                lines.insert(0, "after the garbage collector:".to_owned());
                Ok(Verdict::Different(lines))
            }
            _ => Ok(Verdict::Agreed),
        }
    }

    /// Compares after the built-in controller was restarted, where it had been trapped.
    pub(super) async fn after_trap(&mut self) -> Result<Verdict, Error> {
        self.probe(true).await?;
        self.touch().await?;
        // The trigger times are of the restart.
        self.loose = true;
        if let Comparison::Different(lines) = self.settle(AGREE).await {
            return Ok(Verdict::Different(lines));
        }
        self.pair.wanted.meet("tracker-trap");
        Ok(Verdict::Agreed)
    }
}
