//! The requests of closehaul's pods, from the API server's audit log.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::Value;

/// Every request of the account, when it is answered. Watches are logged when they begin.
const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: [\"system:serviceaccounts:kube-system\"]
  - level: None
";

/// The directory of policy and log. Dropping it removes it.
pub struct Audit(PathBuf);

/// A request that the API server has answered.
pub struct Request {
    pub pod: String,
    pub group: String,
    pub resource: String,
    pub verb: String,
    pub code: u64,
    pub time: Timestamp,
}

impl Audit {
    pub fn create() -> Self {
        let path = std::env::temp_dir().join(format!("closehaul-audit-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("policy.yaml"), POLICY).unwrap();
        fs::write(path.join("audit.log"), "").unwrap();
        Self(path)
    }

    /// kube-apiserver's arguments.
    pub fn args(&self) -> Vec<String> {
        let path = |name: &str| self.0.join(name).display().to_string();
        vec![
            format!("--audit-policy-file={}", path("policy.yaml")),
            format!("--audit-log-path={}", path("audit.log")),
            "--audit-log-mode=blocking-strict".to_owned(),
            "--audit-log-maxsize=100000".to_owned(),
        ]
    }

    pub fn requests(&self) -> Vec<Request> {
        let text = fs::read_to_string(Path::new(&self.0).join("audit.log")).unwrap();
        // The last line may be incomplete.
        let lines = text.rsplit_once('\n').map_or("", |(whole, _)| whole).lines();
        lines.map(|line| Request::read(&serde_json::from_str(line).unwrap())).collect()
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Request {
    fn read(event: &Value) -> Self {
        let text = |pointer: &str| {
            event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let sub = text("/objectRef/subresource");
        let resource = text("/objectRef/resource");
        Self {
            pod: text("/user/extra/authentication.kubernetes.io~1pod-name/0"),
            group: text("/objectRef/apiGroup"),
            resource: if sub.is_empty() { resource } else { format!("{resource}/{sub}") },
            verb: text("/verb"),
            code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or(0),
            time: text("/stageTimestamp").parse().unwrap(),
        }
    }

    /// Whether it has written a slice.
    pub fn is_slice_write(&self) -> bool {
        let is_write = matches!(self.verb.as_str(), "create" | "update" | "delete");
        self.resource == "endpointslices" && is_write && self.code < 300
    }
}

/// What a role allows, or what was requested: group, resource, verb.
pub type Rights = BTreeSet<(String, String, String)>;

/// Everything that the rules of a role allow.
pub fn allowed(rules: &Value) -> Rights {
    let texts = |value: &Value| {
        let texts = value.as_array().unwrap().iter();
        texts.map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut rights = Rights::new();
    for rule in rules.as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    rights.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    rights
}
