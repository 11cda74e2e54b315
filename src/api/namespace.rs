//! Namespace, decoded: its labels.

use serde::Deserialize;

use super::{Kind, Object, Written, field::FieldError, meta::Meta, pairs::labels};
use crate::model::namespace::Namespace;

/// The label that the API server sets on each namespace. A manifest does not have it.
const NAME: &str = "kubernetes.io/metadata.name";

/// A Namespace with the fields that are read.
#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(default)]
pub struct Document {
    #[prost(message, required, tag = "1")]
    metadata: Meta,
}

impl Kind for Namespace {
    const KIND: &'static str = "Namespace";
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "namespaces";
    type Document = Document;
    type Message = Document;
}

impl Written<Namespace> for Document {
    fn read(self) -> Result<Object<Namespace>, FieldError> {
        let metadata = self.metadata;
        let namespace = Namespace {
            name: metadata.name.as_str().into(),
            version: metadata.version()?,
            labels: labels(&metadata.labels).with(NAME, Some(&metadata.name)),
        };
        Ok(Object::new(metadata, namespace))
    }
}
