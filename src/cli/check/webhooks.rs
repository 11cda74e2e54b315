//! Webhooks: admission webhooks that keep closehaul from starting while there are no slices: they fail
//! closed, they are reached by a Service, and they judge what closehaul needs first. Pure.

use std::iter::once;

use k8s_openapi::{
    api::admissionregistration::v1::RuleWithOperations,
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::core::{Selector, SelectorExt as _};

use super::{
    facts::{Facts, Labels, Stage, Webhook},
    item::Item,
    line::{Line, Verdict, error, ok, warning},
};
use crate::{model::namespace::Namespace, report::hindrance::listed};

/// The label that every namespace has (KEP-2161).
const NAME: &str = "kubernetes.io/metadata.name";

/// Something that closehaul needs before it can write slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Pods,
    Leases,
    Slices,
}

impl Subject {
    const ALL: [Self; 3] = [Self::Pods, Self::Leases, Self::Slices];

    /// API group and plural.
    fn resource(self) -> (&'static str, &'static str) {
        match self {
            Self::Pods => ("", "pods"),
            Self::Leases => ("coordination.k8s.io", "leases"),
            Self::Slices => ("discovery.k8s.io", "endpointslices"),
        }
    }

    fn operations(self) -> &'static [&'static str] {
        match self {
            Self::Pods => &["CREATE"],
            Self::Leases | Self::Slices => &["CREATE", "UPDATE"],
        }
    }

    /// The labels that such an object of closehaul has. Values that are not known are empty, so that only
    /// selectors for the presence of a label are certain.
    fn labels(self, release: &str) -> Labels {
        let pairs: &[(&str, &str)] = match self {
            Self::Pods => &[
                ("app.kubernetes.io/name", "closehaul"),
                ("app.kubernetes.io/instance", release),
                ("app.kubernetes.io/managed-by", "Helm"),
            ],
            Self::Leases => &[],
            Self::Slices => &[
                ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"),
                ("kubernetes.io/service-name", ""),
            ],
        };
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }
}

/// Whether no webhook keeps closehaul from starting.
pub(super) fn webhooks(facts: &Facts) -> Line {
    Line::judge(Item::Webhooks, || {
        let (webhooks, namespaces) = (facts.webhooks.as_ref()?, facts.namespaces.as_ref()?);
        Ok(judge(facts, webhooks, namespaces))
    })
}

fn judge(facts: &Facts, webhooks: &[Webhook], namespaces: &[Namespace]) -> Verdict {
    let mut found = Vec::new();
    for webhook in webhooks {
        let subjects =
            Subject::ALL.into_iter().filter(|it| blocks(webhook, *it, facts, namespaces));
        let judged: Vec<_> = subjects.map(|subject| subject.resource().1).collect();
        if !judged.is_empty() {
            let (configuration, name) = (&webhook.configuration, &webhook.name);
            found.push(format!("{configuration}: {name} judges {}", judged.join(" and ")));
        }
    }
    if found.is_empty() {
        return ok("");
    }
    let found = listed(found.into_iter());
    match facts.stage {
        Stage::Before => error(format!(
            "{found}. It fails closed and is reached by a Service, so it needs slices before \
             closehaul can write any: exclude the namespace {} or closehaul's account",
            facts.namespace
        )),
        // It runs, so its webhooks have their slices.
        Stage::After => warning(format!(
            "{found}. It fails closed and is reached by a Service: if all slices were lost, closehaul \
             could not start. Exclude the namespace {} or closehaul's account",
            facts.namespace
        )),
    }
}

fn blocks(webhook: &Webhook, subject: Subject, facts: &Facts, namespaces: &[Namespace]) -> bool {
    let Some(backend) = webhook.service_namespace.as_deref().filter(|_| webhook.fails_closed)
    else {
        return false;
    };
    let installation = facts.installation();
    let release = installation.map_or("closehaul", |it| &it.name);
    if !webhook.rules.iter().any(|rule| applies(rule, subject))
        || !selects(webhook.objects.as_ref(), &subject.labels(release))
        || is_excluded(webhook, subject, facts)
    {
        return false;
    }
    // Without its own slice, no webhook can be reached.
    let own = once(facts.namespace.as_str());
    let places = own.chain((subject == Subject::Slices).then_some(backend));
    let mut labels = places.map(|place| labels_of(place, namespaces));
    labels.any(|labels| selects(webhook.namespaces.as_ref(), &labels))
}

/// Whether a rule is about such objects of any version: `matchPolicy` is `Equivalent` by default.
fn applies(rule: &RuleWithOperations, subject: Subject) -> bool {
    let (group, resource) = subject.resource();
    let has = |list: Option<&Vec<String>>, words: &[&str]| {
        list.into_iter().flatten().any(|entry| words.contains(&entry.as_str()))
    };
    let operations: Vec<_> = subject.operations().iter().copied().chain(once("*")).collect();
    has(rule.api_groups.as_ref(), &[group, "*"])
        && has(rule.resources.as_ref(), &[resource, "*", "*/*"])
        && has(rule.operations.as_ref(), &operations)
        && rule.scope.as_deref() != Some("Cluster")
}

/// A selector that cannot be understood selects everything, so that nothing is overlooked.
fn selects(selector: Option<&LabelSelector>, labels: &Labels) -> bool {
    let Some(selector) = selector else { return true };
    Selector::try_from(selector.clone()).map_or(true, |selector| selector.matches(labels))
}

/// Whether a condition names closehaul's account or its namespace. CEL is not evaluated here, and a
/// condition that names them can only be meant to exclude them. Pods are created by another account.
fn is_excluded(webhook: &Webhook, subject: Subject, facts: &Facts) -> bool {
    let namespace = &facts.namespace;
    let account = facts.installation().map_or("closehaul", |it| &it.account);
    let account = format!("system:serviceaccount:{namespace}:{account}");
    webhook.conditions.iter().any(|condition| {
        let names = |text: &str| condition.expression.contains(text);
        match subject {
            Subject::Pods => {
                ["'", "\""].iter().any(|quote| names(&format!("{quote}{namespace}{quote}")))
            }
            Subject::Leases | Subject::Slices => {
                names(&account) || names(&format!("'{namespace}'"))
            }
        }
    })
}

fn labels_of(name: &str, namespaces: &[Namespace]) -> Labels {
    let namespace = namespaces.iter().find(|namespace| *namespace.name == *name);
    let pairs = namespace.into_iter().flat_map(|namespace| namespace.labels.iter());
    let pairs = pairs.map(|(key, value)| (key.to_string(), value.to_string()));
    pairs.chain(once((NAME.to_owned(), name.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::MatchCondition;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::check::{line::Outcome, samples};

    fn rule(group: &str, resource: &str) -> RuleWithOperations {
        let rule = json!({"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource],
            "operations": ["CREATE", "UPDATE"]});
        serde_json::from_value(rule).unwrap()
    }

    fn webhook(group: &str, resource: &str) -> Webhook {
        Webhook {
            configuration: "ValidatingWebhookConfiguration guard".to_owned(),
            name: "guard.example.com".to_owned(),
            fails_closed: true,
            service_namespace: Some("guard".to_owned()),
            rules: vec![rule(group, resource)],
            ..Webhook::default()
        }
    }

    fn selector(value: Value) -> Option<LabelSelector> {
        serde_json::from_value(value).unwrap()
    }

    fn outcome(webhook: Webhook) -> Outcome {
        let mut facts = samples::facts();
        facts.stage = Stage::Before;
        facts.webhooks = Ok(vec![webhook]);
        webhooks(&facts).outcome
    }

    #[test]
    fn what_is_needed_first_must_not_be_judged() {
        for (group, resource, expected) in [
            ("", "pods", Outcome::Error),
            ("*", "*", Outcome::Error),
            ("", "*/*", Outcome::Error),
            ("", "pods/*", Outcome::Ok),
            ("", "pods/status", Outcome::Ok),
            ("apps", "deployments", Outcome::Ok),
            ("apps", "*", Outcome::Ok),
            ("coordination.k8s.io", "leases", Outcome::Error),
            ("discovery.k8s.io", "endpointslices", Outcome::Error),
        ] {
            assert_eq!(outcome(webhook(group, resource)), expected, "{group} {resource}");
        }
        let mut deletes = webhook("", "pods");
        deletes.rules[0].operations = Some(vec!["DELETE".to_owned()]);
        assert_eq!(outcome(deletes), Outcome::Ok);
        assert_eq!(outcome(Webhook { fails_closed: false, ..webhook("", "pods") }), Outcome::Ok);
        let by_url = Webhook { service_namespace: None, ..webhook("", "pods") };
        assert_eq!(outcome(by_url), Outcome::Ok, "it needs no slice");
    }

    #[test]
    fn what_excludes_closehaul() {
        let but = |namespace: &str| {
            selector(json!({"matchExpressions": [
                {"key": NAME, "operator": "NotIn", "values": [namespace]}]}))
        };
        let without = |group, resource, namespaces| {
            outcome(Webhook { namespaces, ..webhook(group, resource) })
        };
        assert_eq!(without("", "pods", but("kube-system")), Outcome::Ok);
        assert_eq!(without("", "pods", but("shop")), Outcome::Error);
        let slices = ("discovery.k8s.io", "endpointslices");
        assert_eq!(
            without(slices.0, slices.1, but("kube-system")),
            Outcome::Error,
            "its own slice"
        );
        let labelled = selector(json!({"matchLabels": {"policy": "on"}}));
        assert_eq!(without("", "pods", labelled.clone()), Outcome::Ok);
        let objects = |group, objects| outcome(Webhook { objects, ..webhook(group, "*") });
        assert_eq!(objects("", labelled), Outcome::Ok);
        let ours = selector(json!({"matchLabels": {"app.kubernetes.io/name": "closehaul"}}));
        assert_eq!(objects("", ours), Outcome::Error);
        let condition = |group, resource, expression: &str| {
            let condition = MatchCondition { name: "c".into(), expression: expression.into() };
            outcome(Webhook { conditions: vec![condition], ..webhook(group, resource) })
        };
        let account = "request.userInfo.username != 'system:serviceaccount:kube-system:closehaul'";
        assert_eq!(condition(slices.0, slices.1, account), Outcome::Ok);
        assert_eq!(condition("", "pods", account), Outcome::Error, "pods are created by another");
        assert_eq!(condition("", "pods", "request.namespace != \"kube-system\""), Outcome::Ok);
        assert_eq!(condition("", "pods", "object.spec.replicas > 3"), Outcome::Error);
    }

    #[test]
    fn once_it_runs_it_is_a_warning_that_names_them() {
        let mut facts = samples::facts();
        facts.webhooks = Ok(vec![webhook("", "pods"), webhook("", "services")]);
        let line = webhooks(&facts);
        assert_eq!(line.outcome, Outcome::Warning);
        let named = "ValidatingWebhookConfiguration guard: guard.example.com judges pods. ";
        assert!(line.detail.starts_with(named), "{line:?}");
    }
}
