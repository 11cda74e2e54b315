//! Kubeconfigs: which files are read, and how several become one, as client-go does it
//! (`clientcmd/loader.go`).
//!
//! kube's own reader differs in what people meet: it refuses a list of files of which one is
//! missing, an empty string counts as a value (`current-context: ""` is what
//! `kubectl config unset` leaves behind), and half a character of UTF-16 ends the process.

use std::{
    fmt, io,
    path::{MAIN_SEPARATOR, Path, PathBuf},
};

use kube::config::{AuthInfo, Cluster, Kubeconfig, KubeconfigError};
use secrecy::{ExposeSecret, SecretString};
use serde_saphyr::UserMessageFormatter;

use super::error::ConnectError;

/// The most names that a message lists.
const SHOWN: usize = 20;

/// What was read, and from where.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) kubeconfig: Kubeconfig,
    pub(super) read: Vec<PathBuf>,
    pub(super) missing: Vec<PathBuf>,
}

impl Files {
    /// Reads the file that was named, or else those of `$KUBECONFIG`, or else `~/.kube/config`.
    /// Only the first must exist.
    ///
    /// # Errors
    /// A file cannot be read, or is no kubeconfig.
    pub(super) fn read(named: Option<&Path>) -> Result<Self, ConnectError> {
        if let Some(file) = named {
            return Ok(Self {
                kubeconfig: read(file)?,
                read: vec![file.to_owned()],
                missing: Vec::new(),
            });
        }
        let mut files = Self::default();
        for file in usual() {
            match read(&file) {
                Ok(next) => files.add(file, next)?,
                Err(error) if error.is_missing() => files.missing.push(file),
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    /// Whatever an earlier file says, counts.
    fn add(&mut self, file: PathBuf, next: Kubeconfig) -> Result<(), ConnectError> {
        let merged = std::mem::take(&mut self.kubeconfig).merge(next);
        self.kubeconfig =
            merged.map_err(|source| ConnectError::Unusable { files: shown(&file), source })?;
        self.read.push(file);
        Ok(())
    }

    /// Whether there is nothing in them that could be used.
    pub(super) fn are_empty(&self) -> bool {
        let Kubeconfig { clusters, contexts, current_context, .. } = &self.kubeconfig;
        clusters.is_empty() && contexts.is_empty() && current_context.is_none()
    }

    pub(super) fn contexts(&self) -> Names {
        Names(self.kubeconfig.contexts.iter().map(|named| named.name.clone()).collect())
    }

    pub(super) fn clusters(&self) -> Names {
        Names(self.kubeconfig.clusters.iter().map(|named| named.name.clone()).collect())
    }

    pub(super) fn users(&self) -> Names {
        Names(self.kubeconfig.auth_infos.iter().map(|named| named.name.clone()).collect())
    }
}

/// The paths, for a message.
impl fmt::Display for Files {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = if self.read.is_empty() { &self.missing } else { &self.read };
        let files: Vec<_> = files.iter().map(|file| shown(file)).collect();
        formatter.write_str(&files.join(", "))
    }
}

/// What there is to choose from.
#[derive(Debug)]
pub struct Names(Vec<String>);

impl fmt::Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(names) = self;
        if names.is_empty() {
            return formatter.write_str("none");
        }
        formatter.write_str(&names[..names.len().min(SHOWN)].join(", "))?;
        match names.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(formatter, " and {more} more"),
        }
    }
}

/// The files where kubectl looks if none is named. If `$KUBECONFIG` lists any, the one in the home
/// directory does not count.
fn usual() -> Vec<PathBuf> {
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> =
        std::env::split_paths(&listed).filter(|file| !file.as_os_str().is_empty()).collect();
    if !listed.is_empty() {
        return listed;
    }
    std::env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect()
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

fn read(file: &Path) -> Result<Kubeconfig, ConnectError> {
    let unreadable = |source| ConnectError::Unreadable { file: shown(file), source };
    let text = std::fs::read(file).and_then(text).map_err(unreadable)?;
    let mut kubeconfig = Kubeconfig::from_yaml(&text).map_err(|error| match error {
        KubeconfigError::Parse(error) => ConnectError::Malformed {
            file: shown(file),
            reason: error.render_with_formatter(&UserMessageFormatter),
        },
        source => ConnectError::Unusable { files: shown(file), source },
    })?;
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    drop_empty(&mut kubeconfig.current_context);
    for named in &mut kubeconfig.contexts {
        if let Some(context) = &mut named.context {
            drop_empty(&mut context.user);
            drop_empty(&mut context.namespace);
        }
    }
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        clean_cluster(cluster, folder);
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        clean_user(user, folder);
    }
    Ok(kubeconfig)
}

/// The text of a file: UTF-8, or what Windows' shells write.
fn text(bytes: Vec<u8>) -> io::Result<String> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let narrow = |bytes| String::from_utf8(bytes).map_err(|_| invalid("it is no text in UTF-8"));
    let wide = |unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes[2..].as_chunks();
        let units: Vec<_> = units.iter().copied().map(unit).collect();
        let text = String::from_utf16(&units).ok().filter(|_| rest.is_empty());
        text.ok_or_else(|| invalid("it begins as UTF-16 and is none"))
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => narrow(rest.to_vec()),
        _ => narrow(bytes),
    }
}

fn clean_cluster(cluster: &mut Cluster, folder: &Path) {
    for text in [
        &mut cluster.server,
        &mut cluster.certificate_authority,
        &mut cluster.certificate_authority_data,
        &mut cluster.proxy_url,
        &mut cluster.tls_server_name,
    ] {
        drop_empty(text);
    }
    resolve(&mut cluster.certificate_authority, folder);
}

fn clean_user(user: &mut AuthInfo, folder: &Path) {
    for text in [
        &mut user.username,
        &mut user.token_file,
        &mut user.client_certificate,
        &mut user.client_certificate_data,
        &mut user.client_key,
        &mut user.impersonate,
        &mut user.impersonate_uid,
    ] {
        drop_empty(text);
    }
    for secret in [&mut user.token, &mut user.client_key_data] {
        secret.take_if(|secret: &mut SecretString| secret.expose_secret().is_empty());
    }
    for path in [&mut user.token_file, &mut user.client_certificate, &mut user.client_key] {
        resolve(path, folder);
    }
    if let Some(exec) = &mut user.exec
        && exec.command.as_ref().is_some_and(|command| command.contains(MAIN_SEPARATOR))
    {
        // A command without a folder is one of $PATH.
        resolve(&mut exec.command, folder);
    }
}

fn drop_empty(text: &mut Option<String>) {
    text.take_if(|text| text.is_empty());
}

/// Paths are relative to the kubeconfig that names them.
fn resolve(path: &mut Option<String>, folder: &Path) {
    if let Some(path) = path
        && let Some(resolved) = folder.join(path.as_str()).to_str()
    {
        resolved.clone_into(path);
    }
}
