//! The custom resource definitions on a real API server: it accepts and rejects what closehaul reads
//! and rejects in files, stores the status, and lets people do what their roles say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod agreement;
mod objects;
mod rules;
mod tenants;
mod texts;

use std::{fs, time::Duration};

use e2e::{
    closehaul::{self, Profile},
    cluster::{Cluster, Options},
};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// A cluster with the definitions, installed as docs/policies.md says.
async fn cluster(options: Options) -> Cluster {
    let cluster = Cluster::start(options).await.unwrap();
    let binary = closehaul::build(Profile::Dev).await.unwrap();
    let output = tokio::process::Command::new(binary).arg("crds").output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let file = cluster.directory().join("crds.yaml");
    fs::write(&file, output.stdout).unwrap();
    let file = file.display().to_string();
    let applied = cluster.kubectl(&["apply", "-f", &file]).await.unwrap();
    assert_eq!(applied.stderr, "", "a warning");
    assert_eq!(applied.success().unwrap().lines().count(), 3);
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", "-f", &file];
    cluster.kubectl(&wait).await.unwrap().success().unwrap();
    cluster
}
