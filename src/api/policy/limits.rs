//! Limits: how many entries and characters a spec may have. The resource definitions have the same,
//! because the API server estimates the cost of their rules by them (KEP-2876).

/// The most names of Services.
pub const NAMES: usize = 256;
/// The most entries of `matchLabels`.
pub const MATCH_LABELS: usize = 64;
/// The most entries of `matchExpressions`.
pub const MATCH_EXPRESSIONS: usize = 32;
/// The most values of an entry of `matchExpressions`.
pub const VALUES: usize = 64;
/// The most entries of `prefer`.
pub const PREFER: usize = 8;
/// The most that `maxOverloadPercent` may be.
pub const MAX_OVERLOAD: u16 = 1000;
/// The most zones that can have a share.
pub const SHARES: usize = 64;
/// The most zones in `rollout`.
pub const ROLLOUT_ZONES: usize = 64;
/// The most zones that can be evacuated at once.
pub const EVACUATED_ZONES: usize = 7;
/// The most characters of the reason for an evacuation.
pub const REASON: usize = 1024;
/// The most characters of a duration.
pub const DURATION: usize = 32;
/// The most characters of a time.
pub const TIME: usize = 40;
/// The most characters of a label's name, of its value, and of a Service's name.
pub const LABEL: usize = 63;
/// The most characters of the prefix of a label's key.
pub const PREFIX: usize = 253;
/// The most characters of a label's key: prefix, slash and name.
pub const KEY: usize = PREFIX + 1 + LABEL;
