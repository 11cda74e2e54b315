//! The slices as they would stand, as a `List`.

use serde::Serialize;

use super::{PlanError, report::Report};
use crate::{api::render::SliceDocument, model::slice::Slice, plan::Family};

/// A `v1` `List`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<SliceDocument>,
}

/// The list as YAML.
pub(super) fn yaml(reports: &[Report<'_>]) -> Result<String, PlanError> {
    // Long texts stay on one line, as kubectl has them.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(&list(reports), options);
    text.map_err(|error| PlanError::Render(error.to_string()))
}

/// The list as JSON.
pub(super) fn json(reports: &[Report<'_>]) -> Result<String, PlanError> {
    let text = serde_json::to_string_pretty(&list(reports));
    Ok(text.map_err(|error| PlanError::Render(error.to_string()))? + "\n")
}

/// The slices of all Services that are planned, each Service's by address type, then those that
/// have a name by name, then new ones by ports.
fn list(reports: &[Report<'_>]) -> List {
    let items = reports.iter().flat_map(|report| {
        let families = report.plan.iter().flat_map(|plan| &plan.families);
        let mut slices: Vec<&Slice> = families.flat_map(Family::after).collect();
        slices.sort_by_key(|slice| {
            let name = &slice.meta.name;
            (slice.address_type, name.is_none(), name, &slice.ports)
        });
        slices
    });
    List { api_version: "v1", kind: "List", items: items.map(SliceDocument::from).collect() }
}
