//! Which of the networks 192.168.77.0/24 to 192.168.99.0/24 this run may use.

use super::{Error, ip};
use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use rustix::process::{Pid, Signal, kill_process};

const NUMBERS: std::ops::RangeInclusive<u8> = 77..=99;
const LOCKS: &str = "/run/closehaul-e2e";

/// The third octet of this run's network. It also names everything that the run makes: `chl-N`.
///
/// The lock is the kernel's: it ends with the process however that ends, so a number that can be
/// locked has no live owner, and what still bears its name is a leftover.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) number: u8,
    _lock: File,
}

impl Claim {
    /// Takes the first free number, and removes what killed runs left under any free one.
    pub(super) fn new() -> Result<Self, Error> {
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

    /// The name of something of this run.
    pub(super) fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.link())
    }

    /// The name of the host's link into the network.
    pub(super) fn link(&self) -> String {
        format!("chl-{}", self.number)
    }
}

fn lock(number: u8) -> Result<Option<File>, Error> {
    let path = Path::new(LOCKS).join(format!("{number}.lock"));
    let failed = |source| Error::Lock { path: path.clone(), source };
    fs::create_dir_all(LOCKS).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
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
    // The link goes with its other end's namespace, but only a moment later.
    let _ = ip::ip(&["link", "del", &link]);
    Ok(())
}
