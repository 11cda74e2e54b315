//! Kubectl: a value as kubectl prints it as YAML. Keys are sorted, lists are not indented, and a text has
//! quotes only where it would be read as something else. The library that writes YAML elsewhere has
//! other rules for quotes, so that a diff would not look like what kubectl shows.
//!
//! The rules are those of `go.yaml.in/yaml/v2` (`stringv` in `encode.go`, and
//! `yaml_emitter_analyze_scalar` in `emitterc.go`), which `e2e/tests/kubectl_input.rs` compares.

use serde_json::Value;

use super::list::quote;
use crate::{cli::input::is_text, plain::is_plain as is_shown};

/// What a plain text cannot begin with.
const INDICATORS: &[char] = &[
    '-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`',
];

/// The value as a document.
pub(super) fn yaml(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => object(value, 0, &mut text),
        Value::Array(entries) if !entries.is_empty() => list(entries, 0, &mut text),
        scalar => {
            self::scalar(scalar, &mut text);
            text.push('\n');
        }
    }
    text
}

/// The fields of an object, each on lines of its own. The first follows what is there already.
fn object(value: &Value, indent: usize, to: &mut String) {
    let Value::Object(fields) = value else { return };
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    for (at, (name, value)) in sorted.into_iter().enumerate() {
        if at > 0 {
            to.push_str(&" ".repeat(indent));
        }
        string(name, to);
        to.push(':');
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                to.push('\n');
                to.push_str(&" ".repeat(indent + 2));
                object(value, indent + 2, to);
            }
            Value::Array(entries) if !entries.is_empty() => {
                to.push('\n');
                to.push_str(&" ".repeat(indent));
                list(entries, indent, to);
            }
            scalar => {
                to.push(' ');
                self::scalar(scalar, to);
                to.push('\n');
            }
        }
    }
}

/// The entries of a list. The first follows what is there already.
fn list(entries: &[Value], indent: usize, to: &mut String) {
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            to.push_str(&" ".repeat(indent));
        }
        to.push_str("- ");
        match entry {
            Value::Object(fields) if !fields.is_empty() => object(entry, indent + 2, to),
            Value::Array(entries) if !entries.is_empty() => list(entries, indent + 2, to),
            scalar => {
                self::scalar(scalar, to);
                to.push('\n');
            }
        }
    }
}

fn scalar(value: &Value, to: &mut String) {
    match value {
        Value::String(text) => string(text, to),
        Value::Array(_) => to.push_str("[]"),
        Value::Object(_) => to.push_str("{}"),
        other => to.push_str(&other.to_string()),
    }
}

/// A text: as it is, if that means the same, or in quotes.
fn string(text: &str, to: &mut String) {
    if !text.chars().all(is_shown) || !is_text(text) || is_time(text) {
        quote(text, to);
    } else if is_plain(text) {
        to.push_str(text);
    } else {
        to.push('\'');
        to.push_str(&text.replace('\'', "''"));
        to.push('\'');
    }
}

/// Whether a text without quotes is read as it is.
fn is_plain(text: &str) -> bool {
    let begins = |indicator: &char| text.starts_with(*indicator);
    // A hyphen, a question mark and a colon only count before a space or at the end.
    let is_word = |text: &str| {
        let mut chars = text.chars();
        let first = chars.next();
        matches!(first, Some('-' | '?' | ':')) && chars.next().is_some_and(|next| next != ' ')
    };
    let begins_so = INDICATORS.iter().any(begins) && !is_word(text);
    !begins_so
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.starts_with(' ')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
}

/// Whether a text could be a time for other readers of YAML, which kubectl therefore prints in quotes:
/// a date, perhaps with what follows.
fn is_time(text: &str) -> bool {
    let is_date = |date: &str| {
        let is_part = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        date.bytes().enumerate().all(is_part) && date.parse::<jiff::civil::Date>().is_ok()
    };
    text.get(..10).is_some_and(is_date)
        && (text.len() == 10 || text.parse::<jiff::Timestamp>().is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As `kubectl annotate --local -f - -o yaml` prints them.
    #[test]
    fn texts_have_quotes_where_kubectl_gives_them_some() {
        for (text, expected) in [
            ("cart", "cart"),
            ("10.0.2.1", "10.0.2.1"),
            ("fd00::1", "fd00::1"),
            ("fd00::", "'fd00::'"),
            ("true", "\"true\""),
            ("y", "\"y\""),
            ("12", "\"12\""),
            ("1.10", "\"1.10\""),
            ("", "\"\""),
            ("2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05Z\""),
            ("2026-01-02", "\"2026-01-02\""),
            ("2026-02-31", "2026-02-31"),
            ("1394-02-29", "1394-02-29"),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("{\"a\":\"it's\"}", "'{\"a\":\"it''s\"}'"),
            ("*", "'*'"),
            ("-x", "-x"),
            ("a\nb", "\"a\\u000Ab\""),
            ("a\u{202e}b", "\"a\\u202Eb\""),
        ] {
            let mut found = String::new();
            string(text, &mut found);
            assert_eq!(found, expected, "{text}");
            let read: Value = serde_saphyr::from_str(&format!("a: {found}")).unwrap();
            assert_eq!(read["a"], json!(text));
        }
    }

    #[test]
    fn objects_and_lists() {
        let value = json!({
            "b": [{"d": 1, "c": [true, null]}, ["x", ["y"]], [], {}],
            "a": {"e": {}, "f": []},
        });
        let expected = "\
a:
  e: {}
  f: []
b:
- c:
  - true
  - null
  d: 1
- - x
  - - \"y\"
- []
- {}
";
        assert_eq!(yaml(&value), expected);
        assert_eq!(serde_saphyr::from_str::<Value>(expected).unwrap(), value);
        assert_eq!(yaml(&json!([1])), "- 1\n");
        assert_eq!(yaml(&json!({})), "{}\n");
    }
}
