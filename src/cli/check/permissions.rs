//! Permissions: what the installation requires of the user, and closehaul of its account. Pure.

use super::{
    facts::{Facts, KUBE_SYSTEM, Mode},
    item::Item,
    line::{Line, Verdict, error, ok},
    read::Permission,
};
use crate::report::hindrance::listed;

const DISCOVERY: &str = "discovery.k8s.io";
const OURS: &str = "closehaul.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const POLICIES: [&str; 3] = ["localitypolicies", "clusterlocalitypolicies", "zoneevacuations"];
const STATUSES: [&str; 3] =
    ["localitypolicies/status", "clusterlocalitypolicies/status", "zoneevacuations/status"];

/// The permissions that the chart's roles grant to closehaul's account, in this mode
/// (`templates/rbac.yaml`). `lease` is the namespace and the name of its lease.
pub(super) fn of_account(mode: Mode, lease: (&str, &str)) -> Vec<Permission> {
    let mut needed = Vec::new();
    let mut add = |verbs: &[&'static str], group, resources: &[&'static str]| {
        for resource in resources {
            needed.extend(verbs.iter().map(|verb| Permission::new(verb, group, resource)));
        }
    };
    add(&["list", "watch"], "", &["services", "pods", "nodes", "namespaces"]);
    add(&["list", "watch"], DISCOVERY, &["endpointslices"]);
    add(&["list", "watch"], OURS, &POLICIES);
    if mode == Mode::Advise {
        return needed;
    }
    add(&["get", "patch"], OURS, &STATUSES);
    add(&["create"], "events.k8s.io", &["events"]);
    if mode == Mode::Replace {
        add(&["update"], "", &["services/finalizers"]);
        add(&["get", "create", "update", "delete"], DISCOVERY, &["endpointslices"]);
    } else {
        add(&["get", "patch"], DISCOVERY, &["endpointslices"]);
    }
    let (namespace, name) = lease;
    let lease = |verb| Permission::new(verb, "coordination.k8s.io", "leases").within(namespace);
    needed.push(lease("create"));
    needed.extend(["get", "update"].map(|verb| lease(verb).named(name)));
    needed
}

/// What Helm creates for the chart, besides its own record, in this namespace.
pub(super) fn of_installation(namespace: &str) -> Vec<Permission> {
    let create = |group, resource| Permission::new("create", group, resource);
    let mut needed = vec![
        create("", "secrets").within(namespace),
        create("", "serviceaccounts").within(namespace),
        create("apps", "deployments").within(namespace),
        create("policy", "poddisruptionbudgets").within(namespace),
        create(RBAC, "roles").within(namespace),
        create(RBAC, "rolebindings").within(namespace),
        create(RBAC, "clusterroles"),
        create(RBAC, "clusterrolebindings"),
        create("apiextensions.k8s.io", "customresourcedefinitions"),
    ];
    if namespace != KUBE_SYSTEM {
        needed.push(create("flowcontrol.apiserver.k8s.io", "flowschemas"));
    }
    needed
}

/// What lets a user create roles with permissions that the user does not have, and bind them.
pub(super) fn of_escalation() -> [Permission; 2] {
    ["escalate", "bind"].map(|verb| Permission::new(verb, RBAC, "clusterroles"))
}

/// Whether the user may create the objects of the chart.
pub(super) fn may_install(facts: &Facts) -> Line {
    let needed = of_installation(&facts.namespace);
    Line::of(Item::MayInstall, &facts.user, |answers| judge(&missing(&needed, answers)))
}

/// Whether the user may create the chart's roles, which requires their permissions.
pub(super) fn may_grant(facts: &Facts) -> Line {
    let needed = of_account(facts.mode, (&facts.namespace, "closehaul"));
    Line::of(Item::MayGrant, &facts.user, |answers| {
        if missing(&of_escalation(), answers).is_empty() {
            return ok("");
        }
        judge(&missing(&needed, answers))
    })
}

/// Whether closehaul's account has what it needs.
pub(super) fn of_closehaul(facts: &Facts) -> Option<Line> {
    let answers = facts.account.as_ref()?;
    Some(Line::of(Item::Permissions, answers, |answers| {
        let missing: Vec<_> =
            answers.iter().filter(|(_, may)| !may).map(|(permission, _)| permission).collect();
        judge(&missing)
    }))
}

fn missing<'p>(needed: &'p [Permission], answers: &[(Permission, bool)]) -> Vec<&'p Permission> {
    let may = |needed: &&Permission| {
        answers.iter().any(|(permission, may)| *may && permission == *needed)
    };
    needed.iter().filter(|it| !may(it)).collect()
}

fn judge(missing: &[&Permission]) -> Verdict {
    if missing.is_empty() {
        return ok("");
    }
    let listed = listed(missing.iter().map(ToString::to_string));
    error(format!("missing: {listed}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::cli::check::{line::Outcome, samples};

    /// The test of the chart checks that these rules are those of the chart.
    const RULES: &str = include_str!("../../../e2e/rbac/closehaul.yaml");

    #[test]
    fn the_account_needs_what_the_roles_grant() {
        let mut granted = BTreeSet::new();
        for document in RULES.split("\n---\n") {
            let role: Value = serde_saphyr::from_str(document).unwrap();
            let within = role["metadata"]["namespace"].as_str();
            let list = |rule: &Value, field: &str| -> Vec<String> {
                let list = rule[field].as_array().into_iter().flatten();
                list.map(|entry| entry.as_str().unwrap().to_owned()).collect()
            };
            for rule in role["rules"].as_array().into_iter().flatten() {
                let group = list(rule, "apiGroups").concat();
                let name = list(rule, "resourceNames").concat();
                for resource in list(rule, "resources") {
                    for verb in list(rule, "verbs") {
                        granted.insert((
                            verb,
                            group.clone(),
                            resource.clone(),
                            within.map(str::to_owned),
                            name.clone(),
                        ));
                    }
                }
            }
        }
        let needed = of_account(Mode::Replace, ("kube-system", "closehaul"));
        let needed: BTreeSet<_> = needed
            .into_iter()
            .map(|it| {
                let Permission { verb, group, resource, namespace, name } = it;
                (
                    verb.to_owned(),
                    group.to_owned(),
                    resource.to_owned(),
                    namespace,
                    name.unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(needed, granted);
    }

    #[test]
    fn advise_needs_nothing_but_to_read() {
        let needed = of_account(Mode::Advise, ("kube-system", "closehaul"));
        assert!(needed.iter().all(|it| ["list", "watch"].contains(&it.verb)), "{needed:?}");
        assert_eq!(needed.len(), 16);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut facts = samples::facts();
        let answers = |may: &dyn Fn(&Permission) -> bool| {
            let needed = of_installation("kube-system").into_iter().chain(of_escalation());
            let needed = needed.chain(of_account(Mode::Replace, ("kube-system", "closehaul")));
            Ok(needed.map(|it| (it.clone(), may(&it))).collect())
        };
        facts.user = answers(&|_| true);
        assert_eq!(
            (may_install(&facts).outcome, may_grant(&facts).outcome),
            (Outcome::Ok, Outcome::Ok)
        );
        facts.user = answers(&|it| it.resource != "clusterroles");
        assert_eq!(
            may_install(&facts).detail,
            "missing: create clusterroles.rbac.authorization.k8s.io"
        );
        assert_eq!(may_grant(&facts).outcome, Outcome::Ok, "it has all that it grants");
        facts.user = answers(&|it| !(it.verb == "escalate" || it.group == "events.k8s.io"));
        assert_eq!(may_grant(&facts).detail, "missing: create events.events.k8s.io");
        facts.user = answers(&|it| it.group != "events.k8s.io");
        assert_eq!(may_grant(&facts).outcome, Outcome::Ok, "it may escalate");
        facts.account = Some(answers(&|it| it.verb != "patch"));
        assert_eq!(of_closehaul(&facts).unwrap().outcome, Outcome::Error);
        facts.account = None;
        assert_eq!(of_closehaul(&facts), None);
    }
}
