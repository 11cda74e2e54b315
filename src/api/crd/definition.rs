//! Definition: the custom resource definitions, in the form in which they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::{
    evacuation::ZoneEvacuation,
    spec::{ClusterLocalityPolicy, LocalityPolicy},
};

/// The label by which tools for the Gateway API find policies, and what they do: they apply to what
/// is below them (GEP-713).
const LABEL: (&str, &str) = ("gateway.networking.k8s.io/policy", "Inherited");
/// The annotation of an evacuation that says who has created it.
pub const CREATED_BY: &str = "closehaul.io/created-by";
/// The label of an evacuation that `closehaul evacuate` has created: the zone, by which it is found
/// again.
pub const ZONE: &str = "closehaul.io/zone";

/// A column of `kubectl get`: name, type, path, and whether it is shown only with `-o wide`.
type Column = (&'static str, &'static str, &'static str, Width);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Always,
    Wide,
}

const POLICY_COLUMNS: [Column; 9] = [
    ("Mode", "string", ".spec.mode", Width::Always),
    ("Prefer", "string", ".spec.prefer", Width::Always),
    ("Max-Overload", "integer", ".spec.guard.maxOverloadPercent", Width::Always),
    ("Accepted", "string", ".status.conditions[?(@.type==\"Accepted\")].status", Width::Always),
    ("Programmed", "string", ".status.conditions[?(@.type==\"Programmed\")].status", Width::Always),
    ("Effective", "string", ".status.conditions[?(@.type==\"Effective\")].status", Width::Always),
    ("Selected", "integer", ".status.services.selected", Width::Always),
    ("Age", "date", ".metadata.creationTimestamp", Width::Always),
    ("Demand", "string", ".spec.demand.source", Width::Wide),
];
/// The end is a string: `kubectl` shows a date as the time since then, and this one is ahead.
const EVACUATION_COLUMNS: [Column; 9] = [
    ("Zones", "string", ".spec.zones", Width::Always),
    ("Until", "string", ".spec.until", Width::Always),
    ("Complete", "string", ".status.conditions[?(@.type==\"Complete\")].status", Width::Always),
    ("By", "string", ".metadata.annotations.closehaul\\.io/created-by", Width::Always),
    ("Age", "date", ".metadata.creationTimestamp", Width::Always),
    ("Active", "string", ".status.conditions[?(@.type==\"Active\")].status", Width::Wide),
    ("Services", "integer", ".status.services", Width::Wide),
    ("Endpoints", "integer", ".status.endpoints", Width::Wide),
    ("Reason", "string", ".spec.reason", Width::Wide),
];

/// The custom resource definitions of all kinds.
pub fn definitions() -> [CustomResourceDefinition; 3] {
    [
        definition(LocalityPolicy::crd(), &POLICY_COLUMNS),
        definition(ClusterLocalityPolicy::crd(), &POLICY_COLUMNS),
        definition(ZoneEvacuation::crd(), &EVACUATION_COLUMNS),
    ]
}

fn definition(derived: CustomResourceDefinition, columns: &[Column]) -> CustomResourceDefinition {
    let mut definition = derived;
    let labels = definition.metadata.labels.get_or_insert_default();
    labels.insert(LABEL.0.to_owned(), LABEL.1.to_owned());
    for version in &mut definition.spec.versions {
        version.additional_printer_columns = Some(columns.iter().map(column).collect());
        let schema = version.schema.as_mut().and_then(|it| it.open_api_v3_schema.as_mut());
        let Some(schema) = schema else { continue };
        simplify(schema);
        let properties = schema.properties.iter_mut().flatten();
        for (_, status) in properties.filter(|(name, _)| *name == "status") {
            remove_defaults(status);
        }
    }
    definition
}

fn column(&(name, type_, path, width): &Column) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        type_: type_.to_owned(),
        json_path: path.to_owned(),
        priority: (width == Width::Wide).then_some(1),
        ..CustomResourceColumnDefinition::default()
    }
}

/// Removes what the API server does not know, or what changes what it does: `null` is absent in all
/// fields, and formats such as `uint16` make it warn.
fn simplify(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    // Where a doc comment is wrapped.
    schema.description = schema.description.take().map(|text| text.replace('\n', " "));
    let is_known = |format: &String| !format.starts_with("uint") && format != "double";
    schema.format = schema.format.take().filter(is_known);
    below(schema).into_iter().for_each(simplify);
}

/// Removes the defaults, which the API server would write into the status.
fn remove_defaults(schema: &mut JSONSchemaProps) {
    schema.default = None;
    below(schema).into_iter().for_each(remove_defaults);
}

/// The schemas of the parts of a value.
fn below(schema: &mut JSONSchemaProps) -> Vec<&mut JSONSchemaProps> {
    let mut parts: Vec<_> = schema.properties.iter_mut().flatten().map(|(_, it)| it).collect();
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        parts.push(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        parts.push(values);
    }
    parts
}
