//! `closehaul check`: whether a cluster is ready for closehaul, and whether closehaul is well.
//!
//! [`reader`] reads facts, and everything else is pure: facts in, lines out.

mod built_in;
mod controllers;
mod convert;
mod facts;
mod installation;
mod item;
mod kubernetes;
mod line;
mod permissions;
mod read;
mod reader;
mod render;
#[cfg(test)]
mod samples;
mod slices;
mod traffic;
mod webhooks;

use std::{io, time::Duration};

use clap::{Args, ValueEnum};
use tokio::time::{Instant, sleep};

use self::{
    facts::{Facts, Mode, Stage},
    item::Item,
    line::{Line, Outcome, error, ok},
    reader::{Reader, Subject},
};
use super::{
    connection::{ConnectError, Connection},
    duration,
    live::{Cluster, LiveError, Purpose},
    look::{Look, columns},
    print::print,
    say::say,
};

/// Between two rounds of checks.
const PAUSE: Duration = Duration::from_secs(3);

/// Check whether the cluster is ready for closehaul, and whether closehaul is well
///
/// Each line is one check. What is wrong comes with what to do, and with a link to its explanation. All
/// checks only read. What may not be read is a warning that names the missing permission; the role
/// closehaul-reader of the chart has all that is needed.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Check {
    /// Check before the installation whether the cluster is ready for it
    #[arg(long, env = "CLOSEHAUL_PRE", hide_env = true)]
    pre: bool,

    /// How closehaul runs [default: as its Deployment says, or replace]
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        ignore_case = true,
        env = "CLOSEHAUL_MODE",
        hide_env = true
    )]
    mode: Option<Mode>,

    /// The namespace of closehaul [default: that of its Deployment, or kube-system]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Repeat until no check fails, for at most this time
    #[arg(long, value_parser = duration::parse, default_value = "0s", value_name = "DURATION", env = "CLOSEHAUL_WAIT", hide_env = true)]
    wait: Duration,

    /// What to print
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        ignore_case = true,
        default_value_t = Output::Text,
        env = "CLOSEHAUL_OUTPUT",
        hide_env = true
    )]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  # Is this cluster ready for closehaul?
  closehaul check --pre

  # The same for a managed control plane
  closehaul check --pre --mode assist

  # Is closehaul well? Wait for it after an installation or an upgrade
  closehaul check
  closehaul check --wait 5m

  # For scripts
  closehaul check -o json

Every check has a section in docs/check.md of the sources.

Exit codes: 0 no check failed (there may be warnings), 1 a check failed, 2 wrong usage.";

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One line for each check, by category
    Text,
    /// One JSON object
    Json,
}

/// Why not all is well, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No cluster is named.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No client.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// Some checks failed. They have been printed.
    #[error("{} failed; the links above say what to do", line::count(*.0, "check"))]
    Failed(usize),
    /// The results cannot be rendered.
    #[error("cannot write the results as JSON: {0}; try --output text")]
    Render(#[source] serde_json::Error),
    /// The output cannot be written.
    #[error("cannot write to standard output: {0}; check where it leads")]
    Print(#[source] io::Error),
}

impl CheckError {
    /// Whether the command is wrong, and not the environment.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Connect(error) | Self::Live(LiveError::Connect(error)) => error.is_usage(),
            _ => false,
        }
    }
}

/// Reads the facts, and prints the results of all checks.
///
/// # Errors
/// A check failed, no cluster is named, or the output cannot be written.
pub async fn run(args: Check, connection: &Connection, look: Look) -> Result<(), CheckError> {
    let mut cluster = Cluster::connect(connection, Purpose::Check).await?;
    cluster.notes.drain(..).for_each(say);
    let subject = Subject {
        stage: if args.pre { Stage::Before } else { Stage::After },
        namespace: args.namespace,
        mode: args.mode,
    };
    let mut reader = Reader { cluster };
    let lines = Box::pin(rounds(&mut reader, &subject, args.wait)).await;
    let text = match args.output {
        Output::Text => render::text(&lines, look.is_coloured(&io::stdout()), columns()),
        Output::Json => render::json(&lines).map_err(CheckError::Render)?,
    };
    print(&text).map_err(CheckError::Print)?;
    match failed(&lines).count() {
        0 => Ok(()),
        failed => Err(CheckError::Failed(failed)),
    }
}

fn failed(lines: &[Line]) -> impl Iterator<Item = &Line> {
    lines.iter().filter(|line| line.outcome == Outcome::Error)
}

/// Checks until nothing fails, or until the time is over.
async fn rounds(reader: &mut Reader, subject: &Subject, wait: Duration) -> Vec<Line> {
    let deadline = Instant::now() + wait;
    let mut said = String::new();
    loop {
        let lines = Box::pin(round(reader, subject)).await;
        let names: Vec<_> = failed(&lines).map(|line| line.item.name()).collect();
        if names.is_empty() || Instant::now() + PAUSE >= deadline {
            return lines;
        }
        let waiting = format!("waiting, not yet: {}", names.join(", "));
        if said != waiting {
            say(&waiting);
            said = waiting;
        }
        sleep(PAUSE).await;
    }
}

async fn round(reader: &mut Reader, subject: &Subject) -> Vec<Line> {
    let url = reader.cluster.url.clone();
    let read = Box::pin(reader.facts(subject)).await;
    // What is skipped is logged by closehaul itself, and plan says it.
    reader.cluster.notes.clear();
    match read {
        Err(unread) => vec![Line::new(Item::ApiServer, error(format!("{url}: {unread}")))],
        Ok(facts) => {
            let answers = Line::new(Item::ApiServer, ok(url));
            std::iter::once(answers).chain(checks(&facts)).collect()
        }
    }
}

/// All checks of these facts, in the order in which they are shown. Those that do not apply are left out.
fn checks(facts: &Facts) -> Vec<Line> {
    let mut lines: Vec<Line> = match facts.stage {
        Stage::Before => vec![
            kubernetes::nodes(facts),
            permissions::may_install(facts),
            permissions::may_grant(facts),
            kubernetes::namespace(facts),
        ],
        Stage::After => {
            let of_closehaul = [
                installation::replicas(facts),
                installation::versions(facts),
                installation::leader(facts),
                permissions::of_closehaul(facts),
                installation::admission(facts),
                installation::queue(facts),
            ];
            of_closehaul.into_iter().flatten().collect()
        }
    };
    lines.extend([
        kubernetes::version(facts),
        kubernetes::zones(facts),
        installation::one(facts),
        installation::definitions(facts),
        slices::locality(facts),
        slices::policies(facts),
    ]);
    lines.extend(of_mode(facts));
    lines.sort_by_key(|line| line.item);
    lines
}

/// The checks that depend on who writes the slices.
fn of_mode(facts: &Facts) -> Vec<Line> {
    let is_after = facts.stage == Stage::After;
    let mut lines = Vec::new();
    if facts.mode == Mode::Replace {
        lines.push(webhooks::webhooks(facts));
        lines.push(slices::planned(facts));
        lines.push(if is_after {
            built_in::is_off(facts)
        } else {
            built_in::can_be_switched_off(facts)
        });
        lines.extend(built_in::kubeadm_config(facts));
        lines.extend(built_in::kubeadm_join(facts));
        lines.extend(built_in::slice_flags(facts));
    } else {
        lines.push(built_in::is_on(facts));
    }
    if is_after {
        lines.push(match facts.mode {
            Mode::Advise => slices::writes_nothing(facts),
            Mode::Replace | Mode::Assist => slices::writers(facts),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{
        read::{Permission, Unread},
        *,
    };

    #[test]
    fn all_is_well() {
        let mut facts = samples::facts();
        for (stage, mode) in [
            (Stage::After, Mode::Replace),
            (Stage::After, Mode::Advise),
            (Stage::After, Mode::Assist),
        ] {
            (facts.stage, facts.mode) = (stage, mode);
            if mode != Mode::Replace {
                facts.managers =
                    Ok(vec![samples::manager("cp-1", "*"), samples::manager("cp-2", "*")]);
            }
            let lines = checks(&facts);
            let wrong: Vec<_> = lines.iter().filter(|it| it.outcome != Outcome::Ok).collect();
            assert!(wrong.is_empty(), "{mode:?}: {wrong:?}");
            assert!(lines.iter().map(|line| line.item).is_sorted());
        }
    }

    /// Without any permission nothing fails, and each missing permission is named.
    #[test]
    fn what_may_not_be_read_is_a_warning() {
        fn refused<T>(resource: &'static str) -> read::Read<T> {
            Err(Unread::Refused(Permission::new("list", "", resource)))
        }
        let mut facts = samples::facts();
        facts.nodes = refused("nodes");
        facts.namespaces = refused("namespaces");
        facts.managers = refused("pods");
        facts.manager_holder = refused("leases");
        facts.kubeadm = refused("configmaps");
        facts.webhooks = refused("webhooks");
        facts.installations = refused("deployments");
        facts.pods = refused("pods");
        facts.leases = refused("leases");
        facts.definitions = refused("definitions");
        facts.traffic = refused("services");
        facts.writes = refused("endpointslices");
        facts.account = Some(refused("reviews"));
        facts.metrics = Some(refused("metrics"));
        for (stage, unread) in [(Stage::After, 13), (Stage::Before, 13)] {
            facts.stage = stage;
            facts.user = refused("reviews");
            let lines = checks(&facts);
            assert!(failed(&lines).next().is_none(), "{lines:?}");
            let warnings = lines.iter().filter(|line| line.outcome == Outcome::Warning);
            let named = warnings.filter(|line| {
                line.detail.starts_with("not checked: this requires the permission to list ")
            });
            assert_eq!(named.count(), unread, "{lines:?}");
        }
    }

    /// A failed request is not hidden behind the words for a missing permission.
    #[test]
    fn what_cannot_be_read_is_an_error() {
        let mut facts = samples::facts();
        facts.nodes = Err(Unread::Failed("cannot list nodes: 500 etcd is gone".to_owned()));
        let lines = checks(&facts);
        let wrong: Vec<_> = failed(&lines).map(|line| (line.item, line.detail.as_str())).collect();
        assert_eq!(wrong, [(Item::Zones, "not checked: cannot list nodes: 500 etcd is gone")]);
    }
}
