//! The real helm against the cluster.

use std::sync::Arc;

use e2e::{
    chart::{self, Tools},
    cluster::{Actor, Cluster},
    components::Component,
};

/// helm, as an administrator runs it in kube-system.
pub struct Helm {
    tools: Arc<Tools>,
    kubeconfig: String,
}

impl Helm {
    /// Removes the permissions that the harness grants to closehaul, so that the chart grants them.
    pub async fn new(cluster: &Cluster) -> Self {
        for objects in ["clusterrole,clusterrolebinding", "role,rolebinding"] {
            let delete = ["delete", objects, "closehaul", "--namespace=kube-system"];
            cluster.kubectl(&delete).await.unwrap().success().unwrap();
        }
        let tools = tokio::task::spawn_blocking(Tools::ensure).await.unwrap().unwrap();
        let kubeconfig = cluster.kubeconfig(Actor::Admin).display().to_string();
        Self { tools: Arc::new(tools), kubeconfig }
    }

    /// Installs the chart. There is nothing in the cluster that would start its pods.
    pub async fn install(&self, args: &[&str]) {
        let chart = chart::directory().display().to_string();
        self.run(&[&["install", "closehaul", &chart], args].concat()).await;
    }

    /// Runs helm, which must succeed; returns what it printed.
    pub async fn run(&self, args: &[&str]) -> String {
        let place = ["--kubeconfig", &self.kubeconfig, "--namespace", "kube-system"];
        let args = [args, &place].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
        let tools = self.tools.clone();
        let output = tokio::task::spawn_blocking(move || {
            let args = args.iter().map(String::as_str).collect::<Vec<_>>();
            tools.run(Component::Helm, &args).unwrap()
        });
        let output = output.await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
