//! Item: the closed list of checks. Each has a section in docs/check.md whose heading is its name, so
//! that its link follows from the name.

/// Where the sections are. The chart's `prometheusRule.runbookURL` has the same base.
const PAGE: &str = "https://github.com/closehaul/closehaul/blob/main/docs/check.md";

/// What checks are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// The API server and the nodes.
    Kubernetes,
    /// kube-controller-manager, and webhooks.
    ControlPlane,
    /// Whether the chart can be installed.
    Installation,
    /// closehaul itself.
    Closehaul,
    /// What is in `EndpointSlices`, and who writes them.
    Slices,
}

impl Category {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::ControlPlane => "control-plane",
            Self::Installation => "installation",
            Self::Closehaul => "closehaul",
            Self::Slices => "slices",
        }
    }
}

/// Defines the closed list of checks.
macro_rules! items {
    ($($(#[doc = $doc:literal])+ $item:ident: $category:ident, $name:literal;)+) => {
        /// A check.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Item {
            $($(#[doc = $doc])+ $item,)+
        }

        impl Item {
            /// All of them, in the order in which they are shown.
            #[cfg(test)]
            pub const ALL: &[Self] = &[$(Self::$item,)+];

            /// What it is about.
            pub fn category(self) -> Category {
                match self {
                    $(Self::$item => Category::$category,)+
                }
            }

            /// What holds if all is well.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$item => $name,)+
                }
            }
        }
    };
}

items! {
    /// The API server can be reached, and accepts the credentials.
    ApiServer: Kubernetes, "API server answers";
    /// Its version is one that the mode works with.
    Version: Kubernetes, "Kubernetes version is supported";
    /// Nodes have the label that names their zone.
    Zones: Kubernetes, "nodes have zones";
    /// Before the installation: each replica needs a node of its own.
    Nodes: Kubernetes, "nodes suffice for two replicas";
    /// Before the installation in mode `replace`: kube-controller-manager can be found.
    CanSwitchOff: ControlPlane, "built-in controller can be switched off";
    /// In mode `replace`: `--controllers` of every kube-controller-manager.
    BuiltInOff: ControlPlane, "built-in controller is off";
    /// In the other modes, it writes the slices.
    BuiltInOn: ControlPlane, "built-in controller is on";
    /// In mode `replace`: the `ConfigMap` from which kubeadm writes the manifests.
    KubeadmConfig: ControlPlane, "kubeadm upgrades keep the setting";
    /// In mode `replace`: the controllers that `kubeadm join` requires have stayed on.
    KubeadmJoin: ControlPlane, "kubeadm join still works";
    /// In mode `replace`: flags that closehaul must share with kube-controller-manager.
    SliceFlags: ControlPlane, "slice settings agree";
    /// In mode `replace`: admission webhooks that need slices before closehaul can write them.
    Webhooks: ControlPlane, "no webhook blocks the start";
    /// Before the installation: permissions for the objects of the chart.
    MayInstall: Installation, "you may install the chart";
    /// Before the installation: permissions that the chart's roles contain.
    MayGrant: Installation, "you may grant its permissions";
    /// Before the installation: the namespace exists and admits pods in the node's network.
    Namespace: Installation, "namespace admits the pods";
    /// There is one installation, or none before the first.
    OneInstallation: Closehaul, "there is only one installation";
    /// The replicas of the Deployment.
    Replicas: Closehaul, "replicas are ready";
    /// The versions of the replicas and of this command.
    Versions: Closehaul, "versions agree";
    /// Outside mode `advise`: the lease.
    Leader: Closehaul, "a leader renews the lease";
    /// The permissions of closehaul's service account.
    Permissions: Closehaul, "closehaul has its permissions";
    /// The custom resource definitions.
    Definitions: Closehaul, "custom resource definitions are established";
    /// In mode `assist`: what keeps hints in force, and closehaul to hints.
    Admission: Closehaul, "admission policies are in place";
    /// Where metrics can be read through the API server.
    Queue: Closehaul, "no Service waits or fails";
    /// Who writes slices.
    Writers: Slices, "no other client writes slices";
    /// In mode `advise`, closehaul does not.
    WritesNothing: Slices, "closehaul writes nothing";
    /// In mode `replace`: what `closehaul plan` would write.
    Planned: Slices, "slices are as planned";
    /// Services that request locality.
    Locality: Slices, "preferences for locality have effect";
    /// Policies and evacuations.
    Policies: Slices, "policies are in force";
}

impl Item {
    /// Where it is explained.
    pub fn link(self) -> String {
        // As GitHub makes a fragment of a heading.
        format!("{PAGE}#{}", self.name().to_lowercase().replace(' ', "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_shown_together() {
        assert!(Item::ALL.iter().map(|item| item.category()).is_sorted());
    }

    /// The reader of a link must find the check, and the page must not explain what does not exist.
    #[test]
    fn every_check_has_its_section() {
        let page = include_str!("../../../docs/check.md");
        let sections: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let names: Vec<&str> = Item::ALL.iter().map(|item| item.name()).collect();
        assert_eq!(sections, names);
        // Nothing that GitHub would leave out of the fragment.
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || [' ', '-'].contains(&c)));
        }
    }
}
