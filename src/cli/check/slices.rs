//! Slices: who writes them, whether they are as planned, and what they bring about. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    built_in,
    facts::{Facts, Mode, SliceWrite},
    item::Item,
    line::{Line, Verdict, count, error, ok, warning},
    traffic::Traffic,
};
use crate::{
    assess::reason::{Reason, State},
    model::name::ServiceKey,
    report::hindrance::listed,
};

/// The field managers of those that write slices by design.
const CLOSEHAUL: &str = "closehaul";
const MANAGER: &str = "kube-controller-manager";
/// How far back writes count: as long as a running closehaul remembers another writer
/// (docs/semantics.md 9).
const RECENT: SignedDuration = SignedDuration::from_secs(5 * 60);

/// What one client wrote recently.
struct Written<'f> {
    slices: usize,
    latest: &'f SliceWrite,
}

/// The recent writes by client, without those before `since`.
fn recent<'f>(
    facts: &Facts,
    writes: &'f [SliceWrite],
    since: Option<Timestamp>,
) -> BTreeMap<&'f str, Written<'f>> {
    let oldest = facts.server.now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN);
    let oldest = since.map_or(oldest, |since| since.max(oldest));
    let mut clients: BTreeMap<&str, Written<'_>> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.at > oldest) {
        let written = clients.entry(&write.manager).or_insert(Written { slices: 0, latest: write });
        written.slices += 1;
        if written.latest.at < write.at {
            written.latest = write;
        }
    }
    clients
}

fn said(facts: &Facts, manager: &str, Written { slices, latest }: &Written<'_>) -> String {
    let ago = facts.server.now.duration_since(latest.at).as_secs().max(0);
    format!(
        "{manager} has written {} in the last 5 minutes, {} {ago} s ago",
        count(*slices, "slice"),
        latest.slice
    )
}

/// In modes in which closehaul writes: whether another client does as well.
pub(super) fn writers(facts: &Facts) -> Line {
    Line::of(Item::Writers, &facts.writes, |writes| {
        // What was written before closehaul led, or before the built-in controller was switched off
        // everywhere, is no sign of another writer.
        let leases = facts.leases.iter().flatten();
        let led = leases.filter_map(|lease| lease.record.acquired).min();
        let since = led.max(built_in::off_since(facts));
        let mut clients = recent(facts, writes, since);
        clients.remove(CLOSEHAUL);
        if facts.mode == Mode::Assist {
            clients.remove(MANAGER);
        }
        if let Some(written) = clients.get(MANAGER) {
            return error(format!(
                "{}: the built-in controller is on somewhere, or was until then",
                said(facts, MANAGER, written)
            ));
        }
        match clients.iter().next() {
            None => ok(""),
            Some((manager, written)) => warning(format!(
                "{}; closehaul writes its own plan over it",
                said(facts, manager, written)
            )),
        }
    })
}

/// In mode `advise`: whether closehaul writes nothing.
pub(super) fn writes_nothing(facts: &Facts) -> Line {
    Line::of(Item::WritesNothing, &facts.writes, |writes| {
        // Earlier, they may have run in another mode.
        match recent(facts, writes, started(facts)).get(CLOSEHAUL) {
            None => ok(""),
            Some(written) => error(format!(
                "{}: another installation must be at work",
                said(facts, CLOSEHAUL, written)
            )),
        }
    })
}

/// Since when all replicas run.
fn started(facts: &Facts) -> Option<Timestamp> {
    let pods = facts.pods.as_ref().ok()?.iter();
    let ours = pods.filter(|pod| pod.metadata.namespace.as_ref() == Some(&facts.namespace));
    let started = ours.map(|pod| {
        let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
        let running = containers.iter().filter_map(|it| it.state.as_ref()?.running.as_ref());
        running.filter_map(|it| Some(it.started_at.as_ref()?.0)).max()
    });
    started.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Whether the slices are as `closehaul plan` would have them.
pub(super) fn planned(facts: &Facts) -> Line {
    Line::of(Item::Planned, &facts.traffic, |traffic| {
        let Traffic { services, pending, .. } = traffic;
        if pending.is_empty() {
            return ok(format!("of {}", count(*services, "Service")));
        }
        let slices = count(pending.values().sum(), "slice");
        let keys = listed(pending.keys().map(ToString::to_string));
        warning(format!(
            "{slices} of {} would be written: {keys}; closehaul plan -o changes shows each write",
            count(pending.len(), "Service")
        ))
    })
}

/// Whether Services that request locality get it.
pub(super) fn locality(facts: &Facts) -> Line {
    Line::of(Item::Locality, &facts.traffic, |Traffic { states, .. }| {
        let all: usize = states.values().map(Vec::len).sum();
        let in_state = |state| states.get(&state).map_or(&[][..], Vec::as_slice);
        let (lost, partial) = (in_state(State::Ineffective), in_state(State::Partial));
        let partly = match partial.len() {
            0 => String::new(),
            some => format!("; {some} Partial ({})", by_reason(partial)),
        };
        if lost.is_empty() {
            return ok(format!("of {}{partly}", count(all, "Service")));
        }
        let keys = listed(lost.iter().map(|(key, _)| key.to_string()));
        warning(format!(
            "{} of {} Ineffective ({}): {keys}{partly}; closehaul explain says what helps",
            lost.len(),
            count(all, "Service"),
            by_reason(lost)
        ))
    })
}

/// How many Services each reason concerns, such as `EndpointWithoutZone 2, Headless 1`.
fn by_reason(services: &[(ServiceKey, Reason)]) -> String {
    let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
    for (_, reason) in services {
        *counts.entry(*reason).or_default() += 1;
    }
    let texts: Vec<_> = counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    texts.join(", ")
}

/// Whether policies are known, valid and carried out.
pub(super) fn policies(facts: &Facts) -> Line {
    Line::of(Item::Policies, &facts.traffic, |traffic| judge_policies(facts, traffic))
}

fn judge_policies(facts: &Facts, traffic: &Traffic) -> Verdict {
    if !traffic.unlisted.is_empty() {
        let permissions = listed(traffic.unlisted.iter().map(ToString::to_string));
        return warning(format!("not checked: this requires the permission to {permissions}"));
    }
    if let Some(installation) = facts.installation().filter(|it| !it.has_policies()) {
        return match traffic.policies {
            0 => ok("switched off, and there are none"),
            some => warning(format!(
                "{some} without effect: {} runs with --policies=false",
                installation.key()
            )),
        };
    }
    if !traffic.unread.is_empty() {
        return warning(format!(
            "not understood: {}; the condition Accepted says what is wrong",
            listed(traffic.unread.iter().cloned())
        ));
    }
    if !traffic.without_policy.is_empty() {
        let services = &traffic.without_policy;
        let named = services.iter().map(|(key, reason)| format!("{key} ({reason})"));
        return warning(format!(
            "{} without use of a policy: {}",
            count(services.len(), "Service"),
            listed(named)
        ));
    }
    // In mode advise, closehaul writes no status.
    if facts.mode != Mode::Advise && !traffic.unprogrammed.is_empty() {
        return warning(format!(
            "not programmed yet: {}; the condition Programmed says what is missing. Without any \
             condition, closehaul does not know of the policy",
            listed(traffic.unprogrammed.iter().cloned())
        ));
    }
    ok(match traffic.policies {
        0 => "there are none".to_owned(),
        some => format!("all {some}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::{facts::Stage, line::Outcome, read::Permission, samples};

    fn write(manager: &str, at: &str) -> SliceWrite {
        SliceWrite {
            slice: "shop/cart-x7k2p".to_owned(),
            manager: manager.to_owned(),
            at: format!("2026-01-02T{at}Z").parse().unwrap(),
        }
    }

    /// The time is 03:04:05, and closehaul has led since 03:00:00.
    #[test]
    fn another_writer_is_named() {
        let mut facts = samples::facts();
        facts.managers = Ok(Vec::new());
        facts.writes = Ok(vec![
            write("closehaul", "03:04:00"),
            write("kube-controller-manager", "02:59:59"),
            write("kubectl-edit", "02:00:00"),
        ]);
        assert_eq!(writers(&facts).outcome, Outcome::Ok, "before closehaul led, or long ago");
        facts.writes.as_mut().unwrap().push(write("kubectl-edit", "03:02:05"));
        let line = writers(&facts);
        assert_eq!(line.outcome, Outcome::Warning);
        assert!(line.detail.starts_with(
            "kubectl-edit has written 1 slice in the last 5 minutes, shop/cart-x7k2p 120 s ago"
        ));
        facts.writes.as_mut().unwrap().push(write("kube-controller-manager", "03:04:00"));
        let line = writers(&facts);
        assert_eq!(line.outcome, Outcome::Error);
        facts.mode = Mode::Assist;
        assert_eq!(writers(&facts).outcome, Outcome::Warning, "it may, but kubectl still counts");
    }

    /// A control plane that was restarted without it cannot have written since.
    #[test]
    fn what_was_written_before_it_was_switched_off_does_not_count() {
        let mut facts = samples::facts();
        facts.writes = Ok(vec![write("kube-controller-manager", "03:02:59")]);
        assert_eq!(writers(&facts).outcome, Outcome::Ok, "its managers started at 03:03:00");
        facts.managers.as_mut().unwrap()[1] = samples::manager("cp-2", "*");
        assert_eq!(writers(&facts).outcome, Outcome::Error);
    }

    #[test]
    fn advise_writes_nothing() {
        let mut facts = samples::facts();
        facts.mode = Mode::Advise;
        facts.writes =
            Ok(vec![write("kube-controller-manager", "03:04:00"), write("closehaul", "02:50:00")]);
        assert_eq!(writes_nothing(&facts).outcome, Outcome::Ok);
        facts.writes.as_mut().unwrap().push(write("closehaul", "03:04:00"));
        assert_eq!(writes_nothing(&facts).outcome, Outcome::Error);
        let pod = |at: &str| {
            let pod = serde_json::json!({
                "metadata": {"namespace": "kube-system"},
                "status": {"containerStatuses": [{
                    "name": "closehaul", "ready": true, "restartCount": 0, "image": "", "imageID": "",
                    "state": {"running": {"startedAt": at}}}]},
            });
            serde_json::from_value(pod).unwrap()
        };
        facts.pods = Ok(vec![pod("2026-01-02T03:03:00Z"), pod("2026-01-02T03:04:01Z")]);
        assert_eq!(writes_nothing(&facts).outcome, Outcome::Ok, "before the last one started");
    }

    #[test]
    fn services_are_counted_by_reason() {
        let mut facts = samples::facts();
        let key = |name: &str| ServiceKey { namespace: "shop".into(), name: name.into() };
        let states = BTreeMap::from([
            (State::Applied, vec![(key("a"), Reason::Applied)]),
            (State::Partial, vec![(key("b"), Reason::ZoneEmpty), (key("c"), Reason::ZoneEmpty)]),
        ]);
        facts.traffic = Ok(Traffic { services: 9, states, ..Traffic::default() });
        assert_eq!(locality(&facts).detail, "of 3 Services; 2 Partial (ZoneEmpty 2)");
        assert_eq!(locality(&facts).outcome, Outcome::Ok);
        let lost = vec![(key("d"), Reason::EndpointWithoutZone), (key("e"), Reason::Headless)];
        facts.traffic.as_mut().unwrap().states.insert(State::Ineffective, lost);
        let line = locality(&facts);
        assert_eq!(line.outcome, Outcome::Warning);
        assert_eq!(
            line.detail,
            "2 of 5 Services Ineffective (EndpointWithoutZone 1, Headless 1): shop/d, shop/e; 2 \
             Partial (ZoneEmpty 2); closehaul explain says what helps"
        );
    }

    #[test]
    fn slices_that_are_not_as_planned() {
        let mut facts = samples::facts();
        assert_eq!(planned(&facts).outcome, Outcome::Ok);
        let key = ServiceKey { namespace: "shop".into(), name: "cart".into() };
        let traffic = Traffic { pending: BTreeMap::from([(key, 2)]), ..Traffic::default() };
        assert_eq!(traffic.clone().still_pending(&Traffic::default()).pending.len(), 0);
        assert_eq!(traffic.clone().still_pending(&traffic), traffic);
        facts.traffic = Ok(traffic);
        facts.stage = Stage::Before;
        let line = planned(&facts);
        assert_eq!(line.outcome, Outcome::Warning);
        assert!(line.detail.starts_with("2 slices of 1 Service would be written: shop/cart;"));
    }

    #[test]
    fn policies_that_are_not_in_force() {
        let mut facts = samples::facts();
        let outcome = |facts: &Facts, traffic: Traffic| judge_policies(facts, &traffic).outcome;
        assert_eq!(outcome(&facts, Traffic::default()), Outcome::Ok);
        let one = || Traffic { policies: 1, ..Traffic::default() };
        assert_eq!(outcome(&facts, one()), Outcome::Ok);
        let name = vec!["ClusterLocalityPolicy all".to_owned()];
        assert_eq!(outcome(&facts, Traffic { unread: name.clone(), ..one() }), Outcome::Warning);
        let unlisted = vec![Permission::new("list", "closehaul.io", "localitypolicies")];
        let late = || Traffic { unprogrammed: name.clone(), ..one() };
        assert_eq!(outcome(&facts, late()), Outcome::Warning);
        assert_eq!(outcome(&facts, Traffic { unlisted, ..one() }), Outcome::Warning);
        facts.mode = Mode::Advise;
        assert_eq!(outcome(&facts, late()), Outcome::Ok, "no status is written");
        facts.installations.as_mut().unwrap()[0].flags.add("policies", "false");
        assert_eq!(outcome(&facts, one()), Outcome::Warning);
        assert_eq!(outcome(&facts, Traffic::default()), Outcome::Ok);
    }
}
