//! Port: the ports of a slice.

use std::{
    cmp::Ordering,
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
};

use foldhash::fast::FixedState;

use super::name::Name;

/// A port of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// `name`; empty for the port of a Service whose port has no name.
    pub name: Option<Name>,
    /// `port`; absent means all ports, which only other controllers write.
    pub number: Option<i32>,
    /// `protocol`.
    pub protocol: Option<Name>,
    /// `appProtocol`.
    pub app_protocol: Option<Name>,
}

/// The ports of a slice: a set, kept sorted. No ports and an empty list are the same
/// (docs/semantics.md 3.3).
#[derive(Clone, Debug)]
pub struct Ports {
    ports: Arc<[Port]>,
    /// The hash of the content, the same in every process.
    hash: u64,
}

impl Ports {
    /// The names, in order. No ports count as one without a name.
    pub fn names(&self) -> impl Iterator<Item = Option<&Name>> {
        let portless = self.is_empty().then_some(None);
        self.iter().map(|port| port.name.as_ref()).chain(portless)
    }

    /// How many records share this storage.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.ports)
    }
}

impl std::ops::Deref for Ports {
    type Target = [Port];

    fn deref(&self) -> &[Port] {
        &self.ports
    }
}

impl Default for Ports {
    fn default() -> Self {
        std::iter::empty().collect()
    }
}

impl FromIterator<Port> for Ports {
    fn from_iter<I: IntoIterator<Item = Port>>(ports: I) -> Self {
        let mut sorted: Vec<Port> = ports.into_iter().collect();
        // Stable, because that costs one comparison for each port of a list that is sorted already.
        sorted.sort();
        let hash = FixedState::default().hash_one(&sorted);
        Self { ports: sorted.into(), hash }
    }
}

impl PartialEq for Ports {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && (Arc::ptr_eq(&self.ports, &other.ports) || self.ports == other.ports)
    }
}

impl Eq for Ports {}

impl Hash for Ports {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Ord for Ports {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.ports, &other.ports) {
            return Ordering::Equal;
        }
        self.ports.cmp(&other.ports)
    }
}

impl PartialOrd for Ports {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_equal_by_content_whatever_their_order_and_storage() {
        let port = |number| Port {
            name: Some("web".into()),
            number: Some(number),
            protocol: Some("TCP".into()),
            app_protocol: None,
        };
        let one: Ports = [port(1), port(2)].into_iter().collect();
        let other: Ports = [port(2), port(1)].into_iter().collect();
        assert_eq!((one.hash, one.cmp(&other)), (other.hash, Ordering::Equal));
        assert_eq!(one, other);
        assert_ne!(one, [port(1)].into_iter().collect());
        assert_eq!(Ports::default(), [].into_iter().collect());
    }
}
