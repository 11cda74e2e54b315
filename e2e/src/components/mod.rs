//! The real components, built from upstream's Go modules and kept between runs.
//!
//! `e2e/components/FAMILY/go.mod` pins what is built; `regenerate.sh` there rewrites it for
//! other versions. Of Kubernetes there are several, [`Kubernetes`], built only when requested. The
//! binaries lie outside the checkout, in `$CLOSEHAUL_E2E_CACHE`, else `$XDG_CACHE_HOME/closehaul`,
//! else `~/.cache/closehaul`, in a directory whose name carries a hash of everything they depend
//! on, so a changed pin or compiler never finds an old binary.
//!
//! If `KUBEBUILDER_ASSETS` is set, it is a directory with `etcd`, `kube-apiserver` and `kubectl`,
//! which replace those of the default version.

mod build;
mod version;

use std::{
    collections::HashMap,
    env, fs, io,
    path::{Path, PathBuf},
};

pub use version::Kubernetes;

/// What can go wrong on the way to a component's binary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Go on the PATH.
    #[error("Go is needed to build {component}: install Go {needed} or newer (https://go.dev/dl)")]
    GoMissing {
        /// The component to build.
        component: String,
        /// The minimum version, from the family's go.mod.
        needed: String,
    },
    /// Go is older than the modules allow.
    #[error(
        "Go {found} is too old for {component}: install Go {needed} or newer (https://go.dev/dl)"
    )]
    GoTooOld {
        /// The component to build.
        component: String,
        /// The version on the PATH.
        found: String,
        /// The minimum version, from the family's go.mod.
        needed: String,
    },
    /// `go build` failed.
    #[error("building {component} {version} failed; the end of go's output:\n{tail}")]
    Build {
        /// The component to build.
        component: String,
        /// Its version.
        version: String,
        /// The last lines that go printed.
        tail: String,
    },
    /// A go.mod lacks a required line.
    #[error("{}: no `{missing}` line; run regenerate.sh beside it", path.display())]
    Pin {
        /// The go.mod.
        path: PathBuf,
        /// The first word of that line.
        missing: String,
    },
    /// `KUBEBUILDER_ASSETS` is set and one of its three binaries is missing.
    #[error("{} is missing; unset KUBEBUILDER_ASSETS to have it built", path.display())]
    Asset {
        /// Where the binary should be.
        path: PathBuf,
    },
    /// Neither a cache directory nor a home is known.
    #[error("no place for the binaries: set CLOSEHAUL_E2E_CACHE to a directory")]
    NoCache,
    /// A file of the cache or a pin could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }
}

/// A program that is built from a Go module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    /// The store.
    Etcd,
    /// The store's command line.
    Etcdctl,
    /// The tool for the store's files, which turns a snapshot into a data directory.
    Etcdutl,
    /// The API server.
    KubeApiserver,
    /// Upstream's controllers, among them the built-in `EndpointSlice` controller.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// The proxy that reads the slices.
    KubeProxy,
    /// The command line.
    Kubectl,
    /// Upstream's `EndpointSlice` controller alone, `e2e/components/rival/main.go`.
    Rival,
    /// Renders and checks the chart.
    Helm,
    /// Runs the chart's unit tests.
    HelmUnittest,
    /// Checks manifests against schemas.
    Kubeconform,
    /// Checks the workflows of GitHub Actions.
    Actionlint,
    /// Checks metrics and tests alerts.
    Promtool,
}

impl Component {
    /// The name of its binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Etcdctl => "etcdctl",
            Self::Etcdutl => "etcdutl",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::KubeProxy => "kube-proxy",
            Self::Kubectl => "kubectl",
            Self::Rival => "rival",
            Self::Helm => "helm",
            Self::HelmUnittest => "helm-unittest",
            Self::Kubeconform => "kubeconform",
            Self::Actionlint => "actionlint",
            Self::Promtool => "promtool",
        }
    }

    fn family(self, kubernetes: Kubernetes) -> build::Family {
        match self {
            Self::Etcd | Self::Etcdctl | Self::Etcdutl => build::Family::Etcd,
            Self::Rival => build::Family::Rival,
            Self::Helm | Self::HelmUnittest | Self::Kubeconform | Self::Actionlint => {
                build::Family::Helm
            }
            Self::Promtool => build::Family::Prometheus,
            _ => build::Family::Kubernetes(kubernetes),
        }
    }

    fn package(self) -> String {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3".to_owned(),
            Self::Etcdctl => "go.etcd.io/etcd/etcdctl/v3".to_owned(),
            Self::Etcdutl => "go.etcd.io/etcd/etcdutl/v3".to_owned(),
            Self::Rival => ".".to_owned(),
            Self::Helm => "helm.sh/helm/v4/cmd/helm".to_owned(),
            Self::HelmUnittest => {
                "github.com/helm-unittest/helm-unittest/cmd/helm-unittest".to_owned()
            }
            Self::Kubeconform => "github.com/yannh/kubeconform/cmd/kubeconform".to_owned(),
            Self::Actionlint => "github.com/rhysd/actionlint/cmd/actionlint".to_owned(),
            Self::Promtool => "github.com/prometheus/prometheus/cmd/promtool".to_owned(),
            _ => format!("k8s.io/kubernetes/cmd/{}", self.name()),
        }
    }

    /// Seconds that its build takes on two cores without a cache, in the order of `Component`
    /// (control-plane 1: later builds share most of their packages with earlier ones). The progress
    /// display uses them for its estimate.
    fn seconds(self) -> u32 {
        match self {
            Self::Etcd => 40,
            Self::Etcdctl | Self::Etcdutl | Self::KubeProxy | Self::KubeScheduler => 9,
            Self::KubeApiserver => 231,
            Self::KubeControllerManager => 78,
            Self::Kubectl => 18,
            Self::Rival => 15,
            Self::Helm => 94,
            Self::HelmUnittest => 26,
            Self::Kubeconform => 17,
            Self::Actionlint => 10,
            Self::Promtool => 75,
        }
    }

    /// Its path in `KUBEBUILDER_ASSETS`, if that is set and contains components of this kind. The
    /// one version of Kubernetes there counts as the default one.
    fn asset(self, kubernetes: Kubernetes) -> Option<PathBuf> {
        let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty())?;
        let known = match self {
            Self::KubeApiserver | Self::Kubectl => kubernetes == Kubernetes::default(),
            _ => self == Self::Etcd,
        };
        known.then(|| Path::new(&assets).join(self.name()))
    }
}

/// The binaries that [`ensure`] was requested.
#[derive(Debug, Clone)]
pub struct Components {
    directory: PathBuf,
    paths: HashMap<Component, PathBuf>,
}

impl Components {
    /// Where the component's binary is.
    ///
    /// For a component that was not requested, this is where the cache's directory for it would
    /// be, without a binary: starting it fails with an error.
    pub fn path(&self, component: Component) -> &Path {
        self.paths.get(&component).unwrap_or(&self.directory)
    }
}

/// Builds those of `components` that are missing, with progress on standard error, and returns
/// where the binaries are. Blocks. The first build of all components takes about 6 minutes on two
/// cores.
///
/// Processes that call this at the same time build each component once.
pub fn ensure(components: &[Component]) -> Result<Components, Error> {
    ensure_of(Kubernetes::default(), components)
}

/// The same with the components of this version of Kubernetes. The other components do not depend
/// on it.
pub fn ensure_of(kubernetes: Kubernetes, components: &[Component]) -> Result<Components, Error> {
    let directory = cache()?;
    let mut paths = HashMap::new();
    let mut wanted = Vec::new();
    for &component in components {
        if let Some(path) = component.asset(kubernetes) {
            if !path.is_file() {
                return Err(Error::Asset { path });
            }
            paths.insert(component, path);
        } else if !wanted.contains(&component) {
            wanted.push(component);
        }
    }
    for (component, path) in build::ensure(&directory, kubernetes, &wanted)? {
        paths.insert(component, path);
    }
    Ok(Components { directory, paths })
}

/// The directory for binaries, created if necessary.
fn cache() -> Result<PathBuf, Error> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = variable("CLOSEHAUL_E2E_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|path| path.join("closehaul")))
        .or_else(|| variable("HOME").map(|path| path.join(".cache/closehaul")))
        .ok_or(Error::NoCache)?;
    fs::create_dir_all(&path).map_err(Error::file(&path))?;
    // A relative path would mean a different directory in the tests of each package.
    path.canonicalize().map_err(Error::file(&path))
}
