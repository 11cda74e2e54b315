//! One network namespace.

use super::{Error, ip};

/// A network namespace with its loopback up. Dropping it removes the namespace and all links in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    pub(super) fn new(name: String) -> Result<Self, Error> {
        ip::ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip(&["link set lo up".to_owned()])?;
        Ok(namespace)
    }

    /// The name, as `ip netns list` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The words before a command that run it in a namespace.
    pub fn enter(name: &str) -> [&str; 4] {
        ["ip", "netns", "exec", name]
    }

    /// Runs `ip` commands, one per line, in the namespace.
    pub(super) fn ip(&self, lines: &[String]) -> Result<(), Error> {
        ip::batch(&self.name, lines)
    }

    /// Sets sysctls (paths below `/proc/sys/net`) to a value, in the namespace only.
    pub(super) fn set(&self, settings: &[(&str, u8)]) -> Result<(), Error> {
        let script: Vec<_> = settings
            .iter()
            .map(|(path, value)| format!("echo {value} > /proc/sys/net/{path}"))
            .collect();
        ip::ip(&["netns", "exec", &self.name, "sh", "-ec", &script.join("\n")]).map(drop)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Another process may have removed it already. If this fails, the next run removes it.
        let _ = ip::ip(&["netns", "del", &self.name]);
    }
}
