//! Convert: objects of the API server as facts. Pure.

use k8s_openapi::{
    api::{
        admissionregistration::v1::{
            MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
        },
        apps::v1::Deployment,
        core::v1::{Container, Namespace as NamespaceObject, Pod},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    controllers::Flags,
    facts::{Definition, Installation, Manager, SliceWrite, Webhook},
};
use crate::model::namespace::Namespace;

/// The prefix of the environment variables by which closehaul takes flags.
const PREFIX: &str = "CLOSEHAUL_";
const VERSION: &str = "app.kubernetes.io/version";
/// Where Helm notes the release of an object.
const RELEASE: [&str; 2] = ["meta.helm.sh/release-namespace", "meta.helm.sh/release-name"];

/// A Deployment of closehaul.
pub(super) fn installation(deployment: &Deployment) -> Option<Installation> {
    let spec = deployment.spec.as_ref()?;
    let pod = spec.template.spec.as_ref()?;
    let container = pod.containers.iter().find(|it| it.name == "closehaul");
    let container = container.or_else(|| pod.containers.first())?;
    let mut flags = Flags::default();
    for variable in container.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.name.strip_prefix(PREFIX), &variable.value) {
            flags.add(&name.to_lowercase().replace('_', "-"), value);
        }
    }
    flags.extend(command_line(container));
    let status = deployment.status.clone().unwrap_or_default();
    Some(Installation {
        namespace: deployment.metadata.namespace.clone()?,
        name: deployment.metadata.name.clone()?,
        account: pod.service_account_name.clone().unwrap_or_else(|| "default".to_owned()),
        flags,
        version: deployment.metadata.labels.as_ref().and_then(|it| it.get(VERSION)).cloned(),
        desired: spec.replicas.unwrap_or(1),
        ready: status.ready_replicas.unwrap_or(0),
        updated: status.updated_replicas.unwrap_or(0),
    })
}

fn command_line(container: &Container) -> Flags {
    let words = container.command.iter().chain(&container.args).flatten();
    Flags::of(words.map(String::as_str))
}

/// A pod of kube-controller-manager.
pub(super) fn manager(pod: &Pod) -> Option<Manager> {
    let spec = pod.spec.as_ref()?;
    let runs_it = |it: &&Container| {
        let mut words = it.command.iter().chain(&it.args).flatten();
        words.any(|word| word.contains("kube-controller-manager"))
    };
    let container = spec.containers.iter().find(runs_it).or_else(|| spec.containers.first())?;
    let states = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let state = states.into_iter().flatten().find(|it| it.name == container.name);
    let running = state.and_then(|it| it.state.as_ref()?.running.as_ref());
    Some(Manager {
        name: pod.metadata.name.clone()?,
        node: spec.node_name.clone().unwrap_or_default(),
        flags: command_line(container),
        started: running.and_then(|it| Some(it.started_at.as_ref()?.0)),
    })
}

/// A namespace with its labels.
pub(super) fn namespace(namespace: &NamespaceObject) -> Namespace {
    let labels = namespace.metadata.labels.iter().flatten();
    Namespace {
        name: namespace.metadata.name.as_deref().unwrap_or_default().into(),
        version: 0,
        labels: labels.map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
    }
}

/// The webhooks of a configuration.
pub(super) fn validating(configuration: ValidatingWebhookConfiguration) -> Vec<Webhook> {
    let owner = named("ValidatingWebhookConfiguration", &configuration.metadata);
    let webhooks = configuration.webhooks.into_iter().flatten();
    let webhook = webhooks.map(|it| Webhook {
        configuration: owner.clone(),
        name: it.name,
        fails_closed: fails_closed(it.failure_policy.as_deref()),
        service_namespace: service(it.client_config),
        rules: it.rules.unwrap_or_default(),
        namespaces: it.namespace_selector,
        objects: it.object_selector,
        conditions: it.match_conditions.unwrap_or_default(),
    });
    webhook.collect()
}

/// The same for one that changes objects.
pub(super) fn mutating(configuration: MutatingWebhookConfiguration) -> Vec<Webhook> {
    let owner = named("MutatingWebhookConfiguration", &configuration.metadata);
    let webhooks = configuration.webhooks.into_iter().flatten();
    let webhook = webhooks.map(|it| Webhook {
        configuration: owner.clone(),
        name: it.name,
        fails_closed: fails_closed(it.failure_policy.as_deref()),
        service_namespace: service(it.client_config),
        rules: it.rules.unwrap_or_default(),
        namespaces: it.namespace_selector,
        objects: it.object_selector,
        conditions: it.match_conditions.unwrap_or_default(),
    });
    webhook.collect()
}

fn named(kind: &str, metadata: &ObjectMeta) -> String {
    format!("{kind} {}", metadata.name.as_deref().unwrap_or_default())
}

/// The default is to fail closed.
fn fails_closed(policy: Option<&str>) -> bool {
    policy != Some("Ignore")
}

fn service(config: WebhookClientConfig) -> Option<String> {
    Some(config.service?.namespace)
}

/// A custom resource definition.
pub(super) fn definition(definition: &CustomResourceDefinition) -> Definition {
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    let annotations = definition.metadata.annotations.as_ref();
    let annotation = |key: &str| annotations.and_then(|it| it.get(key)).cloned();
    let release = RELEASE.map(annotation);
    Definition {
        name: definition.metadata.name.clone().unwrap_or_default(),
        is_established: conditions.any(|it| it.type_ == "Established" && it.status == "True"),
        release: match release {
            [Some(namespace), Some(name)] => Some(format!("{namespace}/{name}")),
            _ => None,
        },
    }
}

/// The latest write of each client to a slice.
pub(super) fn writes(metadata: &ObjectMeta) -> Vec<SliceWrite> {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    let entries = metadata.managed_fields.iter().flatten();
    let write = entries.filter_map(|entry| {
        Some(SliceWrite {
            slice: format!("{namespace}/{name}"),
            manager: entry.manager.clone()?,
            at: entry.time.as_ref()?.0,
        })
    });
    write.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::check::facts::Mode;

    #[test]
    fn a_deployment_says_how_closehaul_runs() {
        let deployment = json!({
            "metadata": {"namespace": "infra", "name": "traffic", "labels": {VERSION: "0.1.0"}},
            "spec": {"replicas": 3, "selector": {}, "template": {"spec": {
                "serviceAccountName": "traffic",
                "containers": [
                    {"name": "sidecar", "args": ["--mode=none"]},
                    {"name": "closehaul", "args": ["run", "--mode=advise", "--policies=false"],
                        "env": [
                            {"name": "CLOSEHAUL_MODE", "value": "replace"},
                            {"name": "CLOSEHAUL_MAX_ENDPOINTS_PER_SLICE", "value": "500"},
                            {"name": "KUBERNETES_SERVICE_HOST", "value": "192.0.2.10"},
                        ]},
                ],
            }}},
            "status": {"readyReplicas": 2, "updatedReplicas": 3},
        });
        let found = installation(&serde_json::from_value(deployment).unwrap()).unwrap();
        assert_eq!((found.key(), found.mode()), ("infra/traffic".to_owned(), Mode::Advise));
        assert_eq!((found.desired, found.ready, found.updated), (3, 2, 3));
        assert_eq!((found.max_endpoints(), found.has_policies()), (500, false));
        assert_eq!(found.lease(), ("closehaul", "infra"));
    }

    #[test]
    fn a_webhook_fails_closed_by_default() {
        let configuration = json!({"metadata": {"name": "guard"}, "webhooks": [
            {"name": "one", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "clientConfig": {"service": {"namespace": "guard", "name": "guard"}}},
            {"name": "two", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "failurePolicy": "Ignore", "clientConfig": {"url": "https://guard.example.com"}},
        ]});
        let read = || serde_json::from_value(configuration.clone()).unwrap();
        let webhooks = validating(read());
        assert_eq!(webhooks[0].configuration, "ValidatingWebhookConfiguration guard");
        let found: Vec<_> =
            webhooks.iter().map(|it| (it.fails_closed, it.service_namespace.as_deref())).collect();
        assert_eq!(found, [(true, Some("guard")), (false, None)]);
        let configuration: MutatingWebhookConfiguration =
            serde_json::from_value(configuration).unwrap();
        assert_eq!(mutating(configuration).len(), 2);
    }

    #[test]
    fn the_pod_of_kubeadm() {
        let pod = json!({
            "metadata": {"name": "kube-controller-manager-cp-1"},
            "spec": {"nodeName": "cp-1", "containers": [{"name": "kube-controller-manager",
                "command": ["kube-controller-manager", "--controllers=*,bootstrapsigner"]}]},
            "status": {"containerStatuses": [{"name": "kube-controller-manager", "ready": true,
                "restartCount": 0, "image": "", "imageID": "",
                "state": {"running": {"startedAt": "2026-01-02T03:03:00Z"}}}]},
        });
        let found = manager(&serde_json::from_value(pod).unwrap()).unwrap();
        assert_eq!((&*found.node, &*found.flags.controllers()), ("cp-1", "*,bootstrapsigner"));
        assert_eq!(found.started, Some("2026-01-02T03:03:00Z".parse().unwrap()));
    }
}
