//! `closehaul plan`: what the slices would be.

mod changes;
mod chosen;
mod diff;
mod html;
mod kubectl;
mod list;
mod sum;
mod summary;
mod table;

use std::io;

use clap::{Args, ValueEnum};

use self::{
    chosen::{Choice, ChoiceError},
    html::cost::Price,
};
use super::{
    connection::Connection,
    look::{Look, columns},
    place::Unknown,
    print::print,
    say::say,
    sources::{Read, ReadError, Sources},
};
use crate::{assess::reason::State, plain::is_plain, plan::Settings, report::row::Row};

/// Show what the EndpointSlices would be, and write nothing
///
/// For every Service: whether it is kept local, why or why not, how much of its traffic stays in
/// its zone, and which writes would make it so. From files no cluster is needed; without -f the
/// current cluster is read. The same input gives the same output, byte for byte.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Plan {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    sources: Sources,

    /// What to print
    #[arg(
        short,
        long,
        value_enum,
        ignore_case = true,
        value_name = "FORMAT",
        default_value_t = Output::Table,
        env = "CLOSEHAUL_OUTPUT",
        hide_env = true
    )]
    output: Output,

    #[command(flatten)]
    price: Price,

    /// Exit with 3 if something would be written
    #[arg(long, env = "CLOSEHAUL_EXIT_CODE", hide_env = true)]
    exit_code: bool,

    /// Exit with 3 if a Service has one of these states: Ineffective, Empty, Partial, Shadow, Applied,
    /// None
    #[arg(
        long,
        value_name = "STATE[,STATE]",
        value_delimiter = ',',
        value_parser = sum::state,
        env = "CLOSEHAUL_FAIL_ON",
        hide_env = true
    )]
    fail_on: Vec<State>,

    /// The most endpoints in a slice
    #[arg(
        long,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        default_value_t = 100,
        value_name = "N",
        env = "CLOSEHAUL_MAX_ENDPOINTS_PER_SLICE",
        hide_env = true
    )]
    max_endpoints_per_slice: u16,
}

const EXAMPLES: &str = "\
Examples:
  # What would closehaul change in this cluster, and in which slices what?
  closehaul plan -A
  closehaul plan -A -o diff

  # Only some Services
  closehaul plan cart search -n shop
  closehaul plan -A -l tier=web

  # Rehearse a change of one Service without a cluster
  kubectl get services,pods,nodes,endpointslices -A -o yaml > cluster.yaml
  closehaul plan -f cluster.yaml

  # What if? Lay a changed Service over the cluster's
  closehaul plan --with service.yaml -o wide

  # The slices themselves, from standard input
  kubectl get svc,po,no -o json | closehaul plan -f - -o yaml

  # A page to look at, to send and to print, with what traffic between zones costs
  closehaul plan -o html --cost-per-gb 0.02 --bytes 50000 > plan.html

  # Every write, one JSON object a line
  closehaul plan -f cluster.yaml -o changes

  # In a pipeline: fail if the policy in a pull request leaves a Service without locality
  closehaul plan -f cluster.yaml --with policy.yaml --fail-on Ineffective,Empty

Each option may be given by an environment variable too, such as CLOSEHAUL_NAMESPACE.
What columns, states and reasons mean: docs/plan.md of the sources.

Exit codes: 0 done, 1 it ran and something is wrong, 2 wrong usage or input that cannot be read, 3 what
--exit-code or --fail-on asks about is so.";

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One row per Service
    Table,
    /// The same with one line per zone: how far its clients go, and why
    Wide,
    /// A List of the slices as they would stand
    Yaml,
    /// The same as JSON
    Json,
    /// One JSON object per write, in the order in which they would be sent
    Changes,
    /// What the writes change, slice by slice, as kubectl diff shows it
    Diff,
    /// One JSON object with all numbers, shares from 0 to 1
    Summary,
    /// A web page in one file: pictures, a table to sort and filter, and details to print
    Html,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A price is given for an output that shows no costs.
    #[error("--cost-per-gb and --bytes are only for --output html: add it, or leave them out")]
    Price,
    /// It is not known which Services to show.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// A Service that is named does not exist.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// What is needed cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The slices cannot be rendered.
    #[error("cannot write the slices as text: {0}; try another --output")]
    Render(String),
    /// The output cannot be written.
    #[error("cannot write to standard output: {0}; check where it leads")]
    Print(#[source] io::Error),
}

impl PlanError {
    /// Whether the user must change the command or the files.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Price => true,
            Self::Choice(error) => error.is_usage(),
            Self::Read(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// Whether something is so that the user has asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is not so, or nothing was asked.
    Absent,
    /// It is so: exit code 3.
    Met,
}

/// Reads everything, plans, and prints.
///
/// # Errors
/// Input that cannot be read, a cluster that cannot be listed, a Service that does not exist, output
/// that cannot be written.
pub async fn run(args: Plan, connection: &Connection, look: Look) -> Result<Condition, PlanError> {
    if args.price.is_given() && args.output != Output::Html {
        return Err(PlanError::Price);
    }
    let chosen = args.choice.chosen(connection, args.sources.are_files()).await?;
    let read = args.sources.read(connection, chosen.own.as_deref(), chosen.listed()).await?;
    let Read { snapshot, from_files } = read;
    chosen.check(snapshot.index())?;
    let mut rows = snapshot.rows(Settings::with(args.max_endpoints_per_slice.into()));
    rows.retain(|row| chosen.has(row.service));
    let in_colour = look.is_coloured(&io::stdout());
    let text = match args.output {
        Output::Table => table::render(&rows, false, in_colour, columns()),
        Output::Wide => table::render(&rows, true, in_colour, columns()),
        Output::Yaml => list::yaml(&rows)?,
        Output::Json => escaped(&list::json(&rows)?),
        Output::Changes => escaped(&changes::render(&rows)?),
        Output::Diff => diff::render(&rows, in_colour)?,
        Output::Summary => escaped(&summary::render(&rows)?),
        Output::Html => html::render(&snapshot, &rows, chosen.namespace.as_deref(), args.price),
    };
    print(&text).map_err(PlanError::Print)?;
    let condition = condition(&args, &rows);
    say(if snapshot.are_pods_unknown() {
        // If it is not known what there is to do, that has been said.
        sum::states(&rows)
    } else {
        sum::line(&rows, &chosen.place(from_files))
    });
    Ok(condition)
}

/// Whether what the user asks about is so, which is then said.
fn condition(args: &Plan, rows: &[Row<'_>]) -> Condition {
    let found = sum::found(rows, &args.fail_on);
    if let Some(found) = &found {
        say(format_args!("--fail-on: {found}"));
    }
    let is_written = args.exit_code && sum::is_anything_written(rows);
    if is_written || found.is_some() { Condition::Met } else { Condition::Absent }
}

/// JSON with escapes for what a terminal would not show as it is. That occurs in strings alone, and
/// means the same there.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for char in json.chars() {
        if is_plain(char) || char == '\n' {
            escaped.push(char);
        } else {
            let mut units = [0; 2];
            let units = char.encode_utf16(&mut units).iter();
            escaped.extend(units.map(|unit| format!("\\u{unit:04x}")));
        }
    }
    escaped
}
