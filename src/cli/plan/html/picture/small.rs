//! Small pictures: the flow of one Service's traffic. Many Services have the same, so each picture
//! is on the page once, and Services refer to it.

use std::{collections::BTreeMap, fmt::Write as _};

use foldhash::HashMap;
use maud::{Markup, PreEscaped, html};

use super::label;
use crate::{assess::matrix::Matrix, model::name::Name};

/// From one zone to the next.
const LINE: usize = 14;
/// Where lines begin and end.
const SIDES: [usize; 2] = [98, 178];
const WIDTH: usize = 276;
/// The longest name of a zone.
const LONGEST: usize = 14;
/// The width of the widest line.
const WIDEST: f64 = 8.0;

/// The pictures of all Services.
#[derive(Default)]
pub(in super::super) struct Small {
    numbers: HashMap<String, usize>,
    parts: Vec<String>,
}

impl Small {
    /// A reference to the picture of this flow.
    pub(in super::super) fn picture(
        &mut self,
        matrix: &Matrix,
        places: &[Option<&Name>],
        title: &str,
    ) -> Markup {
        let names = self.part(names(places));
        let lines = self.part(lines(matrix, places));
        let height = places.len() * LINE + 2;
        html! {
            svg.small width=(WIDTH) height=(height) role="img" aria-label=(title) {
                use href=(format!("#p{names}")) {}
                use href=(format!("#p{lines}")) {}
            }
        }
    }

    fn part(&mut self, part: String) -> usize {
        if let Some(known) = self.numbers.get(&part) {
            return *known;
        }
        let number = self.parts.len();
        self.numbers.insert(part.clone(), number);
        self.parts.push(part);
        number
    }

    /// All that was referred to.
    pub(in super::super) fn parts(&self) -> Markup {
        html! {
            svg.defs width="0" height="0" aria-hidden="true" {
                defs {
                    @for (number, part) in self.parts.iter().enumerate() {
                        g id=(format!("p{number}")) { (PreEscaped(part)) }
                    }
                }
            }
        }
    }
}

/// The height of a zone.
fn height(at: usize) -> usize {
    at * LINE + LINE / 2 + 1
}

/// The names on both sides.
fn names(places: &[Option<&Name>]) -> String {
    let [left, right] = SIDES;
    let names = html! {
        @for (at, place) in places.iter().enumerate() {
            @let name = label(*place, LONGEST);
            text.e x=(left - 6) y=(height(at) + 4) { (name) }
            text.f x=(right + 6) y=(height(at) + 4) { (name) }
        }
    };
    names.into_string()
}

/// Lines from zones that send to those that receive. They are as wide as the traffic; those within a
/// zone are level and solid, and the others are dashed.
fn lines(matrix: &Matrix, places: &[Option<&Name>]) -> String {
    let part =
        |from: usize, to: usize| places[from].map_or(0.0, |sender| matrix.part(sender, places[to]));
    let count = places.len();
    let pairs = || (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let most = places.iter().flatten().map(|zone| matrix.sent(zone)).fold(0.0, f64::max);
    let mut paths: BTreeMap<(bool, String), String> = BTreeMap::new();
    let [left, right] = SIDES;
    for (from, to) in pairs().filter(|(from, to)| part(*from, *to) > 0.0) {
        let width = (part(from, to) / most * WIDEST).round().clamp(1.0, WIDEST);
        let path = paths.entry((from == to, format!("{width}"))).or_default();
        // Writing to a String cannot fail.
        let _ = write!(path, "M{left} {}L{right} {}", height(from), height(to));
    }
    let paths = html! {
        @for ((is_staying, width), path) in paths {
            path class=(if is_staying { "j" } else { "y" }) stroke-width=(width) d=(path) {}
        }
    };
    paths.into_string()
}
