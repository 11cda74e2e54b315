//! A run's directory, which is gone when the run is over, however it ends.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::Error;
use crate::process;

/// The prefix of the names of all runs' directories.
const PREFIX: &str = "closehaul-e2e-";

/// The file that a run keeps locked while it lives. The kernel unlocks it when the run dies.
const LOCK: &str = "lock";

/// Distinguishes the runs of one process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A name for the directories of a new run.
pub(super) fn new_name() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}-{number}", std::process::id())
}

/// A directory that only this run uses, removed when dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Creates one called `name` (from [`new_name`]) in `base`. First removes the directories of
    /// killed runs there, and ends the processes that they left.
    pub(super) fn create(base: &Path, name: &str) -> Result<Self, Error> {
        remove_leftovers(base)?;
        // It gets its final name only with its lock held, so that another run does not take a
        // directory that is being created for a leftover.
        let (hidden, path) = (base.join(format!(".{name}")), base.join(name));
        DirBuilder::new().mode(0o700).create(&hidden).map_err(Error::file(&hidden))?;
        let lock = File::create(hidden.join(LOCK)).map_err(Error::file(&hidden))?;
        lock.lock().map_err(Error::file(&hidden))?;
        fs::rename(&hidden, &path).map_err(Error::file(&path))?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the processes recorded in it that still run, and removes it.
    pub(super) fn remove(self) -> Result<(), Error> {
        remove(&self.path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A failure cannot be reported any more. The next run retries.
        let _ = remove(&self.path);
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    process::end_recorded(path)?;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(path)(error)),
        _ => Ok(()),
    }
}

/// Removes the directories in `base` whose runs are dead, and ends their processes.
fn remove_leftovers(base: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(base).map_err(Error::file(base))? {
        let path = entry.map_err(Error::file(base))?.path();
        let ours = path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(PREFIX));
        if !ours {
            continue;
        }
        match File::open(path.join(LOCK)) {
            // It belongs to another user, who must remove it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            // A live run has its lock file. Without one, a removal was interrupted.
            Err(_) => remove(&path)?,
            Ok(lock) if lock.try_lock().is_ok() => remove(&path)?,
            Ok(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::process::Command;

    #[tokio::test]
    async fn a_dead_run_is_cleared_and_a_live_one_is_left_alone() {
        let base = std::env::temp_dir().join(format!("e2e-directory-{}", std::process::id()));
        fs::create_dir(&base).unwrap();
        let live = Directory::create(&base, &new_name()).unwrap();
        // As a killed run leaves it: the lock file exists but is not locked, and a child runs.
        let dead = base.join(format!("{PREFIX}dead"));
        fs::create_dir(&dead).unwrap();
        File::create(dead.join(LOCK)).unwrap();
        let child = Command::new("sleeper", "/bin/sleep").arg("60").start(&dead).unwrap();

        let next = Directory::create(&base, &new_name()).unwrap();
        assert!(live.path().is_dir() && next.path().is_dir());
        assert!(!dead.exists());
        assert!(child.wait(Duration::from_secs(5)).await.is_some());
        drop((live, next));
        fs::remove_dir(&base).unwrap();
    }
}
