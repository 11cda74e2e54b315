//! Connection: which cluster is meant, found as kubectl finds it.

mod error;
mod kubeconfig;
mod names;
mod server;

use std::path::{Path, PathBuf};

use clap::Args;
use kube::{
    Config,
    config::{AuthInfo, Cluster, KubeConfigOptions},
};
use secrecy::ExposeSecret;

use self::kubeconfig::Files;
pub use self::{error::ConnectError, names::Names};
use crate::client::{
    proxy::{self, Proxies},
    token_file::TokenFile,
};

/// The token of a pod's service account.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The namespace of a pod.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

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

/// A cluster, and how to reach it.
#[derive(Debug)]
pub struct Found {
    /// The settings of a client.
    pub config: Config,
    /// What a user should know about them, one line each.
    pub notes: Vec<String>,
}

impl Connection {
    /// The settings to reach the cluster.
    ///
    /// # Errors
    /// No usable kubeconfig, and not in a pod either.
    pub async fn find(&self) -> Result<Found, ConnectError> {
        let files = Files::read(self.kubeconfig.as_deref())?;
        if files.are_empty() && self.kubeconfig.is_none() && self.context.is_none() {
            if is_in_pod() {
                return in_pod();
            }
            return Err(ConnectError::Nowhere { missing: files.to_string() });
        }
        let (name, mut found) = self.select(&files).await?;
        if let Some(user) = unknown_user(&files, &name) {
            found.notes.push(format!(
                "the kubeconfig {files} has no user {user}, which the context {name} names (there \
                 are: {}); continuing without credentials",
                files.users()
            ));
        }
        Ok(found)
    }

    /// Fails outside a pod if no cluster was named: what is written to must not depend on which
    /// context was used last.
    ///
    /// # Errors
    /// The context that would be used.
    pub fn named(&self) -> Result<(), ConnectError> {
        if self.kubeconfig.is_some() || self.context.is_some() || is_in_pod() {
            return Ok(());
        }
        let files = Files::read(None)?;
        let would = match &files.kubeconfig.current_context {
            Some(name) => format!(
                "it would have been the current context {name} of {files}: --context '{name}'"
            ),
            None => format!("no context is the current one (there are: {})", files.contexts()),
        };
        let would = if has_pod_address() {
            format!("{would}; if this is a pod, it lacks its token {POD_TOKEN}")
        } else {
            would
        };
        Err(ConnectError::Unnamed { would })
    }

    /// The context's name, and how to reach its cluster.
    async fn select(&self, files: &Files) -> Result<(String, Found), ConnectError> {
        let kubeconfig = &files.kubeconfig;
        let name = self.context.as_ref().or(kubeconfig.current_context.as_ref());
        let name = name.ok_or_else(|| ConnectError::NoContext {
            files: files.to_string(),
            contexts: files.contexts(),
        })?;
        let named = kubeconfig.contexts.iter().find(|named| named.name == *name);
        let context = named.and_then(|named| named.context.as_ref()).ok_or_else(|| {
            ConnectError::UnknownContext {
                name: name.clone(),
                files: files.to_string(),
                contexts: files.contexts(),
            }
        })?;
        let mut kubeconfig = kubeconfig.clone();
        let cluster = kubeconfig.clusters.iter_mut().find(|named| named.name == context.cluster);
        let cluster = cluster.and_then(|named| named.cluster.as_mut()).ok_or_else(|| {
            ConnectError::UnknownCluster {
                name: context.cluster.clone(),
                context: name.clone(),
                files: files.to_string(),
                clusters: files.clusters(),
            }
        })?;
        let user = context.user.as_ref();
        let user = kubeconfig.auth_infos.iter().find(|named| Some(&named.name) == user);
        let user = user.and_then(|named| named.auth_info.clone()).unwrap_or_default();

        let wrong = |field, reason| ConnectError::Field {
            files: files.to_string(),
            field,
            place: format!("the cluster {}", context.cluster),
            reason,
        };
        let server = cluster.server.clone().ok_or_else(|| wrong("server", "missing".to_owned()))?;
        let url = server::url(&server, has_tls(cluster, &user))
            .map_err(|reason| wrong("server", format!("`{server}`: {reason}")))?;
        cluster.server = Some(url.to_string());
        let proxy = match &cluster.proxy_url {
            Some(text) => Some(proxy::parse(text).map_err(|reason| wrong("proxy-url", reason))?),
            None => from_environment(&url)?,
        };
        check_user(files, context.user.as_deref().unwrap_or_default(), &user)?;

        let options =
            KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config =
            config.map_err(|source| ConnectError::Unusable { files: files.to_string(), source })?;
        if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
            let reason = "it has no certificate in PEM".to_owned();
            return Err(wrong("certificate-authority", reason));
        }
        // kube chooses by $HTTPS_PROXY alone, whatever $NO_PROXY says.
        config.proxy_url = proxy;
        let notes = insecure(&config).into_iter().collect();
        Ok((name.clone(), Found { config, notes }))
    }
}

/// What to know if the connection is not protected.
fn insecure(config: &Config) -> Option<String> {
    config.accept_invalid_certs.then(|| {
        format!(
            "insecure-skip-tls-verify is set: any server that answers at {} is trusted and gets the \
             credentials; set certificate-authority in the kubeconfig instead",
            config.cluster_url
        )
    })
}

/// The user that a context names and that does not exist. As with kubectl, this is no error.
fn unknown_user(files: &Files, context: &str) -> Option<String> {
    let contexts = &files.kubeconfig.contexts;
    let context = contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let user = context.user.as_ref()?;
    let is_known = files.kubeconfig.auth_infos.iter().any(|named| named.name == *user);
    (!is_known).then(|| user.clone())
}

/// Whether anything about TLS is configured, as client-go asks it (`defaultServerUrlFor`).
fn has_tls(cluster: &Cluster, user: &AuthInfo) -> bool {
    cluster.certificate_authority.is_some()
        || cluster.certificate_authority_data.is_some()
        || user.client_certificate.is_some()
        || user.client_certificate_data.is_some()
        || cluster.insecure_skip_tls_verify == Some(true)
}

/// What would end the process once a request is sent, or fail in each of them.
fn check_user(files: &Files, name: &str, user: &AuthInfo) -> Result<(), ConnectError> {
    let wrong = |field, reason: String| ConnectError::Field {
        files: files.to_string(),
        field,
        place: format!("the user {name}"),
        reason,
    };
    let unfit = |text: &str| http::HeaderValue::from_str(text).is_err();
    let reason = || "it has a line break or a control character".to_owned();
    if let Some(provider) = &user.auth_provider {
        if provider.name != "oidc" {
            let problem = "is none that kubectl 1.26 or newer has; use the credential plugin of the \
                           provider, such as gke-gcloud-auth-plugin or kubelogin";
            return Err(wrong("auth-provider", format!("`{}` {problem}", provider.name)));
        }
        if provider.config.get("id-token").is_some_and(|token| unfit(token)) {
            return Err(wrong("id-token", reason()));
        }
    }
    if let Some(token) = &user.token {
        if unfit(token.expose_secret()) {
            return Err(wrong("token", reason()));
        }
    } else if let Some(file) = &user.token_file {
        TokenFile::new(file.into()).map_err(|error| wrong("tokenFile", error.to_string()))?;
    }
    Ok(())
}

fn from_environment(url: &http::Uri) -> Result<Option<http::Uri>, ConnectError> {
    let proxies = Proxies::new(|name| std::env::var(name).ok());
    let chosen = proxies.choose(url).map(|(variable, proxy)| {
        proxy::parse(proxy).map_err(|reason| ConnectError::Proxy { variable, reason })
    });
    chosen.transpose()
}

/// Whether this process runs in a pod with a service account, as client-go asks it.
fn is_in_pod() -> bool {
    has_pod_address() && Path::new(POD_TOKEN).is_file()
}

/// The namespace of the pod in which this runs.
pub fn own_namespace() -> Option<String> {
    std::fs::read_to_string(POD_NAMESPACE).ok()
}

/// Whether the environment names an API server, as the kubelet does it in pods.
fn has_pod_address() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("KUBERNETES_SERVICE_HOST") && is_set("KUBERNETES_SERVICE_PORT")
}

fn in_pod() -> Result<Found, ConnectError> {
    let mut config = Config::incluster().map_err(ConnectError::Pod)?;
    config.proxy_url = from_environment(&config.cluster_url)?;
    Ok(Found { config, notes: Vec::new() })
}
