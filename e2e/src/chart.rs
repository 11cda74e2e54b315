//! The chart in `helm/closehaul`, and the tools that render and check it.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::components::{self, Component, Components};

/// Why the chart was not rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// helm or another tool was not built.
    #[error(transparent)]
    Components(#[from] components::Error),
    /// A tool did not start.
    #[error("{tool} did not start: {source}")]
    Start {
        /// Its name.
        tool: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// helm rejected the chart or the values.
    #[error("{0}")]
    Refused(String),
    /// helm's output is not YAML.
    #[error("the rendered chart cannot be read: {0}")]
    Unreadable(String),
}

/// The repository.
pub fn repository() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().unwrap_or(member).to_owned()
}

/// The chart's directory.
pub fn directory() -> PathBuf {
    repository().join("helm/closehaul")
}

/// The tools of the chart.
#[derive(Debug)]
pub struct Tools {
    components: Components,
}

impl Tools {
    /// Builds them if necessary; the first build takes about 3 minutes.
    pub fn ensure() -> Result<Self, Error> {
        use Component::{Actionlint, Helm, HelmUnittest, Kubeconform};
        Ok(Self { components: components::ensure(&[Helm, HelmUnittest, Kubeconform, Actionlint])? })
    }

    /// Runs one of them in the repository.
    pub fn run(&self, tool: Component, args: &[&str]) -> Result<Output, Error> {
        let mut command = Command::new(self.components.path(tool));
        // The user's helm plugins must not have an effect.
        command.env("HELM_NO_PLUGINS", "1").args(args).current_dir(repository());
        command.output().map_err(|source| Error::Start { tool: tool.name(), source })
    }

    /// The chart's manifests as helm prints them, for the release `closehaul` in `namespace`.
    /// `args` are arguments of helm, such as `--set`.
    pub fn render(&self, namespace: &str, args: &[&str]) -> Result<String, Error> {
        let chart = directory().display().to_string();
        let fixed = ["template", "closehaul", &chart, "--namespace", namespace];
        let output = self.run(Component::Helm, &[&fixed, args].concat())?;
        if !output.status.success() {
            return Err(Error::Refused(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The documents of a manifest, without empty ones.
pub fn documents(manifest: &str) -> Result<Vec<Value>, Error> {
    let values = serde_saphyr::from_multiple::<Value>(manifest);
    let values = values.map_err(|error| Error::Unreadable(error.to_string()))?;
    Ok(values.into_iter().filter(|value| !value.is_null()).collect())
}
