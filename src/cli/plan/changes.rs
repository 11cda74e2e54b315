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
    for locality_only in [false, true] {
        for row in rows {
            let plan = row.plan.iter().filter(|plan| plan.is_locality_only() == locality_only);
            for family in plan.flat_map(|plan| &plan.families) {
                for line in lines(row, &family.changes) {
                    let line = serde_json::to_string(&line);
                    text += &line.map_err(|error| PlanError::Render(error.to_string()))?;
                    text.push('\n');
                }
            }
        }
    }
    Ok(text)
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
