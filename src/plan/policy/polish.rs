//! Polish: gives endpoints of a distribution back the names that they have in force, as far as it stays
//! as good.

use super::{
    counts::{Names, Origin, Tally},
    problem::{Problem, Score},
};

/// With more kinds of moves than this, no two are tried together.
const PAIRS: usize = 24;

/// Other names for one endpoint: where it is, what it names, what it would name.
type Move = (Origin, Names, Names);

/// A distribution that is as good, with as many names in force as single moves and pairs of them lead
/// to.
pub fn polish(problem: &Problem, mut tally: Tally) -> Tally {
    let mut score = problem.score(&tally);
    while score.changes > 0 {
        let moves = moves(problem, &tally);
        let Some((better, of)) = improved(problem, &tally, score, &moves) else { break };
        tally = better;
        score = of;
    }
    tally
}

/// The first that is better than `score`, by one move or two.
fn improved(
    problem: &Problem,
    tally: &Tally,
    score: Score,
    moves: &[Move],
) -> Option<(Tally, Score)> {
    let check = |changed: Tally| {
        let of = problem.score(&changed);
        let is_allowed = of.beats(&score) && problem.is_allowed(&changed);
        is_allowed.then_some((changed, of))
    };
    for one in moves {
        let changed = after(tally, *one)?;
        if let Some(found) = check(changed.clone()) {
            return Some(found);
        }
        if moves.len() <= PAIRS {
            let pairs = moves.iter().filter_map(|other| after(&changed, *other));
            if let Some(found) = pairs.map(check).find_map(|found| found) {
                return Some(found);
            }
        }
    }
    None
}

fn after(tally: &Tally, (origin, from, to): Move) -> Option<Tally> {
    if tally.of(origin, from) == 0 {
        return None;
    }
    let mut changed = tally.clone();
    changed.remove(origin, from);
    changed.add(origin, to, 1);
    Some(changed)
}

/// The moves that give an endpoint back names in force.
fn moves(problem: &Problem, tally: &Tally) -> Vec<Move> {
    let in_force = problem.in_force();
    let missing: Vec<(Origin, Names)> = in_force
        .iter()
        .filter(|(origin, names, count)| tally.of(*origin, *names) < *count)
        .map(|(origin, names, _)| (origin, names))
        .collect();
    let mut moves = Vec::new();
    for (origin, names, count) in tally.iter() {
        if count > in_force.of(origin, names) {
            let wanted = missing.iter().filter(|(at, _)| *at == origin);
            moves.extend(wanted.map(|(_, wanted)| (origin, names, *wanted)));
        }
    }
    moves
}
