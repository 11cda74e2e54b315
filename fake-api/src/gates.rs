//! What an API server does when its feature gates are off.

use serde_json::Value;

/// Removes all hints for nodes from a slice before it is stored, unless the stored slice already
/// has some (docs/semantics.md 5.4).
pub fn drop_node_hints(slice: &mut Value, stored: Option<&Value>) {
    let endpoints = stored.and_then(|stored| stored["endpoints"].as_array());
    if endpoints.into_iter().flatten().any(|endpoint| endpoint["hints"].get("forNodes").is_some()) {
        return;
    }
    let endpoints = slice.get_mut("endpoints").and_then(Value::as_array_mut);
    for endpoint in endpoints.into_iter().flatten() {
        if let Some(hints) = endpoint.get_mut("hints").and_then(Value::as_object_mut) {
            hints.remove("forNodes");
        }
    }
}
