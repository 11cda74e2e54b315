//! One step: change something, wait until the change has taken effect, and count requests.

use super::{
    Error, Row,
    console::{line, table},
    endpoints::{self, Ready},
    report::{by_node, count, failures, judge},
    site::Site,
    steps::Step,
    traffic::Traffic,
};
use crate::kubelet::requests::Answer;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{self, Instant};

/// How long a change may take to take effect.
const LIMIT: Duration = Duration::from_secs(60);

/// How often the wait is mentioned.
const MENTION: Duration = Duration::from_secs(5);

/// How many requests at a time check whether a change has come about. With two pods to choose from,
/// one that is not used any more escapes them once in a million times.
const PROBES: u64 = 20;

/// The slices as a user sees them.
const SHOW_HINTS: &str = "kubectl get endpointslices -l kubernetes.io/service-name=echo-svc \\
  -o custom-columns=\"NODES:endpoints[*].nodeName,READY:endpoints[*].conditions.ready,\\
FOR-ZONES:endpoints[*].hints.forZones[*].name,FOR-NODES:endpoints[*].hints.forNodes[*].name\"";

/// What closehaul would write now, according to the output of kubectl.
pub(super) const REHEARSE: &str = "kubectl get nodes,services,pods,endpointslices -A -o yaml | \\\n  closehaul plan -f - -o changes";

/// How the wait for a change ended.
struct Settled {
    endpoints: Vec<Ready>,
    probes: Vec<Answer>,
    /// What was still wrong when time was up.
    problem: Option<String>,
}

/// Runs one step. `traffic` exists after the actions of the first step.
pub(super) async fn step(
    site: &mut Site,
    traffic: &mut Option<Traffic>,
    number: usize,
    step: &Step,
) -> Result<Row, Error> {
    let started = Instant::now();
    let console = site.console;
    console.heading(format_args!("{number}. {}: {}", step.name, step.about));
    let going_on = traffic.as_ref().map(Traffic::beside).transpose()?;
    for action in step.actions {
        site.act(action).await?;
    }
    let traffic = match traffic {
        Some(traffic) => traffic,
        None => traffic.insert(first_answer(site).await?),
    };
    let Settled { endpoints, probes: mut beside, problem } = settle(site, traffic, step).await?;
    if let Some(going_on) = going_on {
        beside.extend(going_on.finish().await?);
    }
    let answers = traffic.send(step.requests).await?;
    let counts = count(&answers);
    show(site, &counts).await?;
    site.run(SHOW_HINTS).await?;

    let failed: Vec<_> = failures(&beside).chain(failures(&answers)).collect();
    let mut problems = Vec::from_iter(problem.map(|problem| format!("after a minute {problem}")));
    problems.extend(judge(&counts, &endpoints, step));
    if let Some(first) = failed.first() {
        problems.push(format!("{} requests failed, the first: {first}", failed.len()));
    }
    let text = format!(
        "{} of {} requests answered as they must, and {} beside while things changed",
        answers.len() - failures(&answers).count(),
        step.requests,
        beside.len(),
    );
    console.verdict(&text, &problems);
    Ok(Row {
        step: step.name,
        answers: by_node(&counts),
        counted: counts.values().sum(),
        beside: beside.len() as u64,
        failed: failed.len() as u64,
        problems,
        elapsed: started.elapsed(),
    })
}

/// Asks `closehaul plan` what is left to write after all steps. It must be nothing, because the
/// command decides by the same functions as the controller. Returns what is left.
pub(super) async fn rehearse(site: &Site, command: &str) -> Result<Vec<String>, Error> {
    site.console.heading("Rehearsal: what closehaul plan would still write");
    let changes: Vec<_> = site.run(command).await?.lines().map(str::to_owned).collect();
    site.console.verdict("no change is left to write", &changes);
    Ok(changes)
}

/// Waits until the Service answers for the first time. Until then requests may fail.
async fn first_answer(site: &mut Site) -> Result<Traffic, Error> {
    let traffic = site.traffic().await?;
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        site.check().await?;
        if traffic.send(1).await?.iter().any(Result::is_ok) {
            break;
        }
        time::sleep(Duration::from_millis(100)).await;
    }
    Ok(traffic)
}

/// Waits until the slices are as expected and are in effect on the client's node.
async fn settle(site: &mut Site, traffic: &Traffic, step: &Step) -> Result<Settled, Error> {
    let started = Instant::now();
    let mut mentioned = started;
    let mut probes = Vec::new();
    loop {
        site.check().await?;
        let slices = site.slices().await?;
        let (endpoints, _) = endpoints::ready(&slices);
        let mut problem = endpoints::difference(&slices, &step.expected);
        if problem.is_none() {
            let answers = traffic.send(PROBES).await?;
            problem = judge(&count(&answers), &endpoints, step).into_iter().next();
            probes.extend(answers);
        }
        if problem.is_none() || started.elapsed() > LIMIT {
            return Ok(Settled { endpoints, probes, problem });
        }
        if let Some(problem) = problem
            && mentioned.elapsed() > MENTION
        {
            mentioned = Instant::now();
            let seconds = started.elapsed().as_secs();
            site.console.note(format_args!("waiting for {seconds} s: {problem}"));
        }
        time::sleep(Duration::from_millis(200)).await;
    }
}

async fn show(site: &Site, counts: &BTreeMap<String, u64>) -> Result<(), Error> {
    let zones = site.zones().await?;
    let row = |(answer, count): (&String, &u64)| {
        let node = answer.rsplit('@').next().unwrap_or_default();
        let zone = zones.get(node).map_or("-", String::as_str);
        [answer.clone(), zone.to_owned(), count.to_string()]
    };
    let rows: Vec<_> = counts.iter().map(row).collect();
    line("");
    table(["ANSWERED BY", "ZONE", "REQUESTS"], &rows);
    line("");
    Ok(())
}
