//! Medians, percentiles, paired ratios, a line through points.

/// The middle value, or the mean of the two in the middle. NaN if there are no values.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}

/// The lowest value that at least `percent` of 100 values do not exceed (nearest rank). NaN if
/// there are no values.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks are small and not negative"
)]
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let sorted = sorted(values);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// A median with the minimum and the maximum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The minimum.
    pub least: f64,
    /// The median.
    pub median: f64,
    /// The maximum.
    pub most: f64,
}

impl Spread {
    /// The spread of values, or `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        Some(Self { least, median: median(values), most })
    }
}

/// The increase of `y` per unit of `x` by least squares, or `None` for fewer than two values of
/// `x`.
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (count, sum) = values.fold((0.0, 0.0), |(count, sum), it| (count + 1.0, sum + it));
        sum / count
    };
    let x = mean(&mut points.iter().map(|point| point.0));
    let y = mean(&mut points.iter().map(|point| point.1));
    let above = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>();
    let below = points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
    (below > 0.0).then_some(above / below)
}

/// Three significant digits, more or less.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let digits = if size >= 100.0 || value == 0.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 0.1 {
        2
    } else {
        3
    };
    format!("{value:.digits$}")
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).is_nan());
        let hundred = (1..=100).rev().map(f64::from).collect::<Vec<_>>();
        for (percent, value) in
            [(50.0, 50.0), (99.0, 99.0), (99.5, 100.0), (100.0, 100.0), (0.0, 1.0)]
        {
            assert!((percentile(&hundred, percent) - value).abs() < 1e-9, "{percent}");
        }
        assert!((percentile(&[7.0], 99.0) - 7.0).abs() < 1e-9);
        assert!(percentile(&[], 50.0).is_nan());
    }

    #[test]
    fn spread_of_none_is_none() {
        assert_eq!(Spread::of(&[]), None);
        let spread = Spread::of(&[2.0, 8.0, 3.0]);
        assert_eq!(spread, Some(Spread { least: 2.0, median: 3.0, most: 8.0 }));
    }

    #[test]
    fn a_line_through_points() {
        let points = [(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)];
        assert!((slope(&points).unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(slope(&points[..1]), None);
        assert_eq!(slope(&[]), None);
    }

    #[test]
    fn numbers_have_about_three_digits() {
        let texts = [0.0, 0.04, 0.5, 12.34, 1234.5, -3.0].map(number);
        assert_eq!(texts, ["0", "0.040", "0.50", "12.3", "1234", "-3.00"]);
    }
}
