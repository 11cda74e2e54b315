//! Newcomers: the names of endpoints that appear before the next plan (docs/planner.md 8.6). They follow
//! from the numbers of a plan, so a plan in force leads to the same ones.

use super::{
    counts::{MAX_ZONES, Named, Names, Origin, Tally},
    limits::Scope,
    outcome::Cause,
    problem::MAX_NAMES,
    stage::Stage,
};
use crate::model::policy::Key;

/// The names of endpoints that appear.
pub struct Newcomer {
    /// In each zone that a plan can name, by number.
    pub zones: Vec<Names>,
    /// In none of them. Empty for no hints.
    pub elsewhere: Names,
    /// In a zone that a plan cannot name.
    pub beyond: Names,
    /// The zones that every endpoint names.
    pub wide: Names,
}

impl Newcomer {
    /// Beside endpoints with these names.
    pub fn of(stage: &Stage<'_>, tally: &Tally) -> Self {
        let named = tally.named(stage.zones.named());
        let total = tally.len();
        let is_wide = |zone: &usize| {
            let Named { all, own } = named[*zone];
            // With all endpoints in one zone, they may well be local.
            all > 0 && all == total && own < all
        };
        let wide: Names = (0..named.len()).filter(is_wide).collect();
        let most = tally.iter().map(|(_, names, _)| names.len()).max().unwrap_or_default();
        // A zone that fits on no endpoint was left out.
        let is_left_out = |zone: usize| named[zone].all == 0 && most >= MAX_NAMES;
        let prefers_zone = stage.request.keys.contains(&Key::Zone);
        let is_local = |zone: usize| {
            let may_be = matches!(stage.terms[zone].cause, Cause::Applied | Cause::ZoneEmpty);
            prefers_zone && may_be && !wide.has(zone) && !is_left_out(zone)
        };
        let all = stage.all();
        let empty = Names::default();
        let mut of = Self { zones: Vec::new(), elsewhere: empty, beyond: empty, wide };
        of.beyond = of.within(empty);
        for zone in 0..named.len() {
            let own = if is_local(zone) { Names::only(zone) } else { Names::default() };
            of.zones.push(of.within(own.and(stage.around(zone))));
        }
        if stage.request.guard.is_some() || stage.is_evacuation() {
            let fits = all.len() <= MAX_NAMES && !stage.has_unnamed();
            of.elsewhere = if fits { all } else { of.beyond };
        }
        of
    }

    /// These names and those of all endpoints, as far as they fit.
    fn within(&self, names: Names) -> Names {
        let room = MAX_NAMES.saturating_sub(names.len());
        let wide = self.wide.without(names).iter().take(room).collect();
        let names = names.and(wide);
        if names.is_empty() { Names::PLACEHOLDER } else { names }
    }

    /// The names of one in this zone.
    pub fn names(&self, origin: Origin) -> Names {
        origin.and_then(|zone| self.zones.get(zone)).copied().unwrap_or(self.elsewhere)
    }
}

impl Stage<'_> {
    /// The zones that every endpoint of this zone names because they reach its whole area.
    fn around(&self, zone: usize) -> Names {
        let names = |at: &usize| match self.terms[*at].scope {
            Scope::Among(area) => area.has(zone),
            Scope::Free | Scope::All => false,
        };
        (0..self.terms.len().min(MAX_ZONES)).filter(names).collect()
    }
}
