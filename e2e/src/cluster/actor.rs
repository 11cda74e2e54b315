//! The clients of the API server: one token and one kubeconfig each, so that each has its own
//! permissions and the audit log tells them apart.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::Error;

/// A client of the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The test itself: `system:masters`.
    Admin,
    /// closehaul, as its service account and with the permissions of `e2e/rbac/closehaul.yaml`.
    Closehaul,
    /// A second replica of closehaul with the same permissions, which the audit log tells from the
    /// first.
    ClosehaulB,
    /// The kubelet stand-in, with the permissions of `e2e/rbac/kubelet.yaml`.
    Kubelet,
    /// kube-proxy, with upstream's role.
    KubeProxy,
    /// kube-controller-manager. It runs without service accounts, so its controllers need more
    /// permissions than its role has: `system:masters`.
    ControllerManager,
    /// kube-scheduler, with upstream's roles.
    Scheduler,
}

impl Actor {
    /// All actors.
    pub const ALL: [Self; 7] = [
        Self::Admin,
        Self::Closehaul,
        Self::ClosehaulB,
        Self::Kubelet,
        Self::KubeProxy,
        Self::ControllerManager,
        Self::Scheduler,
    ];

    /// Its user name in the API server, as in [`super::AuditEvent::user`].
    pub fn user(self) -> &'static str {
        match self {
            Self::Admin => "closehaul-e2e:admin",
            Self::Closehaul => "system:serviceaccount:kube-system:closehaul",
            Self::ClosehaulB => "system:serviceaccount:kube-system:closehaul-b",
            Self::Kubelet => "closehaul-e2e:kubelet",
            Self::KubeProxy => "system:kube-proxy",
            Self::ControllerManager => "system:kube-controller-manager",
            Self::Scheduler => "system:kube-scheduler",
        }
    }

    fn groups(self) -> &'static str {
        match self {
            Self::Admin | Self::ControllerManager => "system:masters",
            Self::Closehaul | Self::ClosehaulB => {
                "system:serviceaccounts,system:serviceaccounts:kube-system"
            }
            Self::Kubelet => "closehaul-e2e:kubelets",
            Self::KubeProxy | Self::Scheduler => "",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Closehaul => "closehaul",
            Self::ClosehaulB => "closehaul-b",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
        }
    }
}

/// How each actor authenticates itself.
#[derive(Debug)]
pub(super) struct Tokens {
    directory: PathBuf,
    ca: PathBuf,
    actors: Vec<(Actor, String)>,
}

impl Tokens {
    /// Creates random tokens.
    pub(super) fn create(directory: &Path, ca: &Path) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let token = |actor| {
            let mut bytes = [0; 16];
            random.fill(&mut bytes).map_err(|_| Error::Random)?;
            Ok((actor, format!("{:032x}", u128::from_ne_bytes(bytes))))
        };
        let actors = Actor::ALL.into_iter().map(token).collect::<Result<_, Error>>()?;
        Ok(Self { directory: directory.to_owned(), ca: ca.to_owned(), actors })
    }

    /// Writes the file for the API server's `--token-auth-file`.
    pub(super) fn write(&self) -> Result<PathBuf, Error> {
        let path = self.directory.join("tokens.csv");
        let line = |(actor, token): &(Actor, String)| {
            format!("{token},{},{},\"{}\"\n", actor.user(), actor.file(), actor.groups())
        };
        let text = self.actors.iter().map(line).collect::<String>();
        fs::write(&path, text).map_err(Error::file(&path))?;
        Ok(path)
    }

    /// The path of the actor's kubeconfig for the API server itself.
    pub(super) fn kubeconfig(&self, actor: Actor) -> PathBuf {
        self.directory.join(format!("{}.kubeconfig", actor.file()))
    }

    /// The actor's token.
    pub(super) fn token(&self, actor: Actor) -> &str {
        // All actors have one.
        self.actors.iter().find(|(other, _)| *other == actor).map_or("", |(_, token)| token)
    }

    /// Writes the actor's kubeconfig for a server at `url` to `path`.
    pub(super) fn write_kubeconfig(
        &self,
        actor: Actor,
        url: &str,
        path: &Path,
    ) -> Result<(), Error> {
        let token = self.token(actor);
        let name = "closehaul-e2e";
        // JSON is YAML.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {
                "server": url, "certificate-authority": self.ca}}],
            "users": [{"name": actor.user(), "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": actor.user()}}],
        });
        fs::write(path, format!("{config:#}\n")).map_err(Error::file(path))
    }
}
