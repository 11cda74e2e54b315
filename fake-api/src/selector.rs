//! Label and field selectors, as far as controllers use them.

use serde_json::Value;

/// Both selectors of a request, and its namespace.
#[derive(Clone, Default)]
pub struct Selector {
    pub namespace: Option<String>,
    pub labels: String,
    pub fields: String,
}

impl Selector {
    pub fn matches(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let in_namespace = self
            .namespace
            .as_deref()
            .is_none_or(|namespace| metadata["namespace"].as_str() == Some(namespace));
        let field = |path: &str| {
            let found = path.split('.').fold(object, |at, name| &at[name]);
            found.as_str()
        };
        in_namespace
            && terms(&self.labels).all(|term| holds(term, |key| metadata["labels"][key].as_str()))
            && terms(&self.fields).all(|term| holds(term, field))
    }
}

fn terms(selector: &str) -> impl Iterator<Item = &str> {
    selector.split(',').filter(|term| !term.is_empty())
}

/// `key`, `!key`, `key=value`, `key==value`, `key!=value`.
fn holds<'a>(term: &'a str, value: impl Fn(&'a str) -> Option<&'a str>) -> bool {
    if let Some((key, unwanted)) = term.split_once("!=") {
        value(key) != Some(unwanted)
    } else if let Some((key, wanted)) = term.split_once('=') {
        value(key) == Some(wanted.trim_start_matches('='))
    } else if let Some(key) = term.strip_prefix('!') {
        value(key).is_none()
    } else {
        value(term).is_some()
    }
}
