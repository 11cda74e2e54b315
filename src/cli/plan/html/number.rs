//! Number: how numbers are written on the page.

/// A part in percent. What is not quite all or nothing is not shown as such.
pub(super) fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 0.0 && percent < 0.5 {
        "<1%".to_owned()
    } else if (99.5..100.0).contains(&percent) && part < 1.0 - 1e-9 {
        ">99%".to_owned()
    } else {
        format!("{percent:.0}%")
    }
}

/// A part in percent, with a digit after the point if it is small.
pub(super) fn fine(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 0.0 && percent < 9.95 {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    }
}

/// How far above or below the even share.
pub(super) fn load(overload: f64) -> String {
    let percent = (overload * 100.0).round();
    if percent < 0.0 { format!("−{:.0}%", -percent) } else { format!("+{:.0}%", percent.abs()) }
}

/// A part to sort by.
pub(super) fn exact(part: f64) -> String {
    let digits = format!("{part:.4}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A count with its noun.
pub(super) fn count(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_and_nothing_are_shown_as_such() {
        let parts = [0.0, 0.001, 0.006, 0.334, 0.994, 0.996, 1.0 - 1e-12, 1.0];
        let shown = ["0%", "<1%", "1%", "33%", "99%", ">99%", "100%", "100%"];
        assert_eq!(parts.map(percent), shown.map(str::to_owned));
    }

    #[test]
    fn small_parts_have_a_digit_more() {
        let parts = [0.0, 0.0069, 0.0994, 0.0996, 0.334];
        assert_eq!(parts.map(fine), ["0%", "0.7%", "9.9%", "10%", "33%"]);
    }

    #[test]
    fn load_has_a_sign() {
        assert_eq!([0.17, 0.0, -0.001, -0.67].map(load), ["+17%", "+0%", "+0%", "−67%"]);
    }

    #[test]
    fn exact_numbers_are_short() {
        assert_eq!([0.0, 1.0, 1.0 / 3.0, 0.5].map(exact), ["0", "1", "0.3333", "0.5"]);
    }
}
