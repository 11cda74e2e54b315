//! The chart as an optional dependency of a parent chart, on a real API server.

use std::{env, fs, path::PathBuf, process::Command};

use e2e::{
    chart::{self, Tools, documents},
    cluster::{Actor, Cluster},
    components::Component,
};

use crate::{server::apply, succeed, text};

const CHART: &str = "
apiVersion: v2
name: platform
version: 1.0.0
dependencies:
  - name: closehaul
    version: '>=0.0.0-0'
    condition: closehaul.enabled
";
const VALUES: &str = "
closehaul:
  enabled: true
  hostNetwork: false
";

/// A parent chart in a directory of its own. Dropping it removes the directory.
struct Parent(PathBuf);

impl Parent {
    fn create() -> Self {
        let directory = env::temp_dir().join(format!("closehaul-parent-{}", std::process::id()));
        fs::create_dir_all(directory.join("charts")).unwrap();
        fs::write(directory.join("Chart.yaml"), CHART).unwrap();
        fs::write(directory.join("values.yaml"), VALUES).unwrap();
        let copied = Command::new("cp")
            .arg("--recursive")
            .arg(chart::directory())
            .arg(directory.join("charts"))
            .status();
        assert!(copied.unwrap().success());
        Self(directory)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_parent_chart_switches_it_on_and_off() {
    let (tools, parent) = (Tools::ensure().unwrap(), Parent::create());
    let render = |values: &str| {
        let args = ["template", "platform", parent.path(), "--set", values];
        let output = tools.run(Component::Helm, &args).unwrap();
        assert!(output.status.success(), "{}", text(&output));
        documents(&String::from_utf8(output.stdout).unwrap()).unwrap()
    };
    let objects = render("global.shared=1");
    let deployment = objects.iter().find(|it| it["kind"] == "Deployment").unwrap();
    assert_eq!(deployment["metadata"]["name"], "platform-closehaul");
    assert_eq!(deployment["spec"]["template"]["spec"]["hostNetwork"], false);
    assert_eq!(render("closehaul.enabled=false").len(), 0);
}

/// Installs the parent chart, switches closehaul off, and uninstalls it.
pub(crate) async fn install(cluster: &Cluster, tools: &Tools) {
    let parent = Parent::create();
    let kubeconfig = cluster.kubeconfig(Actor::Admin).display().to_string();
    let helm = |args: &[&str]| {
        let place = ["--kubeconfig", &kubeconfig, "--namespace", "kube-system"];
        succeed(tools, Component::Helm, &[args, &place].concat())
    };
    let exists = async |name: &str| {
        let get = ["get", name, "--namespace=kube-system", "--ignore-not-found", "--output=name"];
        !cluster.kubectl(&get).await.unwrap().success().unwrap().is_empty()
    };
    helm(&["install", "platform", parent.path()]);
    assert!(exists("deployment/platform-closehaul").await);
    // What `helm test` would run, which no cluster without kubelets can.
    let hooks = helm(&["get", "hooks", "platform"]);
    let hooks = documents(&hooks).unwrap();
    let of_test =
        |hook: &&serde_json::Value| hook["metadata"]["annotations"]["helm.sh/hook"] == "test";
    let tests = hooks.iter().filter(of_test).collect::<Vec<_>>();
    assert_eq!(tests.iter().filter(|it| it["kind"] == "Pod").count(), 1);
    // The Pod comes last; without its account, no Pod is admitted.
    for (number, object) in tests.iter().enumerate() {
        let dry = if number + 1 == tests.len() { &["--dry-run=server"][..] } else { &[] };
        apply(cluster, &object.to_string(), dry).await.unwrap();
    }

    helm(&["upgrade", "platform", parent.path(), "--set", "closehaul.enabled=false"]);
    assert!(!exists("deployment/platform-closehaul").await);
    assert!(exists("crd/localitypolicies.closehaul.io").await, "policies would be lost");
    helm(&["uninstall", "platform"]);
}
