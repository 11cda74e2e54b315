//! Random numbers from one source, which is created at the edge of the process and passed in. Tests
//! pass one with a seed, so that a run can be repeated. Not for secrets.

use std::{
    hash::{BuildHasher, RandomState},
    ops::RangeInclusive,
};

/// A source of random numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A source that differs in every process.
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    /// A source whose numbers follow from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Another source, whose numbers follow from this one and are independent of its later ones.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.bits())
    }

    /// A number within `range`, which must not be empty.
    pub fn within(&mut self, range: RangeInclusive<u32>) -> u32 {
        let (least, most) = range.into_inner();
        let count = u64::from(most.saturating_sub(least)) + 1;
        let offset = u32::try_from(self.bits() % count).unwrap_or_default();
        least.saturating_add(offset)
    }

    /// At least 0 and less than 1.
    pub fn fraction(&mut self) -> f64 {
        // No more bits than fit: a number that is rounded up would be 1.
        f64::from((self.bits() >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_the_range_and_reach_its_ends() {
        let mut random = Random::seeded(1);
        let drawn: Vec<u32> = (0..1000).map(|_| random.within(60..=80)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&60), Some(&80)));
        assert_eq!(Random::seeded(1).within(7..=7), 7);
    }

    #[test]
    fn fractions_are_less_than_one() {
        let mut random = Random::seeded(1);
        let drawn: Vec<f64> = (0..1000).map(|_| random.fraction()).collect();
        assert!(drawn.iter().all(|fraction| (0.0..1.0).contains(fraction)), "{drawn:?}");
        assert!(drawn.iter().any(|fraction| *fraction < 0.1), "{drawn:?}");
        assert!(drawn.iter().any(|fraction| *fraction > 0.9), "{drawn:?}");
    }

    #[test]
    fn a_seed_decides_all_numbers() {
        let numbers = |mut random: Random| -> Vec<u32> {
            let mut fork = random.fork();
            (0..8).flat_map(|_| [random.within(0..=999), fork.within(0..=999)]).collect()
        };
        assert_eq!(numbers(Random::seeded(5)), numbers(Random::seeded(5)));
        assert_ne!(numbers(Random::seeded(5)), numbers(Random::seeded(6)));
    }
}
