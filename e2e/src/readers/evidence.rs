//! Evidence that explains a failure, collected while it can still be observed.

use super::{Error, cases::Case, change, family::Family, rules, site::Site};
use crate::{net::Namespace, progress};
use closehaul::model::address::AddressType;
use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Pod, discovery::v1::EndpointSlice};
use kube::{Api, api::ListParams};
use std::{
    fmt::Write as _,
    net::IpAddr,
    process::Stdio,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::process::Command;

/// How many failures of a case are explained: one stale kube-proxy causes many.
const ENOUGH: usize = 3;

/// What was done in a case, and the evidence after a failure. Times are UTC, as in the logs of
/// kube-proxy.
pub(super) struct Witness<'a> {
    site: &'a Site,
    case: &'a Case,
    diary: Mutex<Vec<String>>,
    reported: AtomicUsize,
}

impl<'a> Witness<'a> {
    pub(super) fn new(site: &'a Site, case: &'a Case) -> Self {
        Self { site, case, diary: Mutex::default(), reported: AtomicUsize::new(0) }
    }

    /// Records that something was done now.
    pub(super) fn note(&self, what: &str) {
        let line = format!("{} {what}", now());
        self.diary.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Collects the current evidence about the path from a client to the Service.
    pub(super) async fn look(&self, client: &str, address: IpAddr) -> String {
        let mut text = format!(
            "{} evidence for the way from {client} to {address} of {}",
            now(),
            self.case.name
        );
        let diary = self.diary.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
        let slices = change::list(&self.site.api, self.case).await;
        let slices = slices.map(|slices| slices.iter().map(slice).collect::<String>());
        let pods = self.pods().await;
        let rules = self.rules(client, address).await;
        let service = format!("default/{}\"", self.case.name);
        let words = [&*service, &address.to_string(), "topology labels", "failed", "complete"];
        let log = self.site.proxy_log(client, &words);
        let counters = self.counters(client).await;
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        for (title, content) in [
            ("what was done", Ok(diary)),
            ("slices", slices),
            ("pods", pods),
            ("rules of the client's node", rules),
            ("its kube-proxy's log about that", Ok(log)),
            ("counters of the client's pod", counters),
            ("load", Ok(load)),
        ] {
            let content = content.unwrap_or_else(|error| format!("cannot be read: {error}"));
            let content = content.trim_end().replace('\n', "\n    ");
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  {title}:\n    {content}");
        }
        text
    }

    /// Reports why a request failed, with the evidence, unless it has done so often enough.
    pub(super) async fn tell(&self, client: &str, address: IpAddr, why: &str) {
        if self.reported.fetch_add(1, Ordering::Relaxed) < ENOUGH {
            let evidence = self.look(client, address).await;
            progress::say(&format!("a request failed: {why}\n{evidence}"));
        }
    }

    async fn pods(&self) -> Result<String, Error> {
        let api: Api<Pod> = Api::default_namespaced(self.site.api.clone());
        let own = ListParams::default().labels(&format!("app={}", self.case.name));
        let pods = api.list(&own).await.map_err(Error::api("the pods"))?;
        Ok(pods.iter().map(pod).collect())
    }

    async fn rules(&self, client: &str, address: IpAddr) -> Result<String, Error> {
        let namespace = self.site.namespace(client);
        let family = match Family::of(address) {
            Family::V4 => AddressType::IPv4,
            Family::V6 => AddressType::IPv6,
        };
        rules::text(self.site.proxy, namespace, family, &format!("default/{}", self.case.name))
            .await
    }

    /// The kernel's counters of failures in the client's pod.
    async fn counters(&self, client: &str) -> Result<String, Error> {
        let pod = format!("client-{client}");
        let namespace = self.site.pod(&pod).await?.unwrap_or_default();
        let [ip, arguments @ ..] = Namespace::enter(&namespace);
        let output = Command::new(ip)
            .args(arguments)
            // Since the namespace was created, and without a note of it in the user's files.
            .args(["nstat", "-a", "-s"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| Error::Run { what: "nstat", source })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let bad = ["Retrans", "Drop", "Discard", "NoRoute", "Unreach", "Timeout", "Reset", "Fail"];
        let bad = text.lines().filter(|line| bad.iter().any(|word| line.contains(word)));
        Ok(bad
            .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ") + "\n")
            .collect())
    }
}

fn now() -> String {
    Timestamp::now().strftime("%H:%M:%S%.3f").to_string()
}

fn slice(slice: &EndpointSlice) -> String {
    let version = slice.metadata.resource_version.as_deref().unwrap_or_default();
    let mut text = format!("{} at {version}\n", slice.address_type);
    for endpoint in &slice.endpoints {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let is = [
            (conditions.ready, "ready"),
            (conditions.serving, "serving"),
            (conditions.terminating, "terminating"),
        ];
        let is = is.into_iter().filter(|(is, _)| *is == Some(true)).map(|(_, name)| name);
        let hints = endpoint.hints.clone().unwrap_or_default();
        let zones = hints.for_zones.into_iter().flatten().map(|zone| zone.name);
        let nodes = hints.for_nodes.into_iter().flatten().map(|node| node.name);
        let _ = writeln!(
            text,
            "  {} on {}: {}; hints {}",
            endpoint.addresses.join(" "),
            endpoint.node_name.as_deref().unwrap_or("-"),
            is.collect::<Vec<_>>().join(" "),
            zones.chain(nodes).collect::<Vec<_>>().join(" "),
        );
    }
    text
}

fn pod(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let ready = status.conditions.into_iter().flatten().find(|is| is.type_ == "Ready");
    let addresses = status.pod_ips.into_iter().flatten().map(|address| address.ip);
    let ends = pod.metadata.deletion_timestamp.as_ref();
    format!(
        "{} {}: ready {}, deletion {}\n",
        pod.metadata.name.as_deref().unwrap_or_default(),
        addresses.collect::<Vec<_>>().join(" "),
        ready.map_or_else(|| "-".to_owned(), |ready| ready.status),
        ends.map_or_else(|| "-".to_owned(), |time| time.0.to_string()),
    )
}
