//! The tables of the policies: who answered whom, and how that compares with the prediction.

use super::{
    super::console::{Console, line, table},
    step::Shares,
};
use crate::shares::{Counts, Endpoint, Measured, Prediction, ZONES};

/// Prints from where to where the requests went.
pub(super) fn routes<'s>(
    console: Console,
    services: impl IntoIterator<Item = (&'s str, &'s [Endpoint], &'s Counts)>,
) {
    let mut rows = Vec::new();
    for (service, endpoints, counts) in services {
        rows.extend(ZONES.map(|from| {
            let [a, b, c] = ZONES.map(|to| counts.between(endpoints, from, to));
            let own = counts.between(endpoints, from, from);
            let share = percent(own as f64 / (a + b + c) as f64);
            let [a, b, c] = [a, b, c].map(|count| count.to_string());
            [service.to_owned(), from.to_owned(), a, b, c, share]
        }));
    }
    let [a, b, c] = ZONES.map(|zone| format!("BY {zone}"));
    line("");
    console.note("requests counted, by the zone of the pod that answered:");
    table(["SERVICE", "CLIENT IN", &a, &b, &c, "IN ZONE"], &rows);
    line("");
}

/// Prints what was counted beside what was predicted, one row for each Service.
pub(super) fn comparison<'s>(
    console: Console,
    rows: impl IntoIterator<Item = (&'s str, &'s Shares)>,
) {
    let row = |(name, shares): (&str, &Shares)| {
        let Measured { in_zone, overload } = shares.comparison.measured;
        let Prediction { in_zone_share, overload: predicted, .. } = shares.predicted;
        [
            name.to_owned(),
            percent(in_zone),
            percent(in_zone_share),
            above(overload),
            above(predicted),
        ]
    };
    let rows: Vec<_> = rows.into_iter().collect();
    let chance = rows.iter().map(|(_, shares)| shares.comparison.chance).fold(0.0, f64::max);
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    console.note(format_args!(
        "beside what closehaul plan predicts; by chance, the busiest endpoint differs by about \
         {:.0} %:",
        chance * 100.0
    ));
    let [in_zone, busiest] = ["IN ZONE: COUNTED", "BUSIEST ENDPOINT: COUNTED"];
    table(["", in_zone, "PREDICTED", busiest, "PREDICTED"], &rows);
    line("");
}

/// A share of the traffic.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// How far a load is above the even share.
pub(super) fn above(overload: f64) -> String {
    format!("{:+.1} %", overload * 100.0)
}
