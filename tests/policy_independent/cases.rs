//! The cases that are compared.

use closehaul::random::Random;

use super::brute::Case;

/// The most endpoints for which all plans are compared.
const SMALL: usize = 6;

/// How many endpoints there are in each zone, and how many in none.
#[derive(Debug)]
pub struct Counts {
    zones: Vec<usize>,
    elsewhere: usize,
}

/// All of up to three zones and up to 6 endpoints, at most one of which has no zone.
pub fn small() -> Vec<Counts> {
    let mut all = Vec::new();
    for zones in [1, 2, 3] {
        let combinations = (SMALL + 1).pow(zones);
        for number in 0..combinations {
            let digit = |place| number / (SMALL + 1).pow(place) % (SMALL + 1);
            let counts: Vec<usize> = (0..zones).map(digit).collect();
            for elsewhere in [0, 1] {
                let total = counts.iter().sum::<usize>() + elsewhere;
                if (1..=SMALL).contains(&total) {
                    all.push(Counts { zones: counts.clone(), elsewhere });
                }
            }
        }
    }
    all
}

/// The endpoints of these counts, those of one zone next to each other.
pub fn origins(counts: &Counts) -> Vec<Option<usize>> {
    let zoned = counts.zones.iter().enumerate();
    let mut all: Vec<_> =
        zoned.flat_map(|(zone, count)| std::iter::repeat_n(Some(zone), *count)).collect();
    all.extend(std::iter::repeat_n(None, counts.elsewhere));
    all
}

/// How many kinds of demand there are.
pub const KINDS: usize = 6;

/// Each kind of demand for these zones: equal, 60/20/20, two random ones, a random one of which one
/// zone sends nothing, and one zone that sends all.
pub fn demands(counts: &Counts) -> [Vec<f64>; KINDS] {
    let zones = counts.zones.len();
    let seed = counts.zones.iter().fold(counts.elsewhere, |seed, count| seed * 8 + count);
    let mut random = Random::seeded(u64::try_from(seed).unwrap());
    let mut silent = dirichlet(&mut random, zones);
    if zones > 1 {
        silent[below(&mut random, zones)] = 0.0;
    }
    let mut single = vec![0.0; zones];
    single[below(&mut random, zones)] = 1.0;
    let mut first = vec![1.0; zones];
    first[0] = 3.0;
    [
        normalised(vec![1.0; zones]),
        normalised(first),
        dirichlet(&mut random, zones),
        dirichlet(&mut random, zones),
        normalised(silent),
        single,
    ]
}

impl Case {
    /// A Service of 2 to 60 endpoints in 2 to 5 zones. Half send the same from each zone, and
    /// every fourth has a zone that sends nothing.
    pub fn larger(random: &mut Random) -> Self {
        let zones = 2 + below(random, 4);
        let endpoints = 2 + below(random, 59);
        let own = (0..endpoints).map(|_| Some(below(random, zones))).collect();
        let mut demand =
            if below(random, 2) == 0 { vec![1.0; zones] } else { dirichlet(random, zones) };
        if below(random, 4) == 0 {
            demand[below(random, zones)] = 0.0;
        }
        Self { own, demand: normalised(demand) }
    }
}

/// A random number below this one.
fn below(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.bits() % u64::try_from(count).unwrap()).unwrap()
}

/// Uniform over all demands of so many zones.
fn dirichlet(random: &mut Random, zones: usize) -> Vec<f64> {
    normalised((0..zones).map(|_| -(1.0 - random.fraction()).ln()).collect())
}

/// The same proportions with the sum 1.
fn normalised(demand: Vec<f64>) -> Vec<f64> {
    let sum: f64 = demand.iter().sum();
    demand.into_iter().map(|part| part / sum).collect()
}
