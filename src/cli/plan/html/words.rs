//! Words: what names from the cluster look like on the page. Whoever creates an object chooses its
//! names and labels, so nothing of it may hide text or change its order. Tags cannot come about: all
//! text is escaped where it is rendered.

use crate::{assess::reason::State, model::name::Name, plain::plain};

/// The name of a zone, or what stands for endpoints without one.
pub(super) fn zone_name(place: Option<&Name>) -> String {
    place.map_or_else(|| "no zone".to_owned(), |zone| plain(zone))
}

/// What a state means.
pub(super) fn meaning(state: State) -> &'static str {
    match state {
        State::Ineffective => "Locality is requested, but some reader does not follow the hints.",
        State::Empty => "Locality is requested, and no client finds a ready endpoint.",
        State::Partial => "Hints are in force, but clients of some zone also go to other zones.",
        State::Shadow => "A policy in mode Shadow is only rehearsed.",
        State::Applied => "Hints are in force, and the clients of each zone stay there.",
        State::None => "Locality is not requested.",
    }
}
