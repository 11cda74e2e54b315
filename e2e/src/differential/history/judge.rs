//! Judge: how the slices of both sides compare after a step, before and after a touch.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::{AGREE, History, PATIENT, Verdict, probe::repaired};
use crate::differential::{
    Error, Pair,
    form::{Comparison, Form, Loose},
    model::{Effect, every_service},
    side::{ByName, CANARY, Side, place, versioned},
};

/// How often both sides are aligned for one comparison. The built-in controller may still be
/// writing unnecessarily, and it breaks ties again each time it retries a sync.
const ROUNDS: u32 = 3;

/// How the built-in controller logs a write that failed.
const FAILED_WRITE: &str = "failed to ";

/// How closehaul logs that it repairs a Service with growing delays, as another client seems to
/// overwrite its slices. A history edits slices rarely enough to look like manual edits, but
/// bringing both sides together counts as well: three repairs in a minute, whatever their cause,
/// count as a second controller.
const FIGHT: &str = "overwrites the slices of this Service again and again";
/// A time longer than closehaul then waits before a repair.
const SLOW_REPAIR: Duration = Duration::from_secs(65);

/// All Services if closehaul has repaired some of them meanwhile, which drops their trigger times.
/// None otherwise.
fn loose_if(is_repaired: bool) -> Loose {
    if is_repaired { every_service() } else { Loose::default() }
}

/// The outcome of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is judged.
    Judged(Verdict),
    /// The built-in controller may be trapped, so the comparison must follow its restart.
    Trapped,
}

impl History<'_> {
    /// Compares before and after a touch.
    pub(super) async fn judge(&mut self, effect: &Effect) -> Result<Outcome, Error> {
        let wanted = &self.pair.wanted;
        let mut lag = effect.lag.filter(|lag| wanted.has(lag));
        if effect.slices && self.is_fought_for() {
            // Until the repair, both sides may have the same slices.
            sleep(SLOW_REPAIR).await;
        }
        // Before the touch, closehaul must have followed. The built-in controller must have
        // followed too, unless an entry allows that it has not.
        let is_free = lag.is_none() && self.model.frozen().is_empty();
        let mut early = self.settle(if is_free { PATIENT } else { Duration::ZERO }).await;
        if matches!(early, Comparison::Different(_)) && self.is_fought_for() {
            early = self.settle(SLOW_REPAIR).await;
        }
        if self.model.held && !self.held().is_empty() {
            // If more than one step follows until the slice is free, there is more than one way to
            // catch up.
            if lag.is_none() {
                self.loose = every_service();
            }
            return Ok(Outcome::Judged(self.but(&self.held(), "held-slices", early)));
        }
        let frozen = self.model.frozen();
        if !frozen.is_empty() {
            // The built-in controller catches up in one sync, as after a held slice.
            self.loose = every_service();
            if !self.is_explained_without(&frozen) {
                early = self.settle(AGREE).await;
            }
            return Ok(Outcome::Judged(self.but(&frozen, "refused-addresses", early)));
        }
        // A write that failed loses its trigger time, and the built-in controller does not get it
        // back (docs/semantics.md 4.6).
        self.loose.extend(self.failed(&[FAILED_WRITE]));
        if matches!(early, Comparison::Different(_)) && lag.is_none() {
            // Wanted differences show at once. Only a back-off ends with the touch.
            if !self.is_explained() && !self.is_backing_off() {
                early = self.settle(AGREE).await;
            }
            if matches!(early, Comparison::Same | Comparison::Placed) {
            } else if !self.is_explained() && wanted.has("back-off") && self.is_backing_off() {
                lag = Some("back-off");
            } else {
                match self.explained(effect, early.clone()).await? {
                    Outcome::Judged(Verdict::Agreed) => {}
                    outcome => return Ok(outcome),
                }
            }
        }
        let before = self.pair.closehaul.by_name(&self.namespace);
        let is_late = matches!(early, Comparison::Different(_));
        let late = self.settle_touched().await?;
        let has_agreed = !matches!(late, Comparison::Different(_));
        if let Some(lag) = lag.filter(|_| is_late && has_agreed) {
            wanted.meet(lag);
        }
        if let Some(lines) = self.written_since(&before, "the touch") {
            return Ok(Outcome::Judged(Verdict::Different(lines)));
        }
        self.explained(effect, late).await
    }

    /// The Services of which a slice is being deleted and held by a finalizer.
    fn held(&self) -> Loose {
        let (left, right) = self.forms();
        let held = left.into_iter().chain(right).filter(|form| form.group.terminating);
        held.map(|form| form.group.service).collect()
    }

    /// The verdict without these Services, which the built-in controller does not write until a
    /// held slice is gone or no address is refused any more. `name` is the wanted difference.
    fn but(&self, services: &Loose, name: &str, found: Comparison) -> Verdict {
        let Comparison::Different(lines) = found else { return Verdict::Agreed };
        let wanted = &self.pair.wanted;
        if !wanted.has(name) || !self.is_explained_without(services) {
            return Verdict::Different(lines);
        }
        wanted.meet(name);
        Verdict::Agreed
    }

    /// Whether the wanted differences explain everything that differs now.
    fn is_explained(&self) -> bool {
        self.is_explained_without(&Loose::default())
    }

    /// The same without some Services.
    fn is_explained_without(&self, services: &Loose) -> bool {
        let (mut left, mut right) = self.forms();
        for forms in [&mut left, &mut right] {
            forms.retain(|form| !services.contains(&form.group.service));
        }
        self.pair.wanted.explain(&left, &right, &self.model, &self.loose).is_some()
    }

    /// Whether all other differences are in Services for which the built-in controller backs off:
    /// since both last agreed, it has logged that a sync failed because of its slices. A pod whose
    /// node is missing also fails each sync, but only after everything else is written.
    fn is_backing_off(&self) -> bool {
        let failed = self.failed(&["informer cache is out of date", FAILED_WRITE]);
        !failed.is_empty() && self.is_explained_without(&failed)
    }

    /// Whether closehaul takes the history's edits for those of another controller. The time that
    /// it then waits is not a difference. A touch would cut it short.
    fn is_fought_for(&self) -> bool {
        let service = format!("\"service\":\"{}/", self.namespace);
        let log = self.pair.closehaul.logged_since(0);
        log.lines().any(|line| line.contains(FIGHT) && line.contains(&service))
    }

    /// The Services for which the built-in controller has logged one of these texts since both last
    /// agreed.
    fn failed(&self, words: &[&str]) -> Loose {
        let lines = self.logged().into_iter();
        let lines = lines.filter(|line| words.iter().any(|words| line.contains(words)));
        lines.filter_map(|line| Some(self.service_in(&line)?.to_owned())).collect()
    }

    /// The Service of the history that a line of the built-in controller's log is about.
    fn service_in<'l>(&self, line: &'l str) -> Option<&'l str> {
        let (_, rest) = line.split_once(&format!("key=\"{}/", self.namespace))?;
        rest.split_once('"').map(|(service, _)| service)
    }

    /// What closehaul has written since it had these slices, if anything.
    pub(super) fn written_since(&self, before: &ByName, when: &str) -> Option<Vec<String>> {
        let after = self.pair.closehaul.by_name(&self.namespace);
        let mut lines = vec![format!("closehaul wrote at {when}:")];
        for (what, slices, others) in [("before", before, &after), ("after", &after, before)] {
            let changed = slices.iter().filter(|(name, slice)| {
                others.get(*name).is_none_or(|other| versioned(other) != versioned(slice))
            });
            lines.extend(changed.map(|(_, slice)| format!("{what} {slice}")));
        }
        (lines.len() > 1).then_some(lines)
    }

    /// What the built-in controller has logged about the Services, except the canary, since both
    /// last agreed.
    pub(super) fn logged(&self) -> Vec<String> {
        let log = self.pair.built_in.logged_since(self.logged);
        let is_of_history =
            |line: &&str| self.service_in(line).is_some_and(|service| service != CANARY);
        log.lines().filter(is_of_history).map(str::to_owned).collect()
    }

    /// Touches all Services until both agree, or only wanted differences remain. Without a touch,
    /// the built-in controller does not soon repeat a sync for which its watch was behind.
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

    /// The outcome of a comparison with the wanted differences. If they explain it, both sides are
    /// aligned.
    async fn explained(&mut self, effect: &Effect, found: Comparison) -> Result<Outcome, Error> {
        let mut found = found;
        let (mut rounds, mut is_repaired) = (0, false);
        while found != Comparison::Same {
            let (left, right) = self.forms();
            let wanted = &self.pair.wanted;
            if let Comparison::Different(mut lines) = found {
                let Some(names) = wanted.explain(&left, &right, &self.model, &self.loose) else {
                    if effect.trap && rounds == 0 && wanted.has("tracker-trap") {
                        return Ok(Outcome::Trapped);
                    }
                    lines.insert(0, format!("after both were brought together {rounds} times:"));
                    return Ok(Outcome::Judged(Verdict::Different(lines)));
                };
                for name in &names {
                    wanted.meet(name);
                }
                if rounds == ROUNDS {
                    break;
                }
            }
            rounds += 1;
            if rounds == 1 && left.iter().any(|form| self.is_replaced(form)) {
                let collected = self.collect().await?;
                self.loose.extend(collected);
                found = self.settle(AGREE).await;
                continue;
            }
            is_repaired = self.align(&left).await?;
            self.loose = loose_if(is_repaired);
            found = self.settle(AGREE).await;
            is_repaired &= found != Comparison::Same;
            if found == Comparison::Placed && (!is_repaired || rounds > ROUNDS) {
                break;
            }
        }
        self.loose = loose_if(is_repaired);
        self.logged = self.pair.built_in.log_length();
        Ok(Outcome::Judged(Verdict::Agreed))
    }

    /// Makes closehaul's slices equal to the other side's. closehaul has seen them afterwards, so
    /// its next write is based on them. Returns whether it has written some of them itself since: it
    /// repairs what differs a second later, or at once if a change of nodes, also by another
    /// history, makes it plan a Service.
    async fn align(&self, left: &[Form]) -> Result<bool, Error> {
        let side = &self.pair.closehaul;
        let aligned = side.align(&self.namespace, left).await?;
        repaired(side, &self.namespace).await?;
        Ok(side.versions(&self.namespace) != aligned)
    }

    /// Whether closehaul replaces such a slice of the other side. If it was given one again and
    /// again, it would take that for the work of another controller.
    fn is_replaced(&self, form: &Form) -> bool {
        form.has_lost_owner() && self.model.has_service(&form.group.service)
    }

    /// Does the garbage collector's work and deletes slices that have lost their owner. Returns
    /// their Services: which of their slices has a trigger time then depends on which placeholder
    /// was created later.
    async fn collect(&mut self) -> Result<Loose, Error> {
        let namespace = &self.namespace;
        let lost = |side: &Side| {
            let mut forms = side.forms(namespace);
            forms.retain(Form::has_lost_owner);
            forms
        };
        let Pair { built_in, closehaul, .. } = self.pair;
        let services = [built_in, closehaul].into_iter().flat_map(lost);
        let services = services.map(|form| form.group.service).collect::<Loose>();
        self.pair
            .both(async |side| {
                for form in &lost(side) {
                    let free = json!({"metadata": {"finalizers": null}});
                    side.patch_slice(&form.slice, &free).await?;
                    side.world.delete(&place(&form.slice)).await?;
                }
                Ok(())
            })
            .await?;
        self.probe_slices().await?;
        self.touch().await?;
        Ok(services)
    }

    /// Compares after a restart of the built-in controller, which had been trapped. It may choose
    /// other hints where it draws lots.
    pub(super) async fn after_trap(&mut self) -> Result<Verdict, Error> {
        self.probe(true).await?;
        self.touch().await?;
        // The trigger times come from the restart.
        self.loose = every_service();
        let found = self.settle(AGREE).await;
        match self.explained(&Effect::default(), found).await? {
            Outcome::Judged(verdict) => {
                if verdict == Verdict::Agreed {
                    self.pair.wanted.meet("tracker-trap");
                }
                Ok(verdict)
            }
            Outcome::Trapped => Ok(Verdict::Different(vec!["trapped after a restart".to_owned()])),
        }
    }
}
