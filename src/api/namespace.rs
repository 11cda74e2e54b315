//! Namespace, decoded. For now it must only be well-formed.

use serde::Deserialize;

use super::{Kind, Object, Written, field::FieldError, meta::Meta};

/// A Namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace;

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
        Ok(Object::new(self.metadata, Namespace))
    }
}
