//! The record of a run's processes, with which the next run finds what a killed run has left.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::kill_process_group;
use serde::{Deserialize, Serialize};

use super::{Error, POLL, Signal, append, group};

/// The file in a run's directory that lists the run's processes, one JSON object per line.
const RECORD: &str = "processes";

/// Adds the process `pid`, which runs `program`, to the record in `directory`.
pub(super) fn write(directory: &Path, pid: u32, program: &Path) -> Result<(), Error> {
    let path = directory.join(RECORD);
    let write = || {
        let started = started(pid).unwrap_or_default();
        let line = Record { pid, started, program: program.canonicalize()? };
        // A single write keeps the lines of two children apart.
        append(&path)?.write_all(format!("{}\n", serde_json::to_string(&line)?).as_bytes())
    };
    write().map_err(|source| Error::File { path: path.clone(), source })
}

/// A line of the record. It identifies a process even if its id was reused.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    pid: u32,
    /// Clock ticks after boot, field 22 of `/proc/PID/stat`.
    started: u64,
    program: PathBuf,
}

impl Record {
    fn runs(&self) -> bool {
        let program = fs::read_link(format!("/proc/{}/exe", self.pid));
        // The file may have been rebuilt or removed meanwhile.
        let same = program.is_ok_and(|path| {
            let path = path.to_string_lossy();
            Path::new(path.strip_suffix(" (deleted)").unwrap_or(&path)) == self.program
        });
        same && started(self.pid) == Some(self.started)
    }
}

/// Kills the processes recorded in `directory` that still run, and returns how many. A process is
/// killed only if its id, start time and program match the record.
///
/// Without a record, there are none.
pub fn end_recorded(directory: &Path) -> Result<usize, Error> {
    let path = directory.join(RECORD);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(Error::File { path, source }),
    };
    // A run that is killed during a write leaves a partial line for a process that has just
    // started.
    let records = text.lines().filter_map(|line| serde_json::from_str::<Record>(line).ok());
    let running = records.filter(Record::runs).collect::<Vec<_>>();
    for record in &running {
        let sent = group(record.pid).map_or(Ok(()), |it| kill_process_group(it, Signal::KILL));
        sent.map_err(|source| Error::Signal {
            name: record.program.display().to_string(),
            source: source.into(),
        })?;
    }
    // A killed process holds its files and ports until the kernel has removed it.
    let deadline = Instant::now() + Duration::from_secs(5);
    while running.iter().any(Record::runs) && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
    Ok(running.len())
}

/// When the process started, in clock ticks after boot; `None` if there is none with that id.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command's name in brackets and may contain spaces and brackets.
    stat[stat.rfind(')')? + 1..].split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::directory, *};
    use crate::process::Command;

    #[test]
    fn only_what_is_still_the_recorded_process_is_ended() {
        let directory = directory("record");
        let process = Command::new("sleeper", "/bin/sleep").arg("60").start(&directory).unwrap();
        let path = directory.join(RECORD);
        let recorded = fs::read_to_string(&path).unwrap();

        let mut other = serde_json::from_str::<Record>(&recorded).unwrap();
        other.started += 1;
        fs::write(&path, serde_json::to_string(&other).unwrap()).unwrap();
        assert_eq!(end_recorded(&directory).unwrap(), 0);
        assert!(process.is_running());

        fs::write(&path, recorded).unwrap();
        assert_eq!(end_recorded(&directory).unwrap(), 1);
        assert!(!process.is_running());
        fs::remove_dir_all(directory).unwrap();
    }
}
