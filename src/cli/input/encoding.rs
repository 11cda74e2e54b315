//! Encoding: bytes as text. Shells of Windows write UTF-16 with a byte order mark, and some editors
//! put one before UTF-8.

use std::borrow::Cow;

const MARK: char = '\u{feff}';

/// Bytes that are no text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EncodingError {
    #[error("it is not text: byte {0} is not UTF-8")]
    Utf8(usize),
    #[error("it starts like UTF-16, and is not")]
    Utf16,
}

/// The text: UTF-8, or UTF-16 of either order, by its first bytes.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, EncodingError> {
    match *bytes {
        // The second pattern: without a mark, the first character of YAML and JSON is ASCII.
        [0xff, 0xfe, ..] | [1..=0x7f, 0, ..] => utf16(&bytes, u16::from_le_bytes),
        [0xfe, 0xff, ..] | [0, 1..=0x7f, ..] => utf16(&bytes, u16::from_be_bytes),
        _ => String::from_utf8(bytes)
            .map_err(|error| EncodingError::Utf8(error.utf8_error().valid_up_to() + 1)),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, EncodingError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty()).ok_or(EncodingError::Utf16)
}

/// The text without byte order marks at its start and at the start of lines, where files with marks
/// were put together.
pub(super) fn without_marks(text: &str) -> Cow<'_, str> {
    let text = text.trim_start_matches(MARK);
    let inner = ['\n', MARK].iter().collect::<String>();
    if text.contains(&inner) { text.replace(&inner, "\n").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_read() {
        for written in ["a: ü🦀\n", "\u{feff}a: ü🦀\n"] {
            let units = || written.encode_utf16();
            for bytes in [
                written.as_bytes().to_vec(),
                units().flat_map(u16::to_le_bytes).collect(),
                units().flat_map(u16::to_be_bytes).collect(),
            ] {
                assert_eq!(without_marks(&text(bytes).unwrap()), "a: ü🦀\n");
            }
        }
        assert_eq!(without_marks("a: 1\n\u{feff}---\nb: 1"), "a: 1\n---\nb: 1");
        assert_eq!(text(b"ab\xff".to_vec()), Err(EncodingError::Utf8(3)));
        assert_eq!(text(b"\xff\xfea".to_vec()), Err(EncodingError::Utf16));
        assert_eq!(text(b"\xff\xfe\x00\xd8".to_vec()), Err(EncodingError::Utf16));
    }
}
