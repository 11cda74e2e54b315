//! Labels: sorted pairs, shared by all objects that have the same ones.

use std::sync::Arc;

use super::name::{Name, are_same};

/// Labels, annotations or the pairs of a selector, sorted by key, each key once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[(Name, Name)]>);

impl Labels {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Name> {
        let at = self.0.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// All pairs, by key.
    pub fn iter(&self) -> std::slice::Iter<'_, (Name, Name)> {
        self.0.iter()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these labels contain every pair of `selector`.
    pub fn match_selector(&self, selector: &Self) -> bool {
        selector.iter().all(|(key, value)| are_same(self.get(key), Some(value)))
    }

    /// The same with `key` set to `value`, or without it.
    #[must_use]
    pub fn with(&self, key: &str, value: Option<&str>) -> Self {
        if self.get(key).map(AsRef::as_ref) == value {
            return self.clone();
        }
        let others = self.iter().filter(|(k, _)| k.as_ref() != key).cloned();
        others.chain(value.map(|value| (key.into(), value.into()))).collect()
    }

    /// How many records share this storage.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

/// Sorts the pairs. Of two pairs with the same key, the later one counts.
impl FromIterator<(Name, Name)> for Labels {
    fn from_iter<I: IntoIterator<Item = (Name, Name)>>(pairs: I) -> Self {
        let mut sorted: Vec<(Name, Name)> = Vec::new();
        for pair in pairs {
            match sorted.binary_search_by(|(key, _)| key.cmp(&pair.0)) {
                Ok(at) => sorted[at] = pair,
                Err(at) => sorted.insert(at, pair),
            }
        }
        Self(sorted.into())
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a (Name, Name);
    type IntoIter = std::slice::Iter<'a, (Name, Name)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn a_selector_matches_when_every_pair_is_there() {
        let pod = labels(&[("app", "web"), ("tier", "front")]);
        assert!(pod.match_selector(&labels(&[("app", "web")])));
        assert!(!pod.match_selector(&labels(&[("app", "web"), ("track", "stable")])));
        assert!(!pod.match_selector(&labels(&[("app", "api")])));
    }

    #[test]
    fn with_sets_and_removes() {
        let one = labels(&[("a", "1")]);
        assert_eq!(one.with("b", Some("2")), labels(&[("b", "2"), ("a", "1")]));
        assert_eq!(one.with("a", None), Labels::default());
        assert!(Arc::ptr_eq(&one.with("a", Some("1")).0, &one.0));
    }
}
