//! Census: what a plan is about, in numbers. Nothing is decided by them; they are for those who
//! watch (docs/semantics.md 7).

/// The numbers of one address type of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Planned endpoints.
    pub endpoints: usize,
    /// Slices that they need, if those of each set of ports are filled up; at least 1 in all.
    pub slices: usize,
    /// Endpoints that no slice has yet.
    pub added: usize,
    /// Endpoints that are taken out of slices whose ports some pod still has.
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
