//! Session: a state, and the scenarios that one process runs on it.

use super::{
    options::Options,
    scenario::{Scenario, Step},
    shape::Shape,
};

/// A start on a state and the steps that follow, by the same process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) shape: Shape,
    /// The scenario of its start, if that is requested.
    pub(super) start: Option<Scenario>,
    /// Whether there are no slices at the start.
    pub(super) cold: bool,
    pub(super) steps: Vec<Step>,
}

/// The rate of churn that is light load.
const LIGHT: Option<u32> = Some(50);

/// The sessions that the options request. Those on the same state are adjacent.
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
    // A size may be named twice, or be the same in two ways.
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
