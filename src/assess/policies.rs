//! Policies: what they add to a state and its reasons (docs/planner.md 9).

use super::reason::{Reason, State};
use crate::plan::intent::{Intent, Note};

/// The same with what the policies of the Service add.
pub(super) fn noted(
    intent: &Intent,
    mut state: State,
    mut reasons: Vec<Reason>,
) -> (State, Vec<Reason>) {
    let is_shadow = intent.ruling.as_ref().is_some_and(|ruling| ruling.shadow.is_some());
    if is_shadow {
        // A worse state comes with its own reason first.
        let at = if state > State::Shadow { 0 } else { reasons.len() };
        reasons.insert(at, Reason::Shadow);
        state = state.min(State::Shadow);
    }
    // These keep the state and are listed first.
    let mut first = 0;
    for note in intent.notes() {
        let reason = reason(*note);
        match note {
            Note::PolicyUnknown | Note::PolicyInvalid | Note::PolicyNotFound => {
                reasons.insert(first, reason);
                first += 1;
            }
            Note::OptedOut => {
                match reasons.iter_mut().find(|reason| **reason == Reason::NoPreference) {
                    Some(general) => *general = reason,
                    None => reasons.push(reason),
                }
            }
            Note::Conflicted => reasons.push(reason),
        }
    }
    (state, reasons)
}

/// The word for it.
fn reason(note: Note) -> Reason {
    match note {
        Note::PolicyUnknown => Reason::PolicyUnknown,
        Note::PolicyInvalid => Reason::PolicyInvalid,
        Note::PolicyNotFound => Reason::PolicyNotFound,
        Note::OptedOut => Reason::OptedOut,
        Note::Conflicted => Reason::Conflicted,
    }
}

/// Whether a reason is about policies alone, and listed before the reason for the state.
pub(super) fn is_listed_first(reason: Reason) -> bool {
    matches!(reason, Reason::PolicyUnknown | Reason::PolicyInvalid | Reason::PolicyNotFound)
}
