//! Picture: the flow of traffic between zones, as SVG.

mod large;
mod small;

use maud::{Markup, html};

pub(super) use self::{
    large::{is_many, large},
    small::Small,
};
use super::words::zone_name;
use crate::model::name::Name;

/// A zone's name on a picture, shortened if it does not fit.
fn label(place: Option<&Name>, longest: usize) -> String {
    let name = zone_name(place);
    if name.chars().count() <= longest {
        return name;
    }
    let end: Vec<char> = name.chars().collect();
    // Zones of a region differ at their ends.
    let tail = longest / 2;
    let head: String = end.iter().take(longest - tail - 1).collect();
    let tail: String = end.iter().skip(end.len() - tail).collect();
    format!("{head}…{tail}")
}

/// What all pictures refer to.
pub(super) fn patterns() -> Markup {
    html! {
        svg.defs width="0" height="0" aria-hidden="true" {
            defs {
                pattern #hatch patternUnits="userSpaceOnUse" width="5" height="5"
                    patternTransform="rotate(45)" {
                    rect.ground width="5" height="5" {}
                    rect.stripe width="2" height="5" {}
                }
            }
        }
    }
}

/// A number with one digit after the point, if it is not zero.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}
