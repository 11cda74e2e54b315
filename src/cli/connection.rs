//! Connection: which cluster is meant, found as kubectl finds it.

mod error;
mod kubeconfig;
mod names;
mod server;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use kube::{
    Client, Config,
    config::{AuthInfo, Cluster, KubeConfigOptions},
};
use secrecy::ExposeSecret;

use self::kubeconfig::Files;
pub use self::{error::ConnectError, names::Names};
use super::duration;
use crate::client::{
    connection::{client, reader},
    proxy::{self, Proxies},
    token_file::TokenFile,
};

/// The token of a pod's service account.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The namespace of a pod.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Which cluster is meant, and how it is asked. These options are the same for all commands, and may
/// stand before or after the command.
///
/// A command for which the namespace means something else, or that takes it from the environment,
/// defines `-n` for itself, with the same id.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection options")]
pub struct Connection {
    /// Path of the kubeconfig; without it $KUBECONFIG, ~/.kube/config or the pod's own account
    #[arg(long, global = true, value_name = "FILE", env = "CLOSEHAUL_KUBECONFIG", hide_env = true)]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; without it the current one
    #[arg(long, global = true, value_name = "NAME", env = "CLOSEHAUL_CONTEXT", hide_env = true)]
    context: Option<String>,

    /// Namespace; without it that of the context
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// How long one request to the API server may take, such as 30s or 1m; 0 means no limit
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        value_parser = duration::timeout,
        default_value = "0",
        hide_default_value = true,
        env = "CLOSEHAUL_REQUEST_TIMEOUT",
        hide_env = true
    )]
    request_timeout: Duration,

    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER", env = "CLOSEHAUL_AS", hide_env = true)]
    impersonated: Option<String>,

    /// Group to impersonate, together with --as; may be repeated
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        env = "CLOSEHAUL_AS_GROUP",
        hide_env = true
    )]
    impersonated_groups: Vec<String>,
}

/// A cluster, and how to reach it.
#[derive(Debug)]
pub struct Found {
    /// The settings of a client.
    pub config: Config,
    /// How long one request may take, if that is limited.
    pub request_timeout: Option<Duration>,
    /// What a user should know about them, one line each.
    pub notes: Vec<String>,
}

impl Found {
    /// A client for single requests.
    ///
    /// # Errors
    /// The credentials cannot be used.
    pub fn client(&self) -> Result<Client, ConnectError> {
        client(self.config.clone(), self.request_timeout)
            .map_err(|source| ConnectError::client(&self.config, source))
    }

    /// A client for long lists.
    ///
    /// # Errors
    /// The credentials cannot be used.
    pub fn reader(&self) -> Result<Client, ConnectError> {
        reader(self.config.clone(), self.request_timeout)
            .map_err(|source| ConnectError::client(&self.config, source))
    }
}

impl Connection {
    /// The namespace that is named by `-n`.
    pub fn namespace(&self) -> Option<&str> {
        given(self.namespace.as_deref())
    }

    /// The namespace to work in: the one that is named, or that of the context or of the pod.
    ///
    /// # Errors
    /// No usable kubeconfig, and not in a pod either.
    pub async fn own_namespace(&self) -> Result<String, ConnectError> {
        match self.namespace() {
            Some(namespace) => Ok(namespace.to_owned()),
            None => Ok(self.find().await?.config.default_namespace),
        }
    }

    /// The settings to reach the cluster.
    ///
    /// # Errors
    /// No usable kubeconfig, and not in a pod either.
    pub async fn find(&self) -> Result<Found, ConnectError> {
        let files = Files::read(self.kubeconfig())?;
        if files.are_empty() && self.kubeconfig().is_none() && self.context().is_none() {
            if is_in_pod() {
                return self.in_pod();
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

    /// For commands that write in all namespaces. Fails outside a pod if no cluster was named: what is
    /// written to must not depend on which context was used last. Fails if a namespace was named, since
    /// others are written to as well.
    ///
    /// # Errors
    /// The context that would be used, or the namespace.
    pub fn named(&self) -> Result<(), ConnectError> {
        if let Some(namespace) = self.namespace() {
            return Err(ConnectError::Namespaced { namespace: namespace.to_owned() });
        }
        if self.kubeconfig().is_some() || self.context().is_some() || is_in_pod() {
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
        let name = self.context().or(kubeconfig.current_context.as_deref());
        let name = name.ok_or_else(|| ConnectError::NoContext {
            files: files.to_string(),
            contexts: files.contexts(),
        })?;
        let named = kubeconfig.contexts.iter().find(|named| named.name == *name);
        let context = named.and_then(|named| named.context.as_ref()).ok_or_else(|| {
            ConnectError::UnknownContext {
                name: name.to_owned(),
                files: files.to_string(),
                contexts: files.contexts(),
            }
        })?;
        let mut kubeconfig = kubeconfig.clone();
        let cluster = kubeconfig.clusters.iter_mut().find(|named| named.name == context.cluster);
        let cluster = cluster.and_then(|named| named.cluster.as_mut()).ok_or_else(|| {
            ConnectError::UnknownCluster {
                name: context.cluster.clone(),
                context: name.to_owned(),
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
            KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
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
        Ok((name.to_owned(), self.found(config, notes)?))
    }

    fn in_pod(&self) -> Result<Found, ConnectError> {
        let mut config = Config::incluster().map_err(ConnectError::Pod)?;
        config.proxy_url = from_environment(&config.cluster_url)?;
        self.found(config, Vec::new())
    }

    /// Adds what the options say to what the kubeconfig says. Groups without a user are refused, as by
    /// client-go: the API server would ignore them.
    fn found(&self, mut config: Config, notes: Vec<String>) -> Result<Found, ConnectError> {
        let user = &mut config.auth_info;
        if let Some(name) = given(self.impersonated.as_deref()) {
            user.impersonate = Some(name.to_owned());
        }
        if !self.impersonated_groups.is_empty() {
            user.impersonate_groups = Some(self.impersonated_groups.clone());
        }
        if user.impersonate.is_none() && !self.impersonated_groups.is_empty() {
            return Err(ConnectError::NobodyImpersonated);
        }
        let mut names = self.impersonated.iter().chain(&self.impersonated_groups);
        if let Some(name) = names.find(|name| http::HeaderValue::from_str(name).is_err()) {
            return Err(ConnectError::Impersonated { name: name.clone() });
        }
        let request_timeout = Some(self.request_timeout).filter(|limit| !limit.is_zero());
        Ok(Found { config, request_timeout, notes })
    }

    fn kubeconfig(&self) -> Option<&Path> {
        self.kubeconfig.as_deref().filter(|file| !file.as_os_str().is_empty())
    }

    fn context(&self) -> Option<&str> {
        given(self.context.as_deref())
    }
}

/// An empty value is none, as with kubectl: a script may have an unset variable there.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
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
