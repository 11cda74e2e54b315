//! closehaul against the real thing: components built from Go modules, a control plane of them,
//! and what the end-to-end tests, the comparisons and the walkthrough share.
//!
//! - [`components`]: builds etcd, the Kubernetes components and kubectl, and keeps the binaries
//! - [`process`]: a child process with a log file that never outlives its run
//! - [`cluster`]: a control plane on this machine, with one identity per actor
//! - [`closehaul`]: builds and starts the `closehaul` command
//! - [`chart`]: the chart, and the tools that render and check it
//! - [`machine`]: what is run and not built here, and what tests require of the machine
//! - [`packages`]: Debian packages that a bare machine lacks
//! - [`net`]: network namespaces for nodes and pods
//! - [`kubelet`]: a stand-in for the kubelets: pods with a server that names itself
//! - [`proxy`]: kube-proxy, one per node
//! - [`scrape`]: what processes measure, and whether they report that they are healthy
//! - [`site`]: a cluster in namespaces with all of these, for the walkthrough and the readers
//! - [`shares`]: clients in every zone, who answers them, and whether that is as predicted
//! - [`walkthrough`]: the published walkthrough of trafficDistribution, and one of policies
//! - [`bench`]: what closehaul costs compared with the built-in controller, and how late slices are
//! - [`versions`]: the walkthrough on older versions of Kubernetes, and what is specific to them
//! - [`readers`]: real kube-proxies and what their clients reach
//! - [`world`]: what tests put into a cluster, and how slices are compared
//! - [`differential`]: random histories on two control planes, ours and the built-in controller's
//! - [`hostile`]: the most expensive Services that the API server accepts
//! - [`restore`]: etcd restored from a backup, and watches that fall silent
//! - [`faulty`]: a faulty proxy in front of the API server, and a recorder of what happens there
//! - [`interrupt`]: what a command does that is asked to stop
//! - [`promtool`]: Prometheus' own checker of metrics and alerts
//! - `during`: shows progress while something asynchronous runs
//! - `progress`: what a long step shows on standard error

pub mod bench;
pub mod chart;
pub mod closehaul;
pub mod cluster;
pub mod components;
pub mod differential;
mod during;
pub mod faulty;
pub mod hostile;
pub mod interrupt;
pub mod kubelet;
pub mod machine;
pub mod net;
pub mod packages;
pub mod process;
mod progress;
pub mod promtool;
pub mod proxy;
pub mod readers;
pub mod restore;
pub mod scrape;
pub mod shares;
pub mod site;
pub mod versions;
pub mod walkthrough;
pub mod world;
