//! What is measured, and on which states.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{options::Options, shape::Shape};

/// The scenarios (the numbers are those of the method, docs/performance.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub enum Scenario {
    /// Start on an empty cluster
    #[value(name = "S0")]
    S0,
    /// Cold start: no slices yet
    #[value(name = "S1")]
    S1,
    /// Restart on a state that is right: nothing is written
    #[value(name = "S2")]
    S2,
    /// Rolling update of one Service
    #[value(name = "S3")]
    S3,
    /// Readiness changes: Services spread over namespaces, and many in one
    #[value(name = "S4")]
    S4,
    /// One readiness change at a time in one big Service
    #[value(name = "S5")]
    S5,
    /// A node gets another zone
    #[value(name = "S6")]
    S6,
    /// Changes of pods that no slice shows: nothing is written
    #[value(name = "S7")]
    S7,
    /// Churn for a long time; only if it is named
    #[value(name = "S8")]
    S8,
}

impl Scenario {
    /// All that are run unless others are named.
    pub const USUAL: [Self; 8] =
        [Self::S0, Self::S1, Self::S2, Self::S3, Self::S4, Self::S5, Self::S6, Self::S7];

    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::S0 => "start on an empty cluster",
            Self::S1 => "cold start",
            Self::S2 => "restart on a right state",
            Self::S3 => "rolling update",
            Self::S4 => "readiness churn",
            Self::S5 => "flips in one big Service",
            Self::S6 => "a node's zone changes",
            Self::S7 => "noise: pod changes that no slice shows",
            Self::S8 => "soak",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?}")
    }
}

/// What happens in a session, in this order. Each session begins with a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Changes of pods that no slice shows.
    Noise,
    /// Readiness changes, so many a second; without a number as fast as one client can.
    Churn(Option<u32>),
    /// One after the other, each waited for.
    Flips,
    /// Pods are replaced.
    Roll,
    /// A node's zone changes.
    Zone,
    /// Churn for minutes.
    Soak,
}

impl Step {
    pub(super) fn scenario(self) -> Scenario {
        match self {
            Self::Noise => Scenario::S7,
            Self::Churn(_) => Scenario::S4,
            Self::Flips => Scenario::S5,
            Self::Roll => Scenario::S3,
            Self::Zone => Scenario::S6,
            Self::Soak => Scenario::S8,
        }
    }

    /// Which variant of its scenario it is.
    pub(super) fn variant(self) -> String {
        match self {
            Self::Churn(Some(rate)) => format!("{rate} changes a second"),
            Self::Churn(None) => "as fast as one client can".to_owned(),
            _ => String::new(),
        }
    }

    /// Whether a contender takes part that only follows pods. What that takes is the same on each
    /// state: the one with Services spread over namespaces stands for all.
    pub(super) fn follows(self, shape: Shape) -> bool {
        matches!(self, Self::Churn(_)) && shape == Shape::spread(shape.pods())
    }
}

/// A start on a state and what follows on it, by the same process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) shape: Shape,
    /// The scenario that its start is, if that is wanted.
    pub(super) start: Option<Scenario>,
    /// Whether there are no slices at the start.
    pub(super) cold: bool,
    pub(super) steps: Vec<Step>,
}

/// The rate of churn that is light load.
const LIGHT: Option<u32> = Some(50);

/// The sessions that the options ask for, those on one state next to each other.
pub(super) fn sessions(options: &Options) -> Vec<Session> {
    let wanted = |scenario| options.scenarios().contains(&scenario);
    let session = |shape, start, steps: &[Step]| Session {
        shape,
        start: Some(start).filter(|it| wanted(*it)),
        cold: start == Scenario::S1,
        steps: steps.iter().copied().filter(|step| wanted(step.scenario())).collect(),
    };
    let churn = [Step::Churn(LIGHT), Step::Churn(None)];
    let mut sessions = vec![session(Shape::spread(0), Scenario::S0, &[])];
    for pods in options.pods() {
        let shape = Shape::spread(pods);
        sessions.push(session(shape, Scenario::S1, &[]));
        let steps = [Step::Noise, churn[0], churn[1], Step::Zone];
        sessions.push(session(shape, Scenario::S2, &steps));
        sessions.push(Session { start: None, ..session(shape, Scenario::S2, &[Step::Soak]) });
    }
    let other =
        |shape, steps: &[Step]| Session { start: None, ..session(shape, Scenario::S2, steps) };
    sessions.extend(options.dense().into_iter().map(|it| other(Shape::dense(it), &churn)));
    sessions.push(other(Shape::single(options.big()), &[Step::Flips]));
    sessions.push(other(Shape::single(options.rolling()), &[Step::Roll]));
    sessions.retain(|session| session.start.is_some() || !session.steps.is_empty());
    // A size that is named twice, or is the same in two ways.
    let mut unique = Vec::new();
    for session in sessions {
        if !unique.contains(&session) {
            unique.push(session);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_run() {
        let options = Options { scenario: vec![Scenario::S4], ..Options::default() };
        let sessions = sessions(&options);
        assert_eq!(sessions.len(), 3, "spread and two dense ones");
        assert!(sessions.iter().all(|it| it.start.is_none() && it.steps.len() == 2));
    }

    #[test]
    fn a_size_of_0_is_none() {
        let options = Options {
            scenario: vec![Scenario::S4],
            pods: vec![0],
            dense: vec![300],
            ..Options::default()
        };
        let shapes = sessions(&options).into_iter().map(|it| it.shape).collect::<Vec<_>>();
        assert_eq!(shapes, [Shape::dense(300)]);
    }

    #[test]
    fn the_usual_ones() {
        let options = Options::default();
        let sessions = sessions(&options);
        let starts = sessions.iter().filter_map(|it| it.start).collect::<Vec<_>>();
        assert_eq!(starts, [Scenario::S0, Scenario::S1, Scenario::S2]);
        let mut all = starts;
        all.extend(sessions.iter().flat_map(|it| &it.steps).map(|step| step.scenario()));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, Scenario::USUAL);
    }
}
