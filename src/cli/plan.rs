//! `closehaul plan`: what the slices would be.

mod changes;
mod html;
mod list;
mod summary;
mod table;

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use self::html::cost::Price;
use super::{
    connection::Connection,
    input::{self, InputError, Reading},
    live::{self, LiveError},
    print::print,
    say::say,
    snapshot::Snapshot,
};
use crate::{
    plain::{is_plain, plain},
    plan::Settings,
    report::row::Row,
};

/// Show what the EndpointSlices would be, and write nothing
///
/// For every Service: whether it is kept local, why or why not, how much of its traffic stays in
/// its zone, and which writes would make it so. From files no cluster is needed; without -f the
/// current cluster is read. The same input gives the same output, byte for byte.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Plan {
    /// Read objects from a file, a directory (its .yaml, .yml and .json) or - (standard input)
    ///
    /// As often as there are files. Services, Pods, Nodes, EndpointSlices, Namespaces and
    /// closehaul's policies and evacuations count, as `kubectl get … -o yaml` prints them:
    /// documents or Lists, YAML or JSON. Other kinds are skipped.
    #[arg(short, long, value_name = "FILE|DIR|-", env = "CLOSEHAUL_FILENAME", hide_env = true)]
    filename: Vec<PathBuf>,

    /// Read the subdirectories of directories too, as `kubectl cluster-info dump` writes them
    #[arg(short = 'R', long, env = "CLOSEHAUL_RECURSIVE", hide_env = true)]
    recursive: bool,

    /// The most that is read from one file, after decompression, in MiB
    #[arg(
        long,
        value_name = "MIB",
        value_parser = clap::value_parser!(u32).range(1..),
        default_value_t = 256,
        env = "CLOSEHAUL_MAX_INPUT",
        hide_env = true
    )]
    max_input: u32,

    /// Lay objects over those that were read, from a file, a directory or -: what if?
    ///
    /// Each replaces the object of its kind, namespace and name, or joins the others. A Service may
    /// leave out what the API server sets. As often as there are files.
    #[arg(long, value_name = "FILE|DIR|-", env = "CLOSEHAUL_WITH", hide_env = true)]
    with: Vec<PathBuf>,

    /// With -f: the namespace of objects that name none [default: default]. From a cluster: the
    /// only namespace to look at [default: all]
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

    /// The time for which to plan, such as 2026-01-02T03:04:05Z [default: now]
    ///
    /// It decides which evacuations are over.
    #[arg(long, value_name = "TIME", env = "CLOSEHAUL_AT", hide_env = true)]
    at: Option<Timestamp>,

    #[command(flatten)]
    connection: Connection,
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
    /// The files cannot be used. What they contain must not hide or forge lines.
    #[error("{}", plain(&.0.to_string()))]
    Input(InputError),
    /// The cluster cannot be read.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The slices cannot be rendered.
    #[error("cannot write the slices as text: {0}; try another --output")]
    Render(String),
    /// The output cannot be written.
    #[error("cannot write to standard output: {0}; check where it leads")]
    Print(#[source] io::Error),
}

impl From<InputError> for PlanError {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

impl PlanError {
    /// Whether the user must change the command or the files.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Price | Self::Input(_))
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
    input::check_stdin(&[&args.filename, &args.with])?;
    let reading = Reading {
        namespace: namespace.unwrap_or("default"),
        is_recursive: args.recursive,
        max_bytes: u64::from(args.max_input) << 20,
    };
    let with = if args.with.is_empty() { None } else { Some(input::read(&args.with, reading)?) };
    let (mut objects, mut notes, place, mut kinds) = if args.filename.is_empty() {
        let place = namespace.map_or_else(
            || "the cluster".to_owned(),
            |namespace| format!("the namespace {namespace}; is that its name?"),
        );
        let selects = with.as_ref().is_some_and(|with| with.objects.rules.read_namespaces());
        let (objects, notes) = live::list(&args.connection, namespace, selects).await?;
        (objects, notes, place, None)
    } else {
        let input = input::read(&args.filename, reading)?;
        let notes = input.notes().iter().map(|note| plain(note)).collect();
        (input.objects, notes, "what was read".to_owned(), Some(input.kinds))
    };
    if let Some(with) = with {
        notes.extend(with.notes().iter().map(|note| plain(note)));
        objects.lay_over(with.objects);
        if let Some(kinds) = &mut kinds {
            kinds.extend(with.kinds);
        }
    }
    if let Some(kinds) = kinds {
        notes.extend(input::assume(&mut objects, &kinds));
    }
    notes.extend(objects.note());
    for note in notes {
        say(note);
    }
    let are_pods_unknown = objects.are_pods_unknown;
    let snapshot = Snapshot::of(objects, args.at.unwrap_or_else(Timestamp::now));
    let rows = snapshot.rows(Settings::with(args.max_endpoints_per_slice.into()));
    let text = match args.output {
        Output::Table => table::render(&rows, false, is_coloured()),
        Output::Wide => table::render(&rows, true, is_coloured()),
        Output::Yaml => list::yaml(&rows)?,
        Output::Json => escaped(&list::json(&rows)?),
        Output::Changes => escaped(&changes::render(&rows)?),
        Output::Summary => escaped(&summary::render(&rows)?),
        Output::Html => html::render(&snapshot, &rows, args.price),
    };
    print(&text).map_err(PlanError::Print)?;
    // If it is not known what there is to do, that has been said.
    if let Some(note) = nothing_to_do(&rows, &place).filter(|_| !are_pods_unknown) {
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
