//! The writes, one JSON object per line.

use serde::Serialize;

use super::PlanError;
use crate::{model::slice::Slice, plan::changes::Changes, report::row::Row};

/// One write.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    op: &'static str,
    namespace: &'a str,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generate_name: Option<&'a str>,
    address_type: String,
    endpoints: usize,
    reason: String,
}

/// All writes in the order in which they would be sent: Services whose endpoints change come
/// before those in which only zones and hints change.
pub(super) fn render(rows: &[Row<'_>]) -> Result<String, PlanError> {
    let mut text = String::new();
    for (row, changes) in in_order(rows) {
        for line in lines(row, changes) {
            let line = serde_json::to_string(&line);
            text += &line.map_err(|error| PlanError::Render(error.to_string()))?;
            text.push('\n');
        }
    }
    Ok(text)
}

/// The changes of each Service and address type in the order in which they would be sent.
pub(super) fn in_order<'a, 'r>(
    rows: &'a [Row<'r>],
) -> impl Iterator<Item = (&'a Row<'r>, &'a Changes)> + use<'a, 'r> {
    [false, true].into_iter().flat_map(move |locality_only| {
        rows.iter().flat_map(move |row| {
            let plan = row.plan.iter().filter(move |plan| plan.is_locality_only() == locality_only);
            plan.flat_map(move |plan| plan.families.iter().map(move |it| (row, &it.changes)))
        })
    })
}

/// The writes for one address type of a Service.
fn lines<'a>(row: &'a Row<'_>, changes: &'a Changes) -> impl Iterator<Item = Line<'a>> + use<'a> {
    let reason = row.decision.reason();
    let line = move |op, slice: &'a Slice| {
        let name = slice.meta.name.as_deref();
        Line {
            op,
            namespace: &row.service.key.namespace,
            service: &row.service.key.name,
            name,
            generate_name: slice.meta.generate_name.as_deref().filter(|_| name.is_none()),
            address_type: slice.address_type.to_string(),
            endpoints: slice.endpoints.len(),
            reason: reason.to_string(),
        }
    };
    let creates = changes.creates.iter().map(move |slice| line("create", slice));
    let updates = changes.updates.iter().map(move |slice| line("update", slice));
    let deletes = changes.deletes.iter().map(move |slice| line("delete", slice));
    creates.chain(updates).chain(deletes)
}
