//! Connection: which cluster is meant, found as kubectl finds it.

use std::path::PathBuf;

use clap::Args;
use kube::{
    Config,
    config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

/// Which cluster is meant.
#[derive(Args, Clone, Debug, Default)]
pub struct Connection {
    /// Path of the kubeconfig; without it $KUBECONFIG, ~/.kube/config or the pod's own account
    #[arg(long, value_name = "FILE", env = "CLOSEHAUL_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; without it the current one
    #[arg(long, value_name = "NAME", env = "CLOSEHAUL_CONTEXT")]
    context: Option<String>,
}

/// Why no cluster was found.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig that was named cannot be used.
    #[error(
        "cannot use the kubeconfig {file}: {source}; name another one with --kubeconfig or --context"
    )]
    Kubeconfig {
        /// Where it is, or where it was looked for.
        file: String,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// Nothing was named and nothing was found.
    #[error("found no cluster: {0}; name a kubeconfig with --kubeconfig or $KUBECONFIG")]
    Nowhere(Box<InferConfigError>),
    /// No client can be created from the settings.
    #[error("cannot create a client for {url}: {source}")]
    Client {
        /// The API server.
        url: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

impl ConnectError {
    /// No client can be created for the API server at `url`.
    pub(super) fn client(url: impl Into<String>, source: kube::Error) -> Self {
        Self::Client { url: url.into(), source: Box::new(source) }
    }
}

impl Connection {
    /// The settings to reach the cluster.
    ///
    /// # Errors
    /// No usable kubeconfig, and not in a pod either.
    pub async fn config(&self) -> Result<Config, ConnectError> {
        let options =
            KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let unusable = |source| {
            let file = self.kubeconfig.as_ref().map_or_else(
                || "of $KUBECONFIG or ~/.kube/config".into(),
                |path| path.display().to_string(),
            );
            ConnectError::Kubeconfig { file, source: Box::new(source) }
        };
        match &self.kubeconfig {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable)
            }
            None if self.context.is_some() => {
                Config::from_kubeconfig(&options).await.map_err(unusable)
            }
            None => Config::infer().await.map_err(|source| ConnectError::Nowhere(Box::new(source))),
        }
    }
}
