//! Census: a plan in numbers. They are for metrics, and no decision depends on them
//! (docs/semantics.md 7).

/// The numbers of one address type of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Planned endpoints.
    pub endpoints: usize,
    /// Slices that they need if the slices of each set of ports are filled; at least 1 in total.
    pub slices: usize,
    /// Endpoints that no slice has yet.
    pub added: usize,
    /// Endpoints that are removed from slices whose ports some pod still has.
    pub removed: usize,
}

impl Census {
    /// Adds the numbers of another set of ports.
    pub(super) fn add(&mut self, other: Self) {
        self.endpoints += other.endpoints;
        self.slices += other.slices;
        self.added += other.added;
        self.removed += other.removed;
    }
}
