//! The published Kubernetes 1.34 walkthrough of `trafficDistribution`, on real components.
//!
//! Six [`steps`], each done as a user does it: kubectl commands, then requests from a pod, counted
//! by who answers. As root, the requests go through real kube-proxies in network namespaces.
//! Without root, the same cluster runs on loopback, and a model of kube-proxy picks the answers.
//!
//! With [`Options::policies`], the steps are those of [`policies`].

pub(crate) mod console;
mod endpoints;
mod model;
mod options;
mod policies;
mod report;
mod site;
mod steps;
mod traffic;
mod walk;

use console::Console;
use site::Site;
use std::{path::Path, time::Instant};

pub use crate::site::Error;
use crate::{during::during, interrupt::interrupted};
pub use options::{Controller, Options};
pub use report::{Report, Row};

/// Runs the walkthrough, prints what happens and says how it went. `server` is the binary with
/// [`crate::kubelet::Command`]. Everything that was started and created is gone afterwards, also
/// after an error or Ctrl-C.
///
/// With [`Options::keep`], it waits for Ctrl-C before it cleans up.
pub async fn run(options: Options, server: &Path) -> Result<Report, Error> {
    let console = Console::new();
    let interrupted = interrupted().map_err(Error::Signal)?;
    tokio::pin!(interrupted);

    let started = Instant::now();
    let mut site = tokio::select! {
        site = Site::start(options, server, console) => site?,
        () = &mut interrupted => return Err(Error::Interrupted),
    };
    let walked = tokio::select! {
        walked = walk(&mut site, options.policies) => walked,
        () = &mut interrupted => Err(Error::Interrupted),
    };
    let modelled = !site.has_network;
    let column = Script::of(options).column;
    let elapsed = started.elapsed();
    let report = walked.map(|(rows, left)| Report { rows, column, left, modelled, elapsed });
    if let Ok(report) = &report {
        report.print(console);
        if options.keep {
            site.invite().await?;
            interrupted.await;
        }
    }
    console.note("stopping everything and removing what was made");
    let stopped = during("stopping", Box::pin(site.stop())).await;
    let report = report?;
    stopped.map(|()| report)
}

/// What differs between the walkthroughs, apart from their steps.
#[derive(Debug)]
struct Script {
    /// The initial nodes. One without a zone has the control plane's taint.
    nodes: &'static [(&'static str, Option<&'static str>)],
    /// The pod of a client, to play with.
    client: &'static str,
    /// The Service that it sends requests to.
    service: &'static str,
    /// The header of what the summary says about answers.
    column: &'static str,
}

impl Script {
    fn of(options: Options) -> &'static Self {
        if options.policies { &policies::SCRIPT } else { &steps::SCRIPT }
    }
}

async fn walk(site: &mut Site, policies: bool) -> Result<(Vec<Row>, Vec<String>), Error> {
    if policies {
        return policies::walk(site).await;
    }
    let (mut rows, mut traffic) = (Vec::new(), None);
    for (number, step) in (1..).zip(&steps::STEPS) {
        rows.push(walk::step(site, &mut traffic, number, step).await?);
    }
    Ok((rows, walk::rehearse(site, walk::REHEARSE).await?))
}
