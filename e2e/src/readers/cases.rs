//! The cases: upstream's traffic distribution specs (docs/semantics.md 10.8), and more of the same
//! kind. Each client has the name of its node.

use std::collections::BTreeSet;

/// The nodes and their zones. The last node moves.
pub(super) const NODES: [(&str, &str); 7] = [
    ("a1", "zone-a"),
    ("a2", "zone-a"),
    ("b1", "zone-b"),
    ("b2", "zone-b"),
    ("c1", "zone-c"),
    ("c2", "zone-c"),
    ("w1", "zone-a"),
];

/// One Service with its servers, and what happens to them.
#[derive(Debug)]
pub(super) struct Case {
    /// Name of the Service.
    pub(super) name: &'static str,
    /// `spec.trafficDistribution` at the beginning.
    pub(super) distribution: Option<&'static str>,
    /// The servers: words `NODE` or `NODE-SUFFIX`.
    pub(super) servers: &'static str,
    /// The first one is the initial state.
    pub(super) steps: &'static [Step],
}

/// A change, and which servers the clients must reach after it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) change: Change,
    /// Clients and the servers that they share, both as words.
    pub(super) expected: &'static [(&'static str, &'static str)],
}

/// What is changed in a step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Nothing,
    /// A server's pod is deleted, but continues to serve.
    Delete(&'static str),
    /// The pod of a deleted server, which is no longer reached, ends.
    End(&'static str),
    /// A server is added.
    Create(&'static str),
    /// A server's pod is no longer Ready.
    Unready(&'static str),
    /// It is Ready again.
    Ready(&'static str),
    /// `spec.trafficDistribution` is set.
    Distribution(Option<&'static str>),
    /// The node gets another zone.
    Zone {
        node: &'static str,
        zone: &'static str,
    },
    /// Another client removes all hints from the slices. They must come back.
    Unhint,
}

const CLOSE: Option<&str> = Some("PreferClose");
const ZONE: Option<&str> = Some("PreferSameZone");
const NODE: Option<&str> = Some("PreferSameNode");

/// Upstream: two zones have a server on one node, the third has none.
const ONE_NODE: &[Step] = &[Step {
    change: Change::Nothing,
    expected: &[("a1 a2", "a1"), ("b1 b2", "b1"), ("c1 c2", "a1 b1")],
}];

/// Upstream: one zone has servers on both nodes, one on one node, one has none.
const SEVERAL_NODES: &[Step] = &[Step {
    change: Change::Nothing,
    expected: &[("a1 a2", "a1 a2"), ("b1 b2", "b2"), ("c1 c2", "a1 a2 b2")],
}];

pub(super) const CASES: [Case; 13] = [
    Case { name: "close-one-node", distribution: CLOSE, servers: "a1 b1", steps: ONE_NODE },
    Case {
        name: "close-several-nodes",
        distribution: CLOSE,
        servers: "a1 a2 b2",
        steps: SEVERAL_NODES,
    },
    Case { name: "zone-one-node", distribution: ZONE, servers: "a1 b1", steps: ONE_NODE },
    Case {
        name: "zone-several-nodes",
        distribution: ZONE,
        servers: "a1 a2 b2",
        steps: SEVERAL_NODES,
    },
    Case {
        name: "node",
        distribution: NODE,
        servers: "a1 a2 b2",
        steps: &[Step {
            change: Change::Nothing,
            expected: &[("a1", "a1"), ("a2", "a2"), ("b1 b2", "b2"), ("c1 c2", "a1 a2 b2")],
        }],
    },
    // Upstream: the server of one of two nodes is deleted and comes back.
    Case {
        name: "node-fail-over",
        distribution: NODE,
        servers: "a1 b1",
        steps: &[
            Step { change: Change::Nothing, expected: &[("a1", "a1"), ("b1", "b1")] },
            Step { change: Change::Delete("a1"), expected: &[("a1 b1", "b1")] },
            Step { change: Change::Create("a1-new"), expected: &[("a1", "a1-new"), ("b1", "b1")] },
            Step { change: Change::End("a1"), expected: &[("a1", "a1-new"), ("b1", "b1")] },
        ],
    },
    // The same with both fallbacks: the zone, and then all servers.
    Case {
        name: "node-fail-over-twice",
        distribution: NODE,
        servers: "a1 a2 b1",
        steps: &[
            Step { change: Change::Nothing, expected: &[("a1", "a1"), ("c1", "a1 a2 b1")] },
            Step { change: Change::Delete("a1"), expected: &[("a1", "a2"), ("c1", "a2 b1")] },
            Step { change: Change::Delete("a2"), expected: &[("a1 c1", "b1")] },
            Step { change: Change::Create("a2-new"), expected: &[("a1", "a2-new"), ("b1", "b1")] },
            Step {
                change: Change::Create("a1-new"),
                expected: &[("a1", "a1-new"), ("c1", "a1-new a2-new b1")],
            },
        ],
    },
    Case {
        name: "zone-moves",
        distribution: ZONE,
        servers: "a1 b1 w1",
        steps: &[
            Step { change: Change::Nothing, expected: &[("a1 w1", "a1 w1"), ("b1", "b1")] },
            Step {
                change: Change::Zone { node: "w1", zone: "zone-b" },
                expected: &[("a1", "a1"), ("b1 w1", "b1 w1")],
            },
            Step {
                change: Change::Zone { node: "w1", zone: "zone-a" },
                expected: &[("a1 w1", "a1 w1"), ("b1", "b1")],
            },
        ],
    },
    Case {
        name: "node-unready",
        distribution: NODE,
        servers: "a1 a2 b1",
        steps: &[
            Step { change: Change::Nothing, expected: &[("a1", "a1"), ("a2", "a2")] },
            Step { change: Change::Unready("a1"), expected: &[("a1 a2", "a2"), ("c1", "a2 b1")] },
            Step { change: Change::Ready("a1"), expected: &[("a1", "a1"), ("a2", "a2")] },
        ],
    },
    Case {
        name: "zone-unready",
        distribution: ZONE,
        servers: "a1 b1 c1",
        steps: &[
            Step { change: Change::Nothing, expected: &[("a1 a2", "a1")] },
            Step { change: Change::Unready("a1"), expected: &[("a1 a2", "b1 c1"), ("b1", "b1")] },
            Step { change: Change::Ready("a1"), expected: &[("a1 a2", "a1")] },
        ],
    },
    // No server is ready between the deletion and the successor. The one that ends still serves.
    Case {
        name: "last-terminating",
        distribution: ZONE,
        servers: "a1",
        steps: &[
            Step { change: Change::Nothing, expected: &[("a1 b1 c1", "a1")] },
            Step { change: Change::Delete("a1"), expected: &[("a1 b1 c1", "a1")] },
            Step { change: Change::Create("b1"), expected: &[("a1 b1 c1", "b1")] },
        ],
    },
    Case {
        name: "hints-removed",
        distribution: NODE,
        servers: "a1 a2 b1",
        steps: &[
            Step { change: Change::Nothing, expected: &[("a1", "a1"), ("b1 b2", "b1")] },
            Step { change: Change::Unhint, expected: &[("a1", "a1"), ("b1 b2", "b1")] },
        ],
    },
    Case {
        name: "distribution-set",
        distribution: None,
        servers: "a1 a2 b1",
        steps: &[
            Step { change: Change::Nothing, expected: &[("a1 b1", "a1 a2 b1")] },
            Step { change: Change::Distribution(NODE), expected: &[("a1", "a1"), ("b1", "b1")] },
            Step { change: Change::Distribution(ZONE), expected: &[("a1", "a1 a2"), ("b2", "b1")] },
            Step { change: Change::Distribution(None), expected: &[("a1 b1", "a1 a2 b1")] },
        ],
    },
];

impl Change {
    /// Applies the change to the set of ready servers.
    pub(super) fn turn(self, ready: &mut BTreeSet<&'static str>) {
        match self {
            Self::Delete(server) | Self::Unready(server) => drop(ready.remove(server)),
            Self::Create(server) | Self::Ready(server) => drop(ready.insert(server)),
            Self::Nothing
            | Self::End(_)
            | Self::Distribution(_)
            | Self::Zone { .. }
            | Self::Unhint => {}
        }
    }
}

impl Step {
    /// The server that is deleted in this step and still reached.
    pub(super) fn last(&self) -> Option<&'static str> {
        let Change::Delete(server) = self.change else { return None };
        self.expected.iter().any(|(_, servers)| *servers == server).then_some(server)
    }
}

impl Case {
    /// All clients of all steps, each once.
    pub(super) fn clients(&self) -> BTreeSet<&'static str> {
        let expected = self.steps.iter().flat_map(|step| step.expected);
        expected.flat_map(|(clients, _)| clients.split(' ')).collect()
    }

    /// A server that is deleted as the last one, and is reached until its successor is reached.
    pub(super) fn last(&self) -> Option<&'static str> {
        self.steps.iter().find_map(Step::last)
    }

    /// The pod of a server.
    pub(super) fn pod(&self, server: &str) -> String {
        format!("{}-{server}", self.name)
    }

    /// What a server answers: `POD@NODE`.
    pub(super) fn answer(&self, server: &str) -> String {
        format!("{}@{}", self.pod(server), node(server))
    }
}

/// The node of a server.
pub(super) fn node(server: &str) -> &str {
    server.split('-').next().unwrap_or(server)
}
