//! Demand: what each zone is assumed to send (docs/planner.md 5).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    label::{LabelSelector, ZONES},
    rule::{Rule, rules},
};
use crate::api::policy::limits;

const CLIENTS: Rule = Rule::new(
    "self.source == 'Clients' || !has(self.clientSelector)",
    "belongs to another source; leave it out, or write `source: Clients`",
)
.at(".clientSelector");
const CLIENT_NAMESPACES: Rule = Rule::new(
    "self.source == 'Clients' || !has(self.clientNamespaceSelector)",
    "belongs to another source; leave it out, or write `source: Clients`",
)
.at(".clientNamespaceSelector");
const SHARES: Rule = Rule::new(
    "self.source == 'Shares' || !has(self.shares)",
    "belongs to another source; leave it out, or write `source: Shares`",
)
.at(".shares");
const WHICH_CLIENTS: Rule = Rule::new(
    "self.source != 'Clients' || has(self.clientSelector)",
    "say which pods are the clients",
)
.missing(".clientSelector");
const WHICH_SHARES: Rule =
    Rule::new("self.source != 'Shares' || has(self.shares)", "give each zone its share")
        .missing(".shares");
const SOME_SHARE: Rule = Rule::new(
    "self.exists(zone, self[zone] > 0.0)",
    "gives no zone a share; give at least one that is more than 0",
);

/// What each zone is assumed to send.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" =
    rules(&[CLIENTS, CLIENT_NAMESPACES, SHARES, WHICH_CLIENTS, WHICH_SHARES])))]
pub struct Demand {
    /// Equal: the same. Nodes, CPU: in proportion to its nodes or their allocatable CPU. Clients: in
    /// proportion to the ready pods that `clientSelector` selects. Shares: as `shares` says.
    #[serde(default)]
    pub source: Source,
    /// The pods that are the clients, by their labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_selector: Option<LabelSelector>,
    /// The namespaces of these pods, by their labels. If omitted, the namespace of the Service. Only
    /// in a `ClusterLocalityPolicy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_namespace_selector: Option<LabelSelector>,
    /// The share of each zone, by its name, in any unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = limits::SHARES, "additionalProperties" = share()))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[ZONES, SOME_SHARE])))]
    pub shares: Option<BTreeMap<String, f64>>,
}

fn share() -> serde_json::Value {
    serde_json::json!({"type": "number", "minimum": 0})
}

/// Where the demand of zones comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Source {
    /// All zones send the same.
    #[default]
    Equal,
    /// In proportion to the nodes.
    Nodes,
    /// In proportion to the allocatable CPU of the nodes.
    #[serde(rename = "CPU")]
    Cpu,
    /// In proportion to the ready pods of the clients.
    Clients,
    /// In given proportions.
    Shares,
}
