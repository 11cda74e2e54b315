//! Answer: what a server answers, without what differs between any two servers: uids, versions,
//! times and generated names get words.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// A server's answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What was called, for messages.
    pub call: String,
    pub code: u16,
    pub retry_after: Option<String>,
    /// Text if it is no JSON. For a watch, its events.
    pub body: Value,
}

impl Answer {
    /// Only the status code, because the body is large.
    pub fn code_only(call: &str, answer: Self) -> Self {
        Self { call: call.to_owned(), body: Value::Null, ..answer }
    }

    pub fn text(&self) -> String {
        let retry_after = self.retry_after.as_ref().map(|value| format!("Retry-After {value} "));
        format!("{} {}{}", self.code, retry_after.unwrap_or_default(), self.body)
    }
}

/// Answers in words that are the same on each server.
pub fn normal(answers: &[Answer]) -> Vec<Answer> {
    let mut words = Words::default();
    for answer in answers {
        words.collect(&answer.body);
    }
    let normal = |answer: &Answer| {
        let mut answer = answer.clone();
        words.apply(&mut answer.body);
        answer
    };
    answers.iter().map(normal).collect()
}

/// Removes from a real answer what the server added to the content of an object: defaults, what
/// admission plugins set, and who manages which field.
pub fn without_defaults(real: &mut Value, fake: &Value) {
    match (real, fake) {
        (Value::Object(real), Value::Object(fake)) => {
            for (field, value) in real.iter_mut() {
                if let ("spec" | "status", Some(fake)) = (field.as_str(), fake.get(field)) {
                    project(value, fake);
                } else if let Some(fake) = fake.get(field) {
                    without_defaults(value, fake);
                }
            }
            if real.contains_key("spec")
                && fake.contains_key("spec")
                && !fake.contains_key("status")
            {
                real.remove("status");
            }
        }
        (Value::Array(real), Value::Array(fake)) => {
            real.iter_mut().zip(fake).for_each(|(real, fake)| without_defaults(real, fake));
        }
        _ => {}
    }
}

fn project(real: &mut Value, fake: &Value) {
    match (real, fake) {
        (Value::Object(real), Value::Object(fake)) => {
            real.retain(|field, _| fake.contains_key(field));
            for (field, value) in real {
                project(value, &fake[field]);
            }
        }
        (Value::Array(real), Value::Array(fake)) => {
            real.iter_mut().zip(fake).for_each(|(real, fake)| project(real, fake));
        }
        _ => {}
    }
}

#[derive(Default)]
struct Words {
    /// The versions of objects.
    versions: BTreeSet<u64>,
    uids: Vec<String>,
    /// Generated names.
    names: Vec<String>,
}

impl Words {
    fn collect(&mut self, value: &Value) {
        if let Some(uid) = value["metadata"]["uid"].as_str() {
            let metadata = &value["metadata"];
            self.versions.extend(version(&metadata["resourceVersion"]));
            add(&mut self.uids, uid);
            let (name, prefix) = (metadata["name"].as_str(), metadata["generateName"].as_str());
            if let (Some(name), Some(prefix)) = (name, prefix)
                && name.len() == prefix.len() + 5
            {
                add(&mut self.names, name);
            }
        }
        match value {
            Value::Object(fields) => fields.values().for_each(|value| self.collect(value)),
            Value::Array(items) => items.iter().for_each(|value| self.collect(value)),
            _ => {}
        }
    }

    fn apply(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("managedFields");
                for (field, value) in fields.iter_mut() {
                    match field.as_str() {
                        "resourceVersion" => *value = self.version(value),
                        "creationTimestamp" | "deletionTimestamp" if value.is_string() => {
                            *value = json!("time");
                        }
                        "message" => *value = self.message(value),
                        "continue" if value.is_string() => *value = json!("token"),
                        "items" => {
                            self.apply(value);
                            // Generated names are random.
                            value.as_array_mut().unwrap().sort_by_key(name);
                        }
                        "events" => {
                            self.apply(value);
                            comparable(value);
                        }
                        _ => self.apply(value),
                    }
                }
                drop_empty(fields);
            }
            Value::Array(items) => items.iter_mut().for_each(|value| self.apply(value)),
            Value::String(text) => {
                for (at, uid) in self.uids.iter().enumerate() {
                    *text = text.replace(uid, &format!("uid-{at}"));
                }
                for (at, name) in self.names.iter().enumerate() {
                    *text = text.replace(name, &format!("name-{at}"));
                }
            }
            _ => {}
        }
    }

    /// A message names versions. How the storage says it, and what it has kept, is its own
    /// business.
    fn message(&self, value: &Value) -> Value {
        let mut text = value.as_str().unwrap_or_default();
        for end in ["StorageError", "too old resource version"] {
            text = text.find(end).map_or(text, |at| &text[..at + end.len()]);
        }
        let mut text = json!(text);
        self.apply(&mut text);
        let mut text = text.as_str().unwrap_or_default().to_owned();
        for version in &self.versions {
            let word = self.version(&json!(version.to_string()));
            text = text.replace(&format!("({version})"), &format!("({word})"));
        }
        json!(text)
    }

    /// How many of the objects' versions it includes. Others than ours write to a real server.
    fn version(&self, value: &Value) -> Value {
        let known = |version| self.versions.range(..=version).count();
        version(value).map_or(Value::Null, |version| json!(format!("version {}", known(version))))
    }
}

/// The initial objects of a watch come in any order, and bookmarks at any time, except the one that
/// ends the initial objects. A bookmark's content is empty.
fn comparable(events: &mut Value) {
    let Some(events) = events.as_array_mut() else { return };
    events.retain(|event| {
        let object = &event["object"]["metadata"];
        event["type"] != "BOOKMARK" || !object["annotations"].is_null()
    });
    for event in events.iter_mut().filter(|event| event["type"] == "BOOKMARK") {
        event["object"] = json!({ "metadata": event["object"]["metadata"] });
    }
    let initial = events.iter().take_while(|event| event["type"] == "ADDED").count();
    events[..initial].sort_by_key(|event| name(&event["object"]));
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].to_string()
}

/// Fields that are absent in one server's answer and empty in the other's mean the same.
fn drop_empty(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| match value {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    });
}

fn version(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

fn add(words: &mut Vec<String>, word: &str) {
    if !words.iter().any(|known| known == word) {
        words.push(word.to_owned());
    }
}
