//! JSON: documents as trees. A key may not occur twice in an object: which of the two counts
//! differs from reader to reader, and the API server refuses it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    tree::{Amount, Fields, Number, Tree},
    yaml::Fault,
};

/// The lines around the logs that `kubectl cluster-info dump` prints between its lists.
const LOGS: [&str; 2] = ["==== START logs for container", "==== END logs for container"];

/// Any number of documents, one after the other. Empty ones are not counted.
pub(super) fn documents(text: &str) -> Result<Vec<Tree>, Fault> {
    let mut documents = Vec::new();
    let mut rest = text;
    loop {
        rest = without_logs(rest);
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Tree>();
        match stream.next() {
            None => return Ok(documents),
            Some(Ok(document)) => documents.extend(Some(document).filter(|it| !it.is_null())),
            Some(Err(error)) => {
                let before = text.len() - rest.len();
                let problem = located(&error, &text[..before]);
                return Err(Fault { document: documents.len() + 1, problem });
            }
        }
        rest = &rest[stream.byte_offset()..];
    }
}

/// The text after logs, if it starts with them.
fn without_logs(text: &str) -> &str {
    let [start, end] = LOGS;
    let mut rest = text.trim_start();
    while rest.starts_with(start) {
        let after = rest.find(end).map_or("", |at| &rest[at..]);
        rest = after.split_once('\n').map_or("", |(_, after)| after).trim_start();
    }
    rest
}

/// The message of an error in what follows `before`, with its place in the whole text.
fn located(error: &serde_json::Error, before: &str) -> String {
    let said = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let lines = before.matches('\n').count();
    let start = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let column = if error.line() == 1 { start + error.column() } else { error.column() };
    let what = said.strip_suffix(&place).unwrap_or(&said);
    format!("{what} at line {} column {column}", lines + error.line())
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whole)
    }
}

struct Whole;

fn number(amount: Amount, text: impl fmt::Display) -> Tree {
    Tree::Number(Number { amount, text: text.to_string().into() })
}

impl<'de> Visitor<'de> for Whole {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(number(Amount::Unsigned(value), value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(number(value.into(), value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(number(value.into(), value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut fields = Fields::new();
        while let Some(key) = entries.next_key::<String>()? {
            // Whoever changed them matters to nobody here, and they are half of a dump.
            let value = if key == "managedFields" {
                entries.next_value::<IgnoredAny>()?;
                Tree::Null
            } else {
                entries.next_value()?
            };
            if fields.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            fields.insert(key, value);
        }
        Ok(Tree::Object(fields))
    }
}
