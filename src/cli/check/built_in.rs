//! Built-in: whether the built-in controller runs where it must, and does not where it must not. Pure.

use super::{
    controllers::{BATCH_PERIOD, BUILT_IN, JOIN, Kubeadm, MAX_ENDPOINTS, runs},
    facts::{Facts, Installation, Manager, Stage},
    item::Item,
    line::{Line, Verdict, count, error, ok, warning},
    read::Unread,
};
use crate::{cli::duration, report::hindrance::listed};

/// The entry that switches it off.
const OFF: &str = "-endpointslice-controller";

impl Manager {
    /// Whether the built-in controller runs in it.
    pub(super) fn has_built_in(&self) -> bool {
        runs(&self.flags.controllers(), BUILT_IN, true)
    }
}

/// Control-plane nodes without a kube-controller-manager that can be seen.
fn unseen<'f>(facts: &'f Facts, managers: &[Manager]) -> Vec<&'f str> {
    let nodes = facts.nodes.iter().flatten().filter(|node| node.control_plane);
    let names = nodes.map(|node| &*node.name);
    names.filter(|node| managers.iter().all(|manager| manager.node != *node)).collect()
}

/// Whether the built-in controller is seen to be off everywhere. Then the time since which this holds
/// in all of them.
pub(super) fn off_since(facts: &Facts) -> Option<jiff::Timestamp> {
    let managers = facts.managers.as_ref().ok()?;
    if !unseen(facts, managers).is_empty() || managers.iter().any(Manager::has_built_in) {
        return None;
    }
    managers.iter().map(|manager| manager.started).collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn names<'m>(managers: impl IntoIterator<Item = &'m Manager>) -> String {
    listed(managers.into_iter().map(|manager| manager.name.clone()))
}

/// The manager that holds the lease, by its holder's host name.
fn holder<'m>(facts: &Facts, managers: &'m [Manager]) -> Option<&'m Manager> {
    let holder = facts.manager_holder.as_ref().ok()?.as_deref()?;
    // The identity is the host name, `_` and a UUID.
    let host = holder.rsplit_once('_').map_or(holder, |(host, _)| host);
    managers.iter().find(|manager| manager.node == host)
}

/// Before the installation: whether the flag can be set, and where.
pub(super) fn can_be_switched_off(facts: &Facts) -> Line {
    Line::judge(Item::CanSwitchOff, || {
        let managers = facts.managers.as_ref()?;
        if managers.is_empty() {
            return Ok(warning(no_manager(&facts.server.version)));
        }
        let unseen = unseen(facts, managers);
        if !unseen.is_empty() {
            return Ok(warning(format!(
                "no kube-controller-manager is seen on the control-plane nodes {}: look there \
                 yourself",
                listed(unseen.into_iter().map(str::to_owned))
            )));
        }
        if !managers.iter().any(Manager::has_built_in) {
            return Ok(warning(format!(
                "it is off already at {}: until closehaul runs, nothing writes slices",
                names(managers)
            )));
        }
        // Of several, the one that leads comes last.
        let last = if managers.len() > 1 {
            facts.manager_holder.as_ref()?;
            holder(facts, managers)
        } else {
            None
        };
        let last = last
            .map_or_else(String::new, |it| format!("; {} last, which holds the lease", it.name));
        Ok(ok(format!("once closehaul runs, append {OFF} at {}{last}", names(managers))))
    })
}

/// What to do where no kube-controller-manager can be seen, by the distribution.
fn no_manager(version: &str) -> String {
    const UNSEEN: &str = "no kube-controller-manager is seen";
    if version.contains("-eks-") || version.contains("-gke.") {
        let name = if version.contains("-eks-") { "EKS" } else { "GKE" };
        return format!(
            "{UNSEEN}: {name} does not let its flags be set. Use mode assist (1.36 or newer) or \
             advise: --set mode=assist"
        );
    }
    if version.contains("+k3s") {
        return format!(
            "{UNSEEN}: k3s runs it in its own process. Set its list in /etc/rancher/k3s/config.yaml \
             on every server"
        );
    }
    format!(
        "{UNSEEN}. Where its flags cannot be set (EKS, GKE, AKS and other managed control planes), \
         use mode assist (1.36 or newer) or advise: --set mode=assist"
    )
}

/// In mode `replace`: whether the built-in controller is off everywhere.
pub(super) fn is_off(facts: &Facts) -> Line {
    Line::of(Item::BuiltInOff, &facts.managers, |managers| {
        let on: Vec<_> = managers.iter().filter(|manager| manager.has_built_in()).collect();
        if !on.is_empty() {
            return error(still_on(facts, managers, &on));
        }
        if managers.is_empty() {
            return warning(
                "no kube-controller-manager is seen, so its flags are not known. Whether it writes \
                 is checked below",
            );
        }
        let unseen = unseen(facts, managers);
        if !unseen.is_empty() {
            return warning(format!(
                "off at {}; no kube-controller-manager is seen on the control-plane nodes {}: look \
                 there yourself",
                names(managers),
                listed(unseen.into_iter().map(str::to_owned))
            ));
        }
        ok(format!("at {}", names(managers)))
    })
}

fn still_on(facts: &Facts, managers: &[Manager], on: &[&Manager]) -> String {
    let lists =
        on.iter().map(|it| format!("{} (--controllers={})", it.name, it.flags.controllers()));
    let holder = holder(facts, managers).map(|holder| {
        if on.iter().any(|manager| manager.name == holder.name) {
            format!(" {} holds the lease, so it writes slices now.", holder.name)
        } else {
            format!(" {} holds the lease; with the next change of it, both write.", holder.name)
        }
    });
    format!(
        "it is on at {} of {}: {}.{} Append {OFF} to the list",
        on.len(),
        managers.len(),
        listed(lists),
        holder.unwrap_or_default()
    )
}

/// In the other modes: whether it is on.
pub(super) fn is_on(facts: &Facts) -> Line {
    Line::of(Item::BuiltInOn, &facts.managers, |managers| {
        let off: Vec<_> = managers.iter().filter(|manager| !manager.has_built_in()).collect();
        if managers.is_empty() {
            return ok("no kube-controller-manager is seen, as with managed control planes");
        }
        if off.is_empty() {
            return ok(format!("at {}", names(managers)));
        }
        error(format!(
            "it is off at {}, and in mode {} closehaul writes no slices in its place: remove {OFF} \
             from the list, or use mode replace",
            names(off),
            facts.mode.as_str()
        ))
    })
}

/// In mode `replace`: whether the next upgrade by kubeadm keeps the setting. `None` without kubeadm.
pub(super) fn kubeadm_config(facts: &Facts) -> Option<Line> {
    let kubeadm = match &facts.kubeadm {
        Ok(None) => return None,
        Ok(Some(text)) => Kubeadm::read(text),
        Err(unread) => return Some(Line::judge(Item::KubeadmConfig, || Err(unread))),
    };
    let verdict = match kubeadm {
        Err(error) => warning(error.to_string()),
        Ok(kubeadm) => judge_kubeadm(facts, &kubeadm),
    };
    Some(Line::new(Item::KubeadmConfig, verdict))
}

fn judge_kubeadm(facts: &Facts, Kubeadm { version, controllers }: &Kubeadm) -> Verdict {
    let form = if ["v1beta1", "v1beta2", "v1beta3"].contains(&version.as_str()) {
        "controllers: LIST in the map"
    } else {
        "name: controllers, value: LIST in the list"
    };
    let form =
        format!("{form} controllerManager.extraArgs of the ConfigMap kubeadm-config ({version})");
    let is_off = controllers.as_ref().is_some_and(|list| !runs(list, BUILT_IN, true));
    match (facts.stage, is_off) {
        (_, true) => ok(format!("by controllers in kubeadm-config ({version})")),
        (Stage::Before, false) => ok(format!("set it there too, as {form}")),
        (Stage::After, false) => warning(format!(
            "kubeadm-config does not switch the built-in controller off, so the next kubeadm upgrade \
             switches it on: set the list of the manifests as {form}"
        )),
    }
}

/// In mode `replace`: whether what `kubeadm join` requires is still on. `None` without kubeadm.
pub(super) fn kubeadm_join(facts: &Facts) -> Option<Line> {
    let Ok(Some(_)) = &facts.kubeadm else { return None };
    let lacks = |manager: &&Manager| {
        let list = manager.flags.controllers();
        JOIN.iter().any(|names| !runs(&list, *names, false))
    };
    let line = Line::of(Item::KubeadmJoin, &facts.managers, |managers| {
        let without: Vec<_> = managers.iter().filter(lacks).collect();
        if without.is_empty() {
            return ok("");
        }
        warning(format!(
            "bootstrapsigner or tokencleaner is missing from --controllers at {}: append to the list \
             instead of replacing it",
            names(without)
        ))
    });
    // Without a pod there is nothing to judge.
    facts.managers.as_ref().is_ok_and(|managers| !managers.is_empty()).then_some(line)
}

/// In mode `replace`: whether both controllers have the same settings. `None` if one of them is not
/// there.
pub(super) fn slice_flags(facts: &Facts) -> Option<Line> {
    let managers = facts.managers.as_ref().ok().filter(|managers| !managers.is_empty())?;
    let default = Installation::default();
    let ours = match facts.stage {
        Stage::Before => &default,
        Stage::After => facts.installation()?,
    };
    Some(Line::judge(Item::SliceFlags, || Ok::<_, &Unread>(judge_flags(managers, ours))))
}

fn judge_flags(managers: &[Manager], ours: &Installation) -> Verdict {
    let mut differences = Vec::new();
    for manager in managers {
        let max = manager.flags.get("max-endpoints-per-slice");
        let max = max.and_then(|text| text.parse().ok()).unwrap_or(MAX_ENDPOINTS);
        let period = manager.flags.get("endpointslice-updates-batch-period");
        let period = period.and_then(|text| duration::parse(text).ok()).unwrap_or(BATCH_PERIOD);
        if max != ours.max_endpoints() {
            differences.push(format!(
                "--max-endpoints-per-slice is {max} at {} and {} here, so closehaul packs all slices \
                 again: --set controller.maxEndpointsPerSlice={max}",
                manager.name,
                ours.max_endpoints()
            ));
        }
        if period != ours.batch_period() {
            differences.push(format!(
                "--endpointslice-updates-batch-period is {period:?} at {} and {:?} here: --set \
                 controller.endpointSliceUpdatesBatchPeriod={period:?}",
                manager.name,
                ours.batch_period()
            ));
        }
    }
    // The others say the same.
    let others = differences.len().saturating_sub(1);
    match differences.into_iter().next() {
        None => ok(format!("{} endpoints in a slice", ours.max_endpoints())),
        Some(first) if others == 0 => warning(first),
        Some(first) => warning(format!("{first}; and {}", count(others, "more difference"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::{facts::Mode, line::Outcome, samples};

    const LIST: &str = "*,bootstrapsigner,tokencleaner";

    fn off() -> String {
        format!("{LIST},{OFF}")
    }

    #[test]
    fn every_control_plane_node_counts() {
        let mut facts = samples::facts();
        facts.managers =
            Ok(vec![samples::manager("cp-1", &off()), samples::manager("cp-2", &off())]);
        assert_eq!(is_off(&facts).outcome, Outcome::Ok);
        assert!(off_since(&facts).is_some());
        facts.managers = Ok(vec![samples::manager("cp-1", &off()), samples::manager("cp-2", LIST)]);
        let line = is_off(&facts);
        assert_eq!(line.outcome, Outcome::Error);
        assert_eq!(
            line.detail,
            "it is on at 1 of 2: kube-controller-manager-cp-2 \
             (--controllers=*,bootstrapsigner,tokencleaner). kube-controller-manager-cp-1 holds the \
             lease; with the next change of it, both write. Append -endpointslice-controller to the \
             list"
        );
        assert_eq!(off_since(&facts), None);
        facts.manager_holder = Ok(Some("cp-2_0b5f".to_owned()));
        assert!(is_off(&facts).detail.contains("cp-2 holds the lease, so it writes slices now."));
        // A control-plane node whose pod is not there may have one that runs otherwise.
        facts.managers = Ok(vec![samples::manager("cp-1", &off())]);
        let line = is_off(&facts);
        assert_eq!(line.outcome, Outcome::Warning);
        assert!(line.detail.contains("control-plane nodes cp-2"), "{line:?}");
        facts.managers = Ok(Vec::new());
        assert_eq!(is_off(&facts).outcome, Outcome::Warning);
    }

    #[test]
    fn the_modes_that_need_it() {
        let mut facts = samples::facts();
        facts.mode = Mode::Advise;
        facts.managers = Ok(vec![samples::manager("cp-1", LIST), samples::manager("cp-2", LIST)]);
        assert_eq!(is_on(&facts).outcome, Outcome::Ok);
        facts.managers = Ok(vec![samples::manager("cp-1", LIST), samples::manager("cp-2", &off())]);
        assert_eq!(is_on(&facts).outcome, Outcome::Error);
        facts.managers = Ok(Vec::new());
        assert_eq!(is_on(&facts).outcome, Outcome::Ok);
    }

    #[test]
    fn what_cannot_be_seen_suggests_a_mode() {
        let mut facts = samples::facts();
        facts.managers = Ok(Vec::new());
        for (version, word) in [
            ("v1.35.5-eks-113cf36", "EKS"),
            ("v1.36.4-gke.1036000", "GKE"),
            ("v1.34.1+k3s1", "/etc/rancher/k3s/config.yaml"),
            ("v1.36.0", "AKS"),
        ] {
            version.clone_into(&mut facts.server.version);
            let line = can_be_switched_off(&facts);
            assert_eq!(line.outcome, Outcome::Warning);
            assert!(line.detail.contains(word), "{line:?}");
        }
        facts.managers = Ok(vec![samples::manager("cp-1", LIST), samples::manager("cp-2", LIST)]);
        let line = can_be_switched_off(&facts);
        assert_eq!(line.outcome, Outcome::Ok);
        assert!(line.detail.ends_with("kube-controller-manager-cp-1 last, which holds the lease"));
    }

    #[test]
    fn kubeadm_must_know_it_too() {
        let mut facts = samples::facts();
        let config =
            |args: &str| format!("apiVersion: kubeadm.k8s.io/v1beta4\ncontrollerManager:\n{args}");
        facts.kubeadm = Ok(Some(config("  extraArgs: []\n")));
        let line = kubeadm_config(&facts).unwrap();
        assert_eq!(line.outcome, Outcome::Warning);
        assert!(line.detail.contains("name: controllers, value: LIST"), "{line:?}");
        facts.stage = Stage::Before;
        assert_eq!(kubeadm_config(&facts).unwrap().outcome, Outcome::Ok);
        facts.stage = Stage::After;
        let args = format!("  extraArgs:\n  - {{name: controllers, value: '{}'}}\n", off());
        facts.kubeadm = Ok(Some(config(&args)));
        assert_eq!(kubeadm_config(&facts).unwrap().outcome, Outcome::Ok);
        assert_eq!(kubeadm_join(&facts).unwrap().outcome, Outcome::Ok);
        facts.managers = Ok(vec![samples::manager("cp-1", "*,-endpointslice-controller")]);
        assert_eq!(kubeadm_join(&facts).unwrap().outcome, Outcome::Warning);
        facts.kubeadm = Ok(None);
        assert!(kubeadm_config(&facts).is_none() && kubeadm_join(&facts).is_none());
    }

    #[test]
    fn settings_that_differ() {
        let mut facts = samples::facts();
        assert_eq!(slice_flags(&facts).unwrap().outcome, Outcome::Ok);
        let mut manager = samples::manager("cp-1", LIST);
        manager.flags.add("max-endpoints-per-slice", "500");
        facts.managers = Ok(vec![manager]);
        let line = slice_flags(&facts).unwrap();
        assert_eq!(line.outcome, Outcome::Warning);
        assert!(line.detail.ends_with("--set controller.maxEndpointsPerSlice=500"), "{line:?}");
        facts.installations.as_mut().unwrap()[0].flags.add("max-endpoints-per-slice", "500");
        assert_eq!(slice_flags(&facts).unwrap().outcome, Outcome::Ok);
    }
}
