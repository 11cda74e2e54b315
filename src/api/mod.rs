//! Objects of the API server are decoded into the types of [`crate::model`] where they enter, and
//! slices are rendered where they leave. Only this folder knows how Kubernetes encodes objects.

mod address;
pub mod crd;
mod endpoint;
pub mod field;
pub mod frame;
pub mod frames;
pub mod guard;
pub mod meta;
pub mod namespace;
pub mod node;
mod pairs;
pub mod pod;
pub mod policy;
pub mod quantity;
pub mod refusal;
pub mod render;
pub mod service;
pub mod slice;
mod status;
pub mod stored;
mod texts;

use std::borrow::Cow;

use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::DynamicResourceScope};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use self::{field::FieldError, guard::Remains, meta::Meta};
use crate::model::name::Name;

/// A kind of object that is read: its names, and how it is converted into a type of the model.
pub trait Kind: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// `kind`.
    const KIND: &'static str;
    /// API group; empty for the core group.
    const GROUP: &'static str;
    /// API version.
    const VERSION: &'static str;
    /// The plural in the API server's paths.
    const PLURAL: &'static str;
    /// The encodings that the API server has for it, best first: the value of the header `Accept`.
    /// Custom resources have only [`frame::JSON`], with [`NoProtobuf`] as message.
    const ACCEPT: &'static str = frame::ACCEPT;

    /// The object in JSON, with the fields that are read. All others are skipped.
    type Document: DeserializeOwned + Written<Self>;
    /// The same in Protobuf (`generated.proto` of the modules `k8s.io/api` and
    /// `k8s.io/apimachinery`).
    type Message: prost::Message + Default + Written<Self>;

    /// What the status of an object in Protobuf says that did not parse as a whole.
    fn status_remains(_object: &Bytes) -> Remains {
        Remains::default()
    }
}

/// The message of a kind that the API server has only in JSON.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct NoProtobuf {}

impl<T: Kind> Written<T> for NoProtobuf {
    fn read(self) -> Result<Object<T>, FieldError> {
        Err(FieldError::new("", format!("a {} does not come in Protobuf", T::KIND)))
    }
}

/// An object as it is encoded.
pub trait Written<T> {
    /// Extracts what is needed. A field whose value cannot be understood, and that matters less
    /// than the rest of the object, is left out and named in [`Object::flaw`].
    ///
    /// # Errors
    /// A field whose value cannot be understood, and without which the object is of no use.
    fn read(self) -> Result<Object<T>, FieldError>;
}

/// An object as it comes from the API server: its name, and what is read of it.
#[derive(Clone, Debug)]
pub struct Object<T> {
    meta: ObjectMeta,
    flaw: Option<Box<FieldError>>,
    /// Its namespace; empty for nodes.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// What is read of it.
    pub value: T,
}

impl<T> Object<T> {
    /// An object with what was read of it.
    fn new(meta: Meta, value: T) -> Self {
        let (namespace, name) = (meta.namespace.as_str().into(), meta.name.as_str().into());
        Self { meta: meta.into_header().into(), flaw: None, namespace, name, value }
    }

    /// The same, with a field that was left out.
    fn flawed(self, flaw: Option<FieldError>) -> Self {
        Self { flaw: flaw.map(Box::new), ..self }
    }

    /// A field that was left out because its value cannot be understood.
    pub fn flaw(&self) -> Option<&FieldError> {
        self.flaw.as_deref()
    }

    /// The object, if no field was left out.
    ///
    /// # Errors
    /// The field that was left out.
    pub fn flawless(mut self) -> Result<Self, FieldError> {
        self.flaw.take().map_or(Ok(self), |flaw| Err(*flaw))
    }
}

impl<'de, T: Kind> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = T::Document::deserialize(deserializer)?;
        document.read().and_then(Self::flawless).map_err(serde::de::Error::custom)
    }
}

impl<T: Kind> Resource for Object<T> {
    type DynamicType = ();
    type Scope = DynamicResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        T::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        T::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        T::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        T::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
