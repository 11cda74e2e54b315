//! Which of the networks 192.168.77.0/24 to 192.168.99.0/24 this run may use.

use super::{Error, ip};
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};

const NUMBERS: std::ops::RangeInclusive<u8> = 77..=99;
const LOCKS: &str = "/run/closehaul-e2e";

/// Held by the run that looks for a free number. Meanwhile it locks all free numbers.
const SEARCH: &str = "search";

/// The third octet of this run's network. It also names everything that the run creates: `chl-N`.
///
/// The kernel releases the lock when the process ends for any reason. A number that can be locked
/// therefore has no live owner, and anything that still has its name is a leftover.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) number: u8,
    _lock: File,
}

impl Claim {
    /// Takes the first free number, and removes what killed runs left under any free number.
    pub(super) fn new() -> Result<Self, Error> {
        let _search = lock_search()?;
        let mut claims = Vec::new();
        for number in NUMBERS {
            if let Some(lock) = lock(number)? {
                remove_leftovers(number)?;
                claims.push(Self { number, _lock: lock });
            }
        }
        let taken = ip::ip(&["-4", "-oneline", "address", "show"])?;
        let free = |claim: &Self| !taken.contains(&format!(" 192.168.{}.", claim.number));
        claims.into_iter().find(free).ok_or(Error::NoneFree)
    }

    /// The name of an object of this run.
    pub(super) fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.link())
    }

    /// The name of the host's link into the network.
    pub(super) fn link(&self) -> String {
        format!("chl-{}", self.number)
    }
}

/// The lock of a number, unless another claim holds it.
fn lock(number: u8) -> Result<Option<File>, Error> {
    let (path, file) = lock_file(&number.to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(Error::Lock { path, source }),
    }
}

/// Waits for the lock on the search for a free number.
fn lock_search() -> Result<File, Error> {
    let (path, file) = lock_file(SEARCH)?;
    match file.lock() {
        Ok(()) => Ok(file),
        Err(source) => Err(Error::Lock { path, source }),
    }
}

/// A lock file, not locked yet, and its path.
fn lock_file(name: &str) -> Result<(PathBuf, File), Error> {
    let path = Path::new(LOCKS).join(format!("{name}.lock"));
    match fs::create_dir_all(LOCKS).and_then(|()| File::create(&path)) {
        Ok(file) => Ok((path, file)),
        Err(source) => Err(Error::Lock { path, source }),
    }
}

fn remove_leftovers(number: u8) -> Result<(), Error> {
    let link = format!("chl-{number}");
    let prefix = format!("{link}-");
    for line in ip::ip(&["netns", "list"])?.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if name.starts_with(&prefix) {
            // A namespace lives as long as a process in it, whatever happens to its name.
            let pids = ip::ip(&["netns", "pids", name])?;
            for pid in pids.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            ip::ip(&["netns", "del", name])?;
        }
    }
    // The kernel deletes the link with the namespace of its other end, but only a moment later.
    let _ = ip::ip(&["link", "del", &link]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Barrier, thread};

    use super::Claim;
    use crate::machine::require_namespaces;

    #[test]
    fn claims_made_at_the_same_time_get_different_numbers() {
        require_namespaces().unwrap();
        // Other tests hold numbers at the same time, so this one does not take all of them.
        let start = Barrier::new(8);
        let claim = || {
            start.wait();
            let mut claim = Claim::new().unwrap();
            for _ in 0..4 {
                // The previous claim is dropped after this one is made.
                claim = Claim::new().unwrap();
            }
            claim
        };
        let claims: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let numbers: BTreeSet<u8> = claims.iter().map(|claim| claim.number).collect();
        assert_eq!(numbers.len(), claims.len());
    }
}
