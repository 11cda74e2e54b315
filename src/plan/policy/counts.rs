//! Counts: ready endpoints by own zone and set of names. Load, overload and in-zone share follow from
//! these numbers alone (docs/planner.md 1), so a change of one endpoint costs as much as there are
//! different sets, however many endpoints there are.

/// Numbers that should be equal may differ by this much.
pub const TOLERANCE: f64 = 1e-9;

/// The most zones that a plan can name.
pub const MAX_ZONES: usize = 127;

/// A set of zones by their numbers, each below [`MAX_ZONES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Names(u128);

impl Names {
    /// The name that no zone bears.
    pub const PLACEHOLDER: Self = Self(1 << MAX_ZONES);

    /// Just this zone. A zone that a plan cannot name leads to an empty set.
    pub fn only(zone: usize) -> Self {
        if zone < MAX_ZONES { Self(1 << zone) } else { Self::default() }
    }

    /// The same with this zone.
    #[must_use]
    pub fn with(self, zone: usize) -> Self {
        Self(self.0 | Self::only(zone).0)
    }

    /// The zones of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The zones that both have.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The zones that the other set has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it has this zone.
    pub fn has(self, zone: usize) -> bool {
        self.0 & Self::only(zone).0 != 0
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many zones there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// It as numbers.
    pub(super) fn words(self) -> [u64; 2] {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half and the upper one")]
        [self.0 as u64, (self.0 >> 64) as u64]
    }

    /// The zones, in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let zone = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(zone)
        })
    }
}

impl FromIterator<usize> for Names {
    fn from_iter<I: IntoIterator<Item = usize>>(zones: I) -> Self {
        zones.into_iter().fold(Self::default(), Self::with)
    }
}

/// The number of the zone that an endpoint is in; `None` without zone.
pub type Origin = Option<usize>;

/// How many endpoints there are of each origin and set of names. There are few of them, so they are a
/// sorted list.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tally(Vec<((Origin, Names), usize)>);

impl Tally {
    /// Adds endpoints.
    pub fn add(&mut self, origin: Origin, names: Names, count: usize) {
        if count == 0 {
            return;
        }
        match self.place(origin, names) {
            Ok(at) => self.0[at].1 += count,
            Err(at) => self.0.insert(at, ((origin, names), count)),
        }
    }

    /// The place of this kind, or where it would be.
    fn place(&self, origin: Origin, names: Names) -> Result<usize, usize> {
        self.0.binary_search_by(|(kind, _)| kind.cmp(&(origin, names)))
    }

    /// Adds all endpoints of another one.
    pub fn append(&mut self, other: &Self) {
        other.iter().for_each(|(origin, names, count)| self.add(origin, names, count));
    }

    /// Removes one endpoint, if there is one of this kind.
    pub fn remove(&mut self, origin: Origin, names: Names) {
        if let Ok(at) = self.place(origin, names) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.remove(at);
            }
        }
    }

    /// Each origin and set of names with its number, which is at least 1.
    pub fn iter(&self) -> impl Iterator<Item = (Origin, Names, usize)> + Clone {
        self.0.iter().map(|((origin, names), count)| (*origin, *names, *count))
    }

    /// How many endpoints have this origin and set of names.
    pub fn of(&self, origin: Origin, names: Names) -> usize {
        self.place(origin, names).map_or(0, |at| self.0[at].1)
    }

    /// How many endpoints there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Whether there is no endpoint.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much room it takes, in words.
    pub(super) fn words(&self) -> usize {
        self.0.len() * size_of::<((Origin, Names), usize)>() / size_of::<u64>()
    }

    /// The same endpoints, each with the name of its own zone alone.
    pub(super) fn all_own(&self) -> Self {
        let own = |origin: Origin| origin.map(Names::only).unwrap_or_default();
        self.renamed(own)
    }

    /// The same endpoints without names.
    pub(super) fn unnamed(&self) -> Self {
        self.renamed(|_| Names::default())
    }

    fn renamed(&self, names: impl Fn(Origin) -> Names) -> Self {
        let mut renamed = Self::default();
        self.iter().for_each(|(origin, _, count)| renamed.add(origin, names(origin), count));
        renamed
    }

    /// How many endpoints there are in each of the first `zones` zones.
    pub fn origins(&self, zones: usize) -> Vec<usize> {
        let mut counts = vec![0; zones];
        for (origin, _, count) in self.iter() {
            if let Some(own) = origin.and_then(|zone| counts.get_mut(zone)) {
                *own += count;
            }
        }
        counts
    }

    /// How many endpoints name each of the first `zones` zones, and how many of those are its own.
    pub fn named(&self, zones: usize) -> Vec<Named> {
        let mut named = vec![Named::default(); zones];
        for (origin, names, count) in self.iter() {
            for zone in names.iter().filter(|zone| *zone < zones) {
                named[zone].all += count;
                named[zone].own += if origin == Some(zone) { count } else { 0 };
            }
        }
        named
    }

    /// How many endpoints of `self` must change their names to become `other`, if the fewest do.
    pub fn changes_to(&self, other: &Self) -> usize {
        let same = |(origin, names, count): (_, _, usize)| count.min(other.of(origin, names));
        self.len().saturating_sub(self.iter().map(same).sum())
    }

    /// What becomes of traffic with this demand of each zone. What is missing to 1 is sent by zones
    /// that cannot be named.
    pub fn load(&self, demand: &[f64]) -> Load {
        let elsewhere = (1.0 - demand.iter().sum::<f64>()).max(0.0);
        let carried = self.carried(demand, elsewhere);
        let busiest = self.iter().map(|(_, names, _)| carried.by(names)).fold(0.0, f64::max);
        Load { overload: busiest * float(self.len()) - 1.0, in_zone: carried.in_zone }
    }

    /// Which load the traffic of each zone brings to endpoints, with that of `elsewhere` to all.
    pub fn carried(&self, demand: &[f64], elsewhere: f64) -> Carried {
        let total = self.len();
        let mut carried = Carried { each: vec![0.0; demand.len()], everywhere: 0.0, in_zone: 0.0 };
        if total == 0 {
            return carried;
        }
        // Readers ignore zones if one endpoint names none.
        let is_off = self.iter().any(|(_, names, _)| names.is_empty());
        let mut own = None;
        let named = if is_off { Vec::new() } else { self.named(demand.len()) };
        carried.everywhere = elsewhere / float(total);
        for (zone, sent) in demand.iter().enumerate() {
            if let Some(named) = named.get(zone).filter(|named| named.all > 0) {
                carried.each[zone] = sent / float(named.all);
                carried.in_zone += carried.each[zone] * float(named.own);
            } else {
                carried.everywhere += sent / float(total);
                let own = own.get_or_insert_with(|| self.origins(demand.len()));
                carried.in_zone += sent / float(total) * float(own[zone]);
            }
        }
        carried
    }
}

/// Which load the traffic of each zone brings to endpoints.
#[derive(Clone, Debug)]
pub struct Carried {
    /// To each endpoint that names the zone.
    each: Vec<f64>,
    /// To every endpoint.
    everywhere: f64,
    /// The part of the traffic that stays in its zone.
    pub in_zone: f64,
}

impl Carried {
    /// The load of an endpoint with these names.
    pub fn by(&self, names: Names) -> f64 {
        names.iter().filter_map(|zone| self.each.get(zone)).sum::<f64>() + self.everywhere
    }
}

/// How many endpoints name a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// All of them.
    pub all: usize,
    /// Those in the zone itself.
    pub own: usize,
}

/// What becomes of a Service's traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// How far the busiest endpoint is above the even share: 0.5 is half as much again.
    pub overload: f64,
    /// The part of the traffic that stays in its zone, 0 to 1.
    pub in_zone: f64,
}

/// A number of endpoints or nodes in a calculation.
#[expect(clippy::cast_precision_loss, reason = "counts of endpoints and nodes are below 2^52")]
pub fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Endpoints of these zones, each with these names.
    fn tally(groups: &[(Origin, &[usize], usize)]) -> Tally {
        let mut tally = Tally::default();
        for (origin, names, count) in groups {
            tally.add(*origin, names.iter().copied().collect(), *count);
        }
        tally
    }

    #[track_caller]
    fn assert_load(tally: &Tally, demand: &[f64], overload: f64, in_zone: f64) {
        let load = tally.load(demand);
        assert!((load.overload - overload).abs() < TOLERANCE, "{load:?}");
        assert!((load.in_zone - in_zone).abs() < TOLERANCE, "{load:?}");
    }

    const EQUAL: [f64; 3] = [1.0 / 3.0; 3];

    #[test]
    fn load_of_own_zones_lent_and_unnamed_zones() {
        let own = tally(&[(Some(0), &[0], 3), (Some(1), &[1], 2), (Some(2), &[2], 1)]);
        assert_load(&own, &EQUAL, 1.0, 1.0);
        let lent = tally(&[
            (Some(0), &[0], 2),
            (Some(0), &[2], 1),
            (Some(1), &[1], 2),
            (Some(2), &[2], 1),
        ]);
        assert_load(&lent, &EQUAL, 0.0, 5.0 / 6.0);
        assert_eq!(own.changes_to(&lent), 1);
        // No endpoint names the third zone, so its clients use all.
        let unnamed = tally(&[(Some(0), &[0], 1), (Some(1), &[1], 1)]);
        assert_load(&unnamed, &EQUAL, 0.0, 2.0 / 3.0);
        // One endpoint without names turns all zones off.
        let off = tally(&[(Some(0), &[0], 3), (Some(1), &[], 1)]);
        assert_load(&off, &EQUAL, 0.0, 1.0 / 3.0);
        assert_load(&Tally::default(), &EQUAL, -1.0, 0.0);
    }

    #[test]
    fn a_set_of_names_has_what_was_put_into_it() {
        let names: Names = [0, 5, MAX_ZONES - 1].into_iter().collect();
        assert_eq!(names.iter().collect::<Vec<_>>(), [0, 5, MAX_ZONES - 1]);
        assert_eq!((names.len(), names.has(5), names.has(6)), (3, true, false));
        assert!(Names::only(MAX_ZONES).is_empty());
    }

    #[test]
    fn what_is_removed_no_longer_counts() {
        let mut tally = tally(&[(Some(0), &[0], 2), (None, &[0, 1], 1)]);
        tally.remove(None, [0, 1].into_iter().collect());
        tally.remove(None, Names::only(0));
        assert_eq!(tally.len(), 2);
        assert_eq!(tally.named(2), [Named { all: 2, own: 2 }, Named::default()]);
    }
}
