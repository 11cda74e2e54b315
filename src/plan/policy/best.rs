//! Best: combinations of one option for each zone, in descending order of the sum of their values.
//! They are found one after the other, so a search that stops early does not pay for the rest.

use std::{cmp::Ordering, collections::BinaryHeap};

/// Combinations of options, the best first.
pub struct Best<V, P> {
    /// How many zones there are.
    zones: usize,
    /// The value of a zone's option by its place, the highest first; `None` behind the last one.
    value: V,
    queue: BinaryHeap<Combination<P>>,
}

/// One option of each zone, by its place.
struct Combination<P> {
    value: f64,
    places: P,
    /// Zones before this one have their final option.
    from: usize,
}

impl<V: FnMut(usize, usize) -> Option<f64>, P: Ord> Best<V, P> {
    /// Combinations of options of so many zones. `value` is that of a zone's option by its place: the
    /// highest comes first, and there is none behind the last one. `first` has the place 0 for each
    /// zone.
    pub fn of(zones: usize, mut value: V, first: P) -> Self {
        let sum: Option<f64> = (0..zones).map(|zone| value(zone, 0)).sum();
        let first = sum.map(|value| Combination { value, places: first, from: 0 });
        Self { zones, value, queue: first.into_iter().collect() }
    }
}

impl<V, P> Iterator for Best<V, P>
where
    V: FnMut(usize, usize) -> Option<f64>,
    P: AsRef<[usize]> + AsMut<[usize]> + Clone + Ord,
{
    type Item = (f64, P);

    fn next(&mut self) -> Option<Self::Item> {
        let Combination { value, places, from } = self.queue.pop()?;
        // Each combination follows from exactly one other: the one whose last place that is not
        // the first is one less.
        for zone in from..self.zones {
            let at = places.as_ref()[zone];
            let here = (self.value)(zone, at);
            if let Some((here, next)) = here.zip((self.value)(zone, at + 1)) {
                let mut places = places.clone();
                places.as_mut()[zone] += 1;
                self.queue.push(Combination { value: value - here + next, places, from: zone });
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
        let values: [Vec<f64>; 3] = [vec![5.0, 3.0, 3.0], vec![2.0, 1.0], vec![0.0, 0.0, -4.0]];
        let value = |zone: usize, at: usize| values[zone].get(at).copied();
        let all: Vec<_> = Best::of(3, value, [0; 3]).collect();
        assert!(all.is_sorted_by(|(one, _), (other, _)| one >= other), "{all:?}");
        let mut places: Vec<_> = all.into_iter().map(|(_, places)| places).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 3 * 2 * 3);
        let value = |zone: usize, at: usize| (zone == 0 && at == 0).then_some(1.0);
        assert_eq!(Best::of(2, value, [0; 2]).count(), 0);
    }
}
