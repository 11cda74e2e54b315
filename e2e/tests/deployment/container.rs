//! A container of the chart's Deployment: its command as the object specifies, in namespaces.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use e2e::{
    cluster::Cluster,
    net::Namespace,
    process::{Command, Process},
};
use serde_json::{Value, json};

const STARTS: Duration = Duration::from_secs(60);

/// A pod of the Deployment, with one container.
pub struct Pod {
    pub name: String,
    /// The network namespace of its node.
    namespace: String,
    /// The pod's object, as the API server has it.
    object: Value,
    /// The directory of the service account.
    account: PathBuf,
    root: PathBuf,
}

impl Pod {
    /// Creates the pod's object from the Deployment's template, and a token for it.
    pub async fn create(
        cluster: &Cluster,
        deployment: &Value,
        node: &str,
        namespace: &str,
    ) -> Self {
        let name = format!("closehaul-{node}");
        let mut object = deployment["spec"]["template"].clone();
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("Pod");
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = deployment["metadata"]["namespace"].clone();
        object["spec"]["nodeName"] = json!(node);
        let file = cluster.directory().join(format!("{name}.json"));
        fs::write(&file, object.to_string()).unwrap();
        let file = file.display().to_string();
        let create = ["create", "-o", "json", "-f", &file];
        let created = cluster.kubectl(&create).await.unwrap().success().unwrap();
        Self::adopt(cluster, serde_json::from_str::<Value>(&created).unwrap(), namespace).await
    }

    /// Takes a pod's object, as a ReplicaSet has created it, and creates a token for it.
    pub async fn adopt(cluster: &Cluster, object: Value, namespace: &str) -> Self {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let account = cluster.directory().join(format!("{name}-account"));
        let root = cluster.directory().join(format!("{name}-root"));
        fs::create_dir_all(&account).unwrap();
        fs::create_dir_all(&root).unwrap();
        let of = |pointer: &str| object.pointer(pointer).unwrap().as_str().unwrap();
        let token = [
            "create",
            "token",
            of("/spec/serviceAccountName"),
            "--namespace",
            of("/metadata/namespace"),
            "--bound-object-kind=Pod",
            "--bound-object-name",
            of("/metadata/name"),
            "--bound-object-uid",
            of("/metadata/uid"),
        ];
        let token = cluster.kubectl(&token).await.unwrap().success().unwrap();
        fs::write(account.join("token"), token.trim()).unwrap();
        fs::write(account.join("namespace"), of("/metadata/namespace")).unwrap();
        fs::copy(cluster.ca(), account.join("ca.crt")).unwrap();
        let namespace = namespace.to_owned();
        Self { name, namespace, object, account, root }
    }

    /// The node that it is bound to.
    pub fn node(&self) -> &str {
        self.object["spec"]["nodeName"].as_str().unwrap()
    }

    fn container(&self) -> &Value {
        &self.object["spec"]["containers"][0]
    }

    /// Starts its container, as the kubelet would.
    pub fn start(&self, cluster: &Cluster, binary: &Path) -> Process {
        // The object must specify what the script does.
        let context = &self.container()["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(self.object["spec"]["hostNetwork"], true);
        let user = self.object["spec"]["securityContext"]["runAsUser"].to_string();
        let group = self.object["spec"]["securityContext"]["runAsGroup"].to_string();

        let url = cluster.url().parse::<http::Uri>().unwrap();
        let mut variables = vec![
            ("KUBERNETES_SERVICE_HOST", url.host().unwrap().to_owned()),
            ("KUBERNETES_SERVICE_PORT", url.port_u16().unwrap().to_string()),
        ];
        for variable in self.container()["env"].as_array().into_iter().flatten() {
            let of = |key: &str| variable[key].as_str().unwrap();
            variables.push((of("name"), of("value").to_owned()));
        }
        let variables = variables.iter().map(|(name, value)| format!("{name}={value}"));
        let args = self.container()["args"].as_array().unwrap();
        let args = args.iter().map(|arg| arg.as_str().unwrap().to_owned());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deployment/container.sh");
        let enter = Namespace::enter(&self.namespace).map(str::to_owned);
        let mount = ["unshare", "--mount", "--propagation=private"].map(str::to_owned);
        let directory = |path: &Path| path.display().to_string();
        Command::new(&self.name, "/bin/sh")
            .prefix(enter.into_iter().chain(mount))
            .arg(script)
            .args([directory(&self.root), directory(binary), directory(&self.account), user, group])
            .args(variables)
            .arg("/closehaul")
            .args(args)
            .start(cluster.directory())
            .unwrap()
    }

    /// The result of the kubelet's probe with this name.
    pub fn probe(&self, name: &str) -> Result<String, String> {
        let get = &self.container()[name]["httpGet"];
        let of = |key: &str| get[key].as_str().unwrap();
        self.get(of("host"), of("port"), of("path"))
    }

    /// The answer of an HTTP server on the pod's node. `port` is the name of one of the container's
    /// ports.
    pub fn get(&self, host: &str, port: &str, path: &str) -> Result<String, String> {
        let ports = self.container()["ports"].as_array().unwrap();
        let port = ports.iter().find(|it| it["name"] == port).unwrap()["containerPort"].to_string();
        let request =
            format!("GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n");
        let script = format!("exec 3<>/dev/tcp/{host}/{port} && printf '{request}' >&3 && cat <&3");
        let answer = self.run(&["timeout", "5", "bash", "-c", &script]);
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer")?;
        let is_well = head.starts_with("HTTP/1.1 200 ");
        if is_well { Ok(body.to_owned()) } else { Err(format!("{head}\n{body}")) }
    }

    /// Runs a command on the pod's node.
    pub fn run(&self, words: &[&str]) -> Output {
        let enter = Namespace::enter(&self.namespace);
        let words = [&enter[..], words].concat();
        std::process::Command::new(words[0]).args(&words[1..]).output().unwrap()
    }

    /// Waits until its readiness probe succeeds.
    pub async fn ready(&self, process: &Process) {
        process.ready(STARTS, async || self.probe("readinessProbe").map(drop)).await.unwrap();
    }
}
