//! Why no cluster was found, or why it cannot be used.

use std::io;

use kube::{
    Config,
    config::{InClusterError, KubeconfigError},
};

use super::names::Names;
use crate::{client::plugin::PluginError, plain::plain};

/// Why no cluster was found.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A kubeconfig cannot be read.
    #[error("cannot read the kubeconfig {file}: {source}; name another one with --kubeconfig")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A kubeconfig is no YAML, or not that of a kubeconfig.
    #[error("the kubeconfig {file} is malformed: {reason}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// Something that a kubeconfig names cannot be used.
    #[error("cannot use the kubeconfig {files}: {source}")]
    Unusable {
        /// The files.
        files: String,
        /// Why.
        source: KubeconfigError,
    },
    /// No context was named, and none is the current one.
    #[error(
        "the kubeconfig {files} has no current context; name one with --context (there are: {contexts})"
    )]
    NoContext {
        /// The files.
        files: String,
        /// The contexts.
        contexts: Names,
    },
    /// The context does not exist.
    #[error(
        "the kubeconfig {files} has no context {name}; name another with --context (there are: {contexts})"
    )]
    UnknownContext {
        /// What was named.
        name: String,
        /// The files.
        files: String,
        /// The contexts that there are.
        contexts: Names,
    },
    /// The cluster of a context does not exist.
    #[error(
        "the kubeconfig {files} has no cluster {name}, which the context {context} names (there are: {clusters})"
    )]
    UnknownCluster {
        /// The cluster.
        name: String,
        /// The context.
        context: String,
        /// The files.
        files: String,
        /// The clusters that there are.
        clusters: Names,
    },
    /// A field of the kubeconfig has a value that cannot be used.
    #[error("the kubeconfig {files} cannot be used: {field} of {place}: {reason}")]
    Field {
        /// The files.
        files: String,
        /// The name of the field.
        field: &'static str,
        /// The cluster or user.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A proxy that the environment names cannot be used.
    #[error("cannot use the proxy of ${variable}: {reason}")]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Nothing was named and nothing was found.
    #[error(
        "found no cluster: there is no kubeconfig{}, and this is no pod; name one with --kubeconfig \
         or $KUBECONFIG",
        looked(missing)
    )]
    Nowhere {
        /// Where a kubeconfig was looked for.
        missing: String,
    },
    /// The pod's service account cannot be used.
    #[error("cannot use the service account of this pod: {0}")]
    Pod(#[source] InClusterError),
    /// A controller would have written to whatever cluster is current.
    #[error(
        "outside a pod, name the cluster with --kubeconfig or --context, so that no other one is \
         written to by mistake; {would}"
    )]
    Unnamed {
        /// What would have been used.
        would: String,
    },
    /// A namespace was named for a command that writes in all of them.
    #[error(
        "this command is for the whole cluster and not for the namespace {namespace}: leave out -n"
    )]
    Namespaced {
        /// What was named.
        namespace: String,
    },
    /// A group was named, and no user.
    #[error("--as-group is only for impersonating a user: add --as, or leave it out")]
    NobodyImpersonated,
    /// The name of a user or group cannot be sent.
    #[error("cannot impersonate {}: the name has a line break or a control character", plain(name))]
    Impersonated {
        /// The name.
        name: String,
    },
    /// A credential plugin gives no credentials.
    #[error("{reason}")]
    Plugin {
        /// Which one, and why.
        reason: String,
    },
    /// No client can be created from the settings.
    #[error("cannot create a client for {url}: {source}")]
    Client {
        /// The API server.
        url: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

fn looked(missing: &str) -> String {
    if missing.is_empty() { String::new() } else { format!(" {missing}") }
}

impl ConnectError {
    /// No client can be created from `config`.
    pub(crate) fn client(config: &Config, source: kube::Error) -> Self {
        let plugin = match &source {
            kube::Error::Service(error) => error.downcast_ref::<PluginError>(),
            _ => None,
        };
        if let Some(error) = plugin {
            return Self::Plugin { reason: error.to_string() };
        }
        Self::Client { url: config.cluster_url.to_string(), source: Box::new(source) }
    }

    /// Whether there is no such file.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the command is wrong, and not the environment.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Unnamed { .. }
                | Self::Namespaced { .. }
                | Self::NobodyImpersonated
                | Self::Impersonated { .. }
        )
    }
}
