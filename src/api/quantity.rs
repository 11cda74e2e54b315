//! Quantity: amounts as Kubernetes writes them, such as `500m` or `4`.

/// `text` in thousandths, rounded up, at most 10^15; `None` if it is negative or not a quantity.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be in range"
)]
pub fn thousandths(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024_f64.powi(2),
        "Gi" => 1024_f64.powi(3),
        "Ti" => 1024_f64.powi(4),
        "Pi" => 1024_f64.powi(5),
        "Ei" => 1024_f64.powi(6),
        exponent => {
            format!("1{exponent}").parse().ok().filter(|_| exponent.starts_with(['e', 'E']))?
        }
    };
    let value = number.parse::<f64>().ok()? * factor * 1000.0;
    // A quantity has at most nine decimal places. Unless rounded to them, 0.1 + 0.2 goes up.
    let value = (value * 1e6).round() / 1e6;
    (value >= 0.0).then(|| value.min(1e15).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn quantities() {
        for (text, expected) in [
            ("4", Some(4000)),
            ("3920m", Some(3920)),
            ("0.1", Some(100)),
            ("1.5", Some(1500)),
            ("100u", Some(1)),
            ("2k", Some(2_000_000)),
            ("1e3", Some(1_000_000)),
            ("1Ki", Some(1_024_000)),
            ("1Ei", Some(1_000_000_000_000_000)),
            ("1P", Some(1_000_000_000_000_000)),
            ("0", Some(0)),
            ("+1", Some(1000)),
            ("+.5e1", Some(5000)),
            ("++1", None),
            ("+", None),
            ("", None),
            ("-1", None),
            ("four", None),
            ("1x", None),
        ] {
            assert_eq!(thousandths(text), expected, "{text}");
        }
    }
}
