//! Tree: a document as it was read. Unlike a JSON value, a number keeps the text that stood for it:
//! where the API wants a string, `1.10` means these four characters.

use std::{collections::BTreeMap, ops::Index};

/// Fields that take most of a dump and that nothing here reads, with the field in which they are. Their
/// values are skipped: a tree of them would cost three quarters of the time and of the memory. A test
/// checks that no type reads them.
pub(super) const UNREAD: &[(&str, &[&str])] = &[
    ("metadata", &["managedFields"]),
    (
        "spec",
        &["affinity", "ephemeralContainers", "tolerations", "topologySpreadConstraints", "volumes"],
    ),
    ("containers", CONTAINER),
    ("initContainers", CONTAINER),
    (
        "status",
        &[
            "containerStatuses",
            "ephemeralContainerStatuses",
            "images",
            "initContainerStatuses",
            "nodeInfo",
            "volumesAttached",
            "volumesInUse",
        ],
    ),
];

/// The fields of a container that nothing reads.
const CONTAINER: &[&str] = &[
    "args",
    "command",
    "env",
    "envFrom",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "securityContext",
    "startupProbe",
    "volumeMounts",
];

/// Whether nothing reads this field of an object in the field `within`, or in a list there.
pub(super) fn is_unread(within: &str, field: &str) -> bool {
    UNREAD.iter().any(|(outer, fields)| *outer == within && fields.contains(&field))
}

/// What stands for the value of a field that is not read. It is not null, which would mean that there
/// is no such field.
pub(super) fn unread() -> Tree {
    Tree::Object(Fields::new())
}

/// The fields of an object.
pub(super) type Fields = BTreeMap<String, Tree>;

/// A value with all that is in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Tree {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Self>),
    Object(Fields),
}

/// A number, and the text that stands for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    /// What it amounts to.
    pub(super) amount: Amount,
    /// How it was written.
    pub(super) text: Box<str>,
}

/// The amount of a number. A whole one is never a `Float`, if it fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Amount {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

/// From here on, a float may not be exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl From<f64> for Amount {
    fn from(float: f64) -> Self {
        if float.fract() != 0.0 || float.abs() >= EXACT {
            return Self::Float(float);
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
        let whole = float as i64;
        whole.into()
    }
}

impl From<i64> for Amount {
    fn from(whole: i64) -> Self {
        u64::try_from(whole).map_or(Self::Signed(whole), Self::Unsigned)
    }
}

impl Tree {
    /// The text, if it is one.
    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The entries, if it is a list.
    pub(super) fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// The number, if it is a whole one.
    pub(super) fn as_whole(&self) -> Option<i64> {
        match self {
            Self::Number(Number { amount: Amount::Unsigned(number), .. }) => {
                i64::try_from(*number).ok()
            }
            Self::Number(Number { amount: Amount::Signed(number), .. }) => Some(*number),
            _ => None,
        }
    }

    /// A field that is there, if this is an object.
    pub(super) fn get(&self, field: &str) -> Option<&Self> {
        if let Self::Object(fields) = self { fields.get(field) } else { None }
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, field: &str) -> Option<&mut Self> {
        if let Self::Object(fields) = self { fields.get_mut(field) } else { None }
    }

    /// Whether there is nothing.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// An object with one field.
    pub(super) fn with(field: &str, value: Self) -> Self {
        Self::Object(Fields::from([(field.to_owned(), value)]))
    }
}

/// A field, or null.
impl Index<&str> for Tree {
    type Output = Self;

    fn index(&self, field: &str) -> &Self {
        self.get(field).unwrap_or(&Self::Null)
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
