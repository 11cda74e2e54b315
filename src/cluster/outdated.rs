//! Outdated: the one rule by which an object is skipped because a newer state of it is known.

/// Whether to skip an object because it is older than the `known` one. This is not so if a list
/// names an object for the first time (`is_listed`): lists are consistent reads, so an older
/// version in one means that the API server's store was restored from a backup, and only the list
/// is true.
pub fn is_outdated(version: u64, known: u64, is_listed: bool) -> bool {
    version < known && !is_listed
}
