//! Dice: choices that depend only on a seed.

use closehaul::random::Random;

/// Choices that depend only on a seed.
pub struct Dice(Random);

impl Dice {
    /// Dice that are seeded with `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Random::seeded(seed))
    }

    /// Below `limit`.
    pub fn roll(&mut self, limit: u64) -> u64 {
        self.0.bits() % limit
    }

    /// True once in this many times, on average.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.roll(times) == 0
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let at = self.roll(from.len() as u64);
        from[usize::try_from(at).unwrap()]
    }
}
