//! The API server's audit log: who wrote what, as the server saw it.

use std::{fs, path::Path};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Error;

/// What is logged: each write once, when it is answered. The bodies are logged for slices and
/// leases.
pub(super) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
  - level: RequestResponse
    resources:
      - {group: discovery.k8s.io, resources: [endpointslices]}
      - {group: coordination.k8s.io, resources: [leases]}
  - level: Metadata
";

/// One write that the API server has answered.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// Who wrote, see [`super::Actor::user`].
    pub user: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The resource's plural name, with the subresource after a slash: `pods/status`.
    pub resource: String,
    /// Empty for resources outside namespaces.
    pub namespace: String,
    /// The object's name. If the server chose it, it is known only for resources whose bodies are
    /// logged (slices and leases), and empty otherwise.
    pub name: String,
    /// The HTTP status of the answer; 0 when there was none.
    pub code: u16,
    /// When the answer was sent.
    pub time: Timestamp,
    /// The request's body, for slices and leases; else null.
    pub request: Value,
    /// The answer's body, for slices and leases; else null.
    pub response: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    user: User,
    verb: String,
    #[serde(default)]
    object_ref: Reference,
    #[serde(default)]
    response_status: Answer,
    stage_timestamp: Timestamp,
    #[serde(default)]
    request_object: Value,
    #[serde(default)]
    response_object: Value,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    code: u16,
}

impl From<Line> for AuditEvent {
    fn from(line: Line) -> Self {
        let Reference { resource, subresource, namespace, name } = line.object_ref;
        let separator = if subresource.is_empty() { "" } else { "/" };
        let chosen = line.response_object.pointer("/metadata/name").and_then(Value::as_str);
        let name = if name.is_empty() { chosen.unwrap_or_default().to_owned() } else { name };
        Self {
            user: line.user.username,
            verb: line.verb,
            resource: format!("{resource}{separator}{subresource}"),
            namespace,
            name,
            code: line.response_status.code,
            time: line.stage_timestamp,
            request: line.request_object,
            response: line.response_object,
        }
    }
}

/// Reads the log at `path`, which may end in the middle of a line.
pub(super) fn read(path: &Path) -> Result<Vec<AuditEvent>, Error> {
    let text = fs::read_to_string(path).map_err(Error::file(path))?;
    let parse = |line: &str| {
        let line = serde_json::from_str::<Line>(line);
        line.map(Into::into).map_err(|source| Error::Audit { path: path.to_owned(), source })
    };
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_takes_the_name_that_the_server_chose() {
        let line = r#"{"kind":"Event","level":"RequestResponse","stage":"ResponseComplete",
            "verb":"create","user":{"username":"u"},"stageTimestamp":"2026-01-02T03:04:05.678901Z",
            "objectRef":{"resource":"endpointslices","namespace":"shop"},
            "responseStatus":{"code":201},"responseObject":{"metadata":{"name":"cart-x7"}}}"#;
        let event = AuditEvent::from(serde_json::from_str::<Line>(line).unwrap());
        assert_eq!((event.name.as_str(), event.code), ("cart-x7", 201));
        assert_eq!((event.resource.as_str(), event.namespace.as_str()), ("endpointslices", "shop"));
        assert_eq!(event.time.to_string(), "2026-01-02T03:04:05.678901Z");
    }

    #[test]
    fn half_a_line_at_the_end_is_left_for_later() {
        let path = std::env::temp_dir().join(format!("e2e-audit-{}", std::process::id()));
        let line = r#"{"user":{"username":"u"},"verb":"patch","objectRef":{"resource":"pods",
            "subresource":"status"},"stageTimestamp":"2026-01-02T03:04:05Z"}"#
            .replace('\n', "");
        fs::write(&path, format!("{line}\n{}", &line[..40])).unwrap();
        let events = read(&path).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].resource, "pods/status");
        fs::remove_file(path).unwrap();
    }
}
