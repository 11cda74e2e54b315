//! Duration: times as Go writes them, such as `15s` or `1m30s`.

use std::time::Duration;

use jiff::SignedDuration;

/// The longest time that is accepted. Without a limit, a time from now could be beyond what a clock
/// can show.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a duration.
///
/// # Errors
/// Not a duration, a negative one, or one of more than a year.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed: Result<SignedDuration, _> = text.parse();
    let duration = parsed.ok().and_then(|duration| Duration::try_from(duration).ok());
    let duration = duration
        .ok_or_else(|| format!("`{text}` is not a duration; write it like 500ms, 15s or 1m30s"))?;
    if duration > LONGEST {
        return Err(format!("`{text}` is more than a year; give a shorter duration"));
    }
    Ok(duration)
}

/// Reads a time limit as kubectl does: a duration, or a whole number of seconds.
///
/// # Errors
/// As [`parse`].
pub fn timeout(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if seconds <= LONGEST.as_secs() => Ok(Duration::from_secs(seconds)),
        _ => parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_as_kubectl_reads_them() {
        for (text, seconds) in [("0", 0), ("5", 5), ("5s", 5), ("1m", 60)] {
            assert_eq!(timeout(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "-1", "soon", "99999999999999999999", "999999999"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_as_go_writes_them() {
        for (text, millis) in [
            ("15s", 15_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5s", 1500),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "15", "-1s", "soon", "8761h", "9223372036854775807s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
