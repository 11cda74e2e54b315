//! A child process with a log file that never outlives its run.
//!
//! Each child leads its own process group and is recorded in the run's directory. Dropping a
//! [`Process`] kills it. When the next run finds the directory of a killed run, [`end_recorded`]
//! ends the processes that are left. (The kernel's parent-death signal would need `unsafe`.)

mod record;

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process_group};

pub use self::record::end_recorded;

/// How often a process that must end is checked.
const POLL: Duration = Duration::from_millis(20);

/// Lines of the log that an error shows.
const TAIL: usize = 20;

/// What can go wrong with a child process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("cannot start {program} ({name}): {source}")]
    Start {
        /// The process's name in this run.
        name: String,
        /// The program to run.
        program: String,
        /// Why it could not be started.
        source: io::Error,
    },
    /// The log or the record of the run's processes could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The process ended although it was still needed.
    #[error("{name} ended early ({status}); the end of {}:\n{tail}", log.display())]
    Ended {
        /// The process's name in this run.
        name: String,
        /// How it ended.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The process runs, but it did not become ready.
    #[error("{name} was not ready after {seconds} s ({last}); the end of {}:\n{tail}", log.display())]
    NotReady {
        /// The process's name in this run.
        name: String,
        /// How long it was given.
        seconds: u64,
        /// The result of the last attempt to reach it.
        last: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A signal could not be sent.
    #[error("cannot signal {name}: {source}")]
    Signal {
        /// The process's name in this run.
        name: String,
        /// The system's error.
        source: io::Error,
    },
}

/// A process to start: program, arguments, environment, and the words before the program.
#[derive(Debug, Clone)]
pub struct Command {
    name: String,
    program: PathBuf,
    prefix: Vec<String>,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
}

impl Command {
    /// The program at `program`, called `name` in this run. Its log is `NAME.log`.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        let (name, program) = (name.into(), program.into());
        Self { name, program, prefix: Vec::new(), args: Vec::new(), env: Vec::new() }
    }

    /// Gives it another name. Two processes with the same name would share a log.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The words before the program, such as `["ip", "netns", "exec", "x"]`.
    ///
    /// The last program among them must `exec` ours, as `ip netns exec` does. If it forked, signals
    /// would reach it instead of our program.
    #[must_use]
    pub fn prefix(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.prefix = words.into_iter().map(Into::into).collect();
        self
    }

    /// Starts it and records it in `directory`. Its output is appended to `directory/NAME.log`, so
    /// a restart keeps the earlier lines.
    pub fn start(&self, directory: &Path) -> Result<Process, Error> {
        let log = directory.join(format!("{}.log", self.name));
        let file = |path: &Path, source| Error::File { path: path.to_owned(), source };
        let output = append(&log).map_err(|source| file(&log, source))?;
        let errors = output.try_clone().map_err(|source| file(&log, source))?;

        let mut words = self.prefix.iter().map(OsString::from).collect::<Vec<_>>();
        words.push(self.program.clone().into_os_string());
        let mut command = std::process::Command::new(&words[0]);
        command.args(&words[1..]).args(&self.args).envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = command.spawn().map_err(|source| Error::Start {
            name: self.name.clone(),
            program: words[0].display().to_string(),
            source,
        })?;

        let process = Process { name: self.name.clone(), log, child: Mutex::new(child) };
        record::write(directory, process.pid(), &self.program)?;
        Ok(process)
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// A running child. Dropping it kills its process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Process {
    /// Its name in this run.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, which is also the id of its process group.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// The file with its output.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last lines of its output.
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        tail(&String::from_utf8_lossy(&bytes), TAIL)
    }

    /// Whether it still runs. A stopped process counts as running.
    pub fn is_running(&self) -> bool {
        self.exit_status().is_none()
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// Sends `signal` to its process group: `KILL`, `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        let child = self.child();
        let sent = group(child.id()).map_or(Ok(()), |group| kill_process_group(group, signal));
        sent.map_err(|source| Error::Signal { name: self.name.clone(), source: source.into() })
    }

    /// Waits until it ends by itself, for at most `limit`. Returns `None` if it still runs then.
    pub async fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.exit_status();
            if status.is_some() || Instant::now() >= deadline {
                return status;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Asks it to end (SIGTERM) and kills it after `limit`. Returns how it ended, or `None` if it
    /// had to be killed.
    pub async fn stop(self, limit: Duration) -> Result<Option<ExitStatus>, Error> {
        if self.is_running() {
            self.signal(Signal::TERM)?;
            // A stopped process gets the signal only when it continues.
            self.signal(Signal::CONT)?;
        }
        Ok(self.wait(limit).await)
    }

    /// An error with the end of the log if it has ended, for a caller that still needs it.
    pub fn must_run(&self) -> Result<(), Error> {
        match self.exit_status() {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                name: self.name.clone(),
                status: status.to_string(),
                log: self.log.clone(),
                tail: self.log_tail(),
            }),
        }
    }

    /// Waits until `attempt` succeeds, for at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] as soon as the process has ended, [`Error::NotReady`] with the attempt's
    /// last answer after `limit`.
    pub async fn ready<E: ToString>(
        &self,
        limit: Duration,
        mut attempt: impl AsyncFnMut() -> Result<(), E>,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let mut last = "no answer".to_owned();
        while started.elapsed() < limit {
            self.must_run()?;
            // An attempt that hangs must not hide that the process has died.
            match tokio::time::timeout(Duration::from_secs(2), attempt()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => "no answer within 2 s".clone_into(&mut last),
            }
            tokio::time::sleep(POLL).await;
        }
        Err(Error::NotReady {
            name: self.name.clone(),
            seconds: limit.as_secs(),
            last,
            log: self.log.clone(),
            tail: self.log_tail(),
        })
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_running() {
            return;
        }
        // A failure cannot be reported here. The record in the run's directory remains.
        if self.signal(Signal::KILL).is_ok() {
            let _ = self.child().wait();
        }
    }
}

/// The last `lines` lines of `text`.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all = text.lines().collect::<Vec<_>>();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn group(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new directory below the system's temporary one, for one test.
    pub(super) fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("e2e-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[tokio::test]
    async fn output_goes_to_the_log_and_an_early_end_shows_it() {
        let directory = directory("log");
        let process = Command::new("sad", "/bin/sh")
            .args(["-c", "echo no socket >&2; exit 3"])
            .start(&directory)
            .unwrap();
        let limit = Duration::from_secs(10);
        let error = process.ready(limit, async || Err::<(), _>("refused")).await.unwrap_err();
        let message = error.to_string();
        assert!(message.contains("exit status: 3") && message.contains("no socket"), "{message}");
        fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn stop_ends_a_stopped_process_and_kills_a_deaf_one() {
        let directory = directory("stop");
        let sleeper = Command::new("sleeper", "/bin/sleep").arg("60").start(&directory).unwrap();
        sleeper.signal(Signal::STOP).unwrap();
        assert!(sleeper.is_running());
        assert!(sleeper.stop(Duration::from_secs(10)).await.unwrap().is_some());

        let deaf = Command::new("deaf", "/bin/sh")
            .args(["-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"])
            .start(&directory)
            .unwrap();
        let pid = deaf.pid();
        let heard = async || deaf.log_tail().contains("deaf").then_some(()).ok_or("not yet");
        deaf.ready(Duration::from_secs(10), heard).await.unwrap();
        assert!(deaf.stop(Duration::from_millis(200)).await.unwrap().is_none());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        fs::remove_dir_all(directory).unwrap();
    }
}
