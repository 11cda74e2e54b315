//! The state of a store, kept, so that other clusters start from the same bytes and revisions.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use super::{Cluster, ETCD, Error, directory, directory::Directory, ensure, tools};
use crate::components::Component;

/// A data directory of etcd that clusters are started from, see [`super::Options::state`]. It is
/// on the disk, as it is read once for each start, and goes with this value.
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
    /// Keeps what the store has now. The cluster goes on.
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

/// Copies a directory and all below it to `to`, which is made.
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
