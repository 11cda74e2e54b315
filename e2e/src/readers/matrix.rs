//! Upstream's matrix of traffic distributions on a real network. There is one Service for each
//! case, all at the same time, with both families.

use super::{
    Count, Error, Family,
    cases::{CASES, Case, Change, NODES, Step},
    change,
    evidence::Witness,
    site::Site,
    traffic::{Path, Tally},
};
use crate::{
    kubelet::{NodeSpec, requests::Sender},
    progress,
    proxy::Mode,
};
use futures::future::{join_all, pending, try_join_all};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt,
    time::{Duration, Instant},
};
use tokio::time;

/// How long the last endpoint is watched while it serves and terminates, and its successor after it
/// has ended. kube-proxies process changes at least once a second.
const LAST: Duration = Duration::from_secs(3);

/// How long the clients may take to start.
const CLIENTS: Duration = Duration::from_secs(120);

/// The outcome of the matrix under one mode of kube-proxy.
#[derive(Debug)]
pub struct Matrix {
    /// How kube-proxy programmed the kernel.
    pub mode: Mode,
    /// How many cases there were.
    pub cases: usize,
    /// What each client reached was right this many times: steps by clients by families.
    pub checks: usize,
    /// The requests, by family.
    pub counts: BTreeMap<Family, Count>,
    /// How long it took, without building and starting the control plane.
    pub elapsed: Duration,
}

impl Matrix {
    /// All requests that failed.
    pub fn failed(&self) -> Vec<&str> {
        self.counts.values().flat_map(|count| count.failed.iter().map(String::as_str)).collect()
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, cases, checks, elapsed, .. } = self;
        write!(f, "kube-proxy matrix, {mode}: {cases} cases, {checks} checks")?;
        for (family, count) in &self.counts {
            write!(f, "; {family}: {} requests, {} failed", count.sent, count.failed.len())?;
        }
        write!(f, "; {} s", elapsed.as_secs())
    }
}

/// Runs all cases and prints the outcome. `server` is the binary with
/// [`crate::kubelet::Command`]. Everything that was started and created is gone afterwards.
///
/// # Errors
///
/// Also if a client does not reach the right servers. The error contains what it reached instead.
pub async fn matrix(mode: Mode, server: &std::path::Path) -> Result<Matrix, Error> {
    let mut site = Site::start(mode, server).await?;
    let ran = run(&mut site).await;
    let running = site.check().await;
    let stopped = site.stop().await;
    // A process that ended explains everything else that went wrong.
    running?;
    let (checks, counts, elapsed) = ran?;
    stopped?;
    let matrix = Matrix { mode, cases: CASES.len(), checks, counts, elapsed };
    progress::say(&matrix.to_string());
    Ok(matrix)
}

async fn run(site: &mut Site) -> Result<(usize, BTreeMap<Family, Count>, Duration), Error> {
    site.start_closehaul().await?;
    let started = Instant::now();
    site.join(NODES.map(|(node, zone)| NodeSpec::worker(node, zone)).into()).await?;
    let clients = clients(site).await?;
    let tally = Tally::default();
    let checks = try_join_all(CASES.iter().map(|case| play(site, case, &clients, &tally))).await?;
    Ok((checks.into_iter().sum(), tally.counts(), started.elapsed()))
}

/// A client on each node.
async fn clients(site: &Site) -> Result<BTreeMap<&'static str, Sender>, Error> {
    let mut clients = BTreeMap::new();
    for (node, _) in NODES {
        change::create_pod(&site.api, &format!("client-{node}"), "client", node).await?;
    }
    let started = Instant::now();
    for (node, _) in NODES {
        let name = format!("client-{node}");
        let namespace = loop {
            if let Some(namespace) = site.pod(&name).await? {
                break namespace;
            }
            if started.elapsed() > CLIENTS {
                let (what, last) = (format!("the pod {name}"), "nothing".to_owned());
                return Err(Error::Late { what, seconds: CLIENTS.as_secs(), last });
            }
            time::sleep(Duration::from_millis(50)).await;
        };
        clients.insert(node, Sender::new(&site.server, &namespace));
    }
    Ok(clients)
}

/// Plays one case and returns how many checks it had.
async fn play(
    site: &Site,
    case: &Case,
    clients: &BTreeMap<&'static str, Sender>,
    tally: &Tally,
) -> Result<usize, Error> {
    let witness = Witness::new(site, case);
    let addresses = change::create(&site.api, case).await?;
    witness.note("Service and pods made");
    let mut ready: BTreeSet<_> = case.servers.split(' ').collect();
    change::listed(&site.api, case, &ready).await?;
    witness.note("every server is listed as ready");
    let own = clients.iter().filter(|(name, _)| case.clients().contains(*name));
    let paths: Vec<_> = own
        .flat_map(|(client, sender)| {
            let path = |address| Path::new(client, sender, case.name, address, &witness);
            addresses.iter().copied().map(path)
        })
        .collect();
    try_join_all(paths.iter().map(Path::open)).await?;
    witness.note("every client has had an answer");
    // If nothing changes, the checks send enough requests.
    let changing: &[Path<'_>] = if case.steps.len() > 1 { &paths } else { &[] };
    let flows = changing.iter().map(Path::flow).collect::<Result<Vec<_>, _>>()?;
    let steps = async {
        let mut checks = 0;
        for step in case.steps {
            witness.note(&format!("{:?} begins", step.change));
            change::apply(site, case, step.change).await?;
            step.change.turn(&mut ready);
            change::listed(&site.api, case, &ready).await?;
            witness.note("the slices follow");
            checks += check(case, step, &paths, tally).await?;
            witness.note("every client is answered as expected");
        }
        Ok::<_, Error>(checks)
    };
    let watched = async {
        join_all(changing.iter().zip(&flows).map(|(path, flow)| path.watch(flow))).await;
        pending::<Infallible>().await
    };
    let checks = tokio::select! {
        checks = steps => checks?,
        never = watched => match never {},
    };
    if let Some(server) = case.last() {
        // It must not have ended before its successor was reached, because requests would rightly
        // fail.
        change::must_exist(&site.api, &case.pod(server)).await?;
    }
    let ends = changing.iter().zip(flows).map(|(path, flow)| path.finish(flow, tally));
    try_join_all(ends).await?;
    Ok(checks)
}

/// Checks which servers the clients reach. Returns the number of checks.
async fn check(
    case: &Case,
    step: &Step,
    paths: &[Path<'_>],
    tally: &Tally,
) -> Result<usize, Error> {
    let ends = step.last().is_some() || matches!(step.change, Change::End(_));
    let holds = if ends { LAST } else { Duration::ZERO };
    let checks = step.expected.iter().flat_map(|(clients, servers)| {
        let expected: BTreeSet<_> = servers.split(' ').map(|server| case.answer(server)).collect();
        let own = paths.iter().filter(|path| clients.split(' ').any(|name| name == path.client));
        own.map(move |path| {
            let expected = expected.clone();
            async move { path.expect(&expected, holds, tally).await }
        })
    });
    Ok(try_join_all(checks).await?.len())
}
