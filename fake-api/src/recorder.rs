//! Recorder: every change of every object on a server, with its time and who made it. Unlike the log
//! that watches read, it survives a restore: it shows what happened, and not what the server knows.

use serde_json::Value;
use tokio::time::Instant;

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// When it was stored.
    pub at: Instant,
    /// Who made it.
    pub by: Caller,
    /// The collection, as in [`crate::collections`].
    pub collection: String,
    /// The namespace; empty for cluster-wide kinds.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The object before; `None`: it was created.
    pub before: Option<Value>,
    /// The object afterwards; `None`: it is gone.
    pub after: Option<Value>,
}

impl Change {
    /// What was done: create, update or delete.
    pub fn what(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "create",
            (_, Some(_)) => "update",
            (_, None) => "delete",
        }
    }
}

/// Who changes objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// The test itself: users, the kubelet and other controllers.
    #[default]
    World,
    /// A replica of closehaul, by number.
    Replica(u32),
}
