//! Choose: the plan of one group of endpoints (docs/planner.md 8).

use super::{
    assign::{self, Endpoint},
    counts::{Names, TOLERANCE, Tally},
    explain,
    group::Group,
    keep::{self, Keeping, percent},
    limits::Scope,
    newcomers::Newcomer,
    nodes::NodeHints,
    outcome::{Cause, Chosen, Naming, Newcomers, Outcome},
    pen::Pen,
    problem::{MAX_NAMES, Problem},
    request::{Request, Standing},
    searches::Searches,
    stage::Stage,
    trim,
    zones::Zones,
};
use crate::model::policy::Guard;

/// The plan of one group: what each endpoint names, and why. It does not depend on the order of the
/// candidates, nor on what `searches` remembers.
pub fn choose(
    request: &Request,
    zones: &Zones,
    searches: &Searches,
    group: &Group<'_>,
) -> (Naming, Outcome) {
    let stage = Stage::of(request, zones, searches, group);
    let decision = decide(&stage);
    if !stage.is_evacuation() || stage.rest.is_empty() || decision.names_all(&stage) {
        return outcome(&stage, decision);
    }
    // Clients in a zone that no endpoint names would still reach the evacuated endpoints.
    let request = Request { evacuated: Vec::new(), ..request.clone() };
    let stage = Stage::of(&request, zones, searches, group);
    let (naming, mut outcome) = outcome(&stage, decide(&stage));
    outcome.causes.insert(0, Cause::TooManyZones);
    (naming, outcome)
}

/// The names of the endpoints that traffic should reach.
struct Decision {
    /// In the order of [`Stage::rest`]. Empty names stand for no hints.
    names: Vec<Names>,
    tally: Tally,
    is_kept: bool,
    is_held: bool,
    /// Whether no hints are written if these names send every zone to all.
    may_be_off: bool,
}

impl Decision {
    fn new(stage: &Stage<'_>, names: Vec<Names>) -> Self {
        let tally = stage.tally(&names);
        Self { names, tally, is_kept: false, is_held: false, may_be_off: true }
    }

    /// Whether every zone is named by an endpoint.
    fn names_all(&self, stage: &Stage<'_>) -> bool {
        let named = self.tally.named(stage.zones.named());
        !stage.has_unnamed() && named.iter().all(|named| named.all > 0)
    }

    /// Whether the clients of every zone reach all endpoints.
    fn is_everywhere(&self, stage: &Stage<'_>) -> bool {
        let mut sets = self.tally.iter().map(|(_, names, _)| names.both(stage.all()));
        let first = sets.next();
        sets.all(|names| Some(names) == first)
    }
}

fn decide(stage: &Stage<'_>) -> Decision {
    if stage.rest.is_empty() {
        return Decision::new(stage, Vec::new());
    }
    let Some(guard) = stage.request.guard else {
        return Decision::new(stage, plain(stage));
    };
    if stage.group.is_twin
        && let Some(names) = stage.other_family()
    {
        let candidates = stage.rest.iter().map(|at| &stage.group.candidates[*at]);
        let may_be_off = candidates.filter_map(|it| it.other_family).all(<[_]>::is_empty);
        let has = |(at, names): (&usize, &Names)| match stage.members[*at].in_force {
            Some(in_force) => in_force == *names,
            None => may_be_off || names.is_empty(),
        };
        let is_kept = stage.rest.iter().zip(&names).all(has);
        return Decision { is_kept, may_be_off, ..Decision::new(stage, names) };
    }
    match in_force(stage) {
        Some(names) => keep_or_replace(stage, guard, names),
        None => fresh(stage, &problem(stage, guard)),
    }
}

/// The names without a guard: each zone is named by its own endpoints, or by those that its terms
/// request.
fn plain(stage: &Stage<'_>) -> Vec<Names> {
    let mut wide = Names::default();
    let mut of_zone = vec![Names::default(); stage.terms.len()];
    for (zone, term) in stage.terms.iter().enumerate() {
        match term.scope {
            Scope::Free => of_zone[zone] = of_zone[zone].with(zone),
            Scope::All => wide = wide.with(zone),
            Scope::Among(area) => {
                area.iter().for_each(|at| of_zone[at] = of_zone[at].with(zone));
            }
        }
    }
    let elsewhere = if stage.is_evacuation() { stage.all() } else { Names::default() };
    let of = |at: &usize| match stage.members[*at].origin {
        Some(zone) => of_zone[zone].and(wide),
        // Its zone is one that cannot be named.
        None if stage.group.candidates[*at].zone.is_some() => {
            if wide.is_empty() {
                Names::PLACEHOLDER
            } else {
                wide
            }
        }
        None => elsewhere,
    };
    let names: Vec<Names> = stage.rest.iter().map(of).collect();
    // An endpoint without hints turns all off, whatever the others name.
    if names.iter().any(|names| names.is_empty()) && !stage.is_evacuation() {
        return names;
    }
    let left_out = trim::left_out(stage.demand(), names.iter().copied());
    names.into_iter().map(|names| trim::without(names, left_out)).collect()
}

/// The names in force of the rest, with those that new endpoints will have. `None` if no plan is in
/// force.
fn in_force(stage: &Stage<'_>) -> Option<Vec<Names>> {
    if !matches!(stage.request.standing, Standing::For(_)) {
        return None;
    }
    if stage.members.iter().all(|member| member.in_force.is_none()) {
        // No hints at all are the plan that sends every zone to all, but do not evacuate.
        let is_plan = !stage.is_evacuation();
        return is_plan.then(|| vec![stage.all(); stage.rest.len()]);
    }
    let known: Vec<Option<Names>> =
        stage.rest.iter().map(|at| stage.members[*at].in_force).collect();
    if known.iter().all(Option::is_some) {
        return known.into_iter().collect();
    }
    let mut tally = Tally::default();
    for (at, names) in stage.rest.iter().zip(&known) {
        if let Some(names) = names {
            tally.add(stage.members[*at].origin, *names, 1);
        }
    }
    let newcomer = Newcomer::of(stage, &tally);
    let names = |(at, names): (&usize, Option<Names>)| {
        names.unwrap_or_else(|| newcomer.names(stage.members[*at].origin))
    };
    Some(stage.rest.iter().zip(known).map(names).collect())
}

fn keep_or_replace(stage: &Stage<'_>, guard: Guard, names: Vec<Names>) -> Decision {
    let kept = Decision { is_kept: true, ..Decision::new(stage, names) };
    let load = kept.tally.load(stage.demand());
    let keeping = keep::keeps(stage.givens(), guard, &kept.tally, load);
    if keeping == Keeping::Stays {
        return kept;
    }
    let problem = problem(stage, guard);
    let fresh = fresh(stage, &problem);
    let is_narrower = keep::is_narrower(fresh.tally.load(stage.demand()), load);
    let waits = match stage.request.standing {
        Standing::For(stood) => is_narrower && keep::waits(guard, stood),
        Standing::New | Standing::Void => false,
    };
    let is_held = is_narrower && !guard.hold.is_zero();
    let is_shown = stage.request.standing == Standing::For(None);
    match keeping {
        Keeping::Question | Keeping::Stays if !is_narrower => kept,
        Keeping::Question | Keeping::Stays if waits => Decision { is_held, ..kept },
        // What is in force must go, but not for something narrower.
        Keeping::Ends if waits => {
            let wide = problem.no_narrower_than(&kept.tally);
            Decision { is_held, ..self::fresh(stage, &wide) }
        }
        _ => Decision { is_held: is_held && is_shown, ..fresh },
    }
}

/// The problem of a new plan.
fn problem(stage: &Stage<'_>, guard: Guard) -> Problem {
    let scopes: Vec<Scope> = stage.terms.iter().map(|term| term.scope).collect();
    let now: Vec<Names> = stage.rest.iter().map(|at| stage.now(*at)).collect();
    Problem::scoped(stage.demand(), &scopes, stage.tally(&now), percent(guard.max_overload))
}

/// A new plan.
fn fresh(stage: &Stage<'_>, problem: &Problem) -> Decision {
    let mut tally = stage.searches.distribute(problem);
    let other = stage.other_family();
    if let Some(other) = other.as_ref().map(|names| stage.tally(names))
        && is_as_good(problem, &other, &tally)
        && keep::holds(&stage.terms, &other)
    {
        tally = other;
    }
    let endpoint = |(index, at): (usize, &usize)| Endpoint {
        key: stage.group.candidates[*at].key,
        origin: stage.members[*at].origin,
        now: stage.now(*at),
        other: other.as_ref().map(|names| names[index]),
    };
    let endpoints: Vec<Endpoint<'_>> = stage.rest.iter().enumerate().map(endpoint).collect();
    let names = assign::assign(stage.group.service, stage.zones, &tally, &endpoints);
    Decision { names, tally, is_kept: false, is_held: false, may_be_off: true }
}

/// Whether the plan of the other address type is one that could have been chosen, apart from the
/// overload.
fn is_as_good(problem: &Problem, other: &Tally, than: &Tally) -> bool {
    let (one, best) = (problem.score(other), problem.score(than));
    let sets = other.iter().all(|(_, names, _)| (1..=MAX_NAMES).contains(&names.len()));
    let is_equal = (one.in_zone - best.in_zone).abs() <= TOLERANCE && one.changes == best.changes;
    sets && is_equal && problem.is_under_cap(other)
}

/// Turns numbers into names, and explains them.
fn outcome(stage: &Stage<'_>, decision: Decision) -> (Naming, Outcome) {
    let nodes = NodeHints::of(stage, &decision.names, decision.is_kept);
    let has_guard = stage.request.guard.is_some();
    let may_be_off = decision.may_be_off && has_guard && !stage.is_evacuation();
    let is_off = may_be_off
        && !stage.rest.is_empty()
        && nodes.load.is_none()
        && decision.is_everywhere(stage)
        && !(decision.is_kept && has_waiting(stage));
    let Decision { mut names, mut tally, mut is_kept, is_held, .. } = decision;
    let newcomer = Newcomer::of(stage, &tally);
    let zones = explain::zones(stage.givens(), &tally, !is_off, is_kept && is_held);
    if is_off {
        is_kept &= stage.members.iter().all(|member| member.in_force.is_none());
        names.fill(Names::default());
        tally = stage.tally(&names);
    }
    let mut pen = Pen::new(stage.zones);
    let mut hints = vec![Chosen::default(); stage.members.len()];
    let shown = if is_off { &[][..] } else { &names };
    for (at, names) in stage.rest.iter().zip(shown) {
        hints[*at] = Chosen { zones: pen.write(*names), node: nodes.of_endpoint(stage, *at) };
    }
    for (at, hint) in hints.iter_mut().enumerate() {
        if stage.members[at].is_evacuated {
            let zones = pen.write(Names::PLACEHOLDER);
            *hint = Chosen { zones, node: nodes.of_evacuated() };
        } else if !stage.group.candidates[at].is_ready && !is_off {
            let zones = pen.write(waiting(stage, &newcomer, at));
            *hint = Chosen { zones, node: nodes.of_endpoint(stage, at) };
        }
    }
    let newcomers =
        if is_off { Newcomers::default() } else { newcomers(stage, &mut pen, &newcomer, &nodes) };
    let mut causes = Vec::new();
    if stage.rest.is_empty() {
        causes.push(Cause::NothingReady);
    }
    if !stage.rest.is_empty() && !has_guard && names.iter().any(|names| names.is_empty()) {
        causes.push(Cause::EndpointWithoutZone);
    }
    if nodes.is_dropped {
        causes.push(Cause::OverloadExceeded);
    }
    let load = tally.load(stage.demand());
    let is_held = is_held || nodes.is_held;
    let node_load = nodes.load;
    let naming = Naming { hints, newcomers };
    (naming, Outcome { zones, causes, is_kept, is_held, tally, load, node_load })
}

/// Whether an endpoint that is not ready has names, by which a plan in force is more than what the
/// ready ones name.
fn has_waiting(stage: &Stage<'_>) -> bool {
    let is_waiting = |at: usize| !stage.group.candidates[at].is_ready;
    let has_names = |at: usize| stage.members[at].in_force.is_some_and(|it| it != stage.all());
    (0..stage.members.len()).any(|at| is_waiting(at) && has_names(at))
}

/// The names of an endpoint that is not ready: those in force, else its own zone and those that all
/// name.
fn waiting(stage: &Stage<'_>, newcomer: &Newcomer, at: usize) -> Names {
    let member = stage.members[at];
    if stage.rest.is_empty() && stage.is_evacuation() {
        // No zone is named, so every reader uses all.
        return Names::PLACEHOLDER;
    }
    match (member.in_force, member.origin) {
        (Some(names), _) => names,
        (None, Some(zone)) => {
            let own = Names::only(zone);
            let room = MAX_NAMES - 1;
            own.and(newcomer.wide.without(own).iter().take(room).collect())
        }
        (None, None) => newcomer.elsewhere,
    }
}

/// What endpoints name that appear before the next plan.
pub(super) fn newcomers(
    stage: &Stage<'_>,
    pen: &mut Pen<'_>,
    names: &Newcomer,
    nodes: &NodeHints,
) -> Newcomers {
    let mut of = |zone: usize| {
        if stage.request.evacuated.contains(&stage.zones.names()[zone]) {
            return Chosen { zones: pen.write(Names::PLACEHOLDER), node: nodes.of_evacuated() };
        }
        let names = names.zones.get(zone).copied().unwrap_or(names.beyond);
        Chosen { zones: pen.write(names), node: nodes.of_zone(stage, Some(zone)) }
    };
    let zones = (0..stage.zones.len()).map(&mut of).collect();
    let elsewhere = pen.write(names.elsewhere);
    Newcomers { zones, elsewhere: Chosen { zones: elsewhere, node: nodes.of_zone(stage, None) } }
}
