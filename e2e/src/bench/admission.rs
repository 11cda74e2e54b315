//! Measures what the admission policies of assist mode cost the API server per write of a slice, by
//! its own count and as a client sees it, paired with the same writes without policies.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use clap::Args;
use closehaul::{
    admission::{annotation::ANNOTATION, objects},
    model::slice::{CONTROLLER, MANAGED_BY, SERVICE_NAME},
};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

use super::{
    Error,
    statistics::{Spread, median, number},
    usage::Usage,
};
use crate::{
    cluster::{Actor, Cluster, Options as ClusterOptions},
    progress::Progress,
    scrape,
    world::until,
};

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
/// How long a change of policies may take to be in force.
const IN_FORCE: Duration = Duration::from_secs(60);
/// Writes before each measurement, so that the server's caches are warm.
const WARM: usize = 3;
/// The API server's own count of the time in the two plugins, in seconds.
const ADMISSION: [&str; 2] = ["MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"];

/// How much is measured.
#[derive(Args, Debug, Clone)]
pub struct Options {
    /// The numbers of endpoints in the slices
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 300, 1_000],
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub sizes: Vec<u16>,
    /// How many writes are measured in each round
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub writes: u16,
    /// How many rounds there are, each with and without policies
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: u16,
}

/// A kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Write {
    /// A slice that closehaul has not marked.
    Unmarked,
    /// The built-in controller wants the hints that are in force.
    Equal,
    /// It wants other hints for every endpoint.
    Overwritten,
    /// The same, and the first endpoint is replaced by a newcomer at the end.
    Moved,
    /// closehaul writes its own hints.
    Own,
}

impl Write {
    const ALL: [Self; 5] = [Self::Unmarked, Self::Equal, Self::Overwritten, Self::Moved, Self::Own];

    fn text(self) -> &'static str {
        match self {
            Self::Unmarked => "slice without the annotation",
            Self::Equal => "hints in force",
            Self::Overwritten => "other hints for all",
            Self::Moved => "the same, one pod replaced",
            Self::Own => "closehaul's own",
        }
    }

    fn actor(self) -> Actor {
        match self {
            Self::Own => Actor::Closehaul,
            _ => Actor::ControllerManager,
        }
    }

    /// The stored slice.
    fn stored(self, size: u16) -> Value {
        let annotation = (self != Self::Unmarked).then_some("=zone-a,zone-b,zone-c");
        let endpoints = (0..size).map(|at| endpoint(at.into(), &in_force(at.into())));
        slice(annotation, &endpoints.collect::<Vec<_>>())
    }

    /// The request of this turn: what is stored, with one endpoint's readiness flipped.
    fn request(self, stored: &Value, size: u16, turn: usize) -> Value {
        let mut request = stored.clone();
        if let Some(metadata) = request["metadata"].as_object_mut() {
            metadata.remove("managedFields");
            metadata.remove("resourceVersion");
        }
        let Some(endpoints) = request["endpoints"].as_array_mut() else { return request };
        if self == Self::Moved {
            endpoints.remove(0);
            endpoints.push(endpoint(usize::from(size) + turn, &Value::Null));
        }
        for (at, endpoint) in endpoints.iter_mut().enumerate() {
            match self {
                Self::Unmarked | Self::Equal => {}
                Self::Overwritten | Self::Moved => {
                    endpoint["hints"] = json!({"forZones": [{"name": endpoint["zone"]}]});
                }
                Self::Own => endpoint["hints"] = in_force(at + turn),
            }
        }
        if self != Self::Own {
            let at = turn % endpoints.len();
            let ready = &mut endpoints[at]["conditions"]["ready"];
            *ready = json!(!ready.as_bool().unwrap_or_default());
        }
        request
    }
}

/// What was measured. Its text is a Markdown table.
#[derive(Debug, Clone)]
pub struct Report {
    options: Options,
    rows: BTreeMap<(Write, u16), Row>,
}

/// The rounds of one kind of write, each a pair.
#[derive(Debug, Clone, Default)]
struct Row {
    /// The median time of a request without policies, in ms.
    without: Vec<f64>,
    /// How much longer it took with policies.
    longer: Vec<f64>,
    /// The API server's time in the plugins per write, in ms, less that without policies.
    admission: Vec<f64>,
    /// Its CPU time per write, in ms, in the same way.
    cpu: Vec<f64>,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { writes, rounds, .. } = self.options;
        writeln!(
            out,
            "Milliseconds per write: the median of {rounds} rounds of {writes} writes, paired with \
             as many without policies, with the lowest and the highest round. Policies: the API \
             server's own count.\n",
        )?;
        writeln!(out, "| write | endpoints | without | longer | policies | CPU |")?;
        writeln!(out, "|---|---|---|---|---|---|")?;
        for ((write, size), row) in &self.rows {
            let [without, longer, admission, cpu] =
                [&row.without, &row.longer, &row.admission, &row.cpu].map(|values| spread(values));
            let write = write.text();
            writeln!(out, "| {write} | {size} | {without} | {longer} | {admission} | {cpu} |")?;
        }
        Ok(())
    }
}

fn spread(values: &[f64]) -> String {
    let Some(Spread { least, median, most }) = Spread::of(values) else { return "-".to_owned() };
    format!("{} ({} to {})", number(median), number(least), number(most))
}

/// What one measurement found, per write in ms.
struct Measured {
    request: f64,
    admission: f64,
    cpu: f64,
}

/// Measures. Takes some minutes.
pub async fn run(options: Options) -> Result<Report, Error> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let bench = Bench { cluster: &cluster, admin: cluster.client(Actor::Admin)? };
    let mut rows: BTreeMap<(Write, u16), Row> = BTreeMap::new();
    let mut progress = Progress::after(Duration::ZERO, format!("{} rounds", options.rounds));
    for round in 0..options.rounds {
        for size in &options.sizes {
            let mut measured = Vec::new();
            // Which is first changes, so that a drift of the machine affects both.
            for is_on in [round % 2 == 0, round % 2 != 0] {
                bench.set(is_on).await?;
                for write in Write::ALL {
                    let found = bench.measure(write, *size, options.writes).await?;
                    measured.push((write, is_on, found));
                    progress.tick();
                }
            }
            measured.sort_by_key(|(write, is_on, _)| (*write, *is_on));
            for pair in measured.chunks(2) {
                let [(write, _, without), (_, _, with)] = pair else { continue };
                let row = rows.entry((*write, *size)).or_default();
                row.without.push(without.request);
                row.longer.push(with.request - without.request);
                row.admission.push(with.admission - without.admission);
                row.cpu.push(with.cpu - without.cpu);
            }
        }
    }
    progress.done();
    cluster.stop().await?;
    Ok(Report { options, rows })
}

struct Bench<'c> {
    cluster: &'c Cluster,
    admin: Client,
}

impl Bench<'_> {
    /// Installs or removes the policies, and waits until that is in force.
    async fn set(&self, is_on: bool) -> Result<(), Error> {
        let path = self.cluster.directory().join("admission.json");
        let items = objects(Actor::Closehaul.user());
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        std::fs::write(&path, list.to_string())
            .map_err(|source| Error::File { path: path.clone(), source })?;
        let file = path.display().to_string();
        let verb: &[&str] = if is_on { &["apply"] } else { &["delete", "--ignore-not-found"] };
        self.cluster.kubectl(&[verb, &["-f", &file]].concat()).await?.success()?;
        let stored = slice(Some("=a"), &[endpoint(0, &Value::Null)]);
        self.reset(&stored).await?;
        let mut request = stored;
        request["endpoints"][0]["hints"] = json!({"forZones": [{"name": "zone-z"}]});
        let mut own = request.clone();
        own["endpoints"][0]["zone"] = json!("zone-z");
        let [stock, us] = [Actor::ControllerManager, Actor::Closehaul];
        let [stock, us] = [self.cluster.client(stock)?, self.cluster.client(us)?];
        until("the policies", IN_FORCE, async || {
            let answer = send(&stock, "PUT", "/bench?dryRun=All", &request).await;
            let is_kept = answer.is_ok_and(|it| it["endpoints"][0]["hints"].is_null());
            let is_refused = send(&us, "PUT", "/bench?dryRun=All", &own).await.is_err();
            Ok((is_kept == is_on && is_refused == is_on).then_some(()))
        })
        .await?;
        Ok(())
    }

    async fn reset(&self, stored: &Value) -> Result<Value, Error> {
        match send(&self.admin, "DELETE", "/bench", &Value::Null).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            answer => drop(answer.map_err(Error::Change)?),
        }
        send(&self.admin, "POST", "", stored).await.map_err(Error::Change)
    }

    async fn measure(&self, write: Write, size: u16, writes: u16) -> Result<Measured, Error> {
        let mut stored = self.reset(&write.stored(size)).await?;
        let client = self.cluster.client(write.actor())?;
        let mut took = Vec::new();
        let mut before = self.counted().await?;
        for turn in 0..WARM + usize::from(writes) {
            if turn == WARM {
                before = self.counted().await?;
                took.clear();
            }
            let request = write.request(&stored, size, turn);
            let started = Instant::now();
            stored = send(&client, "PUT", "/bench", &request).await.map_err(Error::Change)?;
            took.push(started.elapsed().as_secs_f64() * 1e3);
        }
        let after = self.counted().await?;
        let per_write = |seconds: f64| seconds * 1e3 / f64::from(writes);
        Ok(Measured {
            request: median(&took),
            admission: per_write(after.0 - before.0),
            cpu: per_write(after.1 - before.1),
        })
    }

    /// Seconds in the plugins for updates, and of CPU, since the API server started.
    async fn counted(&self) -> Result<(f64, f64), Error> {
        let cpu = Usage::of(self.cluster.apiserver().pid())?.cpu();
        let scraped = scrape::scrape(&self.admin).await?;
        let is_counted = |series: &str| {
            series.starts_with("apiserver_admission_controller_admission_duration_seconds_sum")
                && ADMISSION.iter().any(|name| series.contains(&format!("name=\"{name}\"")))
                && series.contains("operation=\"UPDATE\"")
        };
        let counted = scraped.series.iter().filter(|(series, _)| is_counted(series));
        Ok((counted.map(|(_, value)| value).sum(), cpu))
    }
}

async fn send(
    client: &Client,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Value, kube::Error> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder().method(method).uri(format!("{SLICES}{path}"));
    let request = request.header(http::header::CONTENT_TYPE, "application/json").body(body);
    client.request(request.map_err(kube::Error::HttpError)?).await
}

/// The hints in force of an endpoint: two zones of three, and its node.
fn in_force(at: usize) -> Value {
    let zone = |at: usize| json!({"name": format!("zone-{}", ["a", "b", "c"][at % 3])});
    json!({"forZones": [zone(at), zone(at + 1)], "forNodes": [{"name": node(at)}]})
}

fn node(at: usize) -> String {
    format!("ip-10-0-{}-{}.eu-west-1.compute.internal", at / 250, at % 250)
}

fn endpoint(at: usize, hints: &Value) -> Value {
    json!({
        "addresses": [format!("10.{}.{}.{}", at / 62_500, at / 250 % 250, at % 250 + 1)],
        "conditions": {"ready": true, "serving": true, "terminating": false},
        "nodeName": node(at),
        "zone": format!("zone-{}", ["a", "b", "c"][at % 3]),
        "targetRef": {
            "kind": "Pod",
            "namespace": "default",
            "name": format!("web-7d8f6c9b5-{at:05}"),
            "uid": format!("{:08x}-1f2e-4d3c-8b9a-{at:012x}", at * 2_654_435 % 1_000_000),
        },
        "hints": hints,
    })
}

fn slice(annotation: Option<&str>, endpoints: &[Value]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "bench",
            "namespace": "default",
            "labels": {SERVICE_NAME: "web", MANAGED_BY: CONTROLLER},
            "annotations": annotation.map(|text| json!({ANNOTATION: text})),
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}
