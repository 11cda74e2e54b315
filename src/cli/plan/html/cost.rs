//! Cost: what traffic between zones costs a month, before and after.

use clap::Args;
use maud::{Markup, html};

use super::number::count;
use crate::report::flow::Total;

/// What is assumed of traffic and of its price.
#[derive(Args, Clone, Copy, Debug)]
pub(in super::super) struct Price {
    /// With -o html: what a GB that crosses from one zone to another costs, in any currency
    ///
    /// Some providers bill both ends: add both. The page then shows what traffic between zones
    /// costs, before and after.
    #[arg(
        long,
        value_name = "PRICE",
        value_parser = amount,
        requires = "bytes",
        env = "CLOSEHAUL_COST_PER_GB",
        hide_env = true
    )]
    cost_per_gb: Option<f64>,

    /// With -o html: how many GB clients and Services exchange in a month, in all
    #[arg(
        long,
        value_name = "GB",
        value_parser = amount,
        requires = "cost_per_gb",
        env = "CLOSEHAUL_BYTES",
        hide_env = true
    )]
    bytes: Option<f64>,
}

/// A number that is neither negative nor endless.
fn amount(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "must be a number from 0, such as 0.02".to_owned())
}

impl Price {
    /// Whether any of it is given.
    pub(in super::super) fn is_given(self) -> bool {
        self.cost_per_gb.is_some() || self.bytes.is_some()
    }

    /// What traffic between zones costs, with all that is assumed. `shadows` of the Services are under a
    /// policy in mode `Shadow`.
    pub(super) fn render(self, total: &Total, shadows: usize) -> Option<Markup> {
        let (price, bytes) = self.cost_per_gb.zip(self.bytes)?;
        let crossing = [&total.before, &total.after]
            .map(|matrix| if matrix.is_empty() { 0.0 } else { 1.0 - matrix.in_zone() })
            .map(|part| part.max(0.0) * bytes);
        let [before, after] = crossing.map(|crossing| crossing * price);
        let saved = before - after;
        let change = if saved >= 0.005 {
            format!("{saved:.2} less")
        } else if saved <= -0.005 {
            format!("{:.2} more", -saved)
        } else {
            "no difference".to_owned()
        };
        Some(html! {
            section.cost aria-labelledby="cost" {
                h2 #cost { "Traffic between zones, a month" }
                p.big {
                    (format!("{before:.2}")) span.to { " → " } b { (format!("{after:.2}")) }
                    span.unit { " (" (change) ")" }
                }
                p {
                    (gigabytes(crossing[0])) " → " (gigabytes(crossing[1])) " GB between zones, of "
                    (gigabytes(bytes)) " GB in all, at " (price) " per GB."
                }
                p.note {
                    "An estimate, not a bill. It assumes that each of the " (total.services)
                    " Services with known traffic carries the same part of these GB, and that zones \
                     send what the plan assumes. Only what crosses from one zone to another counts."
                    @if shadows > 0 {
                        " After: " (count(shadows, "Service")) " as under a policy in mode Shadow, so this \
                         part of the difference comes about only in mode Enforce."
                    }
                }
            }
        })
    }
}

/// A number of GB, with as many digits as can be meant.
fn gigabytes(number: f64) -> String {
    if number < 100.0 { format!("{number:.1}") } else { format!("{number:.0}") }
}
