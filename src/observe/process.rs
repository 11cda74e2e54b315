//! The figures of this process, by the names that every dashboard knows. Only Linux has `/proc`, and
//! only there does the controller run.

use procfs::{WithCurrentSystemInfo, process::LimitValue};
use prometheus::{
    Counter, Gauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Reads `/proc/self` at each scrape.
#[derive(Debug)]
pub(super) struct Process {
    cpu: Counter,
    start: Gauge,
    resident: Gauge,
    virtual_size: Gauge,
    open_files: Gauge,
    max_files: Gauge,
    threads: Gauge,
}

impl Process {
    pub(super) fn new() -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| Gauge::new(format!("process_{name}"), help);
        Ok(Self {
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "CPU time spent, user and system, in seconds.",
            )?,
            start: gauge("start_time_seconds", "When the process began, in Unix time.")?,
            resident: gauge("resident_memory_bytes", "Resident memory.")?,
            virtual_size: gauge("virtual_memory_bytes", "Virtual memory.")?,
            open_files: gauge("open_fds", "Open file descriptors.")?,
            max_files: gauge("max_fds", "How many file descriptors may be open.")?,
            threads: gauge("threads", "Threads.")?,
        })
    }

    /// What cannot be read keeps its last value.
    #[expect(clippy::cast_precision_loss, reason = "ticks, bytes and files are below 2^52")]
    fn read(&self) -> procfs::ProcResult<()> {
        let process = procfs::process::Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let spent = (stat.utime + stat.stime) as f64 / ticks;
        self.cpu.inc_by((spent - self.cpu.get()).max(0.0));
        self.start.set(procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks);
        self.resident.set(stat.rss_bytes().get() as f64);
        self.virtual_size.set(stat.vsize as f64);
        self.threads.set(stat.num_threads as f64);
        self.open_files.set(process.fd_count()? as f64);
        if let LimitValue::Value(max) = process.limits()?.max_open_files.soft_limit {
            self.max_files.set(max as f64);
        }
        Ok(())
    }

    fn all(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu,
            &self.start,
            &self.resident,
            &self.virtual_size,
            &self.open_files,
            &self.max_files,
            &self.threads,
        ]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Where /proc is not mounted, there is nothing to read.
        let _ = self.read();
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
