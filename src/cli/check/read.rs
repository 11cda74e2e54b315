//! Read: what the API server answered, or why it did not.

use std::fmt;

/// What was read, or why it was not.
pub type Read<T> = Result<T, Unread>;

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The API server refused.
    #[error("may not {0}")]
    Refused(Permission),
    /// Anything else that went wrong: what was tried, and why it failed.
    #[error("{0}")]
    Failed(String),
}

/// A permission, as RBAC grants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Such as `list`.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The plural, with a subresource as in `services/finalizers`.
    pub resource: &'static str,
    /// The namespace; `None` for cluster-scoped objects, and for those of all namespaces.
    pub namespace: Option<String>,
    /// The only object that is meant.
    pub name: Option<String>,
}

impl Permission {
    /// To do something with all objects of a kind.
    pub(super) fn new(verb: &'static str, group: &'static str, resource: &'static str) -> Self {
        Self { verb, group, resource, namespace: None, name: None }
    }

    /// The same within a namespace.
    #[must_use]
    pub(super) fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// The same with one object.
    #[must_use]
    pub(super) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }
}

/// Such as `get configmaps/kubeadm-config in kube-system`, as `kubectl auth can-i` takes it.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource)),
            None => (self.resource, None),
        };
        write!(f, "{} {resource}", self.verb)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        for part in subresource.into_iter().chain(self.name.as_deref()) {
            write!(f, "/{part}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_written_as_kubectl_takes_them() {
        let config = Permission::new("get", "", "configmaps").within("kube-system");
        let config = config.named("kubeadm-config");
        assert_eq!(config.to_string(), "get configmaps/kubeadm-config in kube-system");
        let finalizers = Permission::new("update", "", "services/finalizers");
        assert_eq!(finalizers.to_string(), "update services/finalizers");
        let slices = Permission::new("list", "discovery.k8s.io", "endpointslices");
        assert_eq!(slices.to_string(), "list endpointslices.discovery.k8s.io");
    }
}
