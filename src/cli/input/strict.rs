//! Strict: decodes a document and names the field where that fails, and reports every field
//! that the decoded type does not have.

use std::fmt;

use super::tree::{self, Amount, Number, Tree};
use crate::api::field::FieldError;
use serde::{
    Deserialize,
    de::{
        self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
        Unexpected, Visitor,
    },
    forward_to_deserialize_any,
};

/// One step down from an object's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Into a field.
    Field(&'a str),
    /// Into an entry of a list.
    Entry(usize),
}

/// The path from an object's root, last step first.
#[derive(Clone, Copy, Debug)]
struct Path<'p> {
    before: Option<&'p Self>,
    step: Step<'p>,
}

/// A field that the decoded type does not have.
#[derive(Debug)]
pub(super) struct Unknown<'p> {
    path: Option<&'p Path<'p>>,
    /// Its name.
    pub(super) name: &'p str,
    /// The names that the struct has.
    pub(super) known: &'static [&'static str],
    /// All fields that the document has in this place.
    pub(super) siblings: &'p tree::Fields,
}

impl<'p> Unknown<'p> {
    /// The path to the struct that does not have the field.
    pub(super) fn steps(&self) -> Vec<Step<'p>> {
        steps(self.path)
    }
}

/// All steps of a path, from the root.
fn steps<'p>(mut path: Option<&'p Path<'p>>) -> Vec<Step<'p>> {
    let mut steps = Vec::new();
    while let Some(Path { before, step }) = path {
        steps.push(*step);
        path = *before;
    }
    steps.reverse();
    steps
}

/// Decodes `document` and calls `unknown` for every field that `T` does not have, down to the
/// places where `T` stops looking.
pub(super) fn decode<'a, T: Deserialize<'a>>(
    document: &'a Tree,
    unknown: &dyn Fn(&Unknown<'_>),
) -> Result<T, FieldError> {
    let reader = Reader { value: document, path: None, unknown };
    let failure =
        |Failure { path, problem }| FieldError { path: path.unwrap_or_default(), problem };
    T::deserialize(reader).map_err(failure)
}

/// A path as messages write it: `spec.ports[0].port`.
pub(super) fn written(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text.extend([".", name]),
            Step::Entry(at) => text.extend(["[", &at.to_string(), "]"]),
        }
    }
    text
}

/// A value on its way into a type.
#[derive(Clone, Copy)]
struct Reader<'a, 'p> {
    value: &'a Tree,
    path: Option<&'p Path<'p>>,
    unknown: &'p dyn Fn(&Unknown<'_>),
}

/// What is wrong. The innermost place that knows its path fills it in.
#[derive(Debug)]
struct Failure {
    path: Option<String>,
    problem: String,
}

impl<'a> Reader<'a, '_> {
    /// Decodes what is one step further down, and notes where that failed.
    fn descend<S: DeserializeSeed<'a>>(
        self,
        step: Step<'a>,
        value: &'a Tree,
        seed: S,
    ) -> Result<S::Value, Failure> {
        let path = Path { before: self.path, step };
        let reader = Reader { value, path: Some(&path), unknown: self.unknown };
        seed.deserialize(reader).map_err(|failure| Failure {
            path: failure.path.or_else(|| Some(written(&steps(Some(&path))))),
            ..failure
        })
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Text(text) => visitor.visit_borrowed_str(text),
            Tree::Number(Number { amount, .. }) => match *amount {
                Amount::Unsigned(number) => visitor.visit_u64(number),
                Amount::Signed(number) => visitor.visit_i64(number),
                Amount::Float(number) => visitor.visit_f64(number),
            },
            Tree::List(list) => {
                visitor.visit_seq(Entries { list: list.iter().enumerate(), of: self })
            }
            Tree::Object(map) => visitor.visit_map(Fields {
                map: map.iter(),
                value: None,
                of: self,
                skips_null: false,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // Where a text is expected, a number is the text that it was written as.
        if let Tree::Number(Number { text, .. }) = self.value {
            return visitor.visit_borrowed_str(text);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let siblings = match self.value {
            Tree::Object(siblings) => siblings,
            // An entry of a list that is null has the values of an empty one.
            Tree::Null => {
                let none =
                    de::value::MapDeserializer::<_, Failure>::new(std::iter::empty::<((), ())>());
                return visitor.visit_map(none);
            }
            _ => return Err(de::Error::invalid_type(unexpected(self.value), &"an object")),
        };
        for name in siblings.keys().filter(|name| !known.contains(&name.as_str())) {
            (self.unknown)(&Unknown { path: self.path, name, known, siblings });
        }
        visitor.visit_map(Fields { map: siblings.iter(), value: None, of: self, skips_null: true })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit
        unit_struct seq tuple tuple_struct map enum identifier
    }
}

struct Fields<'a, 'p> {
    map: std::collections::btree_map::Iter<'a, String, Tree>,
    value: Option<(&'a String, &'a Tree)>,
    /// A field that is null is absent. In a map, null is the empty value of a key.
    skips_null: bool,
    of: Reader<'a, 'p>,
}

impl<'a> MapAccess<'a> for Fields<'a, '_> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        let skips_null = self.skips_null;
        self.value = self.map.find(|(_, value)| !(skips_null && value.is_null()));
        let Some((key, _)) = self.value else { return Ok(None) };
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let Some((key, value)) = self.value else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        self.of.descend(Step::Field(key), value, seed)
    }
}

struct Entries<'a, 'p> {
    list: std::iter::Enumerate<std::slice::Iter<'a, Tree>>,
    of: Reader<'a, 'p>,
}

impl<'a> SeqAccess<'a> for Entries<'a, '_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        let Some((at, value)) = self.list.next() else { return Ok(None) };
        self.of.descend(Step::Entry(at), value, seed).map(Some)
    }
}

fn unexpected(value: &Tree) -> Unexpected<'_> {
    match value {
        Tree::Null => Unexpected::Unit,
        Tree::Bool(value) => Unexpected::Bool(*value),
        Tree::Number(Number { amount, .. }) => match *amount {
            Amount::Unsigned(number) => Unexpected::Unsigned(number),
            Amount::Signed(number) => Unexpected::Signed(number),
            Amount::Float(number) => Unexpected::Float(number),
        },
        Tree::Text(text) => Unexpected::Str(text),
        Tree::List(_) => Unexpected::Seq,
        Tree::Object(_) => Unexpected::Map,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self { path: None, problem: problem.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = match expected.to_string().as_str() {
            "i32" | "u64" => "a whole number".to_owned(),
            other => other.to_owned(),
        };
        let found = match found {
            Unexpected::Unit => "nothing (null)".to_owned(),
            Unexpected::Map => "an object".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Unsigned(number) => format!("the number {number}"),
            Unexpected::Signed(number) => format!("the number {number}"),
            Unexpected::Float(number) => format!("the number {number}"),
            Unexpected::Bool(value) => format!("the boolean {value}"),
            Unexpected::Str(text) => format!("the text \"{text}\""),
            other => other.to_string(),
        };
        let is_plain = found.starts_with("the number") || found.starts_with("the boolean");
        let is_unquoted = expected.contains("string") && is_plain;
        let remedy = if is_unquoted { "put it in quotes" } else { "correct it" };
        Self::custom(format!("is {found}, expected {expected}; {remedy}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("the field `{field}` is missing; add it"))
    }
}
