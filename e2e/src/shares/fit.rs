//! Whether chance explains that counts differ from what was expected.

/// How many standard deviations the threshold of a chi-square is away: a right prediction fails
/// once in a million times.
const DEVIATIONS: f64 = 4.75;

/// How far what was found is from what was expected, and from where on that is no chance.
#[derive(Debug, Default, Clone, Copy)]
pub struct Fit {
    chi_square: f64,
    freedom: f64,
}

impl Fit {
    /// Takes in the counts of one sample, each with the share that is expected of it. What is
    /// expected never must never be found.
    pub fn add(&mut self, counted: &[(u64, f64)]) {
        let all: u64 = counted.iter().map(|(count, _)| count).sum();
        for (count, share) in counted {
            let expected = share * all as f64;
            if expected > 0.0 {
                self.chi_square += (*count as f64 - expected).powi(2) / expected;
            } else if *count > 0 {
                self.chi_square = f64::INFINITY;
            }
        }
        let possible = counted.iter().filter(|(_, share)| *share > 0.0).count();
        self.freedom += possible.saturating_sub(1) as f64;
    }

    /// The threshold, by Wilson and Hilferty's approximation.
    fn threshold(self) -> f64 {
        let step = 2.0 / (9.0 * self.freedom);
        self.freedom * (1.0 - step + DEVIATIONS * step.sqrt()).powi(3)
    }

    /// Whether chance explains the difference.
    pub fn agrees(self) -> bool {
        self.freedom == 0.0 && self.chi_square == 0.0
            || self.freedom > 0.0 && self.chi_square <= self.threshold()
    }

    /// For the record.
    pub fn text(self) -> String {
        let threshold = if self.freedom > 0.0 { self.threshold() } else { 0.0 };
        format!("chi-square {:.1} of {threshold:.1} ({})", self.chi_square, self.freedom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(counted: &[(u64, f64)]) -> Fit {
        let mut fit = Fit::default();
        fit.add(counted);
        fit
    }

    #[test]
    fn chance_agrees_and_a_bias_does_not() {
        assert!(fit(&[(510, 0.5), (490, 0.5)]).agrees());
        assert!(!fit(&[(600, 0.5), (400, 0.5)]).agrees());
    }

    #[test]
    fn what_is_never_expected_must_not_be_found() {
        assert!(fit(&[(1000, 1.0), (0, 0.0)]).agrees());
        assert!(!fit(&[(999, 1.0), (1, 0.0)]).agrees());
    }
}
