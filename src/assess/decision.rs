//! Decision: what becomes of a Service's preference for locality, and why: the worst of the verdicts
//! on its ports (docs/planner.md 7).

#[cfg(test)]
mod tests;

use super::{
    policies::{is_listed_first, noted},
    reason::{Reason, State},
    verdict::{Standing, Verdict},
};

/// State and reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of it.
    pub state: State,
    /// Why: at least one, the most important first.
    pub reasons: Vec<Reason>,
}

/// A decision with the verdicts from which it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// What becomes of the Service's preference.
    pub decision: Decision,
    /// The same on each of its ports, by address type.
    pub verdicts: Vec<Verdict>,
}

/// Assesses what becomes of a Service's preference for locality.
pub fn assess(standing: Standing<'_>) -> Assessment {
    let service = standing.service;
    let is_idle = !standing.intent.prefers_locality();
    let state = if is_idle { State::None } else { State::Ineffective };
    if service.external_name {
        // It has no address on which a port could be reached.
        let (state, reasons) = noted(standing.intent, state, vec![Reason::ExternalName]);
        let decision = Decision { state, reasons };
        return Assessment { decision, verdicts: Vec::new() };
    }
    let mut verdicts = if service.selector.is_none() {
        let verdict = |family| standing.without_crowd(family, state, vec![Reason::NoSelector]);
        service.address_types().into_iter().map(verdict).collect()
    } else {
        standing.verdicts()
    };
    for verdict in verdicts.iter_mut().filter(|_| standing.intent.ruling.is_some()) {
        let reasons = std::mem::take(&mut verdict.reasons);
        (verdict.state, verdict.reasons) = noted(standing.intent, verdict.state, reasons);
    }
    Assessment { decision: Decision::of(&verdicts), verdicts }
}

impl Decision {
    /// The worst of these verdicts, with the reasons of all, the worst first.
    fn of(verdicts: &[Verdict]) -> Self {
        let worst = |verdict: &&Verdict| verdict.state;
        let Some(state) = verdicts.iter().map(|verdict| verdict.state).min() else {
            return Self { state: State::None, reasons: vec![Reason::NoPreference] };
        };
        if let [verdict] = verdicts {
            return Self { state, reasons: verdict.reasons.clone() };
        }
        let mut sorted: Vec<&Verdict> = verdicts.iter().collect();
        sorted.sort_by_key(worst);
        let mut reasons: Vec<Reason> = Vec::new();
        for reason in sorted.iter().flat_map(|verdict| &verdict.reasons) {
            if !reasons.contains(reason) && *reason != Reason::Applied {
                reasons.push(*reason);
            }
        }
        if reasons.is_empty() {
            reasons.push(Reason::Applied);
        }
        Self { state, reasons }
    }

    /// The most important reason.
    pub fn reason(&self) -> Reason {
        self.reasons.first().copied().unwrap_or(Reason::Applied)
    }

    /// The same for a Service whose slices another client repeatedly overwrites.
    #[must_use]
    pub fn overwritten(mut self) -> Self {
        if self.state != State::None {
            self.state = State::Ineffective;
            self.reasons.insert(0, Reason::OverwrittenByOtherController);
        }
        self
    }

    /// The same for a Service whose hints are not in force, for a reason that no plan shows.
    #[must_use]
    pub fn hindered(mut self, reason: Reason) -> Self {
        self.state = State::Ineffective;
        self.reasons.insert(0, reason);
        self
    }

    /// The same for a Service whose slices differ from the plan, because the API server rejects one
    /// as invalid.
    #[must_use]
    pub fn refused(mut self) -> Self {
        if matches!(self.state, State::Applied | State::Partial) {
            self.state = State::Ineffective;
        }
        self.reasons.insert(0, Reason::WriteRefused);
        self
    }
}

impl Verdict {
    /// The reason for what becomes of one zone.
    pub fn reason_in(&self, zone: &str) -> Reason {
        let mut reasons = self.reasons.iter().copied();
        let general = reasons.find(|it| !is_listed_first(*it)).unwrap_or(Reason::Applied);
        match self.state {
            State::None => Reason::NoPreference,
            State::Ineffective | State::Empty => general,
            State::Partial | State::Shadow | State::Applied => {
                let beyond = self.beyond.iter().find(|(other, _)| &**other == zone);
                beyond.map_or(Reason::Applied, |(_, reason)| *reason)
            }
        }
    }
}
