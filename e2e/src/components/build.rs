//! `go build` into the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Component, Error, Kubernetes};
use crate::{
    process::tail,
    progress::{self, Progress, say},
};

/// The components whose versions one go.mod selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Kubernetes(Kubernetes),
    Etcd,
    Helm,
    Prometheus,
    Rival,
}

impl Family {
    /// The prefix of the directory with its binaries.
    fn name(self) -> &'static str {
        match self {
            Self::Kubernetes(_) => "kubernetes",
            Self::Etcd => "etcd",
            Self::Helm => "helm",
            Self::Prometheus => "prometheus",
            Self::Rival => "rival",
        }
    }

    fn module(self) -> &'static str {
        match self {
            Self::Kubernetes(_) | Self::Rival => "k8s.io/kubernetes",
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Helm => "helm.sh/helm/v4",
            Self::Prometheus => "github.com/prometheus/prometheus",
        }
    }

    fn directory(self) -> PathBuf {
        let folder = match self {
            Self::Kubernetes(version) => version.folder(),
            Self::Etcd => "etcd",
            Self::Helm => "helm",
            Self::Prometheus => "prometheus",
            Self::Rival => "rival",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("components").join(folder)
    }

    /// The arguments of `go`.
    fn flags(self) -> Vec<&'static str> {
        let mut flags = vec!["build", "-trimpath", "-buildvcs=false", "-mod=readonly"];
        if self == Self::Prometheus {
            // Leaves out service discovery, which needs the clients of two dozen clouds.
            flags.push("-tags=remove_all_sd");
        }
        flags
    }

    /// The values that the linker writes into the binaries. Without the versions, `/version` and
    /// `kubectl version` return nonsense.
    fn linker_flags(self, version: &str) -> String {
        let mut flags = "-s -w".to_owned();
        if matches!(self, Self::Kubernetes(_)) {
            let mut numbers = version.trim_start_matches('v').split('.');
            let (major, minor) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
            for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
                for (name, value) in [
                    ("gitVersion", version),
                    ("gitMajor", major),
                    ("gitMinor", minor),
                    ("gitTreeState", "clean"),
                ] {
                    flags.extend([" -X ", package, ".", name, "=", value]);
                }
            }
        }
        flags
    }
}

/// The contents of one go.mod.
#[derive(Debug)]
struct Pin {
    /// The family's version, such as `v1.37.2`.
    version: String,
    /// The minimum version of Go, such as `1.26.0`.
    go: String,
    /// go.mod, go.sum, and the program if it is ours. The cache key is computed from them.
    bytes: Vec<u8>,
}

impl Pin {
    fn read(family: Family) -> Result<Self, Error> {
        let (module, sums) = (family.directory().join("go.mod"), family.directory().join("go.sum"));
        let text = fs::read_to_string(&module).map_err(Error::file(&module))?;
        let mut bytes = text.clone().into_bytes();
        bytes.extend(fs::read(&sums).map_err(Error::file(&sums))?);
        if family == Family::Rival {
            let program = family.directory().join("main.go");
            bytes.extend(fs::read(&program).map_err(Error::file(&program))?);
        }
        let missing = |what: &str| Error::Pin { path: module.clone(), missing: what.to_owned() };
        let version = word_after(&text, family.module()).ok_or_else(|| missing(family.module()))?;
        let go = word_after(&text, "go").ok_or_else(|| missing("go"))?;
        Ok(Self { version, go, bytes })
    }
}

/// The second word of the first line whose first word is `first` (ignoring `require`).
fn word_after(text: &str, first: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line.trim_start_matches("require ").split_whitespace();
        (words.next() == Some(first)).then(|| words.next().map(str::to_owned)).flatten()
    })
}

/// A component and where its binary is or will be.
#[derive(Debug)]
struct Target {
    component: Component,
    family: Family,
    version: String,
    flags: String,
    path: PathBuf,
}

/// Builds the binaries that are missing in `cache`.
pub(super) fn ensure(
    cache: &Path,
    kubernetes: Kubernetes,
    components: &[Component],
) -> Result<Vec<(Component, PathBuf)>, Error> {
    let mut targets = Vec::new();
    for family in [
        Family::Etcd,
        Family::Kubernetes(kubernetes),
        Family::Helm,
        Family::Prometheus,
        Family::Rival,
    ] {
        let ours = components.iter().copied().filter(|it| it.family(kubernetes) == family);
        let ours = ours.collect::<Vec<_>>();
        let Some(first) = ours.first() else { continue };
        let pin = Pin::read(family)?;
        let go = go_version(first.name(), &pin.go)?;
        let flags = family.linker_flags(&pin.version);
        let of_go = family.flags().join(" ");
        let key = key(&[&pin.bytes, go.as_bytes(), flags.as_bytes(), of_go.as_bytes()]);
        let directory = cache.join(format!("{}-{}-{key}", family.name(), pin.version));
        targets.extend(ours.into_iter().map(|component| Target {
            component,
            family,
            version: pin.version.clone(),
            flags: flags.clone(),
            path: directory.join(component.name()),
        }));
    }
    if targets.iter().any(|target| !target.path.is_file()) {
        let path = cache.join("lock");
        let waiting = "another process builds the components; waiting for it";
        let _lock = progress::lock(&path, waiting).map_err(Error::file(&path))?;
        build(&targets)?;
    }
    Ok(targets.into_iter().map(|target| (target.component, target.path)).collect())
}

/// Go's description of itself (`go version go1.26.8 linux/amd64`), if it is new enough.
fn go_version(component: &str, needed: &str) -> Result<String, Error> {
    let output = Command::new("go").arg("version").env("GOTOOLCHAIN", "local").output();
    let missing = || Error::GoMissing { component: component.into(), needed: needed.into() };
    let output = output.map_err(|_| missing())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let found = text.split_whitespace().find_map(|word| word.strip_prefix("go1."));
    let found = found.map(|rest| format!("1.{rest}")).ok_or_else(missing)?;
    if numbers(&found) < numbers(needed) {
        let (component, needed) = (component.to_owned(), needed.to_owned());
        return Err(Error::GoTooOld { component, found, needed });
    }
    Ok(text)
}

fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// The first 12 hexadecimal digits of the SHA-256 over the parts.
fn key(parts: &[&[u8]]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        // Includes the lengths, so moving a byte from one part to the next changes the key.
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let digest = context.finish();
    let number = digest.as_ref().iter().take(6).fold(0_u64, |it, byte| it << 8 | u64::from(*byte));
    format!("{number:012x}")
}

fn build(targets: &[Target]) -> Result<(), Error> {
    let missing = targets.iter().filter(|target| !target.path.is_file()).collect::<Vec<_>>();
    let mut left = missing.iter().map(|target| target.component.seconds()).sum::<u32>();
    if !missing.is_empty() {
        say(&format!(
            "e2e: building {} of upstream's components from source, once: about {} min with \
             nothing cached",
            missing.len(),
            left.div_ceil(60),
        ));
    }
    for (index, target) in missing.iter().enumerate() {
        let (number, of) = (index + 1, missing.len());
        let (name, version) = (target.component.name(), &target.version);
        let what = format!("building {name} {version} ({number} of {of}, at most ~{left} s left)");
        go_build(target, Progress::new(what))?;
        left = left.saturating_sub(target.component.seconds());
    }
    Ok(())
}

fn go_build(target: &Target, mut progress: Progress) -> Result<(), Error> {
    if let Some(parent) = target.path.parent() {
        fs::create_dir_all(parent).map_err(Error::file(parent))?;
    }
    // The binary gets its final name only when it is complete, so a killed build leaves no partial
    // binary. Its `go` process may outlive it and write without the lock, so the temporary name
    // differs from that of the next build.
    let unfinished = target.path.with_extension(format!("unfinished-{}", std::process::id()));
    let failed = |tail: String| Error::Build {
        component: target.component.name().to_owned(),
        version: target.version.clone(),
        tail,
    };
    let mut command = Command::new("go");
    command
        .args(target.family.flags())
        .args(["-ldflags", &target.flags, "-o"])
        .arg(&unfinished)
        .arg(target.component.package())
        .current_dir(target.family.directory())
        // Pure Go, exactly the compiler that the key names, and no workspace around the checkout.
        .envs([("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("GOFLAGS", "")]);
    let (status, text) = progress.run(command).map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(tail(&text, 30)));
    }
    fs::rename(&unfinished, &target.path).map_err(Error::file(&unfinished))?;
    progress.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_name_a_version_and_a_go() {
        for family in [Family::Etcd, Family::Helm, Family::Prometheus, Family::Rival] {
            let pin = Pin::read(family).unwrap();
            assert!(pin.version.starts_with('v'), "{pin:?}");
            assert!(numbers(&pin.go) >= vec![1, 26], "{}", pin.go);
        }
        for kubernetes in Kubernetes::ALL {
            let pin = Pin::read(Family::Kubernetes(kubernetes)).unwrap();
            assert_eq!(pin.version, format!("v{kubernetes}"), "as the command line calls it");
            assert!(numbers(&pin.go) >= vec![1, 24], "{}", pin.go);
        }
    }

    #[test]
    fn versions_compare_by_numbers() {
        assert!(numbers("1.9.3") < numbers("1.26.0"));
        assert!(numbers("1.26.8") >= numbers("1.26.8"));
        assert!(numbers("1.27rc1") > numbers("1.26.8"));
    }

    #[test]
    fn the_key_depends_on_each_part_and_its_bounds() {
        assert_eq!(key(&[b"a", b"b"]).len(), 12);
        assert_ne!(key(&[b"a", b"b"]), key(&[b"ab", b""]));
        assert_ne!(key(&[b"a", b"b"]), key(&[b"a", b"c"]));
    }

    #[test]
    fn a_go_that_is_too_old_is_named_with_what_is_needed() {
        let error = go_version("etcd", "1.999.0").unwrap_err();
        let message = error.to_string();
        assert!(message.contains("etcd") && message.contains("install Go 1.999.0"), "{message}");
    }
}
