//! A saved state of a store, from which other clusters start with the same bytes and revisions.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Cluster, ETCD, Error, directory, directory::Directory, ensure, tools};
use crate::components::Component;

/// A data directory of etcd from which clusters start, see [`super::Options::state`]. It is on
/// disk, because it is read once for each start, and is removed when this value is dropped.
#[derive(Debug)]
pub struct Snapshot {
    directory: Directory,
}

impl Snapshot {
    /// The data directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join(ETCD)
    }
}

impl Cluster {
    /// Keeps the present contents of the store. The cluster continues.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let components = ensure(self.kubernetes, &[Component::Etcdutl]).await?;
        let snapshot =
            Snapshot { directory: Directory::create(&env::temp_dir(), &directory::new_name())? };
        let file = snapshot.directory.path().join("snapshot.db");
        let (from, to) = (file.display().to_string(), snapshot.path().display().to_string());
        self.etcdctl(&["snapshot", "save", &from]).await?.success()?;
        let args = ["snapshot", "restore", &from, "--data-dir", &to];
        let program = components.path(Component::Etcdutl);
        tools::run(program, &args, self.directory()).await?.success()?;
        fs::remove_file(&file).map_err(Error::file(&file))?;
        Ok(snapshot)
    }
}

impl Cluster {
    /// Saves the current store to a file of this name in the run's directory, as a backup. Builds
    /// the tool that restores it, if necessary.
    pub async fn back_up(&self, name: &str) -> Result<PathBuf, Error> {
        // The tool that restores it is built before it is needed.
        ensure(self.kubernetes, &[Component::Etcdutl]).await?;
        let file = self.directory().join(name);
        self.etcdctl(&["snapshot", "save", &file.display().to_string()]).await?.success()?;
        Ok(file)
    }

    /// Restores the store from a backup as the Kubernetes documentation describes: the API server
    /// is stopped, `etcdutl snapshot restore` restores etcd with the additional `args`, and both
    /// are started again.
    pub async fn restore(&mut self, backup: &Path, args: &[&str]) -> Result<(), Error> {
        let components = ensure(self.kubernetes, &[Component::Etcdutl]).await?;
        self.apiserver.halt().await?;
        self.etcd.halt().await?;
        let data = self.data.path().join(ETCD);
        fs::remove_dir_all(&data).map_err(Error::file(&data))?;
        let (from, to) = (backup.display().to_string(), data.display().to_string());
        let args = [&["snapshot", "restore", &from, "--data-dir", &to], args].concat();
        let program = components.path(Component::Etcdutl);
        tools::run(program, &args, self.directory()).await?.success()?;
        self.restart_etcd().await?;
        self.restart_apiserver().await
    }

    /// The store's revision, which is the version of its last change.
    pub async fn revision(&self) -> Result<u64, Error> {
        let answer = self.etcdctl(&["get", "/none"]).await?.success()?;
        let answer = serde_json::from_str::<Answer>(&answer).map_err(Error::Store)?;
        Ok(answer.header.revision)
    }
}

/// etcdctl's answer, as far as it is read.
#[derive(Deserialize)]
struct Answer {
    header: Header,
}

#[derive(Deserialize)]
struct Header {
    revision: u64,
}

/// Copies a directory and all below it to `to`, which is created.
pub(super) async fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let (from, to) = (from.to_owned(), to.to_owned());
    let copied = tokio::task::spawn_blocking(move || {
        copy_all(&from, &to).map_err(|source| Error::file(&from)(source))
    });
    copied.await?
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
