//! What `closehaul explain` says of a Service, against the rules of the nodes where its clients are.

use super::{Error, rules::Outcome, site::Site};
use closehaul::model::address::AddressType;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::{core::v1, discovery::v1::EndpointSlice};
use kube::{Api, api::ListParams};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Stdio,
};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// Objects that are written, and Services that are explained, at a time.
pub(super) const AT_ONCE: usize = 16;

/// The nodes and their zones. One node has none.
pub(super) const NODES: [(&str, Option<&str>); 3] =
    [("n1", Some("zone-a")), ("n2", Some("zone-b")), ("n3", None)];

/// Shares are written with six digits.
const PRECISION: f64 = 1e-6;

/// A cluster as `kubectl get -o json` prints it.
pub(super) struct Dump {
    nodes: Vec<Value>,
    services: BTreeMap<String, Value>,
    slices: BTreeMap<String, Vec<Value>>,
}

/// What is said of the clients of one place, for one port in one family.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said {
    node: Option<String>,
    zone: Option<String>,
    port: String,
    family: String,
    mode: String,
    endpoints: Vec<Share>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Share {
    address: String,
    target_port: i32,
    node: Option<String>,
    zone: Option<String>,
    share: f64,
}

impl Dump {
    /// The cluster with these objects, which the API server has returned.
    pub(super) fn of(
        nodes: &[v1::Node],
        services: &[v1::Service],
        slices: &[EndpointSlice],
    ) -> Result<Self, Error> {
        let mut dump =
            Self { nodes: Vec::new(), services: BTreeMap::new(), slices: BTreeMap::new() };
        for node in nodes {
            dump.nodes.push(serde_json::to_value(node).map_err(Error::decode("a Node"))?);
        }
        for service in services {
            let object = serde_json::to_value(service).map_err(Error::decode("a Service"))?;
            dump.services.insert(service.metadata.name.clone().unwrap_or_default(), object);
        }
        for slice in slices {
            let object = serde_json::to_value(slice).map_err(Error::decode("a slice"))?;
            let name = object["metadata"]["labels"][closehaul::model::slice::SERVICE_NAME].as_str();
            dump.slices.entry(name.unwrap_or_default().to_owned()).or_default().push(object);
        }
        Ok(dump)
    }

    /// What the command says of how kube-proxies lead the clients of each zone, or of one node, to a
    /// Service.
    pub(super) async fn explain(
        &self,
        closehaul: &Path,
        service: &str,
        from: Option<&str>,
    ) -> Result<Vec<Said>, Error> {
        let items: Vec<_> = self
            .nodes
            .iter()
            .chain(self.services.get(service))
            .chain(self.slices.get(service).into_iter().flatten())
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        let mut command = Command::new(closehaul);
        command.args(["explain", service, "-f", "-", "-o", "json", "--consumer", "kube-proxy"]);
        command.args(from.map(|node| format!("--from={node}")));
        let run = |source| Error::Run { what: "closehaul explain", source };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(run)?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(list.as_bytes()).await.map_err(run)?;
        }
        let output = child.wait_with_output().await.map_err(run)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Command {
                command: format!("closehaul explain {service}"),
                output: said,
            });
        }
        let mut body: Value = serde_json::from_slice(&output.stdout)
            .map_err(Error::decode("what closehaul explain prints"))?;
        let from = body["consumers"][0]["from"].take();
        serde_json::from_value(from).map_err(Error::decode("the entries of closehaul explain"))
    }

    /// The endpoints of a Service with this address.
    fn endpoints<'d>(&'d self, service: &str, address: &'d str) -> impl Iterator<Item = &'d Value> {
        let slices = self.slices.get(service).into_iter().flatten();
        let endpoints =
            slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        endpoints.filter(move |it| it["addresses"][0] == address)
    }
}

/// What `closehaul explain` says of all Services.
pub(super) struct Explanations {
    /// What it has read.
    pub(super) dump: Dump,
    /// By Service.
    pub(super) said: BTreeMap<String, Vec<Said>>,
}

impl Explanations {
    /// Of each Service, it explains the clients of all zones, and those of one node.
    pub(super) async fn of(
        site: &Site,
        command: &Path,
        services: &[v1::Service],
    ) -> Result<Self, Error> {
        let api: Api<EndpointSlice> = Api::default_namespaced(site.api.clone());
        let slices = api.list(&ListParams::default()).await.map_err(Error::api("the slices"))?;
        let api: Api<v1::Node> = Api::all(site.api.clone());
        let nodes = api.list(&ListParams::default()).await.map_err(Error::api("the nodes"))?;
        let dump = Dump::of(&nodes.items, services, &slices.items)?;
        let names = services.iter().filter_map(|service| service.metadata.name.clone());
        let said = stream::iter(names.enumerate().map(|(number, name)| {
            let (dump, node) = (&dump, NODES[number % NODES.len()].0);
            async move {
                let mut said = dump.explain(command, &name, None).await?;
                said.extend(dump.explain(command, &name, Some(node)).await?);
                Ok::<_, Error>((name, said))
            }
        }));
        let said = said.buffered(AT_ONCE).try_collect().await?;
        Ok(Self { dump, said })
    }
}

/// An entry, with what it is about.
pub(super) struct Entry<'a> {
    pub(super) said: &'a Said,
    pub(super) service: &'a str,
    pub(super) dump: &'a Dump,
    /// Whether the Service keeps its traffic on the node.
    pub(super) is_local: bool,
    /// How many endpoints its clients would reach without hints.
    pub(super) usable: usize,
}

/// What a comparison has found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// What is wrong, if anything.
    pub(super) wrong: Option<String>,
    /// Whether the rules leave only one mode.
    pub(super) is_decided: bool,
}

/// From near to far.
const MODES: [&str; 4] = ["node", "zone", "cluster", "none"];

impl Said {
    /// Whether it is about this port in this family.
    pub(super) fn is_of(&self, port: &str, family: AddressType) -> bool {
        self.port == port && self.family == family.to_string()
    }

    /// Whether it is about clients on this node.
    pub(super) fn is_from(&self, node: &str, zone: Option<&str>) -> bool {
        match &self.node {
            Some(only) => only == node,
            None => zone == self.zone.as_deref(),
        }
    }
}

impl Entry<'_> {
    /// Whether the clients reach nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.said.endpoints.is_empty()
    }

    /// Compares it with the rules on the nodes of its clients, which all send the same.
    pub(super) fn compare(&self, rules: &[(&str, &Outcome)]) -> Compared {
        let mut expected: BTreeMap<String, f64> = BTreeMap::new();
        let mut modes = Vec::new();
        for (node, outcome) in rules {
            let none = BTreeSet::new();
            let reached = if let Outcome::To(endpoints) = outcome { endpoints } else { &none };
            for endpoint in reached {
                *expected.entry(endpoint.clone()).or_default() +=
                    part(1, reached.len()) / part(rules.len(), 1);
            }
            modes.push(self.modes(node, reached));
        }
        let entries = self.said.endpoints.iter();
        let shares: BTreeMap<String, f64> =
            entries.map(|it| (format!("{} {}", it.address, it.target_port), it.share)).collect();
        let is_near = |(one, other): (&f64, &f64)| (one - other).abs() < PRECISION;
        let wrong = if shares.len() != self.said.endpoints.len()
            || !shares.keys().eq(expected.keys())
            || !shares.values().zip(expected.values()).all(is_near)
        {
            Some(format!("shares {shares:?}, by the rules {expected:?}"))
        } else if !self.is_farthest(&modes) {
            Some(format!("mode {}, by the rules {modes:?}", self.said.mode))
        } else if !self.said.endpoints.iter().all(|it| self.is_placed(it)) {
            Some("an endpoint is not where its slice says".to_owned())
        } else {
            None
        };
        Compared { wrong, is_decided: modes.iter().all(|modes| modes.len() == 1) }
    }

    /// The modes that describe what a client on a node reaches. Hints for nodes and for zones may lead
    /// to the same endpoints.
    fn modes(&self, node: &str, reached: &BTreeSet<String>) -> Vec<&'static str> {
        if reached.is_empty() {
            return vec!["none"];
        }
        let all = |holds: &dyn Fn(&Value) -> bool| {
            let mut addresses = reached.iter().filter_map(|endpoint| endpoint.split(' ').next());
            addresses.all(|address| self.dump.endpoints(self.service, address).any(holds))
        };
        let hinted = |field: &str, name: &str| {
            all(&|endpoint| {
                let mut names = endpoint["hints"][field].as_array().into_iter().flatten();
                names.any(|hint| hint["name"] == name)
            })
        };
        if self.is_local {
            let is_here = all(&|endpoint| endpoint["nodeName"] == node);
            return is_here.then_some("node").into_iter().collect();
        }
        let zone = self.said.zone.as_deref();
        let fits = [
            ("node", hinted("forNodes", node)),
            ("zone", zone.is_some_and(|zone| hinted("forZones", zone))),
            ("cluster", reached.len() == self.usable),
        ];
        fits.into_iter().filter(|(_, fits)| *fits).map(|(mode, _)| mode).collect()
    }

    /// Whether the mode is that of the node whose clients go farthest.
    fn is_farthest(&self, modes: &[Vec<&str>]) -> bool {
        let rank = |mode: &str| MODES.iter().position(|it| *it == mode);
        let ranks = || modes.iter().map(|modes| modes.iter().filter_map(|mode| rank(mode)));
        let (least, most) = (ranks().map(Iterator::min).max(), ranks().map(Iterator::max).max());
        let own = rank(&self.said.mode);
        // Without a mode that describes the rules of a node, there is nothing to be between.
        ranks().all(|mut ranks| ranks.next().is_some())
            && least.flatten() <= own
            && own <= most.flatten()
    }

    fn is_placed(&self, share: &Share) -> bool {
        let mut known = self.dump.endpoints(self.service, &share.address);
        known.any(|endpoint| {
            endpoint["nodeName"].as_str() == share.node.as_deref()
                && endpoint["zone"].as_str() == share.zone.as_deref()
        })
    }
}

/// A part of a whole.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn part(some: usize, of: usize) -> f64 {
    some as f64 / of as f64
}
