//! Duration: a time as Go writes and reads it (`metav1.Duration`), such as `2m0s`.

use std::time::Duration;

/// The units, each with its nanoseconds. A longer name comes before one that it begins with.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration that is not negative; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    while {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(end);
        let (unit, nanoseconds) = UNITS.iter().find(|(unit, _)| behind.starts_with(unit))?;
        total = total.checked_add(part(number, *nanoseconds)?)?;
        rest = &behind[unit.len()..];
        !rest.is_empty()
    } {}
    Some(total)
}

/// So many units of this length.
fn part(number: &str, nanoseconds: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(nanoseconds)?;
    // Digits below a nanosecond do not count.
    let mut unit = nanoseconds;
    for digit in fraction.chars() {
        unit /= 10;
        total = total.checked_add(u64::from(digit.to_digit(10)?) * unit)?;
    }
    Some(Duration::from_nanos(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_writes_them() {
        for (text, millis) in [
            ("2m", 120_000),
            ("2m0s", 120_000),
            ("1h0m0s", 3_600_000),
            ("1.5s", 1500),
            (".5m", 30_000),
            ("250ms", 250),
            ("0", 0),
            ("0s", 0),
            ("+1s", 1000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "2",
            "-1s",
            "2 m",
            "2 minutes",
            "PT2M",
            "1d",
            "m",
            "1.2.3s",
            ".s",
            "1s2",
            "99999999999999999999h",
            "9999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
