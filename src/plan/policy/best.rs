//! Best: combinations of one option for each zone, in descending order of the sum of their values.
//! They are found one after the other, so a search that stops early does not pay for the rest.

use std::{cmp::Ordering, collections::BinaryHeap};

/// Combinations of options, the best first.
pub struct Best<'v> {
    /// The values of each zone's options, the highest first.
    values: &'v [Vec<f64>],
    queue: BinaryHeap<Combination>,
}

/// One option of each zone, by its place.
struct Combination {
    value: f64,
    places: Vec<usize>,
    /// Zones before this one have their final option.
    from: usize,
}

impl<'v> Best<'v> {
    /// Combinations of options with these values, which are sorted from high to low.
    pub fn of(values: &'v [Vec<f64>]) -> Self {
        let value = values.iter().filter_map(|options| options.first()).sum();
        let first = Combination { value, places: vec![0; values.len()], from: 0 };
        let has_any = values.iter().all(|options| !options.is_empty());
        Self { values, queue: has_any.then_some(first).into_iter().collect() }
    }
}

impl Iterator for Best<'_> {
    type Item = (f64, Vec<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let Combination { value, places, from } = self.queue.pop()?;
        // Each combination follows from exactly one other: the one whose last place that is not
        // the first is one less.
        for zone in from..places.len() {
            let at = places[zone];
            if let Some(next) = self.values[zone].get(at + 1) {
                let mut places = places.clone();
                places[zone] += 1;
                let value = value - self.values[zone][at] + next;
                self.queue.push(Combination { value, places, from: zone });
            }
        }
        Some((value, places))
    }
}

impl Ord for Combination {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.total_cmp(&other.value).then_with(|| other.places.cmp(&self.places))
    }
}

impl PartialOrd for Combination {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Combination {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Combination {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_once_and_the_best_first() {
        let values = [vec![5.0, 3.0, 3.0], vec![2.0, 1.0], vec![0.0, 0.0, -4.0]];
        let all: Vec<_> = Best::of(&values).collect();
        assert!(all.is_sorted_by(|(one, _), (other, _)| one >= other), "{all:?}");
        let mut places: Vec<_> = all.into_iter().map(|(_, places)| places).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 3 * 2 * 3);
        assert_eq!(Best::of(&[vec![1.0], Vec::new()]).count(), 0);
    }
}
