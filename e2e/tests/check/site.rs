//! The cluster: two control-plane nodes as kubeadm leaves them, three nodes in zones, and a Service.

use std::{fs, path::PathBuf, sync::Arc};

use e2e::{
    chart::{self, Tools},
    closehaul::{self, Profile},
    cluster::{Actor, Cluster},
    components::Component,
    world::{Kind, Place, World, object},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::command::Checked;

pub const SHOP: &str = "shop";
/// The list that kubeadm writes.
pub const ON: &str = "*,bootstrapsigner,tokencleaner";
/// The same without the built-in controller.
pub const OFF: &str = "*,bootstrapsigner,tokencleaner,-endpointslice-controller";
const KUBE_SYSTEM: &str = "kube-system";
const CONTROL_PLANE: [&str; 2] = ["cp-1", "cp-2"];
const GUARD: &str = "guard";

pub struct Site<'c> {
    pub cluster: &'c Cluster,
    pub world: World,
    binary: PathBuf,
    tools: Arc<Tools>,
}

impl<'c> Site<'c> {
    pub async fn set(cluster: &'c Cluster) -> Self {
        // The chart grants the permissions here.
        for objects in ["clusterrole,clusterrolebinding", "role,rolebinding"] {
            let delete = ["delete", objects, "closehaul", "--namespace=kube-system"];
            cluster.kubectl(&delete).await.unwrap().success().unwrap();
        }
        let tools = tokio::task::spawn_blocking(Tools::ensure).await.unwrap().unwrap();
        let binary = closehaul::build(Profile::Dev).await.unwrap();
        let world = World::new(cluster.client(Actor::Admin).unwrap());
        let site = Self { cluster, world, binary, tools: Arc::new(tools) };
        for node in CONTROL_PLANE {
            let mut node = object::node(node, None);
            node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!("");
            site.world.create(&node).await.unwrap();
        }
        for zone in ["a", "b", "c"] {
            let node = object::node(&format!("w-{zone}"), Some(&format!("zone-{zone}")));
            site.world.create(&node).await.unwrap();
        }
        for name in [SHOP, GUARD] {
            site.world.create(&object::namespace(name)).await.unwrap();
        }
        let mut cart = object::service(SHOP, "cart");
        cart["spec"]["trafficDistribution"] = json!("PreferSameZone");
        site.world.create(&cart).await.unwrap();
        for (number, zone) in (0..).zip(["a", "b", "c"]) {
            let (name, node) = (format!("cart-{number}"), format!("w-{zone}"));
            let pod = object::pod(SHOP, &name, "cart", &node, &object::addresses(number)[..1]);
            site.world.create(&pod).await.unwrap();
        }
        site.managers([ON, ON]).await;
        site.manager_holder("cp-1").await;
        site.kubeadm(ON).await;
        site
    }

    /// Runs the command as an administrator.
    pub async fn run(&self, args: &[&str]) -> Checked {
        let kubeconfig = self.cluster.kubeconfig(Actor::Admin).display().to_string();
        Checked::run(&self.binary, self.cluster, &kubeconfig, args).await
    }

    /// The same, and shows what it printed.
    pub async fn check(&self, what: &str, args: &[&str]) -> Checked {
        let checked = self.run(args).await;
        checked.show(what);
        checked
    }

    /// Runs the command with another kubeconfig.
    pub async fn run_as(&self, kubeconfig: &str, args: &[&str]) -> Checked {
        Checked::run(&self.binary, self.cluster, kubeconfig, args).await
    }

    /// The same, and shows what it printed.
    pub async fn check_as(&self, kubeconfig: &str, what: &str, args: &[&str]) -> Checked {
        let checked = self.run_as(kubeconfig, args).await;
        checked.show(what);
        checked
    }

    /// Runs another command of closehaul, which must succeed.
    pub async fn must_run(&self, kubeconfig: &str, args: &[&str]) -> String {
        let mut command = tokio::process::Command::new(&self.binary);
        let output = command.args(args).args(["--kubeconfig", kubeconfig]).output().await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        format!("{}{stderr}", String::from_utf8_lossy(&output.stdout))
    }

    /// A kubeconfig with a new service account that has no permissions.
    pub async fn account(&self, name: &str) -> String {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"namespace": SHOP, "name": name}});
        self.apply(&account).await;
        let token = ["create", "token", name, "--namespace", SHOP];
        let token = self.cluster.kubectl(&token).await.unwrap().success().unwrap();
        let text = fs::read_to_string(self.cluster.kubeconfig(Actor::Admin)).unwrap();
        let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
        kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
        let file = self.cluster.directory().join(format!("{name}.kubeconfig"));
        fs::write(&file, kubeconfig.to_string()).unwrap();
        file.display().to_string()
    }

    /// A kubeconfig for an address where nothing answers.
    pub fn nowhere(&self) -> String {
        let text = fs::read_to_string(self.cluster.kubeconfig(Actor::Admin)).unwrap();
        let file = self.cluster.directory().join("nowhere.kubeconfig");
        // The port is reserved, and nothing listens there.
        fs::write(&file, text.replace(self.cluster.url(), "https://127.0.0.1:1")).unwrap();
        file.display().to_string()
    }

    pub async fn apply(&self, object: &Value) {
        let file = self.cluster.directory().join("object.json");
        fs::write(&file, object.to_string()).unwrap();
        let file = file.display().to_string();
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", &file];
        self.cluster.kubectl(&apply).await.unwrap().success().unwrap();
    }

    /// The static pods of kube-controller-manager, restarted with these lists.
    pub async fn managers(&self, lists: [&str; 2]) {
        self.delete_managers().await;
        let now = Timestamp::now().round(jiff::Unit::Second).unwrap().to_string();
        for (node, list) in CONTROL_PLANE.iter().zip(lists) {
            let name = format!("kube-controller-manager-{node}");
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": KUBE_SYSTEM, "name": name,
                    "labels": {"component": "kube-controller-manager", "tier": "control-plane"}},
                "spec": {"nodeName": node, "hostNetwork": true, "containers": [{
                    "name": "kube-controller-manager", "image": "none",
                    "command": ["kube-controller-manager", format!("--controllers={list}"), "--leader-elect=true"],
                }]},
                "status": {"phase": "Running", "containerStatuses": [{
                    "name": "kube-controller-manager", "image": "none", "imageID": "none",
                    "ready": true, "restartCount": 0, "state": {"running": {"startedAt": now}},
                }]},
            });
            self.world.create(&pod).await.unwrap();
        }
    }

    pub async fn delete_managers(&self) {
        let label = ["-l", "component=kube-controller-manager", "--grace-period=0", "--force"];
        let delete = ["delete", "pods", "-n", KUBE_SYSTEM];
        self.cluster.kubectl(&[&delete, &label[..]].concat()).await.unwrap().success().unwrap();
    }

    /// Which kube-controller-manager leads.
    pub async fn manager_holder(&self, node: &str) {
        self.lease(KUBE_SYSTEM, "kube-controller-manager", &format!("{node}_0b5f")).await;
    }

    /// A lease that has just been renewed.
    pub async fn lease(&self, namespace: &str, name: &str, holder: &str) {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": now},
        });
        self.apply(&lease).await;
    }

    /// kubeadm's configuration, in the form of 1.31 and newer.
    pub async fn kubeadm(&self, list: &str) {
        let configuration = format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\ncontrollerManager:\n  extraArgs:\n  - name: controllers\n    \
             value: '{list}'\nkind: ClusterConfiguration\n"
        );
        let config = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": KUBE_SYSTEM, "name": "kubeadm-config"},
            "data": {"ClusterConfiguration": configuration},
        });
        self.apply(&config).await;
    }

    /// Sets the zone of a node, or removes it.
    pub async fn label(&self, node: &str, zone: &Value) {
        let labels = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}});
        self.world.patch(&Place::node(node), &labels).await.unwrap();
    }

    /// A webhook for pods that fails closed, where namespaces fulfil these requirements.
    pub async fn guard(&self, requirements: &Value) {
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": GUARD},
            "webhooks": [{
                "name": "pods.guard.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": {"namespace": GUARD, "name": GUARD}},
                "namespaceSelector": {"matchExpressions": requirements},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
            }],
        });
        self.apply(&configuration).await;
    }

    pub async fn unguard(&self) {
        let delete = ["delete", "validatingwebhookconfiguration", GUARD];
        self.cluster.kubectl(&delete).await.unwrap().success().unwrap();
    }

    /// Installs the chart.
    pub async fn install(&self, release: &str, namespace: &str, args: &[&str]) {
        let chart = chart::directory().display().to_string();
        let fixed = ["install", release, &chart, "--namespace", namespace];
        self.helm(&[&fixed, args].concat()).await;
    }

    /// Upgrades the release `closehaul`, and takes back what others have changed in its objects.
    pub async fn upgrade(&self, args: &[&str]) {
        let chart = chart::directory().display().to_string();
        let fixed =
            ["upgrade", "closehaul", &chart, "--namespace", KUBE_SYSTEM, "--force-conflicts"];
        self.helm(&[&fixed, args].concat()).await;
    }

    pub async fn helm(&self, args: &[&str]) {
        let kubeconfig = self.cluster.kubeconfig(Actor::Admin).display().to_string();
        let args = [args, &["--kubeconfig", &kubeconfig]].concat();
        let args = args.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let tools = self.tools.clone();
        let output = tokio::task::spawn_blocking(move || {
            let args = args.iter().map(String::as_str).collect::<Vec<_>>();
            tools.run(Component::Helm, &args).unwrap()
        });
        let output = output.await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What the Deployment's controller and the kubelets would report: all replicas have just become
    /// ready.
    pub async fn report_ready(&self, namespace: &str, name: &str) {
        let get = ["get", "deployment", name, "-n", namespace, "-o", "json"];
        let shown = self.cluster.kubectl(&get).await.unwrap().success().unwrap();
        let deployment: Value = serde_json::from_str(&shown).unwrap();
        let now = Timestamp::now().round(jiff::Unit::Second).unwrap().to_string();
        for node in CONTROL_PLANE {
            let mut pod = deployment["spec"]["template"].clone();
            pod["apiVersion"] = json!("v1");
            pod["kind"] = json!("Pod");
            let pod_name = format!("{name}-{node}");
            pod["metadata"]["name"] = json!(pod_name);
            pod["metadata"]["namespace"] = json!(namespace);
            pod["spec"]["nodeName"] = json!(node);
            pod["status"] = json!({"phase": "Running", "conditions": object::ready(true),
                "containerStatuses": [{"name": "closehaul", "image": "none", "imageID": "none",
                    "ready": true, "restartCount": 0, "state": {"running": {"startedAt": now}}}]});
            let place = Place::new(Kind::Pod, namespace, &pod_name);
            if self.world.get(&place).await.unwrap().is_some() {
                self.world.delete(&place).await.unwrap();
            }
            self.world.create(&pod).await.unwrap();
        }
        let status = json!({"status": {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2}});
        let status = status.to_string();
        let patch = [
            "patch",
            "deployment",
            name,
            "-n",
            namespace,
            "--type=merge",
            "--subresource=status",
            "--patch",
            &status,
        ];
        self.cluster.kubectl(&patch).await.unwrap().success().unwrap();
    }
}
