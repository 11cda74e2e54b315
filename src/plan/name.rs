//! Names: the strings by which objects, nodes and zones are known, shared rather than copied.

use std::{fmt, sync::Arc};

/// A string that many records share: a node's name, a zone, a label's value.
pub type Name = Arc<str>;

/// Namespace and name of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    /// The Service's namespace.
    pub namespace: Name,
    /// The Service's name.
    pub name: Name,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The UID of an object. API servers give UUIDs, kept here as 16 bytes; anything else
/// (objects in files) is kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Uid {
    /// A UUID in its usual form: lower case, with hyphens.
    Uuid([u8; 16]),
    /// Any other text.
    Text(Box<str>),
}

impl Uid {
    /// Reads a UID; `None` for the empty string, which means that the object has none.
    pub fn parse(text: &str) -> Option<Self> {
        match parse_uuid(text) {
            Some(uuid) => Some(Self::Uuid(uuid.to_be_bytes())),
            None if text.is_empty() => None,
            None => Some(Self::Text(text.into())),
        }
    }
}

impl From<&Uid> for String {
    fn from(uid: &Uid) -> Self {
        match uid {
            Uid::Text(text) => Self::from(&**text),
            Uid::Uuid(bytes) => uuid(bytes),
        }
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Uuid(bytes) => f.write_str(&uuid(bytes)),
        }
    }
}

/// A UUID in its usual form.
fn uuid(bytes: &[u8; 16]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    // Not by format!: one UID for each endpoint of each slice that is sent.
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 0xf)]);
    }
    text
}

/// The value of a UUID, only if printing it gives the same text again.
fn parse_uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut value = 0_u128;
    for (at, byte) in text.bytes().enumerate() {
        let digit = match (at, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_prints_as_it_was_read() {
        for text in [
            "6f1c2a40-0b1d-4c3e-9a77-00000000beef",
            "uid-1",
            "6F1C2A40-0B1D-4C3E-9A77-00000000BEEF",
        ] {
            assert_eq!(Uid::parse(text).map(|uid| uid.to_string()).as_deref(), Some(text));
        }
        assert!(matches!(Uid::parse("6f1c2a40-0b1d-4c3e-9a77-00000000beef"), Some(Uid::Uuid(_))));
        assert_eq!(Uid::parse(""), None);
    }
}
