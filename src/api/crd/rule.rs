//! Rule: what the API server checks beyond types and limits, in CEL
//! (`x-kubernetes-validations`, KEP-2876), each with a message that says what to do. A new rule
//! must bound what it reads: the API server rejects a definition whose rules could cost too much, and
//! estimates that by the limits on lists, maps and texts.

use serde_json::{Value, json};

/// A rule for a value, which is `self` in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    rule: &'static str,
    message: &'static str,
    field: Option<&'static str>,
    reason: Option<&'static str>,
}

impl Rule {
    /// The expression that must be true, and otherwise what is wrong and what to do.
    pub(super) const fn new(rule: &'static str, message: &'static str) -> Self {
        Self { rule, message, field: None, reason: None }
    }

    /// The same, reported for a field of the value. The path begins with a dot.
    pub(super) const fn at(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    /// The same, reported for a field of the value that is missing.
    pub(super) const fn missing(self, field: &'static str) -> Self {
        Self { field: Some(field), reason: Some("FieldValueRequired"), ..self }
    }

    fn to_value(self) -> Value {
        let mut value = json!({"rule": self.rule, "message": self.message, "reason": self.reason});
        if let Some(field) = self.field {
            value["fieldPath"] = field.into();
        }
        value
    }
}

/// The rules of a schema.
pub(super) fn rules(rules: &[Rule]) -> Value {
    rules.iter().map(|rule| rule.to_value()).collect()
}
