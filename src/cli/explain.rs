//! `closehaul explain`: why the clients of one Service reach which endpoints.

mod json;
mod layout;
mod text;
mod view;

use std::io;

use clap::{Args, ValueEnum};

use super::{
    connection::Connection,
    place::{Place, PlaceError, Unknown},
    print::print,
    sources::{ReadError, Sources},
};
use crate::{
    cluster::Index,
    consumers::consumer::Consumer,
    model::{name::Name, node::Node},
    plain::plain,
    plan::Settings,
    report::row::Row,
};

/// Explain which endpoints the clients of a Service reach, and why
///
/// For every zone: how many endpoints its clients reach, how much of their traffic stays in the zone,
/// and why not more. Then what hinders locality, by name, what would help, and how other proxies
/// than kube-proxy read the same slices. It shows the Service as it stands once closehaul has written
/// what `closehaul plan` shows, and writes nothing.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Explain {
    /// The Service
    #[arg(value_name = "[NAMESPACE/]SERVICE")]
    service: String,

    /// The namespace of the Service [default: that of the current context; with -f, the one that has
    /// such a Service]
    #[arg(short, long, value_name = "NAMESPACE", env = "CLOSEHAUL_NAMESPACE", hide_env = true)]
    namespace: Option<String>,

    /// Explain what a client on this node reaches, endpoint by endpoint
    #[arg(long, value_name = "NODE", env = "CLOSEHAUL_FROM", hide_env = true)]
    from: Option<String>,

    /// The proxy whose reading is explained
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        value_name = "NAME",
        default_value_t = Which::All,
        env = "CLOSEHAUL_CONSUMER",
        hide_env = true
    )]
    consumer: Which,

    /// What to print
    #[arg(
        short,
        long,
        value_enum,
        ignore_case = true,
        value_name = "FORMAT",
        default_value_t = Output::Text,
        env = "CLOSEHAUL_OUTPUT",
        hide_env = true
    )]
    output: Output,

    #[command(flatten)]
    sources: Sources,
}

/// How many endpoints a slice has at most, which changes nothing that is explained.
const SLICE_SIZE: usize = 100;

const EXAMPLES: &str = "\
Examples:
  # Why does the traffic of a Service leave its zone?
  closehaul explain cart -n shop

  # Which endpoints does a client on this node reach?
  closehaul explain shop/cart --from worker-7

  # The same with a policy that does not exist yet
  closehaul explain shop/cart --with policy.yaml

  # Without a cluster
  kubectl get services,pods,nodes,endpointslices -A -o yaml > cluster.yaml
  closehaul explain shop/cart -f cluster.yaml

Each option may be given by an environment variable too, such as CLOSEHAUL_NAMESPACE.
What columns, states and reasons mean: docs/explain.md and docs/plan.md of the sources.

Exit codes: 0 done, 1 there is no such Service or node, or something else is wrong, 2 wrong usage or
input that cannot be read.";

/// Whose reading is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// All that are known
    All,
    /// kube-proxy, and proxies that follow the same rule
    KubeProxy,
    /// Linkerd
    Linkerd,
    /// Cilium in place of kube-proxy, with loadBalancer.serviceTopology=true
    Cilium,
}

impl Which {
    fn consumers(self) -> Vec<Consumer> {
        match self {
            Self::All => Consumer::ALL.to_vec(),
            Self::KubeProxy => vec![Consumer::KubeProxy],
            Self::Linkerd => vec![Consumer::Linkerd],
            Self::Cilium => vec![Consumer::Cilium],
        }
    }
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table of the zones, and sentences
    Text,
    /// One JSON object: each consumer with what its clients reach
    Json,
}

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The argument names no Service.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// What is needed cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The Service cannot be found.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The node cannot be found.
    #[error("there is no node {}; kubectl get nodes lists them", plain(.0))]
    Node(String),
    /// The explanation cannot be rendered.
    #[error("cannot write the explanation as JSON: {0}; try another --output")]
    Render(#[source] serde_json::Error),
    /// The output cannot be written.
    #[error("cannot write to standard output: {0}; check where it leads")]
    Print(#[source] io::Error),
}

impl ExplainError {
    /// Whether the user must change the command or the files.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Place(_) => true,
            Self::Read(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// Reads everything, plans, and explains one Service.
///
/// # Errors
/// Input that cannot be read, a cluster that cannot be listed, a Service or node that does not exist,
/// output that cannot be written.
pub async fn run(args: Explain, connection: &Connection) -> Result<(), ExplainError> {
    let mut place = Place::parse(&args.service, args.namespace.as_deref())?;
    if place.namespace.is_none() && !args.sources.are_files() {
        let namespace = connection.own_namespace().await.map_err(ReadError::Connect)?;
        place.namespace = Some(namespace);
    }
    let namespace = place.namespace.as_deref();
    let read = args.sources.read(connection, namespace, namespace).await?;
    let index = read.snapshot.index();
    let service = place.find(index)?;
    let node = args.from.as_deref().map(|name| {
        let known = index.nodes().get(&Name::from(name));
        known.ok_or_else(|| ExplainError::Node(name.to_owned()))
    });
    let Some(row) = read.snapshot.row(service, Settings::with(SLICE_SIZE)) else {
        return Err(Unknown::of(&place, index).into());
    };
    let row = row.with_traffic_of_others(index);
    let asked =
        Asked { index, row: &row, from: node.transpose()?, consumers: args.consumer.consumers() };
    let text = match args.output {
        Output::Text => text::render(&asked),
        Output::Json => json::render(&asked).map_err(ExplainError::Render)?,
    };
    print(&text).map_err(ExplainError::Print)
}

/// What is to be explained.
struct Asked<'a> {
    index: &'a Index,
    row: &'a Row<'a>,
    /// The only node to start from.
    from: Option<&'a Node>,
    consumers: Vec<Consumer>,
}
