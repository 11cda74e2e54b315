//! kubectl and etcdctl against the cluster.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
};

use serde::Deserialize;

use super::{Actor, Cluster, Error};
use crate::components::Component;

/// The result of a command line tool.
#[derive(Debug, Clone)]
pub struct Output {
    /// The tool and its arguments.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
}

impl Output {
    /// What it printed, if it succeeded.
    pub fn success(self) -> Result<String, Error> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let (status, stderr) = (self.status.to_string(), self.stderr.trim_end().to_owned());
        Err(Error::Tool { command: self.command, status, stderr })
    }
}

/// The slices as stored in etcd. If two values are equal, no slice was written between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredSlices {
    /// The highest revision at which one of them was written; 0 when there is none.
    pub revision: u64,
    /// How many there are, which also shows the deletion of older ones.
    pub count: u64,
}

impl Cluster {
    /// Runs the real kubectl as [`Actor::Admin`].
    pub async fn kubectl(&self, args: &[&str]) -> Result<Output, Error> {
        self.kubectl_as(Actor::Admin, args).await
    }

    /// Runs the real kubectl with the actor's permissions. It is killed when the future is dropped.
    pub async fn kubectl_as(&self, actor: Actor, args: &[&str]) -> Result<Output, Error> {
        let kubeconfig = self.kubeconfig(actor).display().to_string();
        let args = [&["--kubeconfig", &kubeconfig], args].concat();
        run(self.components.path(Component::Kubectl), &args, self.directory()).await
    }

    /// The slices as stored in etcd.
    pub async fn stored_slices(&self) -> Result<StoredSlices, Error> {
        let args = [
            "get",
            "/registry/endpointslices/",
            "--prefix",
            "--keys-only",
            "--sort-by=MODIFY",
            "--order=DESCEND",
            "--limit=1",
        ];
        let answer = self.etcdctl(&args).await?.success()?;
        let answer = serde_json::from_str::<Answer>(&answer).map_err(Error::Store)?;
        let revision = answer.kvs.first().map_or(0, |stored| stored.mod_revision);
        Ok(StoredSlices { revision, count: answer.count })
    }

    /// The highest revision at which a slice was written; 0 when there is none. Deletions do not
    /// show here, but they do in [`Self::stored_slices`].
    pub async fn slice_revision(&self) -> Result<u64, Error> {
        Ok(self.stored_slices().await?.revision)
    }

    /// Runs the real etcdctl, with its answer as JSON.
    pub async fn etcdctl(&self, args: &[&str]) -> Result<Output, Error> {
        let args = [&["--endpoints", self.etcd_url(), "--write-out=json"], args].concat();
        run(self.components.path(Component::Etcdctl), &args, self.directory()).await
    }
}

/// etcdctl's answer to a get, as far as it is read.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    kvs: Vec<Stored>,
    #[serde(default)]
    count: u64,
}

#[derive(Deserialize)]
struct Stored {
    mod_revision: u64,
}

/// Runs `program` until it ends, with `home` for its caches.
pub(super) async fn run(program: &Path, args: &[&str], home: &Path) -> Result<Output, Error> {
    let output = tokio::process::Command::new(program)
        .args(args)
        .env("HOME", home)
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::file(program))?;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    Ok(Output {
        command: format!("{name} {}", args.join(" ")),
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
