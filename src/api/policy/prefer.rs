//! Prefer: what clients and endpoints should share, from fine to coarse.

use super::{
    field::{Field, Read},
    limits,
    selector::label_key,
};
use crate::model::policy::Key;

/// The labels that have a word of their own.
const WORDS: [(&str, &str); 3] = [
    ("kubernetes.io/hostname", "Node"),
    ("topology.kubernetes.io/zone", "Zone"),
    ("topology.kubernetes.io/region", "Region"),
];

/// Reads `prefer`. An empty list requests nothing. The node implies the zone, since a node without
/// endpoint falls through to it.
pub(super) fn prefer(field: &Field<'_>) -> Read<Vec<Key>> {
    let mut keys = Vec::new();
    if field.list(limits::PREFER)?.is_empty() {
        return Ok(keys);
    }
    for (entry, text) in field.set("key", limits::PREFER)? {
        let key = key(&entry, text)?;
        let misplaced = match key {
            Key::Node => !keys.is_empty(),
            Key::Zone => keys.iter().any(|before| *before != Key::Node),
            // A label and the region may be in either order: which one is coarser is not known.
            Key::Region | Key::Label(_) => false,
        };
        if misplaced {
            let problem =
                format!("`{text}` is finer than what is before it; write the finest first");
            return Err(entry.invalid(problem));
        }
        keys.push(key);
    }
    if keys.first() == Some(&Key::Node) && keys.get(1) != Some(&Key::Zone) {
        keys.insert(1, Key::Zone);
    }
    Ok(keys)
}

fn key(entry: &Field<'_>, text: &str) -> Read<Key> {
    match text {
        "Node" => return Ok(Key::Node),
        "Zone" => return Ok(Key::Zone),
        "Region" => return Ok(Key::Region),
        _ => {}
    }
    for (label, word) in WORDS {
        if text == label || text.eq_ignore_ascii_case(word) {
            return Err(entry.invalid(format!("is `{text}`; write `{word}`")));
        }
    }
    // Words of newer versions begin like the known ones, and keys of labels hardly ever do.
    if text.starts_with(|c: char| c.is_ascii_uppercase()) && !text.contains('/') {
        let expected = "Node, Zone, Region, or the key of a node label coarser than a zone";
        return Err(entry.unknown_value(text, expected));
    }
    Ok(Key::Label(label_key(entry)?))
}
