//! `closehaul plan`: what the slices would be.

mod changes;
mod html;
mod list;
mod summary;
mod table;

use std::io::{self, IsTerminal as _};

use clap::{Args, ValueEnum};

use self::html::cost::Price;
use super::{
    print::print,
    say::say,
    sources::{Read, ReadError, Sources},
};
use crate::{plain::is_plain, plan::Settings, report::row::Row};

/// Show what the EndpointSlices would be, and write nothing
///
/// For every Service: whether it is kept local, why or why not, how much of its traffic stays in
/// its zone, and which writes would make it so. From files no cluster is needed; without -f the
/// current cluster is read. The same input gives the same output, byte for byte.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Plan {
    #[command(flatten)]
    sources: Sources,

    /// The only namespace to show [default: all]. With -f, also that of objects that name none
    #[arg(short, long, value_name = "NAMESPACE", env = "CLOSEHAUL_NAMESPACE", hide_env = true)]
    namespace: Option<String>,

    /// What to print
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t = Output::Table,
        env = "CLOSEHAUL_OUTPUT",
        hide_env = true
    )]
    output: Output,

    #[command(flatten)]
    price: Price,

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
  # What would closehaul change in this cluster?
  closehaul plan

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

Each option may be given by an environment variable too, such as CLOSEHAUL_NAMESPACE.
What columns, states and reasons mean: docs/plan.md of the sources.

Exit codes: 0 done, 1 it ran and something is wrong, 2 wrong usage or input that cannot be read.";

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
            Self::Read(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// Reads everything, plans, and prints.
///
/// # Errors
/// Input that cannot be read, a cluster that cannot be listed, output that cannot be written.
pub async fn run(args: Plan) -> Result<(), PlanError> {
    if args.price.is_given() && args.output != Output::Html {
        return Err(PlanError::Price);
    }
    let namespace = args.namespace.as_deref();
    let Read { snapshot, from_files } = args.sources.read(namespace).await?;
    let place = match namespace {
        Some(namespace) => format!("the namespace {namespace}; is that its name?"),
        None if from_files => "what was read".to_owned(),
        None => "the cluster".to_owned(),
    };
    let mut rows = snapshot.rows(Settings::with(args.max_endpoints_per_slice.into()));
    rows.retain(|row| namespace.is_none_or(|it| *row.service.key.namespace == *it));
    let text = match args.output {
        Output::Table => table::render(&rows, false, is_coloured()),
        Output::Wide => table::render(&rows, true, is_coloured()),
        Output::Yaml => list::yaml(&rows)?,
        Output::Json => escaped(&list::json(&rows)?),
        Output::Changes => escaped(&changes::render(&rows)?),
        Output::Summary => escaped(&summary::render(&rows)?),
        Output::Html => html::render(&snapshot, &rows, namespace, args.price),
    };
    print(&text).map_err(PlanError::Print)?;
    // If it is not known what there is to do, that has been said.
    if let Some(note) = nothing_to_do(&rows, &place).filter(|_| !snapshot.are_pods_unknown()) {
        say(note);
    }
    Ok(())
}

/// The message if no slice would be written; `place` is where Services were looked for.
fn nothing_to_do(rows: &[Row<'_>], place: &str) -> Option<String> {
    if rows.is_empty() {
        return Some(format!("nothing to do: there is no Service in {place}"));
    }
    let plans = rows.iter().filter_map(|row| row.plan.as_ref());
    if plans.clone().any(|plan| !plan.is_empty()) {
        return None;
    }
    let services = plans.clone().count();
    let slices: usize = plans.flat_map(|plan| &plan.families).map(|f| f.unchanged.len()).sum();
    let of =
        |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let verb = if services + slices == 1 { "is" } else { "are" };
    let (services, slices) = (of(services, "Service"), of(slices, "slice"));
    Some(format!("nothing to do: {services}, {slices} {verb} as they should be"))
}

/// Whether standard output supports colour: a terminal, unless `NO_COLOR` says otherwise.
fn is_coloured() -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_unwanted
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
