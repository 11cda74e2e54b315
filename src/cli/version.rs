//! `closehaul version`: which versions the command, the controller and the API server have.

use std::{collections::BTreeMap, io};

use clap::{Args, ValueEnum};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Error, api::ListParams};
use serde::Serialize;

use super::{
    connection::Connection,
    live::{Cluster, LiveError, Purpose},
    print::print,
    say::say,
};
use crate::plain::plain;

/// The version of this command.
const OWN: &str = env!("CARGO_PKG_VERSION");
/// What the pods of the controller have as this label, unless the chart is given another name.
const NAME: &str = "app.kubernetes.io/name=closehaul";
/// The label of a pod with the version of what runs in it.
const VERSION: &str = "app.kubernetes.io/version";

/// Show the versions of this command, of the controller and of the API server
///
/// The controller's is that of its pods, which have the label app.kubernetes.io/name=closehaul in any
/// namespace, or in that of -n.
#[derive(Args, Debug)]
pub struct Version {
    /// Show only the version of this command, without asking a cluster
    #[arg(long)]
    client: bool,

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
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line for each version
    Text,
    /// One JSON object
    Json,
}

/// Why not all versions were shown.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The API server cannot be asked.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// It does not say its version.
    #[error("cannot ask {url} for its version: {source}; is the API server there?")]
    Server {
        /// The API server.
        url: String,
        /// Why.
        source: Box<Error>,
    },
    /// The versions cannot be rendered.
    #[error("cannot write the versions as JSON: {0}")]
    Render(#[source] serde_json::Error),
    /// The output cannot be written.
    #[error("cannot write to standard output: {0}; check where it leads")]
    Print(#[source] io::Error),
}

impl VersionError {
    /// Whether the user must change the command.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Live(LiveError::Connect(error)) if error.is_usage())
    }
}

/// All versions that are known.
#[derive(Debug, Default, Serialize)]
struct Versions {
    client: &'static str,
    /// How many pods have each version; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<BTreeMap<String, usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
}

/// Asks for the versions and prints them. That of the command is printed in any case.
///
/// # Errors
/// The API server cannot be asked, or the output cannot be written.
pub async fn run(args: Version, connection: &Connection) -> Result<(), VersionError> {
    let mut versions = Versions { client: OWN, ..Versions::default() };
    let asked = if args.client { Ok(()) } else { ask(connection, &mut versions).await };
    let text = match args.output {
        Output::Text => versions.text(),
        Output::Json => {
            serde_json::to_string_pretty(&versions).map_err(VersionError::Render)? + "\n"
        }
    };
    print(&text).map_err(VersionError::Print)?;
    asked
}

/// Asks the cluster.
async fn ask(connection: &Connection, versions: &mut Versions) -> Result<(), VersionError> {
    let mut cluster = Cluster::connect(connection, Purpose::Plan).await?;
    cluster.notes.drain(..).for_each(say);
    let server = cluster.client.apiserver_version().await;
    let server = server.map_err(|source| VersionError::Server {
        url: cluster.url.clone(),
        source: Box::new(source),
    })?;
    versions.server = Some(plain(&server.git_version));
    let pods: Api<Pod> = match connection.namespace() {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    match pods.list(&ListParams::default().labels(NAME)).await {
        Ok(pods) => {
            let mut counts = BTreeMap::new();
            for pod in pods.items {
                *counts.entry(version(&pod)).or_default() += 1;
            }
            versions.controller = Some(counts);
        }
        // Someone may read the Services of a namespace only.
        Err(error) => say(format_args!(
            "the controller's version is unknown: cannot list pods of {}: {error}; name its \
             namespace with -n if you may list those",
            cluster.url
        )),
    }
    Ok(())
}

/// The version of what runs in a pod: that of its label, else that of its image.
fn version(pod: &Pod) -> String {
    let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get(VERSION)).cloned();
    let image = || pod.spec.as_ref()?.containers.first()?.image.as_deref().and_then(tag);
    plain(&label.or_else(image).unwrap_or_else(|| "unknown".to_owned()))
}

/// The tag of an image: not the port of its registry, nor its digest.
fn tag(image: &str) -> Option<String> {
    let name = image.split('@').next()?.rsplit('/').next()?;
    name.split_once(':').map(|(_, tag)| tag.to_owned())
}

impl Versions {
    fn text(&self) -> String {
        let client = Some(format!("Client Version: {}\n", self.client));
        let controller = self.controller.as_ref().map(|controller| {
            let of = |(version, pods): (&String, &usize)| match pods {
                1 => format!("{version} (1 pod)"),
                pods => format!("{version} ({pods} pods)"),
            };
            let versions = controller.iter().map(of).collect::<Vec<_>>().join(", ");
            let versions = if versions.is_empty() { "not installed" } else { &versions };
            format!("Controller Version: {versions}\n")
        });
        let server = self.server.as_ref().map(|server| format!("Server Version: {server}\n"));
        [client, controller, server].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_images() {
        for (image, expected) in [
            ("ghcr.io/closehaul/closehaul:0.1.0", Some("0.1.0")),
            ("registry:5000/closehaul", None),
            ("registry:5000/closehaul:1.2@sha256:abc", Some("1.2")),
            ("closehaul@sha256:abc", None),
        ] {
            assert_eq!(tag(image).as_deref(), expected, "{image}");
        }
    }
}
