//! What an API server stores: objects of each kind with the full log of their changes, under one
//! version counter, and the rules for writes.

use std::collections::BTreeMap;

use closehaul::clock::WallClock;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::{
    clock::wall_clock,
    collections::{SLICES, resource},
    gates::drop_node_hints,
    recorder::{Caller, Change},
    refusal::Refusal,
};

/// Namespace (empty for cluster-wide kinds) and name.
pub type Name = (String, String);
pub type Objects = BTreeMap<Name, Value>;

/// How long a pod with a node has to end, in seconds, if the DELETE does not say it.
const GRACE: u64 = 30;

/// The fields of metadata that clients do not set.
const FIXED: [&str; 7] = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
];

/// One change of one object.
#[derive(Clone)]
pub struct Entry {
    pub version: u64,
    pub name: Name,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// The new state. For a deletion, the last state with the version of the deletion.
    pub object: Value,
}

#[derive(Default)]
pub struct Collection {
    pub objects: Objects,
    pub log: Vec<Entry>,
}

impl Collection {
    /// The objects as they were at `version`.
    pub fn at(&self, version: u64) -> Objects {
        let mut objects = self.objects.clone();
        for entry in self.log.iter().rev().take_while(|entry| entry.version > version) {
            match &entry.before {
                Some(before) => objects.insert(entry.name.clone(), before.clone()),
                None => objects.remove(&entry.name),
            };
        }
        objects
    }
}

pub struct Store {
    pub collections: BTreeMap<String, Collection>,
    pub version: u64,
    /// Watches and pages from before this version get 410.
    pub oldest: u64,
    /// Whether new hints for nodes are dropped from slices before they are stored.
    pub drops_node_hints: bool,
    /// Whether they ever were.
    pub has_dropped_node_hints: bool,
    /// Whether the history ever went back.
    pub was_restored: bool,
    pub clock: WallClock,
    /// Who makes the next change.
    pub caller: Caller,
    /// All changes so far.
    pub record: Vec<Change>,
    made: u64,
}

impl Store {
    pub fn new() -> Self {
        let (version, clock) = (100, wall_clock());
        Self {
            collections: BTreeMap::new(),
            version,
            oldest: 0,
            drops_node_hints: false,
            has_dropped_node_hints: false,
            was_restored: false,
            clock,
            caller: Caller::World,
            record: Vec::new(),
            made: 0,
        }
    }

    pub fn collection(&mut self, path: &str) -> &mut Collection {
        self.collections.entry(path.to_owned()).or_default()
    }

    pub fn get(&self, path: &str, name: &Name) -> Result<Value, Refusal> {
        let object = self.collections.get(path).and_then(|all| all.objects.get(name));
        object.cloned().ok_or_else(|| Refusal::not_found(path, &name.1))
    }

    /// POST.
    pub fn create(&mut self, path: &str, ns: &str, mut object: Value) -> Result<Value, Refusal> {
        self.made += 1;
        let made = self.made;
        let prefix = text(&object, "generateName").to_owned();
        if text(&object, "name").is_empty() {
            if prefix.is_empty() {
                return Err(Refusal::no_name(path));
            }
            object["metadata"]["name"] = json!(format!("{prefix}{made:05}"));
        }
        let name = (ns.to_owned(), text(&object, "name").to_owned());
        if let Some(old) = self.collection(path).objects.get(&name) {
            return Err(if !text(old, "deletionTimestamp").is_empty() {
                Refusal::is_being_deleted(path, &name.1)
            } else if prefix.is_empty() {
                Refusal::exists(path, &name.1)
            } else {
                Refusal::exists_as_generated(path, &name.1)
            });
        }
        if !ns.is_empty() {
            object["metadata"]["namespace"] = json!(ns);
        }
        object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{made:012}"));
        object["metadata"]["creationTimestamp"] = json!(self.time());
        if resource(path).counts_generations {
            object["metadata"]["generation"] = json!(1);
        }
        if self.drops_node_hints {
            drop_node_hints(&mut object, None);
        }
        Ok(self.write(path, name, Some(object)))
    }

    /// PUT. With `status` it is a PUT of the subresource, which changes nothing else.
    pub fn replace(
        &mut self,
        path: &str,
        name: &Name,
        mut object: Value,
        status: bool,
    ) -> Result<Value, Refusal> {
        let old = self.get(path, name)?;
        check(path, &old, &object)?;
        object = untyped(object);
        if status {
            let mut whole = old.clone();
            whole["status"] = object["status"].take();
            object = whole;
        }
        for field in FIXED {
            copy(&old, &mut object, field);
        }
        if !status && wants_generation(path, &old, &object) {
            count_generation(&mut object);
        }
        // The generation is incremented before the hints are dropped, so a slice without another
        // difference is still stored under a new version.
        if self.drops_node_hints {
            drop_node_hints(&mut object, Some(&old));
        }
        object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if object == old {
            return Ok(old);
        }
        let ended = !text(&object, "deletionTimestamp").is_empty() && finalizers(&object) == 0;
        if ended {
            self.write(path, name.clone(), None);
            return Ok(object);
        }
        Ok(self.write(path, name.clone(), Some(object)))
    }

    /// The object as a JSON merge patch changes it.
    pub fn merged(&self, path: &str, name: &Name, changes: &Value) -> Result<Value, Refusal> {
        let mut object = self.get(path, name)?;
        merge(&mut object, changes);
        Ok(object)
    }

    /// DELETE, with `DeleteOptions`. Returns the object as it was last. It stays if a finalizer
    /// holds it, and a pod stays for its grace period, which ends with a second DELETE here.
    pub fn delete(&mut self, path: &str, name: &Name, options: &Value) -> Result<Value, Refusal> {
        let mut old = self.get(path, name)?;
        for (what, field) in [("UID", "uid"), ("ResourceVersion", "resourceVersion")] {
            let wanted = options["preconditions"][field].as_str().unwrap_or_default();
            let found = text(&old, field);
            if !wanted.is_empty() && wanted != found {
                return Err(Refusal::precondition(path, &name.1, what, (wanted, found)));
            }
        }
        let is_graceful = resource(path).ends_gracefully;
        let default = if old["spec"]["nodeName"].is_null() { 0 } else { GRACE };
        let grace = options["gracePeriodSeconds"].as_u64().unwrap_or(default);
        let grace = if is_graceful { grace } else { 0 };
        let is_held = finalizers(&old) > 0;
        let is_ending = !text(&old, "deletionTimestamp").is_empty();
        let is_marked_first = is_held || is_graceful;
        if is_marked_first && (!is_ending || old["metadata"]["deletionGracePeriodSeconds"] != grace)
        {
            old["metadata"]["deletionTimestamp"] = json!(self.time());
            old["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            if resource(path).counts_generations && !is_ending {
                count_generation(&mut old);
            }
            old = self.write(path, name.clone(), Some(old));
        }
        if is_held || grace > 0 {
            return Ok(old);
        }
        let last = self.write(path, name.clone(), None);
        Ok(if is_ending { old } else { last })
    }

    /// Stores a new state under a new version; `None` removes the object.
    pub fn write(&mut self, path: &str, name: Name, after: Option<Value>) -> Value {
        self.version += 1;
        let version = self.version;
        let stamp = |mut object: Value| {
            object["metadata"]["resourceVersion"] = json!(version.to_string());
            object
        };
        let after = after.map(stamp).map(untyped);
        let collection = self.collection(path);
        let before = match &after {
            Some(object) => collection.objects.insert(name.clone(), object.clone()),
            None => collection.objects.remove(&name),
        };
        let object = after.clone().or_else(|| before.clone().map(stamp)).unwrap_or_default();
        self.record.push(Change {
            at: Instant::now(),
            by: self.caller,
            collection: path.to_owned(),
            namespace: name.0.clone(),
            name: name.1.clone(),
            before: before.clone(),
            after: after.clone(),
        });
        let collection = self.collection(path);
        collection.log.push(Entry { version, name, before, after, object: object.clone() });
        object
    }

    /// Goes back to `version` and forgets what came after it.
    pub fn restore(&mut self, version: u64) {
        self.was_restored = true;
        for collection in self.collections.values_mut() {
            collection.objects = collection.at(version);
            collection.log.retain(|entry| entry.version <= version);
        }
        self.version = version;
    }

    /// The time in the format of a `creationTimestamp`, in whole seconds.
    fn time(&self) -> String {
        let seconds = self.clock.now().as_second();
        jiff::Timestamp::from_second(seconds).unwrap().to_string()
    }
}

/// Without the kind, which answers add where the API has it.
fn untyped(mut object: Value) -> Value {
    for field in ["kind", "apiVersion"] {
        object.as_object_mut().map(|object| object.remove(field));
    }
    object
}

/// A text field of the metadata; empty if absent.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

fn finalizers(object: &Value) -> usize {
    object["metadata"]["finalizers"].as_array().map_or(0, Vec::len)
}

fn copy(from: &Value, to: &mut Value, field: &str) {
    let Some(metadata) = to["metadata"].as_object_mut() else { return };
    match from["metadata"].get(field) {
        Some(value) => metadata.insert(field.to_owned(), value.clone()),
        None => metadata.remove(field),
    };
}

/// Whether the UID and version of an object, as far as it has them, match the stored one.
pub fn check(path: &str, old: &Value, object: &Value) -> Result<(), Refusal> {
    let (name, uid, version) =
        (text(old, "name"), text(object, "uid"), text(object, "resourceVersion"));
    if !uid.is_empty() && uid != text(old, "uid") {
        return Err(Refusal::other_uid(path, name, uid, text(old, "uid")));
    }
    if !version.is_empty() && version != text(old, "resourceVersion") {
        return Err(Refusal::modified(path, name));
    }
    Ok(())
}

fn count_generation(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
    object["metadata"]["generation"] = json!(generation);
}

/// Whether anything except metadata and status differs. For slices, labels count as well
/// (docs/semantics.md 1.5).
fn wants_generation(path: &str, old: &Value, new: &Value) -> bool {
    let rest = |object: &Value| -> Map<String, Value> {
        let fields = object.as_object().cloned().unwrap_or_default();
        fields.into_iter().filter(|(field, _)| field != "metadata" && field != "status").collect()
    };
    let labels = |object: &Value| object["metadata"]["labels"].clone();
    resource(path).counts_generations
        && (rest(old) != rest(new) || path == SLICES && labels(old) != labels(new))
}

/// RFC 7396.
fn merge(object: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (field, value) in fields {
        if value.is_null() {
            object.as_object_mut().map(|object| object.remove(field));
        } else {
            merge(&mut object[field], value);
        }
    }
}
