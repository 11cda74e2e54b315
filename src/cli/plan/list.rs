//! The resulting slices, as a `List`.

use serde::Serialize;

use super::PlanError;
use crate::{api::render::SliceDocument, model::slice::Slice, plan::Family, report::row::Row};

/// A `v1` `List`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<SliceDocument>,
}

/// The list as YAML.
pub(super) fn yaml(rows: &[Row<'_>]) -> Result<String, PlanError> {
    // Long strings stay on one line, as in kubectl.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(&list(rows), options);
    text.map_err(|error| PlanError::Render(error.to_string()))
}

/// The list as JSON.
pub(super) fn json(rows: &[Row<'_>]) -> Result<String, PlanError> {
    let text = serde_json::to_string_pretty(&list(rows));
    Ok(text.map_err(|error| PlanError::Render(error.to_string()))? + "\n")
}

/// The slices of all Services that are planned. Those of one Service are sorted by address type.
/// Then come those with a name, sorted by name, and then new ones, sorted by ports.
fn list(rows: &[Row<'_>]) -> List {
    let items = rows.iter().flat_map(|row| {
        let families = row.plan.iter().flat_map(|plan| &plan.families);
        let mut slices: Vec<&Slice> = families.flat_map(Family::after).collect();
        slices.sort_by_key(|slice| {
            let name = &slice.meta.name;
            (slice.address_type, name.is_none(), name, &slice.ports)
        });
        slices
    });
    List { api_version: "v1", kind: "List", items: items.map(SliceDocument::from).collect() }
}
