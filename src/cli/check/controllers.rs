//! Controllers: which controllers of kube-controller-manager run, by its command line and by the
//! configuration of kubeadm.

use std::time::Duration;

use serde_json::Value;

/// The built-in controller of `EndpointSlices`, with its former name.
pub(super) const BUILT_IN: [&str; 2] = ["endpointslice-controller", "endpointslice"];
/// What `kubeadm join` requires, with the former names. Both are off unless they are named.
pub(super) const JOIN: [[&str; 2]; 2] = [
    ["bootstrap-signer-controller", "bootstrapsigner"],
    ["token-cleaner-controller", "tokencleaner"],
];
/// The default of `--max-endpoints-per-slice`, the same for both controllers.
pub(super) const MAX_ENDPOINTS: usize = 100;
/// The default of `--endpointslice-updates-batch-period`, the same for both controllers.
pub(super) const BATCH_PERIOD: Duration = Duration::ZERO;

/// A command line, as flags with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<(String, String)>);

impl Flags {
    /// Reads command and arguments of a container. A shell's `-c` may hold all of them in one.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let words: Vec<&str> = words.into_iter().flat_map(str::split_whitespace).collect();
        let mut flags = Self::default();
        for (at, word) in words.iter().enumerate() {
            let Some(flag) = word.strip_prefix("--") else { continue };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, value),
                // The value of a flag may begin with `-` as in `-endpointslice-controller`.
                None => (
                    flag,
                    words.get(at + 1).filter(|it| !it.starts_with("--")).map_or("true", |it| it),
                ),
            };
            let is_quote = |c| c == '"' || c == '\'';
            flags.add(name, value.trim_matches(is_quote));
        }
        flags
    }

    /// Adds the flags of another, which count more.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Adds a flag.
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// The last value of a flag, which counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }

    /// The value of `--controllers`, whose default is `*`. If it is given several times, the lists are
    /// joined.
    pub fn controllers(&self) -> String {
        let lists = self.0.iter().filter(|(flag, _)| flag == "controllers");
        let lists: Vec<&str> = lists.map(|(_, value)| value.as_str()).collect();
        if lists.is_empty() { "*".to_owned() } else { lists.join(",") }
    }
}

/// Whether a controller runs under a list, as kube-controller-manager reads it (`IsControllerEnabled`
/// of controller-manager): the first entry with its name decides, then `*`.
pub(super) fn runs(list: &str, names: [&str; 2], is_on_by_default: bool) -> bool {
    let mut has_star = false;
    for entry in list.split(',').map(str::trim) {
        if names.contains(&entry) {
            return true;
        }
        if entry.strip_prefix('-').is_some_and(|entry| names.contains(&entry)) {
            return false;
        }
        has_star |= entry == "*";
    }
    has_star && is_on_by_default
}

/// How kubeadm starts kube-controller-manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kubeadm {
    /// Such as `v1beta4`.
    pub(super) version: String,
    /// The list of `controllers`, if it is set.
    pub(super) controllers: Option<String>,
}

/// Why the configuration of kubeadm cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KubeadmError {
    /// It is not YAML.
    #[error("ClusterConfiguration of the ConfigMap kubeadm-config is no YAML: {0}")]
    Yaml(String),
    /// A field has another form than a map or a list of names and values.
    #[error(
        "controllerManager.extraArgs in the ConfigMap kubeadm-config is neither a map nor a list of \
         names and values"
    )]
    Form,
}

impl Kubeadm {
    /// Reads `ClusterConfiguration`. `extraArgs` is a map up to `v1beta3`, and a list from `v1beta4` on,
    /// in which a flag may occur several times.
    pub(super) fn read(text: &str) -> Result<Self, KubeadmError> {
        let document: Value =
            serde_saphyr::from_str(text).map_err(|error| KubeadmError::Yaml(error.to_string()))?;
        let version = document["apiVersion"].as_str().unwrap_or_default();
        let version = version.rsplit('/').next().unwrap_or_default().to_owned();
        let lists: Vec<&str> = match &document["controllerManager"]["extraArgs"] {
            Value::Null => Vec::new(),
            Value::Object(map) => {
                map.get("controllers").and_then(Value::as_str).into_iter().collect()
            }
            Value::Array(list) => {
                let is_it = |arg: &&Value| arg["name"] == "controllers";
                list.iter().filter(is_it).filter_map(|arg| arg["value"].as_str()).collect()
            }
            _ => return Err(KubeadmError::Form),
        };
        let controllers = (!lists.is_empty()).then(|| lists.join(","));
        Ok(Self { version, controllers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_mean_what_they_mean_to_kube_controller_manager() {
        for (list, built_in, signer) in [
            ("*", true, false),
            ("*,bootstrapsigner,tokencleaner", true, true),
            ("*,bootstrapsigner,tokencleaner,-endpointslice-controller", false, true),
            ("*, -endpointslice", false, false),
            ("-endpointslice-controller,*", false, false),
            ("-endpointslice-controller", false, false),
            ("endpointslice-controller,-endpointslice-controller", true, false),
            ("endpointslice", true, false),
            ("bootstrap-signer-controller", false, true),
            ("*,-endpointslicemirroring-controller", true, false),
            ("", false, false),
        ] {
            assert_eq!(runs(list, BUILT_IN, true), built_in, "{list}");
            assert_eq!(runs(list, JOIN[0], false), signer, "{list}");
        }
    }

    #[test]
    fn command_lines_in_every_form() {
        let flags = |words: &[&str]| Flags::of(words.iter().copied());
        let kubeadm =
            flags(&["kube-controller-manager", "--controllers=*,-x", "--leader-elect=true"]);
        assert_eq!(
            (kubeadm.controllers(), kubeadm.get("leader-elect")),
            ("*,-x".into(), Some("true"))
        );
        assert_eq!(
            flags(&["kube-controller-manager", "--controllers", "*,-x"]).controllers(),
            "*,-x"
        );
        assert_eq!(flags(&["--controllers", "-x"]).controllers(), "-x");
        let shell = flags(&["/bin/sh", "-c", "exec kcm --controllers='*,-x' --v=2 2>&1"]);
        assert_eq!((shell.controllers(), shell.get("v")), ("*,-x".into(), Some("2")));
        assert_eq!(flags(&["--controllers=*", "--controllers=-x"]).controllers(), "*,-x");
        assert_eq!(flags(&["kcm", "--profiling", "--v=1"]).get("profiling"), Some("true"));
        assert_eq!(flags(&["kcm", "--v=1", "--v=2"]).get("v"), Some("2"), "the last one counts");
        assert_eq!(flags(&["kcm"]).controllers(), "*");
    }

    #[test]
    fn both_forms_of_kubeadm() {
        let read = |text: &str| Kubeadm::read(text).unwrap();
        let map = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n\
                   controllerManager:\n  extraArgs:\n    controllers: '*,-endpointslice-controller'\n";
        let list = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n\
                    controllerManager:\n  extraArgs:\n  - name: v\n    value: '2'\n  - name: controllers\n    \
                    value: '*,-endpointslice-controller'\n";
        let controllers = Some("*,-endpointslice-controller".to_owned());
        assert_eq!(
            read(map),
            Kubeadm { version: "v1beta3".into(), controllers: controllers.clone() }
        );
        assert_eq!(read(list), Kubeadm { version: "v1beta4".into(), controllers });
        for text in [
            "apiVersion: kubeadm.k8s.io/v1beta4\ncontrollerManager: {}\n",
            "apiVersion: kubeadm.k8s.io/v1beta4\n",
        ] {
            assert_eq!(read(text), Kubeadm { version: "v1beta4".into(), controllers: None });
        }
        let form = "controllerManager:\n  extraArgs: controllers\n";
        assert_eq!(Kubeadm::read(form), Err(KubeadmError::Form));
        assert!(matches!(Kubeadm::read("{"), Err(KubeadmError::Yaml(_))));
    }
}
