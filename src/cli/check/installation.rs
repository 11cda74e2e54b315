//! Installation: whether closehaul is there once, runs, and leads. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ContainerState, Pod};

use super::{
    facts::{Facts, Installation, Lease, Stage},
    item::Item,
    line::{Line, Verdict, count, error, ok, warning},
    read::Unread,
};
use crate::{
    admission::names::{BINDING, LIMIT_BINDING, LIMIT_POLICY, POLICY},
    api::{
        Kind as _,
        policy::{GROUP, VERSION},
    },
    model::policy::{ClusterLocalityPolicy, LocalityPolicy, ZoneEvacuation},
    report::hindrance::listed,
};

/// The kinds that have definitions.
pub(super) const KINDS: [&str; 3] =
    [LocalityPolicy::PLURAL, ClusterLocalityPolicy::PLURAL, ZoneEvacuation::PLURAL];

/// Whether there is one installation; before the first, none.
pub(super) fn one(facts: &Facts) -> Line {
    Line::judge(Item::OneInstallation, || {
        let (installations, leases) = (facts.installations.as_ref()?, facts.leases.as_ref()?);
        Ok(match facts.stage {
            Stage::Before => none_yet(facts, installations, leases),
            Stage::After => only_one(facts, installations, leases),
        })
    })
}

fn keys(installations: &[Installation]) -> String {
    listed(installations.iter().map(Installation::key))
}

/// Leases that are held, apart from that of an installation.
fn held_elsewhere<'f>(
    facts: &'f Facts,
    installations: &[Installation],
    leases: &'f [Lease],
) -> Vec<&'f Lease> {
    let is_known = |lease: &Lease| {
        installations.iter().any(|it| it.lease() == (&*lease.name, &*lease.namespace))
    };
    leases.iter().filter(|lease| is_held(facts, lease) && !is_known(lease)).collect()
}

fn none_yet(facts: &Facts, installations: &[Installation], leases: &[Lease]) -> Verdict {
    if !installations.is_empty() {
        return warning(format!(
            "closehaul is installed as {}: upgrade that release instead of installing another",
            keys(installations)
        ));
    }
    match held_elsewhere(facts, installations, leases).first() {
        Some(Lease { namespace, name, record, .. }) => warning(format!(
            "{} holds the lease {namespace}/{name}, so closehaul runs without a Deployment: stop it \
             first",
            record.holder
        )),
        None => ok("none yet"),
    }
}

fn only_one(facts: &Facts, installations: &[Installation], leases: &[Lease]) -> Verdict {
    if installations.len() > 1 {
        let leases: BTreeSet<_> = installations.iter().map(Installation::lease).collect();
        let effect = if leases.len() > 1 {
            "they have different leases, so that both write"
        } else {
            "they share a lease"
        };
        return error(format!(
            "{} Deployments: {}; {effect}. Remove one installation",
            installations.len(),
            keys(installations)
        ));
    }
    let elsewhere = held_elsewhere(facts, installations, leases);
    match (installations, &elsewhere[..]) {
        ([], []) => error(
            "no Deployment has the label app.kubernetes.io/name=closehaul: install closehaul, or \
             check with --pre whether it can be installed",
        ),
        ([], [lease]) => warning(format!(
            "no Deployment; {} holds the lease {}/{}, so closehaul runs in another way",
            lease.record.holder, lease.namespace, lease.name
        )),
        ([it, ..], []) => ok(format!("{} in mode {}", it.key(), it.mode().as_str())),
        (_, [lease, ..]) => error(format!(
            "{} holds a lease of its own, {}/{}, so that another installation leads as well: remove it",
            lease.record.holder, lease.namespace, lease.name
        )),
    }
}

/// Whether all replicas are ready. `None` without a Deployment.
pub(super) fn replicas(facts: &Facts) -> Option<Line> {
    let it = facts.installation()?;
    let Installation { desired, ready, updated, .. } = it;
    let verdict = if ready >= desired && updated >= desired {
        ok(format!("{ready} of {desired}"))
    } else if ready >= desired {
        warning(format!("{updated} of {desired} are of the latest version: the rollout goes on"))
    } else {
        let why = troubles(facts, it);
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        error(format!("{ready} of {desired} are ready{why}"))
    };
    Some(Line::new(Item::Replicas, verdict))
}

/// Why pods are not ready, as the cluster reports it.
fn troubles(facts: &Facts, it: &Installation) -> String {
    let Ok(pods) = &facts.pods else { return String::new() };
    let ours = pods.iter().filter(|pod| pod.metadata.namespace.as_ref() == Some(&it.namespace));
    let reasons = ours.filter_map(|pod| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        Some(format!("{name} ({})", trouble(pod)?))
    });
    listed(reasons)
}

fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.iter().flatten();
    let unscheduled =
        conditions.clone().find(|it| it.type_ == "PodScheduled" && it.status == "False");
    if let Some(condition) = unscheduled {
        return condition.message.clone().or_else(|| condition.reason.clone());
    }
    let containers = status.container_statuses.iter().flatten();
    let running = containers.filter_map(|it| Some((it.restart_count, it.state.as_ref()?)));
    let waiting = running.filter_map(|(restarts, state): (i32, &ContainerState)| {
        let reason = state.waiting.as_ref()?.reason.as_deref()?;
        Some(format!("{reason}, {}", count(usize::try_from(restarts).ok()?, "restart")))
    });
    let is_unready = |it: &&k8s_openapi::api::core::v1::PodCondition| {
        it.type_ == "Ready" && it.status == "False"
    };
    waiting.into_iter().next().or_else(|| {
        conditions.clone().find(is_unready).map(|_| "not ready: see its /readyz?verbose".to_owned())
    })
}

/// Whether all replicas have the version of this command. `None` without a Deployment.
pub(super) fn versions(facts: &Facts) -> Option<Line> {
    let it = facts.installation()?;
    Some(Line::of(Item::Versions, &facts.pods, |pods| {
        let ours = pods.iter().filter(|pod| pod.metadata.namespace.as_ref() == Some(&it.namespace));
        let containers = ours.filter_map(|pod| pod.spec.as_ref()).flat_map(|spec| &spec.containers);
        let images: BTreeSet<_> = containers
            .filter(|container| container.name == "closehaul")
            .filter_map(|container| container.image.clone())
            .collect();
        if images.len() > 1 {
            return warning(format!(
                "the replicas have different images: {}",
                listed(images.into_iter())
            ));
        }
        let command = env!("CARGO_PKG_VERSION");
        match it.version.as_deref() {
            Some(version) if version == command => ok(version),
            Some(version) => warning(format!(
                "the replicas are of {version} and this command is of {command}: what they write may \
                 differ from what it plans"
            )),
            None => warning("the Deployment has no label app.kubernetes.io/version"),
        }
    }))
}

/// Whether a holder renews the lease. `None` where there is no election.
pub(super) fn leader(facts: &Facts) -> Option<Line> {
    let default = Installation { namespace: facts.namespace.clone(), ..Installation::default() };
    let it = facts.installation().unwrap_or(&default);
    let (name, namespace) = it.lease();
    let line = Line::of(Item::Leader, &facts.leases, |leases| {
        let lease = leases.iter().find(|it| it.name == name && it.namespace == namespace);
        let Some(lease) = lease else {
            return error(format!(
                "there is no lease {namespace}/{name}: no replica has led yet, so nothing writes \
                 slices"
            ));
        };
        let ago = |time: Option<jiff::Timestamp>| {
            let ago = time.map(|time| facts.server.now.duration_since(time).as_secs().max(0));
            ago.map_or_else(|| "never".to_owned(), |ago| format!("{ago} s ago"))
        };
        if lease.record.holder.is_empty() {
            return error(format!(
                "nobody holds the lease {namespace}/{name}; released {}",
                ago(lease.record.renewed)
            ));
        }
        if is_held(facts, lease) {
            // The holder's host name, `_` and a random part.
            let holder = &lease.record.holder;
            return ok(holder.rsplit_once('_').map_or(holder.as_str(), |(host, _)| host));
        }
        error(format!(
            "{} holds the lease {namespace}/{name} and has not renewed it, last {}",
            lease.record.holder,
            ago(lease.record.renewed)
        ))
    });
    it.elects().then_some(line)
}

pub(super) fn is_held(facts: &Facts, lease: &Lease) -> bool {
    lease.was_renewed || lease.record.is_held(facts.server.now)
}

/// Whether the custom resource definitions are there; before the installation, whether they can be
/// created.
pub(super) fn definitions(facts: &Facts) -> Line {
    Line::of(Item::Definitions, &facts.definitions, |definitions| {
        let not_established = definitions.iter().filter(|it| !it.is_established);
        let not_established: Vec<_> = not_established.map(|it| it.name.clone()).collect();
        if !not_established.is_empty() {
            let names = listed(not_established.into_iter());
            return error(format!("not established: {names}; kubectl describe crd says why"));
        }
        let others = definitions.iter().filter(|it| it.release.is_none()).count();
        match (facts.stage, definitions.len()) {
            (Stage::Before, 0) => ok("none yet"),
            (Stage::Before, _) if others > 0 => warning(format!(
                "{} exist that Helm did not create: install with --take-ownership, or with --set \
                 crds.install=false",
                count(others, "definition")
            )),
            (_, all) if all == KINDS.len() => ok(format!("{GROUP}/{VERSION}")),
            (_, some) => warning(format!(
                "{some} of {}: without them there are no policies and no evacuations. Create them: \
                 closehaul crds | kubectl apply -f -",
                KINDS.len()
            )),
        }
    })
}

/// What the chart installs in mode `assist`, by plural and name.
pub(super) const GUARDS: [(&str, &str); 4] = [
    ("mutatingadmissionpolicies", POLICY),
    ("mutatingadmissionpolicybindings", BINDING),
    ("validatingadmissionpolicies", LIMIT_POLICY),
    ("validatingadmissionpolicybindings", LIMIT_BINDING),
];

/// Whether the objects of mode `assist` exist. `None` in other modes.
pub(super) fn admission(facts: &Facts) -> Option<Line> {
    let missing = facts.unguarded.as_ref()?;
    Some(Line::of(Item::Admission, missing, |missing| {
        if missing.is_empty() {
            return ok("");
        }
        error(format!(
            "missing: {}; without them, the built-in controller removes hints with each of its \
             writes, or closehaul is not held to hints: upgrade the release",
            listed(missing.iter().cloned())
        ))
    }))
}

/// Whether Services wait or fail, by the metrics. `None` where these are not served beyond the node.
pub(super) fn queue(facts: &Facts) -> Option<Line> {
    let metrics = facts.metrics.as_ref()?;
    Some(Line::judge(Item::Queue, || {
        let texts = metrics.as_ref()?;
        Ok::<_, &Unread>(judge_metrics(texts))
    }))
}

/// A Service may wait this long before it counts.
const LONG_WAIT: f64 = 60.0;

fn judge_metrics(texts: &[String]) -> Verdict {
    let highest = |name: &str| {
        let values = texts.iter().flat_map(|text| text.lines()).filter_map(|line| {
            let (metric, value) = line.split_once(' ')?;
            (metric == name).then(|| value.trim().parse::<f64>().ok()).flatten()
        });
        values.fold(None, |highest: Option<f64>, value| {
            Some(highest.map_or(value, |it| it.max(value)))
        })
    };
    let (failing, oldest) =
        (highest("closehaul_services_failing"), highest("closehaul_queue_oldest_seconds"));
    match (failing, oldest) {
        (Some(failing), _) if failing > 0.0 => error(format!(
            "the slices of {failing} Services cannot be written: kubectl get events -A \
             --field-selector reason=FailedToUpdateEndpointSlices names them"
        )),
        (_, Some(oldest)) if oldest > LONG_WAIT => {
            warning(format!("a Service has waited for {oldest:.0} s"))
        }
        (Some(_), Some(oldest)) => ok(format!("the oldest waits for {oldest:.1} s")),
        _ => warning("the metrics of no replica say so"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::check::{facts::Mode, line::Outcome, samples};

    #[test]
    fn two_installations_are_named() {
        let mut facts = samples::facts();
        assert_eq!(one(&facts).detail, "kube-system/closehaul in mode replace");
        let mut second = samples::installation();
        "infra".clone_into(&mut second.namespace);
        facts.installations.as_mut().unwrap().push(second);
        let line = one(&facts);
        assert_eq!(line.outcome, Outcome::Error);
        assert!(line.detail.contains("infra/closehaul; they have different leases"), "{line:?}");
        facts.installations.as_mut().unwrap().pop();
        facts.leases.as_mut().unwrap().push(samples::lease("infra", "2026-01-02T03:04:04Z"));
        let line = one(&facts);
        assert_eq!(line.outcome, Outcome::Error);
        assert!(line.detail.contains("lease of its own, infra/closehaul"), "{line:?}");
        facts.leases.as_mut().unwrap()[1] = samples::lease("infra", "2026-01-02T03:00:00Z");
        assert_eq!(one(&facts).outcome, Outcome::Ok, "nobody holds it any more");
        facts.stage = Stage::Before;
        assert_eq!(one(&facts).outcome, Outcome::Warning);
        facts.installations = Ok(Vec::new());
        assert_eq!(one(&facts).outcome, Outcome::Warning, "it runs without a Deployment");
        facts.leases = Ok(Vec::new());
        assert_eq!(one(&facts).outcome, Outcome::Ok);
        facts.stage = Stage::After;
        assert_eq!(one(&facts).outcome, Outcome::Error);
    }

    #[test]
    fn a_leader_renews() {
        let mut facts = samples::facts();
        assert_eq!(leader(&facts).unwrap().outcome, Outcome::Ok);
        facts.leases = Ok(vec![samples::lease("kube-system", "2026-01-02T03:03:25Z")]);
        let line = leader(&facts).unwrap();
        assert_eq!(line.outcome, Outcome::Error);
        assert!(line.detail.ends_with("has not renewed it, last 40 s ago"), "{line:?}");
        facts.leases.as_mut().unwrap()[0].was_renewed = true;
        assert_eq!(leader(&facts).unwrap().outcome, Outcome::Ok, "its clock is behind");
        facts.leases = Ok(Vec::new());
        assert_eq!(leader(&facts).unwrap().outcome, Outcome::Error);
        facts.installations.as_mut().unwrap()[0].flags.add("mode", "advise");
        assert_eq!(leader(&facts), None);
    }

    #[test]
    fn replicas_that_are_not_ready_say_why() {
        let mut facts = samples::facts();
        assert_eq!(replicas(&facts).unwrap().outcome, Outcome::Ok);
        facts.installations.as_mut().unwrap()[0].ready = 1;
        let status = |status| {
            let pod = json!({"metadata": {"namespace": "kube-system", "name": "closehaul-0"}, "status": status});
            Ok(vec![serde_json::from_value(pod).unwrap()])
        };
        let message = "0/1 nodes are available: 1 node(s) didn't have free ports.";
        facts.pods = status(json!({"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}));
        let line = replicas(&facts).unwrap();
        assert_eq!(line.detail, format!("1 of 2 are ready: closehaul-0 ({message})"));
        facts.pods = status(json!({"containerStatuses": [{
            "name": "closehaul", "restartCount": 4, "ready": false, "image": "", "imageID": "",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}));
        let line = replicas(&facts).unwrap();
        assert_eq!(line.detail, "1 of 2 are ready: closehaul-0 (CrashLoopBackOff, 4 restarts)");
    }

    #[test]
    fn definitions_of_another_origin() {
        let mut facts = samples::facts();
        assert_eq!(definitions(&facts).outcome, Outcome::Ok);
        facts.definitions.as_mut().unwrap()[0].is_established = false;
        assert_eq!(definitions(&facts).outcome, Outcome::Error);
        facts.definitions.as_mut().unwrap().remove(0);
        assert_eq!(definitions(&facts).outcome, Outcome::Warning);
        facts.stage = Stage::Before;
        assert_eq!(definitions(&facts).outcome, Outcome::Warning);
        facts.definitions.as_mut().unwrap()[0].release = None;
        assert!(definitions(&facts).detail.contains("--take-ownership"));
        facts.definitions = Ok(Vec::new());
        assert_eq!(definitions(&facts).outcome, Outcome::Ok);
    }

    #[test]
    fn a_binding_that_is_gone_is_named() {
        let mut facts = samples::facts();
        assert_eq!(admission(&facts), None);
        facts.unguarded = Some(Ok(Vec::new()));
        assert_eq!(admission(&facts).unwrap().outcome, Outcome::Ok);
        let binding = "mutatingadmissionpolicybindings/closehaul-hints";
        facts.unguarded = Some(Ok(vec![binding.to_owned()]));
        let line = admission(&facts).unwrap();
        assert_eq!(line.outcome, Outcome::Error);
        assert!(line.detail.starts_with(&format!("missing: {binding};")), "{line:?}");
    }

    #[test]
    fn metrics_are_read_as_they_are_served() {
        let text = |failing: u32, oldest: u32| {
            format!(
                "# HELP closehaul_services_failing Services.\nclosehaul_services_failing {failing}\n\
                 closehaul_queue_oldest_seconds {oldest}\nclosehaul_services{{state=\"None\"}} 3\n"
            )
        };
        assert_eq!(judge_metrics(&[text(0, 0), text(0, 1)]).outcome, Outcome::Ok);
        assert_eq!(judge_metrics(&[text(0, 0), text(2, 1)]).outcome, Outcome::Error);
        assert_eq!(judge_metrics(&[text(0, 61)]).outcome, Outcome::Warning);
        assert_eq!(judge_metrics(&[String::new()]).outcome, Outcome::Warning);
    }

    #[test]
    fn versions_that_differ() {
        let mut facts = samples::facts();
        assert_eq!(versions(&facts).unwrap().outcome, Outcome::Ok);
        facts.installations.as_mut().unwrap()[0].version = Some("0.0.1".to_owned());
        assert_eq!(versions(&facts).unwrap().outcome, Outcome::Warning);
    }

    #[test]
    fn the_mode_is_that_of_the_deployment() {
        let mut it = samples::installation();
        assert_eq!((it.mode(), it.elects()), (Mode::Replace, true));
        it.flags.add("mode", "advise");
        assert_eq!((it.mode(), it.elects()), (Mode::Advise, false));
        it.flags.add("metrics-bind-address", "127.0.0.1:10281");
        assert_eq!(it.metrics_port(), None);
        it.flags.add("metrics-bind-address", ":10281");
        assert_eq!(it.metrics_port(), Some(10281));
    }
}
