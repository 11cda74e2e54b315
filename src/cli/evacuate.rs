//! `closehaul evacuate`: keeps traffic out of a zone for a limited time, or ends that.
//!
//! Options have no environment variables: one that is set by accident must not decide what is
//! evacuated.

mod ask;
mod cancel;
mod error;
mod request;
mod server;
mod shown;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use clap::Args;

use self::{
    cancel::Found,
    error::Attempt,
    request::{NAMESPACE, Request},
    server::{Greeting, Leader, Server},
};
use super::{
    connection::{Connection, Names},
    duration,
    live::{Cluster, LiveError, Purpose},
    objects::{Needs, Objects},
    print::print,
    say::say,
    selector,
    snapshot::Snapshot,
};
use crate::{
    api::{crd::label::LabelSelector, policy::limits},
    model::{labels::Labels, namespace::Namespace, node::Node},
    plan::Settings,
    report::forecast::Forecast,
};

pub use self::error::EvacuateError;

/// How many letters of a zone may be wrong for it to count as a misspelling.
const DISTANCE: usize = 2;

/// Keep traffic out of a zone for a limited time, or end that with --cancel
///
/// Creates a `ZoneEvacuation`, which closehaul's controller carries out: new connections go to endpoints
/// in other zones. It first shows what this would do and what hints cannot move, and then asks for confirmation. The
/// evacuation ends by itself.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Evacuate {
    /// The zone: a value of the node label topology.kubernetes.io/zone
    #[arg(value_name = "ZONE", value_parser = zone)]
    zone: String,

    /// How long the evacuation lasts, such as 30m or 1h30m, by the API server's clock
    #[arg(
        long = "for",
        value_name = "DURATION",
        value_parser = lasts,
        required_unless_present = "cancel"
    )]
    lasts: Option<Duration>,

    /// Why, for those who find it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Move only the Services of this namespace [default: all]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// The Services to move, by their labels, as with kubectl [default: all]
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = selector::parse)]
    selector: Option<LabelSelector>,

    /// Delete the evacuations of the zone that this command has created
    #[arg(long, conflicts_with_all = ["lasts", "reason", "namespace", "selector"])]
    cancel: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,

    /// Show what would be done, let the API server check it, and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,

    /// Name of the lease that the leader holds
    #[arg(
        long,
        value_name = "NAME",
        default_value = "closehaul",
        env = "CLOSEHAUL_LEADER_ELECT_RESOURCE_NAME",
        hide_env = true
    )]
    leader_elect_resource_name: String,

    /// Namespace of that lease
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "kube-system",
        env = "CLOSEHAUL_LEADER_ELECT_RESOURCE_NAMESPACE",
        hide_env = true
    )]
    leader_elect_resource_namespace: String,
}

const EXAMPLES: &str = "\
Examples:
  # Keep traffic out of zone-a for half an hour
  closehaul evacuate zone-a --for 30m --reason 'the cooling has failed'

  # What would that do?
  closehaul evacuate zone-a --for 30m --dry-run

  # Only the Services of one namespace, or only those with a label, without a question
  closehaul evacuate zone-a --for 1h -n shop --yes
  closehaul evacuate zone-a --for 1h -l tier=web --yes

  # Let traffic come back earlier
  closehaul evacuate zone-a --cancel

  # Which evacuations are there?
  kubectl get zoneevacuations

This requires the permission to create zoneevacuations of the group closehaul.io, which the ClusterRole
closehaul-operator of the chart has. To show what an evacuation would do, it reads Services, Pods,
EndpointSlices and Nodes.

Exit codes: 0 done, 1 it ran and something is wrong, or it was not confirmed, 2 wrong usage.";

/// A zone is the value of a label.
fn zone(text: &str) -> Result<String, String> {
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_zone = text.len() <= limits::LABEL
        && text.starts_with(is_end)
        && text.ends_with(is_end)
        && text.chars().all(|c| is_end(c) || ['-', '_', '.'].contains(&c));
    if is_zone {
        Ok(text.to_owned())
    } else {
        Err("write the value of the node label topology.kubernetes.io/zone".to_owned())
    }
}

/// Clocks of API servers have whole seconds.
fn lasts(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        lasts if lasts < Duration::from_secs(1) => {
            Err("an evacuation lasts at least 1s; give a longer duration".to_owned())
        }
        lasts => Ok(lasts),
    }
}

/// Shows what would be done, asks, and does it.
///
/// # Errors
/// It is not confirmed, or the API server cannot do it.
pub async fn run(args: Evacuate, connection: &Connection) -> Result<(), EvacuateError> {
    if !args.yes && !args.dry_run && !io::stdin().is_terminal() {
        return Err(EvacuateError::Unconfirmed);
    }
    let mut cluster = Cluster::connect(connection, Purpose::Evacuate).await?;
    cluster.notes.drain(..).for_each(say);
    let server = Server { client: cluster.client.clone(), url: cluster.url.clone() };
    match args.lasts {
        Some(lasts) if !args.cancel => evacuate(&args, lasts, cluster, &server).await,
        _ => cancel(&args, &server).await,
    }
}

async fn evacuate(
    args: &Evacuate,
    lasts: Duration,
    mut cluster: Cluster,
    server: &Server,
) -> Result<(), EvacuateError> {
    let request = Request {
        zone: args.zone.clone(),
        namespace: args.namespace.clone(),
        selector: args.selector.clone(),
        reason: args.reason.clone(),
        lasts,
    };
    let greeting = server.greet().await?;
    request.read(greeting.now()).map_err(EvacuateError::Invalid)?;
    check_zone(&request.zone, &mut cluster).await?;
    show(&request, &mut cluster, &greeting).await?;
    warn_of_leader(args, server, &greeting).await;
    if greeting.is_by_local_clock() {
        say(
            "the API server does not say what time it is: the end follows from this machine's clock",
        );
    }
    let question = format!("\nEvacuate {} of {} for {}?", request.zone, server.url, spelled(lasts));
    confirm(args, &question)?;
    // The time at the question does not count.
    let now = greeting.now();
    let user = greeting.user.as_deref();
    if user.is_none() {
        say(
            "the API server does not say who you are, so the evacuation does not record who created it",
        );
    }
    let name = server.create(&request.object(now, user), args.dry_run).await?;
    let until = request.until(now);
    let dry = if args.dry_run { " (server dry run)" } else { "" };
    let line = format!("zoneevacuation.closehaul.io/{name} created{dry}, until {until}\n");
    print(&line).map_err(EvacuateError::Terminal)
}

/// Fails if nodes are known, and none is in the zone.
async fn check_zone(zone: &str, cluster: &mut Cluster) -> Result<(), EvacuateError> {
    let nodes = match cluster.nodes().await {
        Ok(nodes) => nodes,
        // A user who may evacuate a zone may not have the permission to read nodes.
        Err(LiveError::Refused { reason, .. }) => {
            say(format_args!(
                "may not list nodes: {reason}; whether there is a zone {zone} is unknown"
            ));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mut zones: Vec<String> =
        nodes.iter().filter_map(|Node { zone, .. }| Some(zone.as_ref()?.to_string())).collect();
    zones.sort_unstable();
    zones.dedup();
    if zones.iter().any(|it| it == zone) {
        return Ok(());
    }
    let distance = |it: &String| (strsim::levenshtein(it, zone), it.clone());
    let meant = zones.iter().map(distance).filter(|(distance, _)| *distance <= DISTANCE).min();
    let meant = meant.map(|(_, zone)| zone);
    Err(EvacuateError::UnknownZone { zone: zone.to_owned(), meant, zones: Names(zones) })
}

/// Prints what the evacuation would do, if that may be read.
async fn show(
    request: &Request,
    cluster: &mut Cluster,
    greeting: &Greeting,
) -> Result<(), EvacuateError> {
    let read = read(request, cluster).await;
    cluster.notes.drain(..).for_each(say);
    let mut objects = match read {
        Ok(objects) => objects,
        Err(LiveError::Refused { plural, reason, .. }) => {
            say(format_args!("cannot show what this would do: may not list {plural}: {reason}"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let evacuation = request.read(greeting.now()).map_err(EvacuateError::Invalid)?;
    objects.rules.evacuations.push(evacuation.clone());
    let snapshot = Snapshot::of(objects, greeting.now());
    // How slices are cut does not matter here.
    let plan = |service: &_| snapshot.plan(service, Settings::with(100));
    let forecast = Forecast::of(snapshot.index(), &evacuation, &request.zone, plan);
    if forecast.selected == 0 {
        say("no Service is selected: check -n and -l");
    }
    print(&shown::render(&forecast, &request.zone)).map_err(EvacuateError::Terminal)
}

/// What decides what the evacuation would do.
async fn read(request: &Request, cluster: &mut Cluster) -> Result<Objects, LiveError> {
    let namespace = request.namespace.as_deref();
    let mut objects = cluster.all(namespace, Needs::default()).await?;
    if let Some(name) = namespace {
        // It has this label in any case (KEP-2161).
        let labels: Labels = [(NAMESPACE.into(), name.into())].into_iter().collect();
        let namespace = Namespace { name: name.into(), version: 0, labels };
        objects.rules.namespaces.retain(|it| it.name != namespace.name);
        objects.rules.namespaces.push(namespace);
    }
    Ok(objects)
}

/// Warns if no leader seems to carry out the evacuation.
async fn warn_of_leader(args: &Evacuate, server: &Server, greeting: &Greeting) {
    let (namespace, name) =
        (&args.leader_elect_resource_namespace, &args.leader_elect_resource_name);
    let wrong = match server.leader(namespace, name, greeting.now()).await {
        Leader::Unsuspected => return,
        Leader::NoLease => "does not exist",
        Leader::Stale => "has not been renewed in time",
    };
    say(format_args!(
        "closehaul does not seem to run: its lease {namespace}/{name} {wrong}. Until it runs, \
         nothing is evacuated. If its lease is elsewhere, name it with --leader-elect-resource-namespace \
         and --leader-elect-resource-name"
    ));
}

async fn cancel(args: &Evacuate, server: &Server) -> Result<(), EvacuateError> {
    let found = Found::of(server, &args.zone).await?;
    if found.ours.is_empty() {
        say(format_args!(
            "nothing to cancel: no evacuation has the label closehaul.io/zone={}",
            args.zone
        ));
    } else {
        print(&found.render(&args.zone)).map_err(EvacuateError::Terminal)?;
        confirm(args, &format!("\nDelete them from {}?", server.url))?;
        for evacuation in &found.ours {
            server.delete(evacuation, args.dry_run).await?;
            let dry = if args.dry_run { " (server dry run)" } else { "" };
            let name = cancel::name(evacuation);
            let line = format!("zoneevacuation.closehaul.io/{name} deleted{dry}\n");
            print(&line).map_err(EvacuateError::Terminal)?;
        }
    }
    found.note(&args.zone).into_iter().for_each(say);
    Ok(())
}

/// Asks, unless that is not wanted.
fn confirm(args: &Evacuate, question: &str) -> Result<(), EvacuateError> {
    if args.yes || args.dry_run {
        return Ok(());
    }
    let answer = ask::ask(question, &mut io::stdin().lock(), &mut io::stderr().lock());
    if answer.map_err(EvacuateError::Terminal)? { Ok(()) } else { Err(EvacuateError::Declined) }
}

/// A duration as it is written, such as `1h30m`.
fn spelled(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.fold(String::new(), |text, (count, unit)| text + &count.to_string() + unit)
}
