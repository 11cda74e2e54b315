//! The large picture: zones that send on the left, zones that receive on the right, and between them
//! bands as wide as the traffic. What stays in its zone is solid with an outline, and what leaves it
//! is hatched.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::{label, short};
use crate::{
    assess::matrix::Matrix, cli::plan::html::number::percent, model::name::Name,
    plan::policy::counts::float,
};

const WIDTH: f64 = 480.0;
/// The outer edges of what is between the labels.
const SIDES: [f64; 2] = [152.0, 328.0];
const BAR: f64 = 8.0;
const GAP: f64 = 6.0;
/// From one line of labels to the next.
const LINE: f64 = 17.0;
const TOP: f64 = 10.0;
/// The longest name of a zone.
const LONGEST: usize = 15;

/// A zone on one side.
struct Node {
    top: f64,
    height: f64,
    /// Where the next band begins.
    next: f64,
    /// Where the label is.
    label: f64,
}

/// The flow between these zones.
pub(in super::super) fn large(matrix: &Matrix, places: &[Option<&Name>], title: &str) -> Markup {
    let count = float(places.len());
    let scale = (count * 19.0).max(150.0);
    let sent: Vec<f64> = places.iter().map(|it| it.map_or(0.0, |it| matrix.sent(it))).collect();
    let received: Vec<f64> = places.iter().map(|place| matrix.received(*place)).collect();
    let mut left = nodes(&sent, scale);
    let mut right = nodes(&received, scale);
    let (mut crossing, mut staying) = (String::new(), String::new());
    for (from, sender) in places.iter().enumerate() {
        for (to, receiver) in places.iter().enumerate() {
            let part = sender.map_or(0.0, |sender| matrix.part(sender, *receiver));
            if part <= 0.0 {
                continue;
            }
            let height = part * scale;
            let bands = if from == to { &mut staying } else { &mut crossing };
            band(bands, left[from].next, right[to].next, height);
            left[from].next += height;
            right[to].next += height;
        }
    }
    let bottom = |nodes: &[Node]| {
        nodes
            .iter()
            .map(|node| (node.top + node.height).max(node.label + LINE / 2.0))
            .fold(0.0, f64::max)
    };
    let height = (bottom(&left).max(bottom(&right)) + TOP).ceil();
    html! {
        svg.large.many[is_many(places)] viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(title) {
            path.x d=(PreEscaped(crossing)) {}
            path.i d=(PreEscaped(staying)) {}
            (side(&left, places, &sent, SIDES[0] - BAR, true))
            (side(&right, places, &received, SIDES[1], false))
        }
    }
}

/// Whether bands are too narrow to be hatched.
pub(in super::super) fn is_many(places: &[Option<&Name>]) -> bool {
    places.len() > 5
}

/// Zones one below the other, and their labels so that none covers another.
fn nodes(parts: &[f64], scale: f64) -> Vec<Node> {
    let mut top = TOP;
    let mut nodes: Vec<Node> = Vec::new();
    for part in parts {
        let height = part * scale;
        nodes.push(Node { top, height, next: top, label: top + height / 2.0 });
        top += height + GAP;
    }
    // Those without traffic have no label.
    let mut last = f64::NEG_INFINITY;
    for node in nodes.iter_mut().filter(|node| node.height > 0.0) {
        node.label = node.label.max(last + LINE);
        last = node.label;
    }
    let mut next = f64::INFINITY;
    let end = top.max(TOP + LINE);
    for node in nodes.iter_mut().rev().filter(|node| node.height > 0.0) {
        let middle = (node.top + node.height / 2.0).min(end);
        if node.label > middle {
            node.label = node.label.min(next - LINE).max(LINE / 2.0);
        }
        next = node.label;
    }
    nodes
}

/// The band from a height on the left to one on the right.
fn band(to: &mut String, left: f64, right: f64, height: f64) {
    let [start, end] = SIDES;
    let middle = f64::midpoint(start, end);
    let (lower_left, lower_right) = (left + height, right + height);
    // Writing to a String cannot fail.
    let _ = write!(
        to,
        "M{start} {}C{middle} {} {middle} {} {end} {}V{}C{middle} {} {middle} {} {start} {}Z",
        short(left),
        short(left),
        short(right),
        short(right),
        short(lower_right),
        short(lower_right),
        short(lower_left),
        short(lower_left),
    );
}

/// The zones of one side, with their names and parts.
fn side(nodes: &[Node], places: &[Option<&Name>], parts: &[f64], at: f64, is_left: bool) -> Markup {
    let (x, anchor) = if is_left { (at - 6.0, "end") } else { (at + BAR + 6.0, "start") };
    html! {
        @for ((node, place), part) in nodes.iter().zip(places).zip(parts) {
            @if node.height > 0.0 {
                rect.bar x=(at) y=(short(node.top)) width=(BAR) height=(short(node.height.max(1.0))) {}
                text x=(x) y=(short(node.label + 4.5)) text-anchor=(anchor) {
                    (label(*place, LONGEST)) " " tspan.part { (percent(*part)) }
                }
            }
        }
    }
}
