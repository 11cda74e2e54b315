//! The rules that a kube-proxy has programmed, read back from the kernel (`nft -j list`).

use super::Error;
use crate::{net::Namespace, proxy::Mode};
use closehaul::model::address::AddressType;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    process::Stdio,
};
use tokio::process::Command;

/// What happens to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// One of these endpoints, each `ADDRESS PORT`.
    To(BTreeSet<String>),
    /// It is refused at once.
    Refused,
    /// It gets no answer.
    Dropped,
    /// There is no rule for it.
    Nothing,
}

/// The table of one family on one node.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The chain to which `ADDRESS PROTOCOL PORT` or `PROTOCOL NODEPORT` leads.
    services: BTreeMap<String, String>,
    /// Whether a key without endpoints is refused.
    without: BTreeMap<String, bool>,
    chains: BTreeMap<String, Chain>,
}

#[derive(Debug, Default)]
struct Chain {
    endpoints: BTreeSet<String>,
    /// The next chain for all connections, and that for pods and the node itself.
    onward: Option<String>,
    short: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(endpoints) => write!(f, "{endpoints:?}"),
            Self::Refused => f.write_str("refused"),
            Self::Dropped => f.write_str("dropped"),
            Self::Nothing => f.write_str("no rule"),
        }
    }
}

/// What is programmed for a Service (`NAMESPACE/NAME`) in a node's network namespace, as text for a
/// report: chains of nftables, or rules of iptables.
pub(super) async fn text(
    mode: Mode,
    namespace: &str,
    family: AddressType,
    service: &str,
) -> Result<String, Error> {
    let is_v6 = family == AddressType::IPv6;
    let (table, save) = if is_v6 { ("ip6", "ip6tables-save") } else { ("ip", "iptables-save") };
    let listing = match mode {
        Mode::Nftables => run(namespace, &["nft", "list", "table", table, "kube-proxy"]).await?,
        Mode::Iptables => run(namespace, &[save]).await?,
    };
    Ok(about(&listing, service))
}

/// The lines that name a Service, and those of the chains of nftables that have its name.
fn about(listing: &str, service: &str) -> String {
    let mut inside = false;
    let own = listing.lines().map(str::trim).filter(|line| {
        let named = line.contains(&format!("{service}/")) || line.contains(&format!("{service} "));
        let inner = inside;
        inside = if line.starts_with("chain ") { named } else { inside && *line != "}" };
        named || inner
    });
    own.flat_map(|line| [line, "\n"]).collect()
}

/// Runs a program in a node's network namespace and returns what it printed.
async fn run(namespace: &str, command: &[&str]) -> Result<String, Error> {
    let [ip, arguments @ ..] = Namespace::enter(namespace);
    let output = Command::new(ip)
        .args(arguments)
        .args(command)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| Error::Run { what: "ip", source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Command { command: command.join(" "), output: said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Rules {
    /// Reads the table of a family in a node's network namespace.
    pub(super) async fn read(namespace: &str, family: AddressType) -> Result<Self, Error> {
        let table = if family == AddressType::IPv6 { "ip6" } else { "ip" };
        let command = ["nft", "-j", "list", "table", table, "kube-proxy"];
        let listing = match run(namespace, &command).await {
            // kube-proxy has not created the table yet.
            Err(Error::Command { output, .. }) if output.contains("No such file") => {
                return Ok(Self::default());
            }
            listing => listing?,
        };
        let listing: Value =
            serde_json::from_str(&listing).map_err(Error::decode("nft's listing"))?;
        Ok(Self::parse(&listing))
    }

    /// Skips what it does not understand. A comparison then shows that as missing.
    fn parse(listing: &Value) -> Self {
        let mut rules = Self::default();
        for item in listing["nftables"].as_array().into_iter().flatten() {
            if let Some(map) = item.get("map") {
                rules.add_map(map);
            } else if let Some(rule) = item.get("rule") {
                let chain = rule["chain"].as_str().unwrap_or_default();
                let expressions = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
                rules.chains.entry(chain.to_owned()).or_default().add(expressions);
            }
        }
        rules
    }

    fn add_map(&mut self, map: &Value) {
        let name = map["name"].as_str().unwrap_or_default();
        for pair in map["elem"].as_array().into_iter().flatten() {
            // A comment makes the key an object with the key in it.
            let key = pair[0].pointer("/elem/val").unwrap_or(&pair[0]);
            let (key, verdict) = (words(&key["concat"]), &pair[1]);
            let target = verdict.pointer("/goto/target").and_then(Value::as_str);
            match (name, target) {
                ("service-ips" | "service-nodeports", Some(chain)) => {
                    self.services.insert(key, chain.to_owned());
                }
                ("no-endpoint-services" | "no-endpoint-nodeports", _) => {
                    self.without.insert(key, target.is_some());
                }
                _ => {}
            }
        }
    }

    /// Where a connection to a cluster IP leads, or one from outside to another address or port of
    /// the Service. `key` is `ADDRESS PROTOCOL PORT` or `PROTOCOL NODEPORT`.
    pub(super) fn outcome(&self, key: &str) -> Outcome {
        match self.without.get(key) {
            Some(true) => Outcome::Refused,
            Some(false) => Outcome::Dropped,
            None => self.follow(key, |chain| chain.onward.as_ref()),
        }
    }

    /// Where a connection from a pod on this node to an external address leads.
    pub(super) fn short_circuit(&self, key: &str) -> Outcome {
        self.follow(key, |chain| chain.short.as_ref())
    }

    fn follow(&self, key: &str, next: impl Fn(&Chain) -> Option<&String>) -> Outcome {
        let Some(mut chain) = self.services.get(key).and_then(|name| self.chains.get(name)) else {
            return Outcome::Nothing;
        };
        if chain.endpoints.is_empty() {
            let Some(further) = next(chain).and_then(|name| self.chains.get(name)) else {
                return Outcome::Nothing;
            };
            chain = further;
        }
        Outcome::To(chain.endpoints.clone())
    }
}

impl Chain {
    fn add(&mut self, expressions: &[Value]) {
        let Some(last) = expressions.last() else { return };
        if let Some(dnat) = last.get("dnat") {
            let of_many = dnat.pointer("/addr/map/data/set").and_then(Value::as_array);
            match of_many {
                Some(set) => {
                    self.endpoints.extend(set.iter().map(|pair| words(&pair[1]["concat"])));
                }
                None => drop(self.endpoints.insert(words(&Value::Array(vec![
                    dnat["addr"].clone(),
                    dnat["port"].clone(),
                ])))),
            }
        } else if let Some(target) = last.pointer("/goto/target").and_then(Value::as_str) {
            let is_for_all = expressions.len() == 1;
            let onward = if is_for_all { &mut self.onward } else { &mut self.short };
            *onward = Some(target.to_owned());
        }
    }
}

/// Joins strings and numbers with spaces.
fn words(list: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let words = list.as_array().into_iter().flatten().map(word);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn to(endpoints: &[&str]) -> Outcome {
        Outcome::To(endpoints.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_programmed_for_a_service_is_found() {
        let listing = "table ip kube-proxy {
            map service-ips {
                elements = { 10.96.0.1 . tcp . 80 : goto service-A-default/cart/tcp/ }
            }
            chain service-A-default/cart/tcp/ {
                meta l4proto tcp dnat to numgen random mod 2 map { 0 : 10.0.0.1 . 80 }
            }
            chain service-B-default/cartoon/tcp/ {
                meta l4proto tcp dnat to 10.0.0.9:80
            }
        }";
        let own = "elements = { 10.96.0.1 . tcp . 80 : goto service-A-default/cart/tcp/ }
chain service-A-default/cart/tcp/ {
meta l4proto tcp dnat to numgen random mod 2 map { 0 : 10.0.0.1 . 80 }
}
";
        assert_eq!(about(listing, "default/cart"), own);
        let rule = r#"-A X -m comment --comment "default/cart -> 10.0.0.1:80" -j Y"#;
        assert_eq!(about(rule, "default/cart"), format!("{rule}\n"));
        assert_eq!(about(rule, "default/car"), "");
    }

    #[test]
    fn a_listing_is_followed_to_the_endpoints() {
        let many = json!({"addr": {"map": {"data": {"set": [
            [0, {"concat": ["10.0.0.1", 80]}], [1, {"concat": ["10.0.0.2", 81]}]]}}}});
        let pods = json!({"match": {"op": "=="}});
        let rules = Rules::parse(&json!({"nftables": [
            {"map": {"name": "service-ips", "elem": [
                [{"concat": ["10.96.0.1", "tcp", 443]}, {"goto": {"target": "service-a"}}],
                [{"concat": ["10.96.0.9", "tcp", 443]}, {"goto": {"target": "external-a"}}]]}},
            {"map": {"name": "no-endpoint-services", "elem": [
                [{"elem": {"val": {"concat": ["10.96.0.2", "tcp", 443]}, "comment": "x"}},
                 {"goto": {"target": "reject-chain"}}],
                [{"concat": ["10.96.0.3", "tcp", 443]}, {"drop": null}]]}},
            {"rule": {"chain": "service-a", "expr": [pods, {"mangle": {}}]}},
            {"rule": {"chain": "service-a", "expr": [pods, {"dnat": many}]}},
            {"rule": {"chain": "local-a", "expr": [{"dnat": {"addr": "10.0.0.1", "port": 80}}]}},
            {"rule": {"chain": "external-a", "expr": [pods, {"goto": {"target": "service-a"}}]}},
            {"rule": {"chain": "external-a", "expr": [{"goto": {"target": "local-a"}}]}},
        ]}));
        assert_eq!(rules.outcome("10.96.0.1 tcp 443"), to(&["10.0.0.1 80", "10.0.0.2 81"]));
        assert_eq!(rules.outcome("10.96.0.9 tcp 443"), to(&["10.0.0.1 80"]));
        let short = rules.short_circuit("10.96.0.9 tcp 443");
        assert_eq!(short, to(&["10.0.0.1 80", "10.0.0.2 81"]));
        assert_eq!(rules.outcome("10.96.0.2 tcp 443"), Outcome::Refused);
        assert_eq!(rules.outcome("10.96.0.3 tcp 443"), Outcome::Dropped);
        assert_eq!(rules.outcome("10.96.0.4 tcp 443"), Outcome::Nothing);
    }
}
