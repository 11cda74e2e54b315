//! Time: a time as the API server accepts it in the resource definitions: RFC 3339 in upper case, in
//! years that the parsers of both can represent.

use jiff::Timestamp;

/// The time, but for fractions of a second and the offset from UTC; `0` is any digit.
const FORM: &str = "0000-00-00T00:00:00";
/// The offset.
const OFFSET: &str = "+00:00";

/// Reads a time; `None` if it is none. The parser knows forms that the API server does not.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let (time, rest) = text.split_at_checked(FORM.len())?;
    let digits = rest.strip_prefix('.').map(|rest| rest.trim_start_matches(is_digit));
    let offset = digits.unwrap_or(rest);
    // The parser knows a day of offset and more.
    let is_offset = offset == "Z"
        || (has_form(&offset.replacen('-', "+", 1), OFFSET) && offset[1..] < *"24:00");
    // The parser rejects a point without digits, and takes a leap second for the one before.
    let is_rfc3339 = has_form(time, FORM) && is_offset && !time.ends_with(":60");
    if is_rfc3339 && ("1970".."3000").contains(&&time[..4]) { text.parse().ok() } else { None }
}

fn has_form(text: &str, form: &str) -> bool {
    let fits = |(c, wanted): (char, char)| if wanted == '0' { is_digit(c) } else { c == wanted };
    text.len() == form.len() && text.chars().zip(form.chars()).all(fits)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More of them, on a real API server, are in the end-to-end tests.
    #[test]
    fn times_as_the_api_server_accepts_them() {
        for (text, utc) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.5Z"),
            ("2026-01-02T03:04:05-01:00", "2026-01-02T04:04:05Z"),
        ] {
            assert_eq!(parse(text).map(|it| it.to_string()).as_deref(), Some(utc), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05,5Z",
            "2026-01-02T03:04:60Z",
            "2026-02-30T03:04:05Z",
            "2026-01-02T03:04:05+01",
            "2026-01-02T03:04:05+24:00",
            "2026-01-02T03:04:05+00:60",
            "2026-01-02T03:04:05Z[UTC]",
            "20260102T030405Z",
            "1969-12-31T23:59:59Z",
            "3000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
