//! Plugin: a credential plugin of the kubeconfig, run as client-go runs it
//! (`client-go/plugin/pkg/client/auth/exec`).
//!
//! This replaces kube's own, which runs the plugin twice for each client, and ends the process if
//! its token is no header.

use std::{
    io::{self, IsTerminal as _},
    process::{Command, Output, Stdio},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Request, header::AUTHORIZATION};
use jiff::Timestamp;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::plain::plain;

/// A token is renewed this many seconds before it expires, so that it is valid when it arrives.
const EARLY: i64 = 60;

/// Why a plugin gives no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    /// The kubeconfig names none.
    #[error("the kubeconfig names no command for its credential plugin; set command of exec")]
    Nameless,
    /// It is not installed.
    #[error("the credential plugin {command} of the kubeconfig is not installed{}", hinted(hint))]
    Missing {
        /// The command.
        command: String,
        /// What the kubeconfig says about its installation.
        hint: String,
    },
    /// It does not do its work.
    #[error("the credential plugin {command} of the kubeconfig failed: {reason}")]
    Failed {
        /// The command.
        command: String,
        /// Its own words.
        reason: String,
    },
}

fn hinted(hint: &str) -> String {
    match hint.trim() {
        "" => ", or not on the $PATH; install it, or choose another user with --context".to_owned(),
        hint => format!(": {hint}"),
    }
}

/// What a plugin prints.
#[derive(Deserialize)]
struct Credential {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// A token, and when it expires.
type Token = (HeaderValue, Option<Timestamp>);

/// A plugin with the token that it has given.
#[derive(Clone, Debug)]
pub(crate) struct Plugin {
    exec: Arc<ExecConfig>,
    known: Arc<Mutex<Token>>,
}

impl Plugin {
    /// Runs the plugin of a user, if nothing else says who that is. A certificate is put into
    /// `user`; `None` if there is no token.
    ///
    /// # Errors
    /// It gives no credentials, or such that cannot be used.
    pub(crate) fn of(user: &mut AuthInfo) -> Result<Option<Self>, PluginError> {
        let Some(exec) = user.exec.take().filter(|_| is_by_plugin(user)) else { return Ok(None) };
        let mut status = run(&exec)?;
        let token = token(&exec, &status)?;
        if let Some((certificate, key)) =
            status.client_certificate_data.take().zip(status.client_key_data.take())
        {
            user.client_certificate_data = Some(STANDARD.encode(certificate));
            user.client_key_data = Some(STANDARD.encode(key).into());
        }
        let known = token.map(|token| Arc::new(Mutex::new(token)));
        Ok(known.map(|known| Self { exec: Arc::new(exec), known }))
    }

    /// The request with the token, or with a new one if that expires.
    ///
    /// # Errors
    /// The plugin gives no new one.
    pub(crate) async fn authorize<B>(
        self,
        mut request: Request<B>,
    ) -> Result<Request<B>, PluginError> {
        let mut known = self.known.lock().await;
        if known.1.is_some_and(|end| end.as_second() <= Timestamp::now().as_second() + EARLY) {
            *known = self.renewed().await?;
        }
        request.headers_mut().insert(AUTHORIZATION, known.0.clone());
        Ok(request)
    }

    async fn renewed(&self) -> Result<Token, PluginError> {
        let exec = Arc::clone(&self.exec);
        let token = spawn_blocking(move || token(&exec, &run(&exec)?));
        let token = token.await.map_err(|error| failed(&self.exec, &error.to_string()))??;
        token.ok_or_else(|| failed(&self.exec, "it gave no token this time"))
    }
}

/// Whether nothing that counts more says who the user is.
fn is_by_plugin(user: &AuthInfo) -> bool {
    user.auth_provider.is_none()
        && user.username.is_none()
        && user.token.is_none()
        && user.token_file.is_none()
}

fn failed(exec: &ExecConfig, reason: &str) -> PluginError {
    let command = exec.command.clone().unwrap_or_default();
    PluginError::Failed { command, reason: reason.to_owned() }
}

fn token(exec: &ExecConfig, status: &Status) -> Result<Option<Token>, PluginError> {
    let header = |token| {
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            failed(exec, "its token has a line break or a control character; print it without")
        })?;
        header.set_sensitive(true);
        Ok((header, status.expiration_timestamp))
    };
    status.token.as_deref().filter(|token| !token.is_empty()).map(header).transpose()
}

fn run(exec: &ExecConfig) -> Result<Status, PluginError> {
    let name = exec.command.clone().ok_or(PluginError::Nameless)?;
    let output = output(exec, &name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let hint = exec.install_hint.clone().unwrap_or_default();
            PluginError::Missing { command: name.clone(), hint }
        }
        _ => failed(exec, &error.to_string()),
    })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let words = Some(words.trim()).filter(|words| !words.is_empty());
        let said = words.map_or_else(String::new, |words| format!(": {}", plain(words)));
        return Err(failed(exec, &format!("{}{said}", output.status)));
    }
    // Some print YAML, which client-go accepts too.
    let credential = serde_saphyr::from_slice::<Credential>(&output.stdout).ok();
    credential
        .and_then(|credential| credential.status)
        .ok_or_else(|| failed(exec, "it printed no ExecCredential with a status"))
}

fn output(exec: &ExecConfig, command: &str) -> io::Result<Output> {
    let may_ask = exec.interactive_mode != Some(ExecInteractiveMode::Never);
    let is_interactive = may_ask && io::stdin().is_terminal();
    let cluster = exec.cluster.as_ref().filter(|_| exec.provide_cluster_info);
    let info = json!({
        "apiVersion": exec.api_version, "kind": "ExecCredential",
        "spec": {"interactive": is_interactive, "cluster": cluster},
    });
    let mut command = Command::new(command);
    command.args(exec.args.iter().flatten()).env("KUBERNETES_EXEC_INFO", info.to_string());
    for variable in exec.env.iter().flatten() {
        if let Some((name, value)) = variable.get("name").zip(variable.get("value")) {
            command.env(name, value);
        }
    }
    if is_interactive {
        command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
    } else {
        command.stdin(Stdio::null());
    }
    command.output()
}
