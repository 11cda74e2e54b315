//! Outlook: what becomes of a Service's preference under its last plan, and which changes of that
//! are news. Pure.

use std::borrow::Cow;

use super::{hindrance::Hindrance, news::News};
use crate::{
    assess::{
        decision::Decision,
        reason::{Reason, State},
    },
    model::service::Service,
    plan::Plan,
};

/// What becomes of a Service's preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// What it prefers, if anything.
    pub prefers: Option<Cow<'static, str>>,
    /// What becomes of that.
    pub decision: Decision,
    /// Whether the legacy annotation has led to hints; `None` if it is absent.
    pub is_hinted: Option<bool>,
}

impl Outlook {
    /// The outlook under a plan, judged by the first address type as the `decision` is.
    pub fn of(service: &Service, plan: &Plan<'_>, decision: Decision) -> Self {
        let has_counts = || plan.families.first().is_some_and(|family| family.counts.is_some());
        let is_hinted = service.auto.then(has_counts);
        Self { prefers: plan.intent.prefers(), decision, is_hinted }
    }

    /// The same if the API server rejects one of the slices as invalid.
    #[must_use]
    pub fn refused(self) -> Self {
        Self { decision: self.decision.refused(), ..self }
    }

    /// The same if another controller repeatedly overwrites the slices.
    #[must_use]
    pub fn overwritten(self) -> Self {
        Self { decision: self.decision.overwritten(), ..self }
    }

    /// The same if hints are not in force, for a reason that no plan shows.
    #[must_use]
    pub fn hindered(self, reason: Reason) -> Self {
        Self { decision: self.decision.hindered(reason), ..self }
    }

    /// The outlook of a Service that is new: it requests nothing.
    pub fn nothing() -> Self {
        let decision = Decision { state: State::None, reasons: vec![Reason::NoPreference] };
        Self { prefers: None, decision, is_hinted: None }
    }

    /// The Event for a change from `before`: a change of state, or of the reason why locality cannot
    /// be achieved. `hindrances` are behind this outlook. The legacy annotation has the built-in
    /// controller's Events.
    pub fn news(&self, before: &Self, hindrances: &[Hindrance]) -> Option<News> {
        match (before.is_hinted, self.is_hinted) {
            (Some(true), None) => return Some(News::AutoRemoved),
            (None | Some(false), Some(true)) => return Some(News::AutoHints),
            (None | Some(true), Some(false)) => return Some(News::NoAutoHints(self.auto_reason())),
            (Some(_), Some(_)) => return None,
            (_, None) => {}
        }
        let key = |outlook: &Self| (outlook.decision.state, outlook.decision.reason());
        match (key(before), key(self)) {
            (old, new) if old == new => None,
            // Each has a separate Event, even for Services that request nothing.
            (_, (_, Reason::OverwrittenByOtherController | Reason::WriteRefused)) => None,
            // Pods come and go. What does not change by itself is worth an Event.
            (_, (State::Empty, reason)) if is_passing(reason) => None,
            (_, (State::Ineffective | State::Empty, reason)) => {
                let mut hindrances = hindrances.iter();
                let hindrance = hindrances.find(|hindrance| hindrance.reason == reason);
                let detail = hindrance.map(|hindrance| hindrance.detail.clone());
                Some(News::Ineffective { reason, detail })
            }
            ((State::Ineffective | State::Empty, _), (State::Applied | State::Partial, _)) => {
                Some(News::Effective)
            }
            _ => None,
        }
    }

    /// Why the legacy annotation does not lead to hints.
    fn auto_reason(&self) -> Option<Reason> {
        let reasons = self.decision.reasons.iter().copied();
        reasons.into_iter().find(|reason| {
            matches!(
                reason,
                Reason::EndpointWithoutZone
                    | Reason::NodeWithoutZoneLabel
                    | Reason::SingleZone
                    | Reason::TooFewInZone
                    | Reason::OverloadExceeded
            )
        })
    }
}

/// Whether what keeps a Service without ready endpoints may pass by itself, or has its own Event.
fn is_passing(reason: Reason) -> bool {
    matches!(reason, Reason::NothingReady | Reason::NodeMissing | Reason::AddressNotAllowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(state: State, reasons: &[Reason], is_hinted: Option<bool>) -> Outlook {
        let decision = Decision { state, reasons: reasons.to_vec() };
        Outlook { prefers: Some("Zone".into()), decision, is_hinted }
    }

    #[test]
    fn only_changes_of_state_are_news() {
        use News::{AutoHints, AutoRemoved, Effective, NoAutoHints};
        use Reason::{
            EndpointWithoutZone as Zoneless, Headless, LegacyAnnotationWins as Legacy,
            OverwrittenByOtherController as Overwritten, TooFewInZone as TooFew, ZoneEmpty,
        };
        let ineffective = |reason| Some(News::Ineffective { reason, detail: None });
        let nothing = Outlook::nothing();
        let applied = outlook(State::Applied, &[Reason::Applied], None);
        let empty = outlook(State::Partial, &[ZoneEmpty], None);
        let idle = outlook(State::Empty, &[Reason::NothingReady], None);
        let astray = outlook(State::Empty, &[Reason::NoSuchPort], None);
        let zoneless = outlook(State::Ineffective, &[Zoneless, ZoneEmpty], None);
        let headless = outlook(State::Ineffective, &[Headless, Zoneless], None);
        let fought = outlook(State::Ineffective, &[Overwritten, ZoneEmpty], None);
        let auto = outlook(State::Applied, &[Legacy], Some(true));
        let auto_few = outlook(State::Ineffective, &[Legacy, TooFew], Some(false));
        let auto_cpu = outlook(State::Ineffective, &[Legacy], Some(false));
        let table = [
            (&nothing, &nothing, None),
            (&nothing, &applied, None),
            (&applied, &empty, None),
            (&applied, &idle, None),
            (&idle, &astray, ineffective(Reason::NoSuchPort)),
            (&astray, &empty, Some(Effective)),
            (&applied, &zoneless, ineffective(Zoneless)),
            (&nothing, &headless, ineffective(Headless)),
            (&zoneless, &zoneless, None),
            (&zoneless, &headless, ineffective(Headless)),
            (&zoneless, &empty, Some(Effective)),
            (&zoneless, &nothing, None),
            (&applied, &fought, None),
            (&fought, &applied, Some(Effective)),
            (&nothing, &auto, Some(AutoHints)),
            (&auto_few, &auto, Some(AutoHints)),
            (&auto, &auto, None),
            (&applied, &auto_few, Some(NoAutoHints(Some(TooFew)))),
            (&auto, &auto_cpu, Some(NoAutoHints(None))),
            (&auto_few, &auto_cpu, None),
            (&auto, &nothing, Some(AutoRemoved)),
            (&auto_few, &nothing, None),
        ];
        for (before, after, news) in table {
            assert_eq!(after.news(before, &[]), news, "{before:?} -> {after:?}");
        }
    }
}
