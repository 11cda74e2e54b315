//! Scalar: what a plain scalar of YAML means. As kubectl resolves it (`go.yaml.in/yaml/v2`), so
//! that whatever it prints without quotes is read as the string that it is.

use super::tree::{Amount, Number, Tree};

const TRUE: &[&str] = &["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE: &[&str] =
    &["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];
const NULL: &[&str] = &["", "~", "null", "Null", "NULL"];
/// Not a finite number, which JSON cannot express.
const NOT_FINITE: &[&str] = &[
    ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf",
    "-.INF",
];

/// The value of a plain scalar; `None` if it is no finite number.
pub(super) fn plain(text: &str) -> Option<Tree> {
    if NOT_FINITE.contains(&text) {
        return None;
    }
    Some(if NULL.contains(&text) {
        Tree::Null
    } else if TRUE.contains(&text) {
        Tree::Bool(true)
    } else if FALSE.contains(&text) {
        Tree::Bool(false)
    } else if let Some(amount) = amount(text) {
        Tree::Number(Number { amount, text: text.into() })
    } else {
        text.into()
    })
}

/// The amount, if the text is a number. One that is too large for a float is a string.
fn amount(text: &str) -> Option<Amount> {
    let is_start = |char: char| char.is_ascii_digit() || matches!(char, '+' | '-' | '.');
    if !text.starts_with(is_start) {
        return None;
    }
    let without = text.replace('_', "");
    whole(&without).or_else(|| float(&without))
}

/// A whole number. The base is that of its prefix: `0x`, `0b`, `0o` or `0`.
fn whole(text: &str) -> Option<Amount> {
    let (is_negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (base, digits) = match lower.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|char: char| char.is_ascii_alphanumeric()) {
        return None;
    }
    let number = u64::from_str_radix(digits, base).ok()?;
    if is_negative {
        0_i64.checked_sub_unsigned(number).map(Amount::from)
    } else {
        Some(Amount::Unsigned(number))
    }
}

/// A float: digits with at most one point and an exponent.
fn float(text: &str) -> Option<Amount> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_mantissa = are_digits(before) && are_digits(after) && before.len() + after.len() > 0;
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && are_digits(digits)
    });
    let number = text.parse::<f64>().ok().filter(|_| is_mantissa && is_exponent)?;
    number.is_finite().then(|| number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_they_mean_to_kubectl() {
        let number = |text: &str| match plain(text) {
            Some(Tree::Number(Number { amount, text: kept })) => {
                assert_eq!(&*kept, text);
                Some(amount)
            }
            _ => None,
        };
        for (text, expected) in [
            ("80", 80),
            ("010", 8),
            ("08", 8),
            ("0o17", 15),
            ("0x1F", 31),
            ("1_000", 1000),
            ("80.0", 80),
            ("1e3", 1000),
            ("0b11", 3),
            ("+5", 5),
            ("0", 0),
        ] {
            assert_eq!(number(text), Some(Amount::Unsigned(expected)), "{text}");
        }
        assert_eq!(number("-5"), Some(Amount::Signed(-5)));
        assert_eq!(number("1.5"), Some(Amount::Float(1.5)));
        for text in [
            "81e4110",
            "1234e567",
            "76e1234567",
            "2024-01-02",
            "1.2.3",
            "0x1G",
            "0b12",
            "1e",
            "e1",
            "12e3x",
            "infinity",
            "nan",
            "inf",
            "NaN",
            "yes1",
            "7e3f",
            "-",
            "+",
            ".",
            "1:30",
            "--1",
        ] {
            assert_eq!(plain(text), Some(text.into()), "{text}");
        }
        for text in ["yes", "on", "y", "True"] {
            assert_eq!(plain(text), Some(Tree::Bool(true)), "{text}");
        }
        assert_eq!((plain("~"), plain(".inf"), plain("-.INF")), (Some(Tree::Null), None, None));
    }
}
