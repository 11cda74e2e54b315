//! Rate: how often a second something may happen.

/// The lowest and the highest rate that are accepted. Lower ones would be waits beyond what a clock
/// can show.
const LOWEST: f64 = 0.001;
const HIGHEST: f64 = 1e6;

/// Reads a rate, where 0 means no limit.
///
/// # Errors
/// Not a number, or out of range.
pub fn parse(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok();
    rate.filter(|rate| *rate == 0.0 || (LOWEST..=HIGHEST).contains(rate)).ok_or_else(|| {
        format!(
            "`{text}` is not a rate; write 0 for no limit, or a number a second from {LOWEST} to \
             {HIGHEST}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_0_or_within_what_clocks_can_show() {
        for (text, rate) in
            [("0", 0.0), ("0.0", 0.0), ("100", 100.0), ("0.001", 0.001), ("1e6", 1e6), ("2.5", 2.5)]
        {
            assert_eq!(parse(text), Ok(rate), "{text}");
        }
        for text in ["", "-1", "ten", "NaN", "inf", "1e-19", "1e-20", "0.0009", "1e-400x", "1e7"] {
            let message = parse(text).unwrap_err();
            assert!(message.contains("from 0.001 to 1000000"), "{message}");
        }
        assert_eq!(parse("1e-400"), Ok(0.0), "which is 0");
    }
}
