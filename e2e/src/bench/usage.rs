//! What a process has used, as the kernel counts it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::Error;

/// The kernel's unit of CPU time in `/proc`, on every architecture that Kubernetes runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// A controller rests when it has used at most this many ticks in [`REST`]: 1.5 % of a CPU, what a
/// runtime does by itself.
pub(super) const RESTING: u64 = 3;
/// The same for an API server, which always has some work to do by itself.
pub(super) const RESTING_SERVER: u64 = 40;
/// How long a process is observed.
const REST: Duration = Duration::from_secs(2);

/// What a process has used since its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// Ticks of CPU, in user mode and in the kernel.
    ticks: u64,
    /// Resident memory now, in bytes (`VmRSS`).
    pub(super) resident: u64,
    /// The peak of resident memory, in bytes (`VmHWM`).
    pub(super) peak: u64,
}

impl Usage {
    /// CPU time in seconds.
    #[allow(clippy::cast_precision_loss, reason = "2^53 ticks are millions of years")]
    pub(super) fn cpu(self) -> f64 {
        self.ticks as f64 / TICKS_PER_SECOND
    }

    /// The usage of a process.
    pub(super) fn of(pid: u32) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = file(pid, name);
            fs::read_to_string(&path).map_err(|source| Error::File { path, source })
        };
        Ok(Self::parse(&read("stat")?, &read("status")?))
    }

    fn parse(stat: &str, status: &str) -> Self {
        // The second field is the command's name in brackets and may contain spaces and brackets.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // `utime` and `stime`, fields 14 and 15. The first field after the name is field 3.
        let ticks = fields.split_whitespace().skip(11).take(2);
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            kibibytes.unwrap_or(0_u64) * 1024
        };
        Self {
            ticks: ticks.filter_map(|it| it.parse::<u64>().ok()).sum(),
            resident: bytes("VmRSS"),
            peak: bytes("VmHWM"),
        }
    }
}

fn file(pid: u32, name: &str) -> PathBuf {
    format!("/proc/{pid}/{name}").into()
}

/// Forgets the peak of a process: from now on it is that of what follows
/// (`proc_pid_clear_refs(5)`).
pub(super) fn forget_peak(pid: u32) -> Result<(), Error> {
    let path = file(pid, "clear_refs");
    fs::write(&path, "5").map_err(|source| Error::File { path, source })
}

/// Waits until the process called `name` is idle, which means at most `resting` ticks in two
/// seconds. Returns what it has used.
///
/// # Errors
///
/// [`Error::Busy`] after `limit`.
pub(super) async fn at_rest(
    pid: u32,
    name: &str,
    resting: u64,
    limit: Duration,
) -> Result<Usage, Error> {
    let started = Instant::now();
    let mut last = Usage::of(pid)?;
    while started.elapsed() < limit {
        tokio::time::sleep(REST).await;
        let now = Usage::of(pid)?;
        if now.ticks - last.ticks <= resting {
            return Ok(now);
        }
        last = now;
    }
    Err(Error::Busy { name: name.to_owned(), limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_an_odd_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 4 0 99 1000 200";
        let status = "Name:\ta ) b\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let usage = Usage::parse(stat, status);
        assert!((usage.cpu() - 1.75).abs() < 1e-9);
        assert_eq!((usage.resident, usage.peak), (1 << 20, 2 << 20));
    }

    #[test]
    fn a_process_uses_memory() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.peak >= usage.resident && usage.resident > 100_000);
    }
}
