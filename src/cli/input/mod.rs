//! Input: objects from files, read strictly. Everything is read and checked before it is used.
//! Errors name the file, document and field.

mod document;
mod place;
mod source;
mod spelling;
mod strict;
mod value;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use serde_json::Value;

pub use self::{
    place::{InputError, Place},
    source::check_stdin,
};
use super::objects::Objects;
use crate::{
    api::{Object, field::FieldError},
    model::{
        name::Name,
        namespace::Namespace,
        node::Node,
        pod::Pod,
        policy::{ClusterLocalityPolicy, LocalityPolicy, ZoneEvacuation},
        service::Service,
        slice::Slice,
    },
};

/// The objects of the given files, and how many of each kind were skipped.
#[derive(Debug, Default)]
pub struct Input {
    /// What was read.
    pub objects: Objects,
    /// Objects of kinds that are not read.
    pub ignored: BTreeMap<String, usize>,
    seen: HashMap<(&'static str, Name, Name), Place>,
}

/// Reads all documents of all `files`. `-` is standard input, and a directory stands for its YAML
/// and JSON files. Objects without a namespace are put into `namespace`.
///
/// # Errors
/// The first error.
pub fn read(files: &[PathBuf], namespace: &str) -> Result<Input, InputError> {
    let mut input = Input::default();
    for text in source::texts(files)? {
        for (at, document) in source::documents(&text)?.into_iter().enumerate() {
            let place = Place::document(&text.name, at + 1);
            input.unfold(document, &place, namespace)?;
        }
    }
    Ok(input)
}

impl Input {
    /// A message for a user who may have expected more.
    pub fn note(&self) -> Option<String> {
        let count: usize = self.ignored.values().sum();
        let kinds = self.ignored.iter().map(|(kind, count)| format!("{count} {kind}"));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let objects = if count == 1 { "object" } else { "objects" };
        (count > 0).then(|| format!("skipped {count} {objects} of other kinds: {kinds}"))
    }

    /// Takes a document, or each item of one that is a list.
    fn unfold(
        &mut self,
        mut document: Value,
        place: &Place,
        namespace: &str,
    ) -> Result<(), InputError> {
        let Some(kind) = document::list_of(&document).map(str::to_owned) else {
            return self.take(document, place, namespace);
        };
        let Value::Array(items) = document["items"].take() else {
            return Err(place.error("items", "is not a list; write `items: []` for an empty one"));
        };
        for (at, mut item) in items.into_iter().enumerate() {
            // The items of a `List` name their own kinds.
            if !kind.is_empty() {
                document::set_missing(&mut item, "kind", || kind.as_str().into());
                document::set_missing(&mut item, "apiVersion", || document["apiVersion"].clone());
            }
            // A List may contain Lists, as `kubectl get` prints them for several files.
            self.unfold(item, &place.item(at), namespace)?;
        }
        Ok(())
    }

    /// Takes one object.
    fn take(
        &mut self,
        mut document: Value,
        place: &Place,
        namespace: &str,
    ) -> Result<(), InputError> {
        let kind = document::kind(&document).map_err(|error| place.because(error))?;
        match kind {
            document::Known::Service => {
                let service = self.object::<Service>(&mut document, place, Some(namespace))?;
                self.objects.services.push(service.value);
            }
            document::Known::Pod => {
                let pod = self.object::<Pod>(&mut document, place, Some(namespace))?;
                self.objects.pods.push((pod.namespace, pod.value));
            }
            document::Known::Slice => {
                let slice = self.object::<Slice>(&mut document, place, Some(namespace))?;
                self.objects.slices.push(slice.value);
            }
            document::Known::Node => {
                let node = self.object::<Node>(&mut document, place, None)?;
                self.objects.nodes.push(node.value);
            }
            document::Known::Namespace => {
                let namespace = self.object::<Namespace>(&mut document, place, None)?;
                self.objects.rules.namespaces.push(namespace.value);
            }
            document::Known::Policy => {
                let policy =
                    self.object::<LocalityPolicy>(&mut document, place, Some(namespace))?;
                self.objects.rules.policies.push(policy.value);
            }
            document::Known::ClusterPolicy => {
                let policy = self.object::<ClusterLocalityPolicy>(&mut document, place, None)?;
                self.objects.rules.cluster_policies.push(policy.value);
            }
            document::Known::Evacuation => {
                let evacuation = self.object::<ZoneEvacuation>(&mut document, place, None)?;
                self.objects.rules.evacuations.push(evacuation.value);
            }
            document::Known::Other(kind) => *self.ignored.entry(kind).or_default() += 1,
        }
        Ok(())
    }

    /// Reads one object of a known kind.
    fn object<K: spelling::Spelled>(
        &mut self,
        document: &mut Value,
        place: &Place,
        namespace: Option<&str>,
    ) -> Result<Object<K>, InputError> {
        let place = place.object(K::KIND, document);
        let object = document::object::<K>(document, namespace);
        let object = object.map_err(|FieldError { path, problem }| place.error(&path, problem))?;
        let key = (K::KIND, object.namespace.clone(), object.name.clone());
        match self.seen.insert(key, place.clone()) {
            None => Ok(object),
            Some(first) => {
                Err(InputError::Twice { place: Box::new(place), first: Box::new(first) })
            }
        }
    }
}
