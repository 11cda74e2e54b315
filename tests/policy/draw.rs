//! Draw: random Services, from the distributions that docs/planner.md 8.10 and the worked cases name.

use closehaul::{
    plan::policy::{
        counts::{Names, Tally},
        problem::Problem,
    },
    random::Random,
};

/// How many seeds a property is tried with: all that the documents speak of with
/// `CLOSEHAUL_TEST_SEEDS=2000`, fewer by default, as debug builds are slow.
pub fn seeds() -> u64 {
    let seeds = std::env::var("CLOSEHAUL_TEST_SEEDS").ok().and_then(|text| text.parse().ok());
    seeds.unwrap_or(100)
}

/// A Service: ready endpoints per zone, demand per zone, cap.
#[derive(Clone, Debug)]
pub struct Case {
    pub endpoints: Vec<usize>,
    pub demand: Vec<f64>,
    pub cap: f64,
}

impl Case {
    /// The case with equal demand.
    pub fn equal(endpoints: &[usize], cap: f64) -> Self {
        let demand = vec![1.0 / endpoints.len() as f64; endpoints.len()];
        Self { endpoints: endpoints.to_vec(), demand, cap }
    }

    /// Endpoints multinomial with uniform weights, demand equal or Dirichlet(1).
    pub fn random(random: &mut Random, endpoints: [u32; 2], zones: [u32; 2], caps: &[u32]) -> Self {
        let zones = random.within(zones[0]..=zones[1]) as usize;
        let total = random.within(endpoints[0]..=endpoints[1]);
        let mut counts = vec![0; zones];
        for _ in 0..total {
            counts[random.within(0..=zones as u32 - 1) as usize] += 1;
        }
        let cap = caps[random.within(0..=caps.len() as u32 - 1) as usize];
        let mut case = Self::equal(&counts, f64::from(cap) / 100.0);
        if random.within(0..=1) == 1 {
            let drawn: Vec<f64> =
                (0..zones).map(|_| -(1.0 - random.fraction()).max(1e-12).ln()).collect();
            let sum: f64 = drawn.iter().sum();
            case.demand = drawn.iter().map(|part| part / sum).collect();
        }
        case
    }

    /// Without hints in force: every endpoint counts as naming its own zone.
    pub fn problem(&self) -> Problem {
        let mut own = Tally::default();
        for (zone, count) in self.endpoints.iter().enumerate() {
            own.add(Some(zone), Names::only(zone), *count);
        }
        Problem::new(&self.demand, own, self.cap)
    }
}
