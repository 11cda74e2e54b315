//! Sum: the last line on standard error, and the conditions for exit code 3.

use crate::{assess::reason::State, report::row::Row};

/// The most Services that a condition names.
const NAMED: usize = 5;

/// What is to be written, and how many Services have which state. `place` is where Services were looked
/// for.
pub(super) fn line(rows: &[Row<'_>], place: &str) -> String {
    if rows.is_empty() {
        return format!("nothing to do: there is no Service in {place}");
    }
    let [creates, updates, deletes] = rows
        .iter()
        .map(Row::writes)
        .fold([0; 3], |sum, it| [sum[0] + it[0], sum[1] + it[1], sum[2] + it[2]]);
    let plans = rows.iter().filter_map(|row| row.plan.as_ref());
    if creates + updates + deletes > 0 {
        let services = counted(plans.filter(|plan| !plan.is_empty()).count(), "Service");
        let slices = counted(creates + updates + deletes, "slice");
        return format!(
            "to write: {slices} of {services} (+{creates} ~{updates} -{deletes}); {}",
            states(rows)
        );
    }
    let services = plans.clone().count();
    let slices: usize = plans.flat_map(|plan| &plan.families).map(|f| f.unchanged.len()).sum();
    let verb = if services + slices == 1 { "is" } else { "are" };
    let (services, slices) = (counted(services, "Service"), counted(slices, "slice"));
    format!("nothing to do: {services}, {slices} {verb} as they should be; {}", states(rows))
}

/// How many Services have which state.
pub(super) fn states(rows: &[Row<'_>]) -> String {
    let of = |state: State| {
        let count = rows.iter().filter(|row| row.decision.state == state).count();
        (count > 0).then(|| format!("{count} {state}"))
    };
    let states: Vec<_> = State::ALL.into_iter().filter_map(of).collect();
    format!("{}: {}", counted(rows.len(), "Service"), states.join(", "))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Whether something would be written.
pub(super) fn is_anything_written(rows: &[Row<'_>]) -> bool {
    rows.iter().filter_map(|row| row.plan.as_ref()).any(|plan| !plan.is_empty())
}

/// The Services in one of these states, for a message; `None` if there is none.
pub(super) fn found(rows: &[Row<'_>], states: &[State]) -> Option<String> {
    let found = rows.iter().filter(|row| states.contains(&row.decision.state));
    let mut named: Vec<_> =
        found.map(|row| format!("{} is {}", row.service.key, row.decision.state)).collect();
    if named.is_empty() {
        return None;
    }
    let more = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{}{more}", named.join(", ")))
}

/// Reads a state, in capitals or not.
pub(super) fn state(text: &str) -> Result<State, String> {
    let is_it = |state: &State| state.to_string().eq_ignore_ascii_case(text);
    State::ALL.into_iter().find(is_it).ok_or_else(|| {
        let states: Vec<_> = State::ALL.iter().map(ToString::to_string).collect();
        format!("write one of {}", states.join(", "))
    })
}
