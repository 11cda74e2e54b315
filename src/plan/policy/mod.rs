//! Policies: hints under a guard, as pure functions (docs/planner.md 8). The search works on numbers
//! of endpoints per zone and set of names, never on single endpoints:
//!
//! - `request`: what is requested of a Service's hints, resolved from policies and evacuations
//! - `counts`: a distribution as such numbers, with load, overload and in-zone share
//! - `problem`: what a search is given
//! - `exact`: the optimum of a small problem, by enumeration in descending order of the share
//! - `ladder`: lending and widening for every other problem
//! - `pack`: puts a distribution together that gives every zone a number of foreign endpoints
//! - `best`: queues combinations of options, the best first

mod best;
pub mod counts;
pub mod exact;
pub mod ladder;
mod pack;
pub mod problem;
pub mod request;

use self::{counts::Tally, problem::Problem};

/// A new plan: the distribution with the highest in-zone share under the cap. Of equal ones, the
/// first in the order of docs/planner.md 8.
pub fn distribute(problem: &Problem) -> Tally {
    exact::search(problem).unwrap_or_else(|| ladder::search(problem))
}
