//! Best: combinations of one option for each zone, in descending order of the sum of their values.
//! They are found one after the other, so a search that stops early does not pay for the rest.

use std::{cmp::Ordering, collections::BinaryHeap};

/// Combinations of options, the best first.
pub struct Best<'v, P> {
    /// The values of each zone's options, the highest first.
    values: &'v [Vec<f64>],
    queue: BinaryHeap<Combination<P>>,
}

/// One option of each zone, by its place.
struct Combination<P> {
    value: f64,
    places: P,
    /// Zones before this one have their final option.
    from: usize,
}

impl<'v, P: Ord> Best<'v, P> {
    /// Combinations of options with these values, which are sorted from high to low. `first` has the
    /// place 0 for each zone.
    pub fn of(values: &'v [Vec<f64>], first: P) -> Self {
        let value = values.iter().filter_map(|options| options.first()).sum();
        let first = Combination { value, places: first, from: 0 };
        let has_any = values.iter().all(|options| !options.is_empty());
        Self { values, queue: has_any.then_some(first).into_iter().collect() }
    }
}

impl<P: AsRef<[usize]> + AsMut<[usize]> + Clone + Ord> Iterator for Best<'_, P> {
    type Item = (f64, P);

    fn next(&mut self) -> Option<Self::Item> {
        let Combination { value, places, from } = self.queue.pop()?;
        // Each combination follows from exactly one other: the one whose last place that is not
        // the first is one less.
        for (zone, values) in self.values.iter().enumerate().skip(from) {
            let at = places.as_ref()[zone];
            if let Some(next) = values.get(at + 1) {
                let mut places = places.clone();
                places.as_mut()[zone] += 1;
                let value = value - values[at] + next;
                self.queue.push(Combination { value, places, from: zone });
            }
        }
        Some((value, places))
    }
}

impl<P: Ord> Ord for Combination<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.total_cmp(&other.value).then_with(|| other.places.cmp(&self.places))
    }
}

impl<P: Ord> PartialOrd for Combination<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P: Ord> PartialEq for Combination<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<P: Ord> Eq for Combination<P> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_once_and_the_best_first() {
        let values = [vec![5.0, 3.0, 3.0], vec![2.0, 1.0], vec![0.0, 0.0, -4.0]];
        let all: Vec<_> = Best::of(&values, [0; 3]).collect();
        assert!(all.is_sorted_by(|(one, _), (other, _)| one >= other), "{all:?}");
        let mut places: Vec<_> = all.into_iter().map(|(_, places)| places).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 3 * 2 * 3);
        assert_eq!(Best::of(&[vec![1.0], Vec::new()], [0; 2]).count(), 0);
    }
}
