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
const QUIET: Duration = Duration::from_millis(300);
/// The number of the canary's node.
const CANARY_NODE: usize = 9;
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
        let node = objects::node_name(namespace, CANARY_NODE);
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
        if effect.slices {
            self.probe_slices().await?;
        }
        if matches!(effect.lag, Some("late-nodes" | "deleted-nodes")) {
            self.probe_nodes().await?;
        }
        self.judge(&effect).await
    }

    async fn judge(&mut self, effect: &Effect) -> Result<Verdict, Error> {
        let wanted = &self.pair.wanted;
        let lag = effect.lag.filter(|lag| wanted.has(lag));
        // Before the touch: closehaul must have followed; the built-in controller too, unless an
        // entry says that it may not.
        let patience = match lag {
            Some(_) => Duration::ZERO,
            None if wanted.has("back-off") => PATIENT,
            None => AGREE,
        };
        let early = self.settle(QUIET, patience).await;
        let mut early_forms = self.pair.closehaul.forms(&self.namespace);
        if self.model.held {
            // The built-in controller writes nothing now; what it has to do is done after. With
            // more than one step until then there is more than one way to do it.
            self.loose |= lag.is_none();
            if matches!(early, Comparison::Different(_)) {
                wanted.meet("held-slices");
            }
            return Ok(Verdict::Agreed);
        }
        let mut may_lag = lag;
        if matches!(early, Comparison::Different(_)) && lag.is_none() {
            // What is wanted shows at once; only a back-off is over with the touch.
            let (left, right) = self.forms();
            if wanted.explain(&left, &right, &self.model, self.loose).is_some() {
                match self.explained(effect, early.clone()).await? {
                    Verdict::Agreed => {}
                    verdict => return Ok(verdict),
                }
                early_forms = self.pair.closehaul.forms(&self.namespace);
            } else if wanted.has("back-off") {
                may_lag = Some("back-off");
            } else {
                return self.explained(effect, early).await;
            }
        }
        let is_late = matches!(early, Comparison::Different(_));
        let patience = if lag == Some("deleted-nodes") { AGREE_NODES } else { AGREE };
        let late = self.settle_touched(patience).await?;
        let has_agreed = !matches!(late, Comparison::Different(_));
        if let Some(lag) = may_lag.filter(|_| is_late && has_agreed) {
            wanted.meet(lag);
        }
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

    /// Touches all Services until both agree, or differ as they may: a sync that the built-in
    /// controller's own watch was behind for is not repeated soon without.
    async fn settle_touched(&mut self, patience: Duration) -> Result<Comparison, Error> {
        let started = Instant::now();
        loop {
            self.touch().await?;
            let found = self.settle(QUIET, PATIENT).await;
            let (left, right) = self.forms();
            let wanted = &self.pair.wanted;
            if !matches!(found, Comparison::Different(_))
                || started.elapsed() >= patience
                || wanted.explain(&left, &right, &self.model, self.loose).is_some()
            {
                return Ok(found);
            }
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
                    let place = super::side::place(&form.slice);
                    let free = json!({"metadata": {"finalizers": null}});
                    side.world.patch(&place, &free).await?;
                    side.world.delete(&place).await?;
                }
                Ok(())
            })
            .await?;
        self.probe_slices().await?;
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
        if let Comparison::Different(lines) = self.settle(QUIET, AGREE).await {
            return Ok(Verdict::Different(lines));
        }
        self.pair.wanted.meet("tracker-trap");
        Ok(Verdict::Agreed)
    }

    /// Waits until both controllers follow, and have written what they have to.
    pub async fn follow(&mut self) -> Result<(), Error> {
        self.probe(true).await?;
        self.settle(QUIET, AGREE).await;
        Ok(())
    }

    /// Deletes everything of the history.
    pub async fn end(self) -> Result<(), Error> {
        let namespace = &self.namespace;
        let nodes = [0, 1, 2, 3, CANARY_NODE].map(|number| objects::node_name(namespace, number));
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
                shown(side, namespace, |slice| {
                    slice["metadata"]["labels"]["probe"] == *probe
                        && slice["endpoints"][0]["conditions"]["ready"] == ready
                })
                .await
            })
            .await
    }

    /// The same by the watch of slices: somebody else empties the canary's, and both must have
    /// repaired it.
    async fn probe_slices(&self) -> Result<(), Error> {
        let namespace = &self.namespace;
        self.pair
            .both(async |side| {
                let mut written = Vec::new();
                for slice in side.canary(namespace) {
                    let patch = json!({"endpoints": null});
                    let patched = side.world.patch(&super::side::place(&slice), &patch).await?;
                    written.push(version(&patched));
                }
                shown(side, namespace, |slice| {
                    written.iter().all(|written| version(slice) > *written)
                        && !slice["endpoints"][0].is_null()
                })
                .await
            })
            .await
    }

    /// The same by the watch of nodes, which the built-in controller does not follow.
    async fn probe_nodes(&mut self) -> Result<(), Error> {
        self.probes += 1;
        let (namespace, zone) = (&self.namespace, format!("zone-{}", self.probes));
        let patch = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}});
        let node = Place::node(&objects::node_name(namespace, CANARY_NODE));
        self.pair.both(async |side| Ok(side.world.patch(&node, &patch).await.map(drop)?)).await?;
        shown(&self.pair.closehaul, namespace, |slice| slice["endpoints"][0]["zone"] == *zone).await
    }
}

/// Waits until the canary's slice is as wanted.
async fn shown(
    side: &Side,
    namespace: &str,
    is_shown: impl Fn(&Value) -> bool,
) -> Result<(), Error> {
    let started = Instant::now();
    while !side.canary(namespace).iter().any(|slice| is_shown(slice)) {
        if started.elapsed() > FOLLOW {
            return Err(Error::Stuck { namespace: namespace.to_owned(), log: side.log_tail() });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn version(slice: &Value) -> u64 {
    let version = slice["metadata"]["resourceVersion"].as_str();
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}
