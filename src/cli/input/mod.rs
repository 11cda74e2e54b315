//! Input: objects from files, read strictly. Everything is read and checked before it is used.
//! Errors name the file, document and field.

mod document;
mod encoding;
mod json;
mod missing;
mod place;
mod scalar;
mod source;
mod spelling;
mod strict;
mod tree;
mod value;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    path::PathBuf,
};

use self::tree::Tree;
pub use self::{
    missing::assume,
    place::{InputError, Place},
    source::{Reading, check_stdin},
};
use super::{objects::Objects, progress::Progress};
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
    /// The kinds that were read, even if the list of one is empty.
    pub kinds: BTreeSet<String>,
    notes: Vec<String>,
    seen: HashMap<(&'static str, Name, Name), Place>,
}

/// Whether a plain scalar of YAML is the text that is written there, and no number, boolean or null.
pub(super) fn is_text(scalar: &str) -> bool {
    matches!(scalar::plain(scalar), Some(Tree::Text(_)))
}

/// Reads all documents of all `files`. `-` is standard input, and a directory stands for its YAML
/// and JSON files.
///
/// # Errors
/// The first error.
pub fn read(files: &[PathBuf], reading: Reading<'_>) -> Result<Input, InputError> {
    let found = source::files(files, reading)?;
    let mut input = Input { notes: found.notes, ..Input::default() };
    let mut is_empty = true;
    let progress = Progress::start();
    for file in &found.files {
        let text = source::text(file, reading.max_bytes, &progress)?;
        for (at, document) in source::documents(&text, &progress)?.into_iter().enumerate() {
            is_empty = false;
            let place = Place::document(&text.name, at + 1);
            input.unfold(document, &place, reading.namespace)?;
        }
    }
    if is_empty {
        let files = files.iter().map(|file| source::name(file)).collect::<Vec<_>>().join(", ");
        return Err(InputError::NoObjects { files });
    }
    Ok(input)
}

impl Input {
    /// Messages for a user who may have expected more.
    pub fn notes(&self) -> Vec<String> {
        let count: usize = self.ignored.values().sum();
        let kinds = self.ignored.iter().map(|(kind, count)| format!("{count} {kind}"));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let objects = if count == 1 { "object" } else { "objects" };
        let skipped =
            (count > 0).then(|| format!("skipped {count} {objects} of other kinds: {kinds}"));
        self.notes.iter().cloned().chain(skipped).collect()
    }

    /// Takes a document, or each item of one that is a list of a kind, or a list of objects.
    fn unfold(
        &mut self,
        mut document: Tree,
        place: &Place,
        namespace: &str,
    ) -> Result<(), InputError> {
        if let Tree::List(items) = document {
            let mut items = items.into_iter().enumerate();
            return items.try_for_each(|(at, item)| self.unfold(item, &place.item(at), namespace));
        }
        let Some(kind) = document::list_of(&document).map(str::to_owned) else {
            return self.take(document, place, namespace);
        };
        if !kind.is_empty() {
            self.kinds.insert(kind.clone());
        }
        let items = match document.get_mut("items").map(mem::take) {
            Some(Tree::List(items)) => items,
            // As kubectl prints an empty one.
            Some(Tree::Null) => return Ok(()),
            _ => {
                let problem = "is not a list; write `items: []` for an empty one";
                return Err(place.error("items", problem));
            }
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
        mut document: Tree,
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
        document: &mut Tree,
        place: &Place,
        namespace: Option<&str>,
    ) -> Result<Object<K>, InputError> {
        self.kinds.insert(K::KIND.to_owned());
        let place = place.object(K::KIND, document);
        let object = document::object::<K>(document, namespace, self.seen.len() + 1);
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
