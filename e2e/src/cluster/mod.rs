//! A control plane on this machine: real etcd, kube-apiserver and, as chosen,
//! kube-controller-manager and kube-scheduler.
//!
//! All files of a run are in one directory in the system's temporary directory (etcd's data in
//! `/dev/shm` if it exists), which is removed with the run. The next [`Cluster::start`] removes the
//! processes and directories of killed runs.

mod actor;
mod audit;
mod certificates;
mod controllers;
mod directory;
mod error;
mod server;
mod snapshot;
mod tools;

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use kube::Client;

pub(crate) use self::server::free_port;
pub use self::{
    actor::Actor,
    audit::AuditEvent,
    controllers::ControllerManager,
    error::Error,
    snapshot::Snapshot,
    tools::{Output, StoredSlices},
};
use self::{actor::Tokens, certificates::Certificates, directory::Directory, server::Server};
use crate::{
    components::{self, Component, Components, Kubernetes},
    process::{Command, Process},
};

/// API server arguments that lift its limits, for load runs.
pub const UNLIMITED: [&str; 3] = [
    "--enable-priority-and-fairness=false",
    "--max-requests-inflight=0",
    "--max-mutating-requests-inflight=0",
];

/// etcd's directory, in that of a run or of a snapshot.
const ETCD: &str = "etcd";

/// How a cluster is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The version of kube-apiserver and kubectl, and of the controllers that are started later.
    pub kubernetes: Kubernetes,
    /// The address on which the API server listens. It is that of the bridge if kube-proxies in
    /// network namespaces must reach it.
    pub bind: IpAddr,
    /// The ranges of Service addresses, at most one of each family. The first one has the cluster's
    /// primary family.
    pub service_cidrs: Vec<String>,
    /// Whether writes are logged for [`Cluster::audit`].
    pub audit: bool,
    /// Further arguments of kube-apiserver, such as feature gates or [`UNLIMITED`].
    pub extra_apiserver_args: Vec<String>,
    /// Further arguments of etcd.
    pub extra_etcd_args: Vec<String>,
    /// The state to start from, see [`Snapshot::path`]. Without one, the store is empty.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kubernetes: Kubernetes::default(),
            bind: Ipv4Addr::LOCALHOST.into(),
            service_cidrs: vec!["10.96.0.0/16".to_owned()],
            audit: false,
            extra_apiserver_args: Vec::new(),
            extra_etcd_args: Vec::new(),
            state: None,
        }
    }
}

/// A running control plane. Dropping it kills its processes and removes its files.
/// [`Cluster::stop`] does the same gracefully.
#[derive(Debug)]
pub struct Cluster {
    // Dropped from top to bottom: first clients, then servers, then the files.
    apiserver: Server,
    etcd: Server,
    kubernetes: Kubernetes,
    components: Components,
    certificates: Certificates,
    tokens: Tokens,
    audit_log: Option<PathBuf>,
    data: Directory,
    directory: Directory,
}

impl Cluster {
    /// Starts etcd and kube-apiserver and gives the actors their permissions. Takes about 5 seconds
    /// when the components are built, else some minutes with progress on standard error.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let kubernetes = options.kubernetes;
        let components = ensure(
            kubernetes,
            &[Component::Etcd, Component::Etcdctl, Component::KubeApiserver, Component::Kubectl],
        )
        .await?;
        let name = directory::new_name();
        let directory = Directory::create(&env::temp_dir(), &name)?;
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory } else { directory.path() };
        let data = Directory::create(base, &name)?;

        let local = IpAddr::from(Ipv4Addr::LOCALHOST);
        let certificates = Certificates::create(directory.path(), &[options.bind, local])?;
        let tokens = Tokens::create(directory.path(), &certificates.ca)?;

        if let Some(state) = &options.state {
            snapshot::copy(state, &data.path().join(ETCD)).await?;
        }
        let etcd = etcd(&options, &components, data.path())?;
        let etcd = Server::start(etcd, directory.path(), &certificates.ca, "/health").await?;

        let audit_log = options.audit.then(|| directory.path().join("audit.log"));
        let command = apiserver(&options, &components, &certificates, &tokens, &etcd.url)?;
        let command = with_audit(command, directory.path(), audit_log.as_deref())?;
        let apiserver =
            Server::start(command, directory.path(), &certificates.ca, "/readyz").await?;
        for actor in Actor::ALL {
            tokens.write_kubeconfig(actor, &apiserver.url, &tokens.kubeconfig(actor))?;
        }

        let cluster = Self {
            apiserver,
            etcd,
            kubernetes,
            components,
            certificates,
            tokens,
            audit_log,
            data,
            directory,
        };
        cluster.grant_rights(options.state.is_none()).await?;
        Ok(cluster)
    }

    /// The API server's URL.
    pub fn url(&self) -> &str {
        &self.apiserver.url
    }

    /// The URL of etcd's client port, without TLS. It also serves the JSON gateway.
    pub fn etcd_url(&self) -> &str {
        &self.etcd.url
    }

    /// The run's directory, with the logs and files of the run's other parts. It is removed with
    /// the run, and processes started with it are ended with the run.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file of the certificate authority that signed the API server's certificate.
    pub fn ca(&self) -> &Path {
        &self.certificates.ca
    }

    /// The actor's kubeconfig.
    pub fn kubeconfig(&self, actor: Actor) -> PathBuf {
        self.tokens.kubeconfig(actor)
    }

    /// A kubeconfig of the actor for another URL, such as that of a proxy in front of the API
    /// server. The server's certificate is also valid for 127.0.0.1 and `localhost`. `name` is the
    /// name of the file.
    pub fn kubeconfig_at(&self, actor: Actor, url: &str, name: &str) -> Result<PathBuf, Error> {
        let path = self.directory().join(name);
        self.tokens.write_kubeconfig(actor, url, &path)?;
        Ok(path)
    }

    /// A client of the API server with the actor's permissions. Needs a tokio runtime around it.
    pub fn client(&self, actor: Actor) -> Result<Client, Error> {
        let token = self.tokens.token(actor);
        server::client(&self.apiserver.url, &self.certificates.ca, Some(token))
    }

    /// kube-apiserver, for signals and its log.
    pub fn apiserver(&self) -> &Process {
        &self.apiserver.process
    }

    /// etcd, for signals and its log.
    pub fn etcd(&self) -> &Process {
        &self.etcd.process
    }

    /// Kills kube-apiserver, if it runs, and starts it again on the same address.
    pub async fn restart_apiserver(&mut self) -> Result<(), Error> {
        self.apiserver.restart(self.directory.path()).await
    }

    /// The same with further arguments, now and at later restarts.
    pub async fn restart_apiserver_with(&mut self, args: &[&str]) -> Result<(), Error> {
        self.apiserver.add(args);
        self.restart_apiserver().await
    }

    /// Kills etcd, if it runs, and starts it again on the same address and data.
    pub async fn restart_etcd(&mut self) -> Result<(), Error> {
        self.etcd.restart(self.directory.path()).await
    }

    /// The writes that the API server has answered so far, oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::NoAudit`] unless the cluster was started with [`Options::audit`].
    pub fn audit(&self) -> Result<Vec<AuditEvent>, Error> {
        audit::read(self.audit_log.as_deref().ok_or(Error::NoAudit)?)
    }

    /// Stops the control plane, ends everything else that was started in its directory, and removes
    /// its files.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { apiserver, etcd, data, directory, .. } = self;
        apiserver.process.stop(server::STOP).await?;
        etcd.process.stop(server::STOP).await?;
        data.remove()?;
        directory.remove()
    }

    /// Creates the roles of closehaul and of the kubelet stand-in, unless a state already contains
    /// them, and waits until they take effect.
    async fn grant_rights(&self, create: bool) -> Result<(), Error> {
        let admin = self.client(Actor::Admin)?;
        // The API server creates it a moment after it reports that it is ready.
        let namespace = "/api/v1/namespaces/kube-system";
        self.apiserver
            .process
            .ready(server::START, async || server::get(&admin, namespace).await)
            .await?;
        let rbac = Path::new(env!("CARGO_MANIFEST_DIR")).join("rbac");
        for file in ["closehaul.yaml", "kubelet.yaml"].into_iter().filter(|_| create) {
            let path = rbac.join(file).display().to_string();
            self.kubectl(&["create", "--validate=false", "-f", &path]).await?.success()?;
        }
        // The authorizer reads the roles through a watch.
        for (actor, path) in [
            (Actor::Closehaul, "/apis/discovery.k8s.io/v1/endpointslices?limit=1"),
            (Actor::Closehaul, "/api/v1/nodes?limit=1"),
            (Actor::Kubelet, "/api/v1/nodes?limit=1"),
            (Actor::KubeProxy, "/api/v1/services?limit=1"),
            (Actor::Scheduler, "/api/v1/pods?limit=1"),
        ] {
            let client = self.client(actor)?;
            let process = &self.apiserver.process;
            process.ready(server::START, async || server::get(&client, path).await).await?;
        }
        Ok(())
    }
}

/// Builds what is missing, outside the runtime's threads. All components are named at once, so the
/// progress shows the total.
pub async fn ensure(
    kubernetes: Kubernetes,
    wanted: &'static [Component],
) -> Result<Components, Error> {
    Ok(tokio::task::spawn_blocking(move || components::ensure_of(kubernetes, wanted)).await??)
}

fn etcd(
    options: &Options,
    components: &Components,
    data: &Path,
) -> Result<(Command, String), Error> {
    let local = Ipv4Addr::LOCALHOST.into();
    let url = format!("http://{local}:{}", free_port(local)?);
    let command = Command::new("etcd", components.path(Component::Etcd))
        .arg(format!("--data-dir={}", data.join(ETCD).display()))
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"))
        .arg(format!("--listen-peer-urls=http://{local}:0"))
        .arg("--unsafe-no-fsync=true")
        .arg("--quota-backend-bytes=8589934592")
        .args(&options.extra_etcd_args);
    Ok((command, url))
}

fn apiserver(
    options: &Options,
    components: &Components,
    certificates: &Certificates,
    tokens: &Tokens,
    etcd: &str,
) -> Result<(Command, String), Error> {
    let port = free_port(options.bind)?;
    let url = match options.bind {
        IpAddr::V4(address) => format!("https://{address}:{port}"),
        IpAddr::V6(address) => format!("https://[{address}]:{port}"),
    };
    // The address in the Service `kubernetes`. A loopback address is rejected there, and the search
    // for another one fails on a machine without a network. These are reserved for documentation.
    let advertise = match options.bind {
        address if !address.is_loopback() => address.to_string(),
        IpAddr::V4(_) => "192.0.2.1".to_owned(),
        IpAddr::V6(_) => "2001:db8::1".to_owned(),
    };
    let command = Command::new("kube-apiserver", components.path(Component::KubeApiserver))
        .arg(format!("--etcd-servers={etcd}"))
        .arg(format!("--bind-address={}", options.bind))
        .arg(format!("--secure-port={port}"))
        .arg(format!("--advertise-address={advertise}"))
        .arg(format!("--tls-cert-file={}", certificates.certificate.display()))
        .arg(format!("--tls-private-key-file={}", certificates.key.display()))
        .arg(format!("--client-ca-file={}", certificates.ca.display()))
        .arg("--authorization-mode=RBAC")
        .arg("--allow-privileged=true")
        .arg(format!("--service-cluster-ip-range={}", options.service_cidrs.join(",")))
        // No controller creates the `default` accounts that this plugin requires.
        .arg("--disable-admission-plugins=ServiceAccount")
        // Off by default upstream; only with it is `services/finalizers` checked at all.
        .arg("--enable-admission-plugins=OwnerReferencesPermissionEnforcement")
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg(format!(
            "--service-account-key-file={}",
            certificates.service_account_public_key.display()
        ))
        .arg(format!(
            "--service-account-signing-key-file={}",
            certificates.service_account_key.display()
        ))
        .arg(format!("--token-auth-file={}", tokens.write()?.display()))
        .args(&options.extra_apiserver_args);
    Ok((command, url))
}

fn with_audit(
    (command, url): (Command, String),
    directory: &Path,
    log: Option<&Path>,
) -> Result<(Command, String), Error> {
    let Some(log) = log else { return Ok((command, url)) };
    let policy = directory.join("audit-policy.yaml");
    fs::write(&policy, audit::POLICY).map_err(Error::file(&policy))?;
    fs::write(log, "").map_err(Error::file(log))?;
    let command = command
        .arg(format!("--audit-policy-file={}", policy.display()))
        .arg(format!("--audit-log-path={}", log.display()))
        // Each event is written before its request is answered, and all are in one file.
        .arg("--audit-log-mode=blocking-strict")
        .arg("--audit-log-maxsize=100000");
    Ok((command, url))
}
