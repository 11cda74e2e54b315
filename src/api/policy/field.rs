//! Field: a value of a policy's spec with its path, read strictly. A policy comes from files and from
//! the API server, and both must find the same mistakes in it, so its spec is not left to `serde`.

use serde_json::{Map, Value};

use crate::api::field::FieldError;

/// How many letters of a name may be wrong for it to count as a misspelling.
const DISTANCE: usize = 2;

/// What is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// What, and where.
    pub(super) error: FieldError,
    /// Whether a newer version may know better: an unknown field, or an unknown value of a list.
    pub(super) is_unknown: bool,
}

/// What a field of a spec is read as.
pub(super) type Read<T> = Result<T, Problem>;

/// A value and where it is.
#[derive(Clone, Debug)]
pub(super) struct Field<'v> {
    path: String,
    value: &'v Value,
}

/// The fields of an object, all of which are known.
#[derive(Debug)]
pub(super) struct Fields<'v> {
    path: String,
    map: &'v Map<String, Value>,
}

impl<'v> Field<'v> {
    /// The value at this path.
    pub(super) fn new(path: impl Into<String>, value: &'v Value) -> Self {
        Self { path: path.into(), value }
    }

    /// Something that is not allowed here.
    pub(super) fn invalid(&self, problem: impl Into<String>) -> Problem {
        Problem { error: FieldError::new(&*self.path, problem), is_unknown: false }
    }

    /// The same, where a newer version may know better.
    fn unknown(&self, problem: impl Into<String>) -> Problem {
        Problem { is_unknown: true, ..self.invalid(problem) }
    }

    fn mistyped(&self, expected: &str) -> Problem {
        let found = match self.value {
            Value::Null => "nothing (null)".to_owned(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Number(number) => format!("the number {number}"),
            Value::String(text) => format!("the text \"{text}\""),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        let is_unquoted = matches!(self.value, Value::Bool(_) | Value::Number(_));
        let remedy =
            if expected == "a string" && is_unquoted { "put it in quotes" } else { "correct it" };
        self.invalid(format!("is {found}, expected {expected}; {remedy}"))
    }

    /// An object with no other fields than these.
    pub(super) fn object(&self, known: &[&str]) -> Read<Fields<'v>> {
        let fields = Fields { path: self.path.clone(), map: self.map()? };
        for (name, value) in fields.map {
            if known.contains(&name.as_str()) {
                continue;
            }
            let field = Field::new(format!("{}.{name}", self.path), value);
            let is_absent = |known: &&&str| !fields.map.contains_key(**known);
            let distance = |known: &&&str| strsim::levenshtein(name, known);
            let nearest = known.iter().filter(is_absent).min_by_key(distance);
            let meant = nearest.filter(|known| distance(known) <= DISTANCE.min(known.len() / 2));
            return Err(field.unknown(match meant {
                Some(meant) => format!("is an unknown field; did you mean `{meant}`?"),
                None => format!("is an unknown field; expected one of {}", known.join(", ")),
            }));
        }
        Ok(fields)
    }

    fn map(&self) -> Read<&'v Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.mistyped("an object"))
    }

    /// The entries of a map, by key, at most so many.
    pub(super) fn entries(&self, most: usize) -> Read<impl Iterator<Item = (&'v str, Self)>> {
        self.limit(self.map()?.len(), "entries", most)?;
        let path = self.path.clone();
        let entry = move |(key, value): (&'v String, &'v Value)| {
            (key.as_str(), Field::new(format!("{path}.{key}"), value))
        };
        Ok(self.map()?.iter().map(entry))
    }

    /// The entries of a list, at most so many.
    pub(super) fn list(&self, most: usize) -> Read<Vec<Self>> {
        let list = self.value.as_array().ok_or_else(|| self.mistyped("a list"))?;
        self.limit(list.len(), "entries", most)?;
        let entry = |(at, value)| Field::new(format!("{}[{at}]", self.path), value);
        Ok(list.iter().enumerate().map(entry).collect())
    }

    /// The entries of a list that has at least one, at most so many, and no two equal ones.
    pub(super) fn set(&self, what: &str, most: usize) -> Read<Vec<(Self, &'v str)>> {
        let entries = self.list(most)?;
        if entries.is_empty() {
            return Err(self.invalid(format!("is empty; name at least one {what}")));
        }
        let mut set: Vec<(Self, &str)> = Vec::new();
        for entry in entries {
            let text = entry.text()?;
            if set.iter().any(|(_, other)| *other == text) {
                return Err(entry.invalid(format!("`{text}` is given twice; leave one out")));
            }
            set.push((entry, text));
        }
        Ok(set)
    }

    /// A text.
    pub(super) fn text(&self) -> Read<&'v str> {
        self.value.as_str().ok_or_else(|| self.mistyped("a string"))
    }

    /// A text of at most so many characters.
    pub(super) fn short_text(&self, most: usize) -> Read<&'v str> {
        let text = self.text()?;
        self.limit(text.chars().count(), "characters", most)?;
        Ok(text)
    }

    /// There must not be more of them.
    fn limit(&self, count: usize, what: &str, most: usize) -> Read<()> {
        if count > most {
            return Err(self.invalid(format!("has {count} {what}; give at most {most}")));
        }
        Ok(())
    }

    /// One of these words, with what it means.
    pub(super) fn word<T: Clone>(&self, words: &[(&str, T)]) -> Read<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
            let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            self.unknown(format!("unknown value `{text}`; expected one of {known}"))
        })
    }

    /// An unknown value that is not a word of a closed list.
    pub(super) fn unknown_value(&self, text: &str, expected: &str) -> Problem {
        self.unknown(format!("unknown value `{text}`; expected {expected}"))
    }

    /// A whole number between these.
    pub(super) fn whole(&self, least: u64, most: u64) -> Read<u64> {
        let expected = format!("a whole number from {least} to {most}");
        if !self.value.is_number() {
            return Err(self.mistyped(&expected));
        }
        // `30.0` is a whole number to the API server, too.
        let whole = self.value.as_u64().or_else(|| {
            let number = self.value.as_f64().filter(|number| number.fract() == 0.0)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            (0.0..=1e9).contains(&number).then_some(number as u64)
        });
        whole
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.invalid(format!("is {}; expected {expected}", self.value)))
    }

    /// A number.
    pub(super) fn number(&self) -> Read<f64> {
        let number = self.value.as_f64().filter(|_| self.value.is_number());
        number.ok_or_else(|| self.mistyped("a number"))
    }
}

impl<'v> Fields<'v> {
    /// A field; `null` is absent.
    pub(super) fn get(&self, name: &str) -> Option<Field<'v>> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(Field::new(format!("{}.{name}", self.path), value))
    }

    /// A field that must be there; `why` says what for.
    pub(super) fn required(&self, name: &str, why: &str) -> Read<Field<'v>> {
        self.get(name).ok_or_else(|| self.missing(name, why))
    }

    /// The absence of a field that must be there.
    fn missing(&self, name: &str, why: &str) -> Problem {
        let path = format!("{}.{name}", self.path);
        let error = FieldError::new(path, format!("is missing; {why}"));
        Problem { error, is_unknown: false }
    }

    /// Reads a field if it is there.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Field<'v>) -> Read<T>,
    ) -> Read<Option<T>> {
        self.get(name).as_ref().map(read).transpose()
    }
}
