//! YAML: documents as trees. Scalars are resolved as kubectl does; see [`super::scalar`]. What
//! aliases copy and how deep values nest is bounded, as a few bytes could otherwise fill the
//! memory.

use std::{collections::HashMap, mem};

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::{
    scalar,
    tree::{Amount, Fields, Number, Tree, is_unread, unread},
};

/// The most bytes that aliases may copy in a file.
const COPIED: usize = 64 << 20;
/// How deep values may nest.
pub(super) const DEPTH: usize = 128;
/// How many events are between two reports of progress.
const REPORTED: usize = 4096;
/// Roughly how many bytes a value takes besides its texts.
const VALUE: usize = 64;

/// What is wrong with a text, and in which of its documents, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) document: usize,
    pub(super) problem: String,
}

/// All documents of a text that are not empty. `read` gets to know how many bytes have been read.
pub(super) fn documents(text: &str, read: &impl Fn(usize)) -> Result<Vec<Tree>, Fault> {
    let mut builder = Builder::default();
    for (number, event) in Parser::new_from_str(text).enumerate() {
        if number % REPORTED == 0
            && let Ok((_, span)) = &event
        {
            read(span.start.byte_offset().unwrap_or(0));
        }
        let taken = match event {
            Ok((event, span)) => {
                builder.take(event).map_err(|problem| located(&span.start, &problem))
            }
            Err(error) => Err(scan_problem(&error)),
        };
        taken.map_err(|problem| Fault { document: builder.documents.len() + 1, problem })?;
    }
    Ok(builder.documents)
}

fn scan_problem(error: &ScanError) -> String {
    let info = error.info();
    located(error.marker(), info.lines().next().unwrap_or_default())
}

fn located(mark: &Marker, problem: &str) -> String {
    format!("{problem} at line {}, column {}", mark.line(), mark.col() + 1)
}

/// A list or an object that is not complete.
enum Open {
    List { entries: Vec<Tree>, anchor: usize },
    Object { fields: Fields, merged: Fields, key: Option<Key>, anchor: usize },
}

enum Key {
    Field(String),
    /// `<<`: the fields of another object.
    Merge,
}

#[derive(Default)]
struct Builder {
    documents: Vec<Tree>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Tree, usize)>,
    copied: usize,
    /// How many lists and objects are open in a value that is skipped.
    passed_over: Option<usize>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        if let Some(open) = self.passed_over {
            let open = match event {
                Event::SequenceStart(..) | Event::MappingStart(..) => open + 1,
                Event::SequenceEnd | Event::MappingEnd => open.saturating_sub(1),
                Event::Scalar(..) | Event::Alias(..) => open,
                // A comment is no value.
                _ => return Ok(()),
            };
            self.passed_over = Some(open).filter(|open| *open > 0);
            return if open > 0 { Ok(()) } else { self.add(unread(), 0) };
        }
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                if is_plain && text == "<<" && self.is_key_next() {
                    self.set_key(Key::Merge);
                    return Ok(());
                }
                let value = value(&text, is_plain, tag.as_deref())?;
                return self.add(value, anchor);
            }
            Event::SequenceStart(_, anchor, _) => {
                self.descend(Open::List { entries: Vec::new(), anchor })?;
            }
            Event::MappingStart(_, anchor, _) => {
                let (fields, merged) = (Fields::new(), Fields::new());
                self.descend(Open::Object { fields, merged, key: None, anchor })?;
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { entries, anchor }) => {
                    return self.add(Tree::List(entries), anchor);
                }
                Some(Open::Object { mut fields, merged, anchor, .. }) => {
                    for (key, value) in merged {
                        fields.entry(key).or_insert(value);
                    }
                    return self.add(Tree::Object(fields), anchor);
                }
                None => (),
            },
            Event::Alias(anchor) => {
                let copy = self.copy(anchor)?;
                return self.add(copy, 0);
            }
            _ => (),
        }
        Ok(())
    }

    fn descend(&mut self, open: Open) -> Result<(), String> {
        if self.is_key_next() {
            return Err("a list or an object is used as a key".to_owned());
        }
        if self.open.len() >= DEPTH {
            return Err(format!("values nest deeper than {DEPTH}"));
        }
        self.open.push(open);
        Ok(())
    }

    fn is_key_next(&self) -> bool {
        matches!(self.open.last(), Some(Open::Object { key: None, .. }))
    }

    /// The field in which the innermost object is, perhaps in a list there.
    fn within(&self) -> Option<&str> {
        let outer = self.open.iter().rev().skip(1).find(|it| !matches!(it, Open::List { .. }))?;
        match outer {
            Open::Object { key: Some(Key::Field(field)), .. } => Some(field),
            _ => None,
        }
    }

    fn set_key(&mut self, next: Key) {
        if let Some(Open::Object { key, .. }) = self.open.last_mut() {
            *key = Some(next);
        }
    }

    /// What an anchor stands for.
    fn copy(&mut self, anchor: usize) -> Result<Tree, String> {
        let (tree, size) = self.anchors.get(&anchor).ok_or("an alias is in its own anchor")?;
        self.copied = self.copied.saturating_add(*size);
        if self.copied > COPIED {
            return Err(format!("aliases copy more than {} MiB", COPIED >> 20));
        }
        Ok(tree.clone())
    }

    /// Puts a complete value where it belongs.
    fn add(&mut self, value: Tree, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            // What an anchor keeps is a copy as well.
            let size = size(&value);
            self.copied = self.copied.saturating_add(size);
            if self.copied > COPIED {
                return Err(format!("anchors and aliases copy more than {} MiB", COPIED >> 20));
            }
            self.anchors.insert(anchor, (value.clone(), size));
        }
        if self.is_key_next() {
            let key = field(value)?;
            if let Some(Open::Object { fields, .. }) = self.open.last()
                && fields.contains_key(&key)
            {
                return Err(format!("duplicate key `{key}`"));
            }
            if self.within().is_some_and(|within| is_unread(within, &key)) {
                self.passed_over = Some(0);
            }
            self.set_key(Key::Field(key));
            return Ok(());
        }
        match self.open.last_mut() {
            // An empty document is none.
            None if value.is_null() => (),
            None => self.documents.push(value),
            Some(Open::List { entries, .. }) => entries.push(value),
            Some(Open::Object { fields, merged, key, .. }) => match mem::take(key) {
                Some(Key::Field(name)) => {
                    merged.remove(&name);
                    fields.insert(name, value);
                }
                Some(Key::Merge) => merge(fields, merged, value)?,
                None => (),
            },
        }
        Ok(())
    }
}

/// Merges other objects: they replace what stands before `<<` (as in kubectl), and what stands
/// after replaces them. Of several objects, the first that has a field decides.
fn merge(fields: &mut Fields, merged: &mut Fields, value: Tree) -> Result<(), String> {
    let objects = match value {
        Tree::List(list) => list,
        one => vec![one],
    };
    let wrong = "`<<` takes an object or a list of objects";
    for object in objects.into_iter().rev() {
        let Tree::Object(more) = object else { return Err(wrong.to_owned()) };
        for (name, value) in more {
            match fields.get_mut(&name) {
                Some(before) => *before = value,
                None => drop(merged.insert(name, value)),
            }
        }
    }
    Ok(())
}

/// A scalar's value. A tag of the core schema decides its type.
fn value(text: &str, is_plain: bool, tag: Option<&Tag>) -> Result<Tree, String> {
    let is_resolved = match tag {
        Some(tag) if tag.is_yaml_core_schema() => !tag.is_yaml_core_schema_tag("str"),
        Some(_) => false,
        None => is_plain,
    };
    if !is_resolved {
        return Ok(text.into());
    }
    scalar::plain(text)
        .ok_or_else(|| format!("`{text}` is not a finite number; put it in quotes if it is a text"))
}

/// The name of a field.
fn field(key: Tree) -> Result<String, String> {
    Ok(match key {
        Tree::Text(text) => text,
        Tree::Bool(value) => value.to_string(),
        Tree::Number(Number { amount, .. }) => match amount {
            Amount::Unsigned(number) => number.to_string(),
            Amount::Signed(number) => number.to_string(),
            Amount::Float(number) => number.to_string(),
        },
        Tree::Null => return Err("a key is empty".to_owned()),
        Tree::List(_) | Tree::Object(_) => {
            return Err("a list or an object is used as a key".to_owned());
        }
    })
}

/// About what a value takes in memory.
fn size(tree: &Tree) -> usize {
    VALUE
        + match tree {
            Tree::Null | Tree::Bool(_) => 0,
            Tree::Number(number) => number.text.len(),
            Tree::Text(text) => text.len(),
            Tree::List(list) => list.iter().map(size).sum(),
            Tree::Object(fields) => {
                fields.iter().map(|(key, value)| VALUE + key.len() + size(value)).sum()
            }
        }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn one(text: &str) -> Tree {
        let mut documents = documents(text, &|_| ()).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0)
    }

    #[test]
    fn keys_and_merges_are_those_of_kubectl() {
        assert_eq!(one("{yes: a, 010: b}"), one("{'true': a, '8': b}"));
        let merged = one("a: &a {x: '1', y: '2'}\nb: {x: '0', <<: *a, y: '3', z: '4'}");
        assert_eq!(merged["b"], one("{x: '1', y: '3', z: '4'}"));
        let first = one("a: &a {x: '1'}\nb: &b {x: '2', y: '2'}\nc: {<<: [*a, *b]}");
        assert_eq!(first["c"], one("{x: '1', y: '2'}"));
    }

    #[test]
    fn only_what_is_not_read_is_skipped() {
        for fields in ["x", "[{a: [b, {c: d}]}, e]", "{a: b}", "", "[]"] {
            let text = format!(
                "metadata:\n  managedFields: {fields}\n  labels: {{managedFields: x}}\nmanagedFields: z"
            );
            let document = one(&text);
            assert_eq!(document["metadata"]["managedFields"], unread(), "{text}");
            assert_eq!(document["metadata"]["labels"]["managedFields"], "x".into(), "{text}");
            assert_eq!(document["managedFields"], "z".into(), "{text}");
        }
        let document =
            one("spec:\n  containers:\n  - env: [{name: a}]\n    name: b\n  env: c\nenv: d");
        assert_eq!(document["spec"]["containers"], Tree::List(vec![one("env: {}\nname: b")]));
        assert_eq!((&document["spec"]["env"], &document["env"]), (&"c".into(), &"d".into()));
    }

    #[test]
    fn few_bytes_stay_few() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..20 {
            let last = format!("*a{}, ", at - 1).repeat(9);
            writeln!(bomb, "a{at}: &a{at} [{}]", last.trim_end_matches(", ")).unwrap();
        }
        let fault = documents(&bomb, &|_| ()).unwrap_err();
        assert!(fault.problem.contains("copy more than 64 MiB"), "{fault:?}");
        for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
            assert!(documents(&deep, &|_| ()).is_err());
        }
        assert!(documents("a: &a [*a]", &|_| ()).is_err());
    }
}
