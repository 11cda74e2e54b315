//! The walkthrough of policies: a default for the cluster, a guard, and an evacuation.
//!
//! There is a client in each of three zones. What each step counts is compared with what
//! `closehaul plan` predicts.

#![allow(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

mod step;
mod tables;

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use self::{
    step::{Shares, Step},
    tables::{above, percent},
};
use super::{Error, Row, Script, site::Site};
use crate::{
    cluster::Actor,
    shares::{Clients, Counts, Endpoint, Prediction, ZONES},
    world::World,
};

/// What differs from the published walkthrough.
pub(super) const SCRIPT: Script = Script {
    nodes: &[("node-a", Some("zone-a")), ("node-b", Some("zone-b")), ("node-c", Some("zone-c"))],
    client: "client-a",
    service: SEARCH,
    column: "ANSWERS",
};

/// Without a policy of its own.
const CART: &str = "cart";
/// Exempt from policies.
const MAIL: &str = "mail";
/// Three endpoints in zone-a, two in zone-b and one in zone-c.
const SEARCH: &str = "search";

/// How far the guard lets an endpoint be above the even share.
const CAP: f64 = 0.2;

/// What is evacuated.
const SICK: &str = ZONES[0];
/// From when on an evacuation must be in effect.
const WITHIN: Duration = Duration::from_secs(2);
/// The interval of the requests from a zone to a Service that must not reach the sick one.
const PACE: Duration = Duration::from_millis(25);
/// For how long at least they are counted that must not reach the zone.
const QUIET: Duration = Duration::from_secs(4);

/// The hints as a user sees them.
const SHOW_HINTS: &str = "kubectl get endpointslices -l 'kubernetes.io/service-name in (cart, mail)' \\
  -o custom-columns=\"NAME:metadata.name,ZONES:endpoints[*].zone,\\
FOR-ZONES:endpoints[*].hints.forZones[*].name\"";

/// How requests must be answered that are counted.
const AS_PREDICTED: &str = "as predicted";

/// Waits until the status of the evacuation says that all endpoints are evacuated.
const COMPLETE: &str = "kubectl wait --for=condition=Complete zoneevacuation --all --timeout=30s";

/// What closehaul would write now.
const REHEARSE: &str = "closehaul plan -o changes";

/// Runs all steps. Returns a row for each, and what is left to write at the end.
pub(super) async fn walk(site: &mut Site) -> Result<(Vec<Row>, Vec<String>), Error> {
    let mut rows = Vec::new();
    let clients = clients(site).await?;
    rows.push(no_policy(site, &clients).await?);
    let (row, [cart, mail]) = cluster_default(site, &clients).await?;
    rows.push(row);
    let (row, without) = no_guard(site, &clients).await?;
    rows.push(row);
    let (row, guarded) = guard(site, &clients, &without).await?;
    rows.push(row);
    rows.push(evacuation(site, &clients).await?);
    let before = [(CART, &cart), (MAIL, &mail), (SEARCH, &guarded.predicted)];
    rows.push(back(site, &clients, before).await?);
    report(site).await?;
    let left = super::walk::rehearse(site, REHEARSE).await?;
    Ok((rows, left))
}

/// Writes a page about all Services, which stays when the cluster is gone.
async fn report(site: &Site) -> Result<(), Error> {
    site.console.heading("Report: a page about all Services, to open in a browser");
    let path = site.page();
    site.run(&format!("closehaul plan -o html > \\\n  '{}'", path.display())).await?;
    let page = std::fs::metadata(&path).map_err(|source| Error::Run { what: "plan", source })?;
    site.console.note(format_args!("{} kB", page.len().div_ceil(1000)));
    Ok(())
}

/// Installs the custom resource definitions, and creates a client in each zone.
async fn clients(site: &Site) -> Result<Clients, Error> {
    site.console.heading("Start: three zones, each with a node and a client");
    for command in [
        "kubectl get nodes -L topology.kubernetes.io/zone",
        "closehaul crds | kubectl apply -f -",
        "kubectl wait --for=condition=Established crd -l gateway.networking.k8s.io/policy",
        "kubectl apply -f manifests/policies/clients.yaml",
        "kubectl wait --for=condition=Ready pod -l app=client --timeout=60s",
    ] {
        site.run(command).await?;
    }
    let mut senders = BTreeMap::new();
    for (zone, pod) in ZONES.into_iter().zip(["client-a", "client-b", "client-c"]) {
        senders.insert(zone, site.sender(pod).await?);
    }
    Ok(Clients::new(World::new(site.client(Actor::Admin)?), senders))
}

async fn no_policy(site: &mut Site, clients: &Clients) -> Result<Row, Error> {
    let heading = "1. no policy: without trafficDistribution, pods in all zones answer";
    let mut step = Step::begin(site, clients, ["no policy", heading], &[]).await?;
    site.run("kubectl apply -f manifests/policies/shop.yaml").await?;
    site.run("kubectl wait --for=condition=Available deployment --all --timeout=60s").await?;
    let cart = step.measure(site, clients, CART, None).await?;
    let mail = step.measure(site, clients, MAIL, None).await?;
    tables::routes(site.console, [&cart, &mail].map(Shares::routes));
    tables::comparison(site.console, [(CART, &cart), (MAIL, &mail)]);
    step.end(site, in_zone(&[&cart, &mail]), AS_PREDICTED).await
}

async fn cluster_default(
    site: &mut Site,
    clients: &Clients,
) -> Result<(Row, [Prediction; 2]), Error> {
    let heading = "2. default: a policy for all Services, except for one that opts out";
    let mut step = Step::begin(site, clients, ["default", heading], &[CART, MAIL]).await?;
    for command in [
        "kubectl annotate service mail closehaul.io/policy=none",
        "cat manifests/policies/near.yaml",
        "kubectl apply -f manifests/policies/near.yaml",
    ] {
        site.run(command).await?;
    }
    let cart = step.measure(site, clients, CART, None).await?;
    let mail = step.measure(site, clients, MAIL, None).await?;
    tables::routes(site.console, [&cart, &mail].map(Shares::routes));
    tables::comparison(site.console, [(CART, &cart), (MAIL, &mail)]);
    site.run(SHOW_HINTS).await?;
    if cart.comparison.measured.in_zone < 1.0 {
        step.problem("not every request to cart was answered in its own zone".to_owned());
    }
    let row = step.end(site, in_zone(&[&cart, &mail]), AS_PREDICTED).await?;
    Ok((row, [cart.predicted, mail.predicted]))
}

async fn no_guard(site: &mut Site, clients: &Clients) -> Result<(Row, Shares), Error> {
    let heading = "3. no guard: three endpoints in zone-a, two in zone-b, one in zone-c";
    let mut step = Step::begin(site, clients, ["no guard", heading], &[CART, MAIL]).await?;
    site.run("kubectl apply -f manifests/policies/search.yaml").await?;
    site.run("kubectl wait --for=condition=Available deployment --all --timeout=60s").await?;
    let search = step.measure(site, clients, SEARCH, None).await?;
    tables::routes(site.console, [search.routes()]);
    tables::comparison(site.console, [("no guard", &search)]);
    let row = step.end(site, load(&search), AS_PREDICTED).await?;
    Ok((row, search))
}

async fn guard(
    site: &mut Site,
    clients: &Clients,
    without: &Shares,
) -> Result<(Row, Shares), Error> {
    let heading = "4. guard: no endpoint more than 20 % above the even share";
    let services = [CART, MAIL, SEARCH];
    let mut step = Step::begin(site, clients, ["guard", heading], &services).await?;
    site.run("cat manifests/policies/guard.yaml").await?;
    site.run("kubectl apply -f manifests/policies/guard.yaml").await?;
    let search = step.measure(site, clients, SEARCH, None).await?;
    tables::routes(site.console, [search.routes()]);
    tables::comparison(site.console, [("no guard", without), ("guard 20 %", &search)]);
    site.run("closehaul explain search").await?;
    let [before, after] = [without, &search].map(|shares| shares.predicted.overload);
    if before <= CAP || after > CAP {
        let [before, after] = [before, after].map(above);
        step.problem(format!("the guard takes the busiest endpoint from {before} to {after}"));
    }
    let row = step.end(site, load(&search), AS_PREDICTED).await?;
    Ok((row, search))
}

async fn evacuation(site: &mut Site, clients: &Clients) -> Result<Row, Error> {
    let heading = "5. evacuation: after 2 s, nothing reaches zone-a any more";
    let services = [CART, MAIL, SEARCH];
    let mut step = Step::begin(site, clients, ["evacuation", heading], &services).await?;
    site.run("closehaul evacuate zone-a --for 10m --reason demo --yes").await?;
    site.console.note("from 2 s on, requests from every zone are counted");
    sleep(WITHIN).await;
    let quiet = Instant::now() + QUIET;
    let mut flows = Vec::new();
    for service in services {
        flows.push((service, clients.flows(service, PACE).await?));
    }
    sleep_until(quiet).await;
    site.run(COMPLETE).await?;
    site.run("kubectl get zoneevacuations").await?;
    site.run("closehaul explain cart").await?;
    let mut counted = Vec::new();
    for (service, flows) in flows {
        counted.push((service, clients.endpoints(service).await?, flows.finish().await?));
    }
    for (service, endpoints, counts) in &counted {
        step.take(counts);
        for zone in ZONES {
            let [sick, all] = [&[SICK][..], &ZONES].map(|to| answered(endpoints, counts, zone, to));
            if sick > 0 {
                step.problem(format!("{sick} requests from {zone} to {service} reached {SICK}"));
            }
            if all == 0 {
                step.problem(format!("no request from {zone} to {service} was answered"));
            }
        }
    }
    tables::routes(
        site.console,
        counted.iter().map(|(service, it, counts)| (*service, &it[..], counts)),
    );
    let to = |to: &[&str]| -> u64 {
        let sums = counted.iter().flat_map(|(_, endpoints, counts)| {
            ZONES.map(|from| answered(endpoints, counts, from, to))
        });
        sums.sum()
    };
    let answers = ZONES.map(|zone| format!("{} in {zone}", to(&[zone])));
    step.end(site, answers.join(", "), "outside zone-a").await
}

async fn back(
    site: &mut Site,
    clients: &Clients,
    before: [(&'static str, &Prediction); 3],
) -> Result<Row, Error> {
    let heading = "6. back: the evacuation is cancelled, and all is as before it";
    let services = before.map(|(service, _)| service);
    let mut step = Step::begin(site, clients, ["back", heading], &services).await?;
    site.run("closehaul evacuate zone-a --cancel --yes").await?;
    let mut all = Vec::new();
    for (service, predicted) in before {
        all.push(step.measure(site, clients, service, Some(predicted)).await?);
    }
    tables::routes(site.console, all.iter().map(Shares::routes));
    tables::comparison(site.console, all.iter().map(|shares| (shares.service, shares)));
    step.end(site, in_zone(&all.iter().collect::<Vec<_>>()), AS_PREDICTED).await
}

/// How many requests from a zone were answered in these.
fn answered(endpoints: &[Endpoint], counts: &Counts, from: &str, to: &[&str]) -> u64 {
    to.iter().map(|to| counts.between(endpoints, from, to)).sum()
}

/// How much of the traffic of Services stayed in its zone, for the summary.
fn in_zone(services: &[&Shares]) -> String {
    let text = |it: &&Shares| format!("{} {}", it.service, percent(it.comparison.measured.in_zone));
    format!("in zone: {}", services.iter().map(text).collect::<Vec<_>>().join(", "))
}

/// The same with the busiest endpoint.
fn load(shares: &Shares) -> String {
    let busiest = above(shares.comparison.measured.overload);
    format!("{}, busiest endpoint {busiest}", in_zone(&[shares]))
}
