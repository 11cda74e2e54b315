//! History: the steps of one namespace on both sides, each compared when both have settled.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    Error, Pair,
    form::{CURRENT, Comparison, Form, compare},
    model::{Effect, Model},
    objects,
    side::{CANARY, Side},
    step::Step,
};
use crate::world::{Kind, Place, object};

/// How often slices are looked at.
const POLL: Duration = Duration::from_millis(20);
/// No slice has changed for so long after the canary's: both have settled.
const QUIET: Duration = Duration::from_millis(150);
/// The same where a controller may answer to a watch other than the canary's.
const QUIET_NODES: Duration = Duration::from_millis(500);
/// The same after somebody else's write, which both answer to a second later.
const QUIET_SLICES: Duration = Duration::from_millis(1300);
/// How long both may take to agree: the built-in controller backs off for some seconds when its
/// watch is behind.
const AGREE: Duration = Duration::from_secs(15);
/// How long the built-in controller is given where it may be backing off.
const PATIENT: Duration = Duration::from_secs(2);
/// The same where closehaul waits 10 s for a node to come back.
const AGREE_NODES: Duration = Duration::from_secs(25);
/// How long a controller may take to follow the canary; a machine is slow at times.
const FOLLOW: Duration = Duration::from_secs(60);

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The step did not fit and was left out.
    Nothing,
    /// Both agree, as far as they are meant to.
    Agreed,
    /// The built-in controller may be trapped: to be compared after its restart.
    Trapped,
    /// They differ, in these lines.
    Different(Vec<String>),
}

/// A namespace on both sides.
pub struct History<'p> {
    pair: &'p Pair,
    namespace: String,
    /// What exists.
    pub model: Model,
    probes: u64,
    flips: u64,
    touches: u64,
    /// How many comparisons were made.
    pub comparisons: u64,
    /// Whether what happened since both last agreed has more than one right outcome.
    loose: bool,
}

impl<'p> History<'p> {
    /// Makes the namespace, its first nodes and its canary.
    pub async fn begin(pair: &'p Pair, namespace: &str) -> Result<Self, Error> {
        let model = Model::new(namespace);
        let mut history = Self {
            pair,
            namespace: namespace.to_owned(),
            model,
            probes: 0,
            flips: 0,
            touches: 0,
            comparisons: 0,
            loose: false,
        };
        let mut objects = vec![object::namespace(namespace)];
        objects.extend(history.model.objects());
        let node = objects::node_name(namespace, 9);
        let mut canary_node = object::node(&node, None);
        canary_node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!("");
        objects.push(canary_node);
        let mut service = object::service(namespace, CANARY);
        service["spec"]["clusterIP"] = json!("None");
        objects.push(service);
        let [address, _] = object::addresses(60_000);
        objects.push(object::pod(namespace, CANARY, CANARY, &node, &[address]));
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

    /// Takes a step on both sides and compares.
    pub async fn step(&mut self, step: &Step) -> Result<Verdict, Error> {
        let mut model = self.model.clone();
        let Some(effect) = model.take(step) else { return Ok(Verdict::Nothing) };
        self.model = model;
        let namespace = &self.namespace;
        self.pair
            .both(async |side| {
                for action in &effect.actions {
                    side.perform(namespace, action).await?;
                }
                Ok(())
            })
            .await?;
        self.loose |= effect.loose;
        self.probe(effect.pods).await?;
        self.judge(&effect).await
    }

    async fn judge(&mut self, effect: &Effect) -> Result<Verdict, Error> {
        let wanted = &self.pair.wanted;
        let lag = effect.lag.or_else(|| self.model.is_backing_off().then_some("back-off"));
        let lag = lag.filter(|lag| wanted.has(lag));
        let quiet = match (effect.slices, lag) {
            (true, _) => QUIET_SLICES,
            (_, Some(_)) => QUIET_NODES,
            _ => QUIET,
        };
        // Before the touch: closehaul must have followed; the built-in controller too, unless an
        // entry says that it may not.
        let patience = match lag {
            Some("back-off") => PATIENT,
            Some(_) => Duration::ZERO,
            None => AGREE,
        };
        let early = self.settle(quiet, patience).await;
        let mut early_forms = self.pair.closehaul.forms(&self.namespace);
        if self.model.held {
            // The built-in controller writes nothing now; what it has to do is done after.
            if let (Comparison::Different(lines), None) = (&early, lag) {
                return Ok(Verdict::Different(lines.clone()));
            }
            self.loose |= lag.is_none();
            wanted.meet("held-slices");
            return Ok(Verdict::Agreed);
        }
        if matches!(early, Comparison::Different(_)) && lag.is_none() {
            match self.explained(effect, early).await? {
                Verdict::Agreed => {}
                verdict => return Ok(verdict),
            }
            early_forms = self.pair.closehaul.forms(&self.namespace);
        } else if let (Comparison::Different(_), Some(lag)) = (early, lag) {
            wanted.meet(lag);
        }
        self.touch().await?;
        let patience = if lag == Some("deleted-nodes") { AGREE_NODES } else { AGREE };
        let late = self.settle(QUIET, patience).await;
        let late_forms = self.pair.closehaul.forms(&self.namespace);
        if let Comparison::Different(mut lines) = compare(&early_forms, &late_forms, false) {
            if lag != Some("deleted-nodes") {
                lines.insert(0, "closehaul wrote at the touch (before: built-in):".to_owned());
                return Ok(Verdict::Different(lines));
            }
            wanted.meet("deleted-nodes");
        }
        match late {
            Comparison::Same => {
                self.loose = false;
                Ok(Verdict::Agreed)
            }
            late => self.explained(effect, late).await,
        }
    }

    /// What a comparison comes to with the wanted differences; if it comes to nothing, both sides
    /// are brought together.
    async fn explained(&mut self, effect: &Effect, found: Comparison) -> Result<Verdict, Error> {
        if found == Comparison::Same {
            self.loose = false;
            return Ok(Verdict::Agreed);
        }
        let (left, right) = self.forms();
        let wanted = &self.pair.wanted;
        if let Comparison::Different(lines) = found {
            let Some(names) = wanted.explain(&left, &right, &self.model, self.loose) else {
                if effect.trap && wanted.has("tracker-trap") {
                    return Ok(Verdict::Trapped);
                }
                return Ok(Verdict::Different(lines));
            };
            for name in &names {
                wanted.meet(name);
            }
            if names.contains(&"own-placeholder") {
                return self.collect().await;
            }
        }
        let namespace = &self.namespace;
        self.pair.closehaul.align(namespace, &left).await?;
        self.loose = false;
        match self.settle(QUIET, AGREE).await {
            Comparison::Different(mut lines) => {
                lines.insert(0, "after both were brought together:".to_owned());
                Ok(Verdict::Different(lines))
            }
            _ => Ok(Verdict::Agreed),
        }
    }

    /// Does the garbage collector's work, and takes away what lost its owner; after a touch both must agree.
    async fn collect(&mut self) -> Result<Verdict, Error> {
        let namespace = &self.namespace;
        self.pair
            .both(async |side| {
                let owned = |form: &Form| form.group.owners.iter().any(|it| it.contains(CURRENT));
                let mut forms = side.forms(namespace);
                forms.retain(|form| form.is_managed() && !owned(form));
                for form in &forms {
                    side.world.delete(&super::side::place(&form.slice)).await?;
                }
                Ok(())
            })
            .await?;
        self.settle(QUIET_SLICES, Duration::ZERO).await;
        self.touch().await?;
        match self.settle(QUIET, AGREE).await {
            Comparison::Different(mut lines) => {
                // The trigger time of the placeholder that was made later.
                let (left, right) = self.forms();
                if compare(&left, &right, true) == Comparison::Placed {
                    self.pair.closehaul.align(&self.namespace, &left).await?;
                    return Ok(Verdict::Agreed);
                }
                lines.insert(0, "after the garbage collector:".to_owned());
                Ok(Verdict::Different(lines))
            }
            _ => Ok(Verdict::Agreed),
        }
    }

    /// Compares after the built-in controller was restarted, where it had been trapped.
    pub async fn after_restart(&mut self) -> Result<Verdict, Error> {
        self.probe(true).await?;
        self.touch().await?;
        // The trigger times are of the restart.
        self.loose = true;
        if let Comparison::Different(lines) = self.settle(QUIET_SLICES, AGREE).await {
            return Ok(Verdict::Different(lines));
        }
        self.pair.wanted.meet("tracker-trap");
        Ok(Verdict::Agreed)
    }

    /// Waits until both controllers follow, and have written what they have to.
    pub async fn follow(&mut self) -> Result<(), Error> {
        self.probe(true).await?;
        self.settle(QUIET_SLICES, AGREE).await;
        Ok(())
    }

    /// Deletes everything of the history.
    pub async fn end(self) -> Result<(), Error> {
        let namespace = &self.namespace;
        let nodes = [0, 1, 2, 3, 9].map(|number| objects::node_name(namespace, number));
        self.pair.both(async |side| side.clear(namespace, &nodes).await).await
    }

    fn forms(&self) -> (Vec<Form>, Vec<Form>) {
        let Pair { built_in, closehaul, .. } = self.pair;
        (built_in.forms(&self.namespace), closehaul.forms(&self.namespace))
    }

    /// Waits until neither side has written for `quiet`, and for up to `patience` more if they
    /// differ.
    async fn settle(&mut self, quiet: Duration, patience: Duration) -> Comparison {
        self.comparisons += 1;
        let started = Instant::now();
        let mut last = (None, None);
        let mut found = Comparison::Different(Vec::new());
        loop {
            let Pair { built_in, closehaul, .. } = self.pair;
            let changed =
                (built_in.view.changed(&self.namespace), closehaul.view.changed(&self.namespace));
            if found != Comparison::Same && changed != last || last.0.is_none() {
                let (left, right) = self.forms();
                found = compare(&left, &right, self.loose);
                last = changed;
            }
            let still = [changed.0, changed.1].into_iter().flatten().max().unwrap_or(started);
            let still = still.max(started).elapsed();
            let agreed = !matches!(found, Comparison::Different(_));
            if still >= quiet && (agreed || started.elapsed() >= quiet + patience) {
                let (left, right) = self.forms();
                return compare(&left, &right, self.loose);
            }
            if started.elapsed() >= quiet + patience + AGREE {
                return Comparison::Different(vec!["the slices do not settle".to_owned()]);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Touches all Services, which makes the built-in controller look at each, and waits until
    /// both controllers have seen it.
    async fn touch(&mut self) -> Result<(), Error> {
        self.touches += 1;
        let patch =
            json!({"metadata": {"annotations": {"example.com/touch": self.touches.to_string()}}});
        let (namespace, model) = (&self.namespace, &self.model);
        self.pair
            .both(async |side| {
                for (number, _) in model.services.iter().enumerate().filter(|(_, it)| it.is_some())
                {
                    let name = objects::service_name(number);
                    side.world.patch(&Place::new(Kind::Service, namespace, &name), &patch).await?;
                }
                Ok(())
            })
            .await?;
        self.probe(false).await
    }

    /// Changes the canary, and waits until both controllers have followed: they have taken in
    /// what came before it by the same watches.
    async fn probe(&mut self, pods: bool) -> Result<(), Error> {
        self.probes += 1;
        self.flips += u64::from(pods);
        let (probe, ready) = (self.probes.to_string(), self.flips.is_multiple_of(2));
        let namespace = &self.namespace;
        let label = json!({"metadata": {"labels": {"probe": probe}}});
        let status = json!({"conditions": object::ready(ready)});
        self.pair
            .both(async |side| {
                if pods {
                    let pod = Place::new(Kind::Pod, namespace, CANARY);
                    side.world.patch_status(&pod, &status).await?;
                }
                side.world.patch(&Place::new(Kind::Service, namespace, CANARY), &label).await?;
                let started = Instant::now();
                while !is_shown(side, namespace, &probe, ready) {
                    if started.elapsed() > FOLLOW {
                        let log = side.log_tail();
                        return Err(Error::Stuck { namespace: namespace.clone(), log });
                    }
                    tokio::time::sleep(POLL).await;
                }
                Ok(())
            })
            .await
    }
}

fn is_shown(side: &Side, namespace: &str, probe: &str, ready: bool) -> bool {
    side.canary(namespace).iter().any(|slice| {
        slice["metadata"]["labels"]["probe"] == *probe
            && slice["endpoints"][0]["conditions"]["ready"] == Value::Bool(ready)
    })
}
