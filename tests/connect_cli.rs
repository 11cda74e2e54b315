//! How closehaul finds and reaches a cluster, run as a user runs it: kubeconfigs, proxies, TLS and
//! credentials, on local servers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails")]

#[path = "connect_cli/credentials.rs"]
mod credentials;
#[path = "connect_cli/folder.rs"]
mod folder;
#[path = "connect_cli/kubeconfigs.rs"]
mod kubeconfigs;
#[path = "connect_cli/options.rs"]
mod options;
#[path = "connect_cli/pages.rs"]
mod pages;
#[path = "connect_cli/proxies.rs"]
mod proxies;
#[path = "connect_cli/run.rs"]
mod run;
#[path = "connect_cli/servers.rs"]
mod servers;
#[path = "connect_cli/tls.rs"]
mod tls;
