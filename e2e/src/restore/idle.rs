//! A cluster in which nothing happens: the rules for silent watches and lost histories must not
//! cost it anything.

use std::{fs, path::Path, time::Duration};

use super::Error;
use crate::{
    closehaul::{self, Ports},
    cluster::{Actor, Cluster, Options},
    progress::Progress,
    world::{Canary, World},
};

/// Makes the API server log each request with its URI and its client.
const LOG_REQUESTS: &str = "-v=3";

/// What happened in an idle cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Idle {
    /// Lists that closehaul requested after those of its start, streamed ones and probes included.
    pub lists: usize,
    /// Watches that it requested.
    pub watches: usize,
    /// Signs that the history went back.
    pub rewinds: f64,
    /// Lists and watches that failed.
    pub failures: f64,
}

/// Starts closehaul with a lease and lets `time` pass.
pub async fn idle(binary: &Path, time: Duration) -> Result<Idle, Error> {
    let extra_apiserver_args = vec![LOG_REQUESTS.to_owned()];
    let cluster = Cluster::start(Options { extra_apiserver_args, ..Options::default() }).await?;
    let world = World::new(cluster.client(Actor::Admin)?);
    let mut canary = Canary::create(&world).await?;
    let ports = Ports::free()?;
    let args = ports.args();
    let kubeconfig = cluster.kubeconfig(Actor::Closehaul);
    let command = closehaul::command(binary, &kubeconfig, &args.each_ref().map(String::as_str));
    let process = command.start(cluster.directory())?;
    canary.follow(&world).await?;
    let requests =
        || Ok::<_, Error>(requests(&fs::read_to_string(cluster.apiserver().log_path())?));
    let before = requests()?;
    let mut progress = Progress::new(format!("an idle cluster, {} s", time.as_secs()));
    let end = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(1)).await;
        progress.tick();
    }
    progress.done();
    let after = requests()?;
    let metrics = ports.metrics().await?;
    let sum = |name: &str| {
        let series = metrics.series.iter().filter(|(series, _)| series.starts_with(name));
        series.fold(0.0, |sum, (_, value)| sum + value)
    };
    process.must_run()?;
    drop(process);
    cluster.stop().await?;
    Ok(Idle {
        lists: after.0 - before.0,
        watches: after.1 - before.1,
        rewinds: sum("closehaul_history_rewinds_total"),
        failures: sum("closehaul_watch_restarts_total"),
    })
}

/// How many lists, streamed or not, and how many other watches of closehaul a log of the API server
/// shows.
fn requests(log: &str) -> (usize, usize) {
    let ours = log.lines().filter(|line| line.contains("userAgent=\"closehaul/"));
    let (lists, others): (Vec<_>, Vec<_>) = ours.partition(|line| {
        line.contains("verb=\"LIST\"") || line.contains("sendInitialEvents=true")
    });
    (lists.len(), others.into_iter().filter(|line| line.contains("verb=\"WATCH\"")).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streamed_lists_and_probes_are_lists() {
        let line = |verb: &str, uri: &str, agent: &str| {
            format!(
                "I1 httplog.go:134] \"HTTP\" verb=\"{verb}\" URI=\"{uri}\" userAgent=\"{agent}/1\"\n"
            )
        };
        let log = [
            line("LIST", "/api/v1/pods?limit=1", "closehaul"),
            line("WATCH", "/api/v1/pods?watch=true&sendInitialEvents=true", "closehaul"),
            line("WATCH", "/api/v1/pods?watch=true&resourceVersion=7", "closehaul"),
            line("PUT", "/apis/coordination.k8s.io/v1/namespaces/x/leases/y", "closehaul"),
            line("LIST", "/api/v1/pods", "kubectl"),
        ];
        assert_eq!(requests(&log.concat()), (2, 1));
    }
}
