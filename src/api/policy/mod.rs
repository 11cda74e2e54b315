//! The kinds of closehaul's own API group, decoded. Each has a spec that is read as a whole and
//! strictly: the slightest doubt about a part makes what it requests unknown, which must not be
//! taken for nothing. Which Services it is for is still read then, as far as that is possible.
//!
//! A file with such a policy is rejected. From the API server it comes with a flaw
//! ([`Object::flaw`]), and [`Reading`] says why nothing is known of it.

mod duration;
mod field;
pub mod limits;
mod prefer;
mod selector;
mod spec;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use self::{
    field::{Field, Problem, Read},
    selector::selector,
    spec::{Scope, services, spec, zones},
};
use super::{
    Kind, NoProtobuf, Object, Written,
    field::{FieldError, or_default},
    frame,
    meta::Meta,
};
use crate::model::{
    policy::{
        ClusterLocalityPolicy, Evacuation, LocalityPolicy, PolicyMeta, Reading, ServiceFilter,
        ZoneEvacuation,
    },
    selector::Selector,
};

/// The group of closehaul's kinds.
pub const GROUP: &str = "closehaul.io";
/// The version of the group.
pub const VERSION: &str = "v1alpha1";

/// A policy or an evacuation.
#[derive(Debug, Deserialize)]
pub struct Document {
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    spec: Value,
    /// It is the controller's own, and says nothing about what is requested.
    #[serde(default, deserialize_with = "or_default")]
    status: Value,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// What is read of a spec as a whole and, if that fails, of whom it is for.
struct Parts<T> {
    services: ServiceFilter,
    namespaces: Option<Selector>,
    spec: Reading<T>,
    flaw: Option<FieldError>,
}

impl Document {
    /// The spec.
    fn spec(&self) -> Read<Field<'_>> {
        let known = ["apiVersion", "kind", "metadata", "spec", "status"];
        let spec = Field::new("spec", &self.spec);
        let unknown = self.others.keys().find(|name| !known.contains(&name.as_str()));
        if let Some(name) = unknown {
            let field = Field::new(name, &Value::Null);
            let mut problem =
                field.invalid("is an unknown field; put what is requested into `spec`");
            problem.is_unknown = true;
            return Err(problem);
        }
        if self.spec.is_null() {
            return Err(spec.invalid("is missing; say what is requested"));
        }
        Ok(spec)
    }

    /// Reads the spec with `read`, and which Services of which namespaces it is for.
    fn parts<T>(&self, read: impl FnOnce(&Field<'_>) -> Read<T>) -> Parts<T> {
        let part = |name: &str| self.spec.get(name).filter(|value| !value.is_null());
        let services = part("services").map(|it| services(&Field::new("spec.services", it)));
        let namespaces =
            part("namespaceSelector").map(|it| selector(&Field::new("spec.namespaceSelector", it)));
        let whole = self.spec().and_then(|field| read(&field));
        let problems = [
            services.as_ref().and_then(|it| it.as_ref().err()),
            namespaces.as_ref().and_then(|it| it.as_ref().err()),
            whole.as_ref().err(),
        ];
        // An unknown field is often the cause of other errors.
        let problem = problems.iter().flatten().find(|problem| problem.is_unknown);
        let problem = problem.or_else(|| problems.iter().flatten().next()).map(|it| (*it).clone());
        let spec = match (whole, &problem) {
            (Ok(spec), None) => Reading::Known(spec),
            (_, Some(Problem { is_unknown: true, .. })) => Reading::Unknown,
            _ => Reading::Invalid,
        };
        Parts {
            services: services.and_then(Result::ok).unwrap_or_default(),
            namespaces: namespaces.and_then(Result::ok),
            spec,
            flaw: problem.map(|it| it.error),
        }
    }

    /// The generation for which the status says that it is programmed.
    fn programmed(&self) -> Option<i64> {
        let conditions = self.status.get("conditions")?.as_array()?;
        let is_it = |it: &&Value| it["type"] == "Programmed" && it["status"] == "True";
        conditions.iter().find(is_it)?["observedGeneration"].as_i64()
    }
}

fn meta(meta: &Meta) -> Result<PolicyMeta, FieldError> {
    Ok(PolicyMeta {
        name: meta.name.as_str().into(),
        uid: meta.uid(),
        version: meta.version()?,
        created: meta.created(),
        generation: meta.generation,
    })
}

impl Kind for LocalityPolicy {
    const KIND: &'static str = "LocalityPolicy";
    const GROUP: &'static str = GROUP;
    const VERSION: &'static str = VERSION;
    const PLURAL: &'static str = "localitypolicies";
    const ACCEPT: &'static str = frame::JSON;
    type Document = Document;
    type Message = NoProtobuf;
}

impl Written<LocalityPolicy> for Document {
    fn read(self) -> Result<Object<LocalityPolicy>, FieldError> {
        let Parts { services, spec, flaw, .. } = self.parts(|field| spec(field, Scope::Namespace));
        let policy = LocalityPolicy {
            meta: meta(&self.metadata)?,
            namespace: self.metadata.namespace.as_str().into(),
            services,
            spec,
            programmed: self.programmed(),
        };
        Ok(Object::new(self.metadata, policy).flawed(flaw))
    }
}

impl Kind for ClusterLocalityPolicy {
    const KIND: &'static str = "ClusterLocalityPolicy";
    const GROUP: &'static str = GROUP;
    const VERSION: &'static str = VERSION;
    const PLURAL: &'static str = "clusterlocalitypolicies";
    const ACCEPT: &'static str = frame::JSON;
    type Document = Document;
    type Message = NoProtobuf;
}

impl Written<ClusterLocalityPolicy> for Document {
    fn read(self) -> Result<Object<ClusterLocalityPolicy>, FieldError> {
        let Parts { services, namespaces, spec, flaw } =
            self.parts(|field| spec(field, Scope::Cluster));
        let policy = ClusterLocalityPolicy {
            meta: meta(&self.metadata)?,
            namespaces,
            services,
            spec,
            programmed: self.programmed(),
        };
        Ok(Object::new(self.metadata, policy).flawed(flaw))
    }
}

impl Kind for ZoneEvacuation {
    const KIND: &'static str = "ZoneEvacuation";
    const GROUP: &'static str = GROUP;
    const VERSION: &'static str = VERSION;
    const PLURAL: &'static str = "zoneevacuations";
    const ACCEPT: &'static str = frame::JSON;
    type Document = Document;
    type Message = NoProtobuf;
}

impl Written<ZoneEvacuation> for Document {
    fn read(self) -> Result<Object<ZoneEvacuation>, FieldError> {
        let Parts { services, namespaces, spec, flaw } = self.parts(evacuation);
        let evacuation = ZoneEvacuation { meta: meta(&self.metadata)?, services, namespaces, spec };
        Ok(Object::new(self.metadata, evacuation).flawed(flaw))
    }
}

fn evacuation(field: &Field<'_>) -> Read<Evacuation> {
    let fields = field.object(&["zones", "until", "services", "namespaceSelector", "reason"])?;
    let listed = fields.required("zones", "name the zones to evacuate")?;
    let until = fields.required("until", "say when it ends, like 2026-01-02T03:04:05Z")?;
    let text = until.short_text(limits::TIME)?;
    Ok(Evacuation {
        zones: zones(&listed, limits::EVACUATED_ZONES)?,
        until: time::parse(text).ok_or_else(|| {
            let problem =
                "is not an RFC 3339 time from 1970 to 2999; write it like 2026-01-02T03:04:05Z";
            until.invalid(format!("`{text}` {problem}"))
        })?,
        reason: fields.read("reason", |field| Ok(field.short_text(limits::REASON)?.into()))?,
    })
}
