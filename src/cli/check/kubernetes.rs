//! Kubernetes: whether version, nodes and namespace fit. Pure.

use super::{
    facts::{Facts, Mode},
    item::Item,
    line::{Line, Verdict, count, error, ok, warning},
};
use crate::{model::node::Node, report::hindrance::listed};

/// The oldest version that is supported: the first whose slices have hints for nodes by default.
const OLDEST: Version = Version(1, 34);
/// The oldest version for mode `assist`: `MutatingAdmissionPolicies` are stable (KEP-3962).
const OLDEST_TO_ASSIST: Version = Version(1, 36);
/// The label by which a namespace limits its pods (KEP-2579).
const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";

/// Major and minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Version {
    /// Reads a `gitVersion` such as `v1.34.1+k3s1`.
    fn read(text: &str) -> Option<Self> {
        let (major, rest) = text.trim_start_matches('v').split_once('.')?;
        let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// Whether the mode works with the version.
pub(super) fn version(facts: &Facts) -> Line {
    let text = &facts.server.version;
    let verdict = match Version::read(text) {
        None => warning(format!("`{text}` is not a version that can be compared")),
        Some(version) if version < OLDEST => error(format!(
            "{text}: closehaul requires 1.34 or newer, where slices have hints for nodes; upgrade \
             Kubernetes first"
        )),
        Some(version) if facts.mode == Mode::Assist && version < OLDEST_TO_ASSIST => {
            error(format!(
                "{text}: mode assist requires 1.36 or newer, with MutatingAdmissionPolicies; upgrade \
             Kubernetes, or use mode advise"
            ))
        }
        Some(_) => ok(text.clone()),
    };
    Line::new(Item::Version, verdict)
}

/// Whether nodes have the label that names their zone.
pub(super) fn zones(facts: &Facts) -> Line {
    Line::of(Item::Zones, &facts.nodes, |nodes| judge_zones(nodes))
}

fn judge_zones(nodes: &[Node]) -> Verdict {
    let mut zones: Vec<&str> = nodes.iter().filter_map(|node| node.zone.as_deref()).collect();
    zones.sort_unstable();
    zones.dedup();
    let without = |control_plane| {
        let nodes = nodes.iter().filter(move |node| node.zone.is_none());
        let mut names: Vec<&str> = nodes
            .filter(|node| node.control_plane == control_plane)
            .map(|node| &*node.name)
            .collect();
        names.sort_unstable();
        names
    };
    let (workers, control_plane) = (without(false), without(true));
    let all = count(nodes.len(), "node");
    if zones.is_empty() {
        return warning(format!(
            "none of {all} has the label topology.kubernetes.io/zone, so traffic can be kept on its \
             node, but not in its zone"
        ));
    }
    if !workers.is_empty() {
        let names = listed(workers.iter().map(ToString::to_string));
        return warning(format!(
            "{} of {all} without the label topology.kubernetes.io/zone: {names}; one ready endpoint \
             there turns off the hints for zones of its whole Service",
            workers.len()
        ));
    }
    let zones = match &zones[..] {
        [zone] => format!("{all} in one zone, {zone}: there is nothing to keep apart"),
        _ => format!(
            "{all} in {}: {}",
            count(zones.len(), "zone"),
            listed(zones.iter().map(ToString::to_string))
        ),
    };
    if control_plane.is_empty() {
        return ok(zones);
    }
    let names = listed(control_plane.iter().map(ToString::to_string));
    ok(format!("{zones}; not the control-plane nodes {names}"))
}

/// Whether each of two replicas finds a node of its own.
pub(super) fn nodes(facts: &Facts) -> Line {
    Line::of(Item::Nodes, &facts.nodes, |nodes| {
        let ready = nodes.iter().filter(|node| node.ready).count();
        if ready < 2 {
            return warning(format!(
                "{}, and two replicas never share one: install with --set replicaCount=1",
                count(ready, "ready node")
            ));
        }
        ok(count(ready, "ready node"))
    })
}

/// Whether the namespace exists and admits pods in the node's network.
pub(super) fn namespace(facts: &Facts) -> Line {
    let name = &facts.namespace;
    Line::of(Item::Namespace, &facts.namespaces, |namespaces| {
        let Some(namespace) = namespaces.iter().find(|it| *it.name == **name) else {
            return warning(format!("there is no namespace {name}: create it, or use kube-system"));
        };
        match namespace.labels.get(POD_SECURITY).map(AsRef::as_ref) {
            Some(level @ ("baseline" | "restricted")) => error(format!(
                "{name} has the label {POD_SECURITY}={level}, which rejects pods in the node's \
                 network: use kube-system, set the label to privileged, or install with --set \
                 hostNetwork=false if the pod network does not wait for slices"
            )),
            _ => ok(name.clone()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::{line::Outcome, samples};

    #[test]
    fn versions_are_compared_by_numbers() {
        for (text, mode, outcome) in [
            ("v1.37.0", Mode::Replace, Outcome::Ok),
            ("v1.34.1+k3s1", Mode::Replace, Outcome::Ok),
            ("v1.34.5-eks-113cf36", Mode::Advise, Outcome::Ok),
            ("v1.33.9", Mode::Replace, Outcome::Error),
            ("v1.4.0", Mode::Advise, Outcome::Error),
            ("v1.35.2-gke.1000", Mode::Assist, Outcome::Error),
            ("v1.36.0", Mode::Assist, Outcome::Ok),
            ("v2.0.0", Mode::Assist, Outcome::Ok),
            ("v1.100.0", Mode::Assist, Outcome::Ok),
            ("latest", Mode::Replace, Outcome::Warning),
        ] {
            let mut facts = samples::facts();
            facts.mode = mode;
            text.clone_into(&mut facts.server.version);
            assert_eq!(version(&facts).outcome, outcome, "{text} {mode:?}");
        }
    }

    /// The chart must refuse what this refuses.
    #[test]
    fn the_chart_requires_the_same_version() {
        let chart = include_str!("../../../helm/closehaul/Chart.yaml");
        let Version(major, minor) = OLDEST;
        assert!(chart.contains(&format!("kubeVersion: \">={major}.{minor}.0-0\"")), "{chart}");
    }

    #[test]
    fn nodes_without_zone_are_named() {
        let judge = |nodes: &[(&str, Option<&str>, bool)]| {
            let node = |(name, zone, control_plane): &(&str, Option<&str>, bool)| {
                samples::node(name, *zone, *control_plane)
            };
            judge_zones(&nodes.iter().map(node).collect::<Vec<_>>())
        };
        let all = judge(&[("n1", Some("a"), false), ("n2", Some("b"), false)]);
        assert_eq!(all, ok("2 nodes in 2 zones: a, b"));
        let control_plane =
            judge(&[("cp", None, true), ("n1", Some("a"), false), ("n2", Some("b"), false)]);
        assert_eq!(control_plane, ok("3 nodes in 2 zones: a, b; not the control-plane nodes cp"));
        let worker = judge(&[("n1", Some("a"), false), ("n2", None, false)]);
        assert_eq!(worker.outcome, Outcome::Warning);
        assert!(worker.detail.starts_with("1 of 2 nodes without the label"), "{worker:?}");
        assert!(worker.detail.contains(": n2;"), "{worker:?}");
        let none = judge(&[("n1", None, false)]);
        assert_eq!(none.outcome, Outcome::Warning);
        assert!(none.detail.starts_with("none of 1 node has"), "{none:?}");
    }

    #[test]
    fn a_namespace_that_rejects_the_pods() {
        let mut facts = samples::facts();
        assert_eq!(namespace(&facts).outcome, Outcome::Ok);
        facts.namespaces =
            Ok(vec![samples::namespace("kube-system", &[(POD_SECURITY, "baseline")])]);
        assert_eq!(namespace(&facts).outcome, Outcome::Error);
        facts.namespaces =
            Ok(vec![samples::namespace("kube-system", &[(POD_SECURITY, "privileged")])]);
        assert_eq!(namespace(&facts).outcome, Outcome::Ok);
        facts.namespaces = Ok(Vec::new());
        assert_eq!(namespace(&facts).outcome, Outcome::Warning);
    }
}
