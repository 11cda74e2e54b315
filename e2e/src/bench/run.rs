//! All sessions, each by all contenders in turn.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Error,
    contender::Contender,
    measure::{Failure, Measure, Raw, Row, megabytes},
    options::Options,
    output::Output,
    scenario::{Scenario, Step},
    session::{Session, sessions},
    shape::Shape,
    stage::Stage,
    state::{Author, Kept, State},
    step::{self, Outcome},
};
use crate::progress::say;

/// Runs everything that is requested, or reads it from earlier runs, and writes raw data, table
/// and plots. A session that fails is recorded as failed, and the others continue.
pub async fn run(options: &Options) -> Result<Raw, Error> {
    let mut output = Output::new(options)?;
    if options.report.is_empty() {
        let binaries = binaries(options).await?;
        let mut state = None;
        for session in sessions(options) {
            run_all(&session, options, &binaries, &mut state, &mut output).await?;
        }
    }
    output.finish()
}

type Binaries = BTreeMap<Contender, PathBuf>;

/// Builds everything that will run, so nothing is built between measurements.
async fn binaries(options: &Options) -> Result<Binaries, Error> {
    let mut binaries = Binaries::new();
    for contender in options.contenders() {
        let binary = match &options.closehaul {
            Some(built) if contender == Contender::Closehaul => built.clone(),
            _ => contender.binary().await?,
        };
        binaries.insert(contender, binary);
    }
    Ok(binaries)
}

/// A session, repeated by all contenders, which take turns at being first.
async fn run_all(
    session: &Session,
    options: &Options,
    binaries: &Binaries,
    state: &mut Option<(Shape, State)>,
    output: &mut Output,
) -> Result<(), Error> {
    let once = session.steps == [Step::Soak];
    let pairs = if once { 1 } else { options.pairs() };
    for pair in 0..pairs {
        let mut contenders = options.contenders();
        if pair % 2 == 1 {
            contenders.reverse();
        }
        for contender in contenders {
            let steps = session.steps.iter().copied();
            let steps = steps.filter(|it| !contender.only_follows() || it.follows(session.shape));
            let steps = steps.collect::<Vec<_>>();
            let start = session.start.filter(|_| !contender.only_follows());
            if start.is_none() && steps.is_empty() {
                continue;
            }
            let kept = kept(session, options, binaries, state).await?;
            let names = start.into_iter().chain(steps.iter().map(|step| step.scenario()));
            let names = names.map(|it| it.to_string()).collect::<Vec<_>>();
            let what = format!("{} of {}: {contender}", names.join(", "), session.shape);
            say(&format!("e2e: pair {} of {pairs}, {what}", pair + 1));
            let mut run = Run { session, options, contender, pair, binaries, rows: Vec::new() };
            let done = run.steps(kept, start, &steps).await;
            output.add(run.rows);
            if let Err(error) = done {
                say(&format!("e2e: failed: {error}"));
                output.fail(Failure { what, why: error.to_string() });
            }
            output.save()?;
        }
    }
    Ok(())
}

/// The state that the session starts from. Only the last one is kept: they are large. Its slices
/// are the built-in controller's, unless that is not measured nor any other: a size at which there
/// is room for closehaul alone may be none for it.
async fn kept<'a>(
    session: &Session,
    options: &Options,
    binaries: &Binaries,
    state: &'a mut Option<(Shape, State)>,
) -> Result<&'a Kept, Error> {
    let shape = session.shape;
    let fits =
        |(of, state): &(Shape, State)| *of == shape && (!session.cold || state.cold.is_some());
    if !state.as_ref().is_some_and(fits) {
        *state = None;
        say(&format!("e2e: a state of {shape}"));
        let author = match options.contenders()[..] {
            [Contender::Closehaul] => Contender::Closehaul,
            _ => Contender::BuiltIn,
        };
        let binary = binaries.get(&author).map_or_else(|| Path::new(""), PathBuf::as_path);
        let author = Author(author, binary);
        *state = Some((shape, State::make(shape, session.cold, author).await?));
    }
    let state = state.as_ref().map(|(_, state)| state);
    let kept =
        state.and_then(|state| if session.cold { state.cold.as_ref() } else { Some(&state.right) });
    kept.ok_or_else(|| Error::Undone { what: "the state was not made".to_owned() })
}

/// One session by one contender.
struct Run<'a> {
    session: &'a Session,
    options: &'a Options,
    contender: Contender,
    pair: u32,
    binaries: &'a Binaries,
    rows: Vec<Row>,
}

impl Run<'_> {
    async fn steps(
        &mut self,
        kept: &Kept,
        start: Option<Scenario>,
        steps: &[Step],
    ) -> Result<(), Error> {
        let (cluster, canary) = kept.start().await?;
        let contender = self.contender;
        let binary = self.binaries.get(&contender).cloned().unwrap_or_default();
        let (mut stage, meter) =
            Stage::open(&cluster, self.session.shape, canary, contender, &binary).await?;
        if !contender.only_follows() {
            let mut outcome = step::start(&mut stage, meter, self.session.cold).await?;
            if start == Some(Scenario::S0) {
                let size = std::fs::metadata(&binary);
                let size = size.map_err(|source| Error::File { path: binary.clone(), source })?;
                outcome.measures.insert(Measure::Binary, megabytes(size.len()));
            }
            if let Some(scenario) = start {
                self.row(scenario, String::new(), outcome);
            }
        }
        for step in steps {
            let outcome = step::run(*step, &mut stage, self.options).await?;
            self.row(step.scenario(), step.variant(), outcome);
        }
        stage.close().await?;
        cluster.stop().await?;
        Ok(())
    }

    fn row(&mut self, scenario: Scenario, variant: String, outcome: Outcome) {
        let Outcome { measures, latencies, memory } = outcome;
        let (shape, contender, pair) = (self.session.shape, self.contender, self.pair);
        self.rows.push(Row {
            scenario,
            variant,
            shape,
            contender,
            pair,
            measures,
            latencies,
            memory,
        });
    }
}
