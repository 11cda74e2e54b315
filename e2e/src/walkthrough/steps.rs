//! The six steps: what a user does, and the expected outcome.

use super::Script;

/// One step of the walkthrough.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    /// What it shows, for the heading.
    pub(super) about: &'static str,
    pub(super) actions: &'static [Action],
    /// How many requests are counted.
    pub(super) requests: u64,
    pub(super) expected: Expected,
}

/// What is done in a step.
#[derive(Debug)]
pub(super) enum Action {
    /// A shell command, printed before it runs.
    Run(&'static str),
    /// A worker joins, with its kube-proxy.
    Join { node: &'static str, zone: &'static str },
    /// A worker is switched off.
    Leave { node: &'static str },
}

/// The outcome of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// The nodes of the ready endpoints, in order, one entry for each endpoint.
    pub(super) endpoints: &'static [&'static str],
    pub(super) hints: Hints,
    /// The nodes whose pods must answer, each at least once, and no other.
    pub(super) answers: &'static [&'static str],
}

/// Which hints every ready endpoint must have (docs/semantics.md 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hints {
    /// None at all.
    Absent,
    /// Its zone.
    Zone,
    /// Its zone and its node.
    Node,
}

/// The name of the Service.
pub(super) const SERVICE: &str = "echo-svc";

/// The nodes and the client.
pub(super) const SCRIPT: Script = Script {
    nodes: &[("mnode", None), (CLIENT_NODE, Some("zone-a")), ("mnode-m03", Some("zone-b"))],
    client: "client",
    service: SERVICE,
    column: "ANSWERED BY",
};

/// The node of the client.
pub(super) const CLIENT_NODE: &str = "mnode-m02";

pub(super) const STEPS: [Step; 6] = [
    Step {
        name: "default",
        about: "without trafficDistribution both pods answer",
        actions: &[
            Action::Run("kubectl get nodes -L topology.kubernetes.io/zone"),
            Action::Run("kubectl apply -f manifests/echo.yaml -f manifests/client.yaml"),
            Action::Run("kubectl rollout status deployment/echo"),
            Action::Run("kubectl wait --for=condition=Ready pod/client"),
        ],
        requests: 20,
        expected: Expected {
            endpoints: &["mnode-m02", "mnode-m03"],
            hints: Hints::Absent,
            answers: &["mnode-m02", "mnode-m03"],
        },
    },
    Step {
        name: "PreferSameNode",
        about: "the pod on the client's node answers",
        actions: &[Action::Run(
            r#"kubectl patch svc echo-svc -p '{"spec":{"trafficDistribution":"PreferSameNode"}}'"#,
        )],
        requests: 40,
        expected: Expected {
            endpoints: &["mnode-m02", "mnode-m03"],
            hints: Hints::Node,
            answers: &["mnode-m02"],
        },
    },
    Step {
        name: "PreferSameZone",
        about: "the pod in the client's zone answers",
        actions: &[Action::Run(
            r#"kubectl patch svc echo-svc -p '{"spec":{"trafficDistribution":"PreferSameZone"}}'"#,
        )],
        requests: 40,
        expected: Expected {
            endpoints: &["mnode-m02", "mnode-m03"],
            hints: Hints::Zone,
            answers: &["mnode-m02"],
        },
    },
    Step {
        name: "fallback",
        about: "no pod in the client's zone: the one in zone-b answers, and nothing is lost",
        actions: &[
            Action::Run("kubectl scale deployment echo --replicas=1"),
            Action::Run(
                r#"kubectl patch deployment echo -p \
  '{"spec":{"template":{"spec":{"nodeSelector":{"topology.kubernetes.io/zone":"zone-b"}}}}}'"#,
            ),
            Action::Run("kubectl rollout status deployment/echo"),
        ],
        requests: 40,
        expected: Expected {
            endpoints: &["mnode-m03"],
            hints: Hints::Zone,
            answers: &["mnode-m03"],
        },
    },
    Step {
        name: "node -> zone",
        about: "PreferSameNode without a pod on the client's node: the zone is next",
        actions: &[
            Action::Join { node: "mnode-m04", zone: "zone-a" },
            Action::Run("kubectl cordon mnode-m02"),
            Action::Run(
                r#"kubectl patch deployment echo -p \
  '{"spec":{"template":{"spec":{"nodeSelector":null}}}}'"#,
            ),
            Action::Run("kubectl rollout status deployment/echo"),
            Action::Run("kubectl scale deployment echo --replicas=2"),
            Action::Run("kubectl rollout status deployment/echo"),
            Action::Run(
                r#"kubectl patch svc echo-svc -p '{"spec":{"trafficDistribution":"PreferSameNode"}}'"#,
            ),
        ],
        requests: 40,
        expected: Expected {
            endpoints: &["mnode-m03", "mnode-m04"],
            hints: Hints::Node,
            answers: &["mnode-m04"],
        },
    },
    Step {
        name: "back",
        about: "all undone: as at first",
        actions: &[
            Action::Run("kubectl uncordon mnode-m02"),
            Action::Run("kubectl drain mnode-m04"),
            Action::Leave { node: "mnode-m04" },
            Action::Run("kubectl delete node mnode-m04"),
            Action::Run("kubectl rollout status deployment/echo"),
            Action::Run(r#"kubectl patch svc echo-svc -p '{"spec":{"trafficDistribution":null}}'"#),
        ],
        requests: 20,
        expected: Expected {
            endpoints: &["mnode-m02", "mnode-m03"],
            hints: Hints::Absent,
            answers: &["mnode-m02", "mnode-m03"],
        },
    },
];
