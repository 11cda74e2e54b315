//! Names of what the chart installs for assist mode.

/// The `MutatingAdmissionPolicy` that keeps hints.
pub const POLICY: &str = "closehaul-hints";
/// Its binding.
pub const BINDING: &str = "closehaul-hints";
/// The `ValidatingAdmissionPolicy` that holds closehaul to hints.
pub const LIMIT_POLICY: &str = "closehaul-limits";
/// Its binding.
pub const LIMIT_BINDING: &str = "closehaul-limits";
/// The most endpoints of a slice on which the policy acts.
pub const MOST_ENDPOINTS: usize = 1000;
