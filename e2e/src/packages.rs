//! Programs that a bare machine lacks, installed from Debian's packages.
//!
//! As root on Debian or one of its derivatives, this installs them. Elsewhere it installs nothing:
//! the error contains the exact command, so callers check this before they build or start anything.
//!
//! This file is also a module of `benches/cost.rs`, whose package cannot depend on this one. It
//! uses nothing of this package but `progress`.

use std::{
    env, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::progress::{self, Progress};

/// One apt-get at a time, of all processes on this machine.
const LOCK: &str = "/run/closehaul-packages.lock";
/// How long another program may hold apt's locks.
const PATIENCE: Duration = Duration::from_secs(300);
/// The time between two attempts to get apt's locks.
const PAUSE: Duration = Duration::from_secs(2);

/// A program: the name of its command, and the Debian package that contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The command to look for on the `PATH`.
    pub command: &'static str,
    /// The package to install if it is missing.
    pub package: &'static str,
}

/// Why a program is missing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Programs are missing, and this process cannot install them.
    #[error("{programs}: not on the PATH; as root on Debian run `{command}`")]
    Missing {
        /// The commands that are missing.
        programs: String,
        /// The command that installs them.
        command: String,
    },
    /// The lock that keeps processes from installing at the same time.
    #[error("cannot lock {path}: {source}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The command could not be started.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// The command as one would type it.
        command: String,
        /// The system's error.
        source: io::Error,
    },
    /// The command failed.
    #[error("`{command}` failed; it printed:\n{output}")]
    Install {
        /// The command as one would type it.
        command: String,
        /// What it printed.
        output: String,
    },
    /// The packages are installed, but a command is still not found.
    #[error("{programs}: installed, but not on the PATH; add /usr/sbin to it")]
    NotFound {
        /// The commands that are missing.
        programs: String,
    },
}

/// Installs the packages of those programs that are not on the `PATH`, with progress on standard
/// error. Blocks. Processes and threads that call this at the same time take turns.
pub fn ensure(programs: &[Program]) -> Result<(), Error> {
    let can_install = is_root() && Path::new("/etc/debian_version").exists();
    let check = || install_command(&missing(programs), can_install);
    if check()?.is_none() {
        return Ok(());
    }
    let waiting = "another process installs packages; waiting for it";
    let lock = progress::lock(Path::new(LOCK), waiting);
    let _lock = lock.map_err(|source| Error::Lock { path: LOCK.into(), source })?;
    let Some(command) = check()? else { return Ok(()) };
    install(&command, Progress::new(format!("running `{command}`")), PATIENCE)?;
    let missing = missing(programs);
    if missing.is_empty() { Ok(()) } else { Err(Error::NotFound { programs: commands(&missing) }) }
}

/// Whether this process is root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn missing(programs: &[Program]) -> Vec<Program> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |command: &str| env::split_paths(&path).any(|dir| dir.join(command).is_file());
    programs.iter().copied().filter(|program| !is_there(program.command)).collect()
}

fn commands(programs: &[Program]) -> String {
    programs.iter().map(|program| program.command).collect::<Vec<_>>().join(", ")
}

/// The command that installs what is missing, or `None` if nothing is.
fn install_command(missing: &[Program], can_install: bool) -> Result<Option<String>, Error> {
    if missing.is_empty() {
        return Ok(None);
    }
    let mut packages = missing.iter().map(|program| program.package).collect::<Vec<_>>();
    packages.sort_unstable();
    packages.dedup();
    let packages = packages.join(" ");
    let command =
        format!("apt-get update && apt-get install -y --no-install-recommends {packages}");
    let programs = commands(missing);
    if can_install { Ok(Some(command)) } else { Err(Error::Missing { programs, command }) }
}

/// Runs the command, and retries while another program holds apt's locks. apt itself would wait
/// only for dpkg's lock, not for that of the package lists.
fn install(command: &str, mut progress: Progress, patience: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + patience;
    loop {
        let mut shell = Command::new("sh");
        // apt's messages are parsed, so they must be in English.
        shell.args(["-c", command]).envs([("DEBIAN_FRONTEND", "noninteractive"), ("LC_ALL", "C")]);
        let (status, output) = progress
            .run(shell)
            .map_err(|source| Error::Start { command: command.to_owned(), source })?;
        if status.success() {
            progress.done();
            return Ok(());
        }
        if !output.contains("Could not get lock") || Instant::now() >= deadline {
            return Err(Error::Install { command: command.to_owned(), output });
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SS: Program = Program { command: "ss", package: "iproute2" };
    const IP: Program = Program { command: "ip", package: "iproute2" };
    const NFT: Program = Program { command: "nft", package: "nftables" };
    const NONE: Program = Program { command: "closehaul-no-such-program", package: "none" };
    const COMMAND: &str =
        "apt-get update && apt-get install -y --no-install-recommends iproute2 nftables";

    /// A command that fails with a message until it has run `times` times.
    fn fails(name: &str, times: u32, says: &str) -> (PathBuf, String) {
        let path = env::temp_dir().join(format!("closehaul-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let runs = path.display();
        let command = format!(
            "echo run >>{runs}; test $(wc -l <{runs}) -gt {times} || {{ echo '{says}' >&2; false; }}"
        );
        (path, command)
    }

    /// Nothing is shown if it ends soon.
    fn unseen() -> Progress {
        Progress::after(Duration::from_secs(3600), String::new())
    }

    fn runs(path: &Path) -> usize {
        let runs = fs::read_to_string(path).unwrap().lines().count();
        fs::remove_file(path).unwrap();
        runs
    }

    #[test]
    fn nothing_is_installed_where_nothing_is_missing() {
        assert_eq!(install_command(&[], false).unwrap(), None);
        assert_eq!(install_command(&[], true).unwrap(), None);
        let sh = Program { command: "sh", package: "dash" };
        assert_eq!(missing(&[sh, NONE]), [NONE]);
    }

    #[test]
    fn root_on_debian_installs_each_package_once() {
        let command = install_command(&[NFT, SS, IP], true).unwrap();
        assert_eq!(command.as_deref(), Some(COMMAND));
    }

    #[test]
    fn without_root_or_debian_the_exact_command_is_named() {
        let error = install_command(&[IP, NFT], false).unwrap_err();
        let wanted = format!("ip, nft: not on the PATH; as root on Debian run `{COMMAND}`");
        assert_eq!(error.to_string(), wanted);
    }

    #[test]
    fn apts_locks_are_waited_for() {
        let (path, command) =
            fails("locked", 1, "E: Could not get lock /var/lib/dpkg/lock-frontend");
        install(&command, unseen(), Duration::from_secs(60)).unwrap();
        assert_eq!(runs(&path), 2);
    }

    #[test]
    fn apts_locks_are_not_waited_for_indefinitely() {
        let (path, command) = fails("stuck", 2, "E: Could not get lock /var/lib/apt/lists/lock");
        let error = install(&command, unseen(), Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("lists/lock"), "{error}");
        assert_eq!(runs(&path), 1);
    }

    #[test]
    fn a_failure_shows_what_apt_printed() {
        let (path, command) = fails("failed", 2, "E: Unable to locate package none");
        let error = install(&command, unseen(), Duration::from_secs(60)).unwrap_err();
        assert!(error.to_string().contains("Unable to locate package none"), "{error}");
        assert!(error.to_string().contains(&command), "{error}");
        assert_eq!(runs(&path), 1);
    }
}
