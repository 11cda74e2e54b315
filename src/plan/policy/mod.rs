//! Policies: hints under a guard, as pure functions (docs/planner.md 8). The search works on numbers
//! of endpoints per zone and set of names, never on single endpoints:
//!
//! - `request`: what is requested of a Service's hints, resolved from policies and evacuations
//! - `zones`, `group`: what a plan depends on besides: the zones, and the endpoints of one port set
//! - `choose`: the plan of a group, with what explains it as its `outcome`
//! - `stage`: a group in numbers
//! - `newcomers`: the names of endpoints that appear before the next plan
//! - `nodes`: what becomes of the traffic with hints for nodes
//! - `pen`: writes numbers as names
//! - `explain`: what becomes of each zone, and why
//! - `terms`: what is decided about each zone before a search
//! - `keep`: whether a plan in force stays, by numbers alone
//! - `assign`: which endpoint gets which names of a distribution, by `rendezvous`
//! - `unknown`: what endpoints name while policies are not known
//! - `help`: how many more endpoints would keep a zone local
//! - `counts`: a distribution as such numbers, with load, overload and in-zone share
//! - `searches`: what searches have found, by their problems
//! - `problem`: what a search is given, with the `limits` that plans must keep to
//! - `exact`: the optimum of a small problem, by enumeration in descending order of the share
//! - `spread`: the best distribution for given numbers of endpoints that name each zone
//! - `ladder`: lending and widening for every other problem
//! - `pack`: puts a distribution together that gives every zone a number of foreign endpoints
//! - `polish`: gives endpoints back the names that they have in force
//! - `best`: queues combinations of options, the best first
//! - `trim`: leaves zones out of a distribution that has too many names

mod assign;
mod best;
pub mod choose;
pub mod counts;
pub mod demand;
pub mod exact;
mod explain;
pub mod group;
pub mod help;
pub mod keep;
pub mod ladder;
pub mod limits;
mod newcomers;
mod nodes;
pub mod outcome;
mod pack;
mod pen;
mod polish;
pub mod problem;
mod rendezvous;
pub mod request;
pub mod searches;
mod spread;
mod stage;
mod terms;
mod trim;
pub mod unknown;
pub mod zones;

use self::{counts::Tally, problem::Problem};

/// A new plan: the distribution with the highest in-zone share under the cap. Of equal ones, the
/// first in the order of docs/planner.md 8.1.
pub fn distribute(problem: &Problem) -> Tally {
    let tally = match exact::search(problem) {
        Some(found) if found.is_optimum => found.tally,
        Some(found) => {
            let other = ladder::search(problem);
            let is_better = problem.score(&other).beats(&problem.score(&found.tally));
            if is_better { other } else { found.tally }
        }
        None => ladder::search(problem),
    };
    trim::trim(problem.demand(), tally)
}
