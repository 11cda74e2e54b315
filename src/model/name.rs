//! Names: the strings by which objects, nodes and zones are known, shared rather than copied.

use std::{fmt, sync::Arc};

/// A string that many records share: a node's name, a zone, a label's value.
pub type Name = Arc<str>;

/// Whether two names are the same. Most are shared, so most comparisons need no look at the text.
pub fn is_same(one: &Name, other: &Name) -> bool {
    Name::ptr_eq(one, other) || one == other
}

/// The same for names that may be absent.
pub fn are_same(one: Option<&Name>, other: Option<&Name>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (None, None) => true,
        _ => false,
    }
}

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
            Some(uuid) => Some(Self::Uuid(uuid)),
            None if text.is_empty() => None,
            None => Some(Self::Text(text.into())),
        }
    }

    /// Appends it to `to`.
    pub fn write(&self, to: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = match self {
            Self::Text(text) => return to.extend_from_slice(text.as_bytes()),
            Self::Uuid(bytes) => bytes,
        };
        // This avoids `format!`: each endpoint of each slice that is sent has a UID.
        let mut text = [b'-'; UUID_LENGTH];
        for (byte, at) in bytes.iter().zip(PAIRS) {
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 0xf)];
        }
        to.extend_from_slice(&text);
    }
}

/// How long a UUID is in its usual form.
const UUID_LENGTH: usize = 36;
/// Where the digits of each of its bytes are.
const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

impl From<&Uid> for String {
    fn from(uid: &Uid) -> Self {
        let mut text = Vec::new();
        uid.write(&mut text);
        Self::from_utf8_lossy(&text).into_owned()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(self))
    }
}

/// The value of a UUID, only if printing it gives the same text again.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; UUID_LENGTH] = text.as_bytes().try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let digit = |byte| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 16];
    for (byte, at) in bytes.iter_mut().zip(PAIRS) {
        *byte = digit(text[at])? << 4 | digit(text[at + 1])?;
    }
    Some(bytes)
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
            "6f1c2a40-0b1d-4c3e-9a77000000000-beef",
            "6f1c2a40-0b1d-4c3e-9a77-0000000é-beef",
        ] {
            assert_eq!(Uid::parse(text).map(|uid| uid.to_string()).as_deref(), Some(text));
        }
        assert!(matches!(Uid::parse("6f1c2a40-0b1d-4c3e-9a77-00000000beef"), Some(Uid::Uuid(_))));
        assert_eq!(Uid::parse(""), None);
    }
}
