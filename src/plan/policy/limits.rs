//! Limits: what plans must keep to, and the in-zone share that none can exceed. They follow from the
//! numbers of endpoints and of demand by zone alone.

use super::counts::{MAX_ZONES, Names, TOLERANCE, float};

/// What is decided about a zone before the search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Nothing: the search decides.
    #[default]
    Free,
    /// All endpoints of these zones name it.
    Among(Names),
    /// Every endpoint names it.
    All,
}

/// What every plan must keep to.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What each zone sends, by its number. What is missing to 1 is sent by zones that cannot be
    /// named.
    pub demand: Vec<f64>,
    /// What is decided about each zone already.
    pub scopes: Vec<Scope>,
    /// Zones that every endpoint names.
    pub wide: Names,
    /// How many endpoints there are in each zone.
    pub own: Vec<usize>,
    /// How many endpoints there are.
    pub total: usize,
    /// The most load that an endpoint may have.
    pub limit: f64,
    /// The same without the load that all have in any case.
    pub cap: f64,
}

impl Limits {
    /// For `own` endpoints in each zone and `total` in all, where this is decided about each zone
    /// already. A free zone that sends nothing is named by its own endpoints, or by all if it has
    /// none. `cap` is how far an endpoint may be above the even share: 0.2 is a fifth.
    pub fn new(
        demand: &[f64],
        scopes: impl Fn(usize) -> Scope,
        own: Vec<usize>,
        total: usize,
        cap: f64,
    ) -> Self {
        let demand: Vec<f64> = demand.iter().copied().take(MAX_ZONES).collect();
        let even = 1.0 / float(total.max(1));
        let scope = |zone: usize| match scopes(zone) {
            Scope::Free if demand[zone] <= TOLERANCE && own[zone] == 0 => Scope::All,
            Scope::Free if demand[zone] <= TOLERANCE => Scope::Among(Names::only(zone)),
            scope => scope,
        };
        let scopes: Vec<Scope> = (0..demand.len()).map(scope).collect();
        let wide: Names = (0..scopes.len()).filter(|zone| scopes[*zone] == Scope::All).collect();
        let elsewhere = (1.0 - demand.iter().sum::<f64>()).max(0.0);
        let base = (elsewhere + wide.iter().map(|zone| demand[zone]).sum::<f64>()) * even;
        let limit = (1.0 + cap + TOLERANCE) * even;
        Self { demand, scopes, wide, own, total, limit, cap: limit - base }
    }

    /// The fewest endpoints that can carry what a zone sends besides this load on each.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of endpoints, or more than there can be"
    )]
    pub fn least_beside(&self, zone: usize, load: f64) -> usize {
        let room = (self.cap - load).max(f64::MIN_POSITIVE);
        (self.demand[zone] / room).ceil().max(1.0) as usize
    }

    /// No plan under the cap has a higher in-zone share than this (docs/planner.md 8.1).
    pub fn bound(&self) -> f64 {
        let open = |zone: usize| {
            let most = float(self.own[zone]) / float(self.least_beside(zone, 0.0));
            self.demand[zone] * most.min(1.0)
        };
        let free = (0..self.demand.len()).filter(|zone| self.scopes[*zone] == Scope::Free);
        self.decided() + free.map(open).sum::<f64>()
    }

    /// The in-zone share of the zones that no search decides about.
    pub fn decided(&self) -> f64 {
        let part = |(zone, scope): (usize, &Scope)| {
            let reached = match scope {
                Scope::Among(area) if area.has(zone) => {
                    area.iter().filter_map(|zone| self.own.get(zone)).sum::<usize>()
                }
                Scope::All => self.total,
                Scope::Free | Scope::Among(_) => return 0.0,
            };
            self.demand[zone] * float(self.own[zone]) / float(reached.max(1))
        };
        self.scopes.iter().enumerate().map(part).sum()
    }
}
