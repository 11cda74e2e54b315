//! Annotation: what [`ANNOTATION`] says on a slice: which names an endpoint gets that appears before
//! the next plan (docs/planner.md 8.6). The admission policy acts on slices that have the annotation,
//! whatever it says, so even a plan without any hints is written as the empty text.
//!
//! The text is a list of entries, separated by semicolons, sorted by zone:
//!
//! - `ZONE=NAME,NAME`: an endpoint in ZONE names these zones; no names mean no `forZones`
//! - `ZONE/node=own`: it names its own node too; `ZONE/node=evacuated.closehaul.io` means that it
//!   names only that placeholder in `forNodes`
//!
//! ZONE is empty in the entries of endpoints that have no zone, or one that is not listed. Without
//! such an entry, they get no hints. A slash cannot be part of a zone's name, which is the value of
//! a label, so the entries for nodes cannot be taken for those of zones.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use crate::{
    model::name::Name,
    plan::policy::outcome::{Chosen, ChosenNode, PLACEHOLDER},
};

/// The annotation's key on slices.
pub const ANNOTATION: &str = "closehaul.io/hints";
/// What follows a zone in the key of its entry for nodes.
pub const NODE: &str = "/node";
/// The value of an entry for nodes that lets an endpoint name its own node.
pub const OWN: &str = "own";

/// The longest value of a label.
const LONGEST: usize = 63;

/// What the annotation says. Equal contents have equal texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotation {
    /// The zones whose endpoints differ from those elsewhere.
    zones: BTreeMap<Name, Chosen>,
    elsewhere: Chosen,
}

/// What cannot be written to the annotation, or read from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// A zone has a name that no label can have as its value.
    #[error("zone {0:?}: not the value of a label, so no hint can name it")]
    NotALabelValue(String),
    /// An entry has no equals sign.
    #[error("annotation {ANNOTATION}: entry {0:?} has no `=`; write ZONE=NAME,NAME")]
    NoNames(String),
    /// Two entries have the same key.
    #[error("annotation {ANNOTATION}: {0:?} is there twice; keep one of the entries")]
    Twice(String),
    /// An entry for nodes stands without the entry of its zone.
    #[error("annotation {ANNOTATION}: zone {0:?} has an entry for nodes, but none for zones")]
    NodeWithoutZone(String),
    /// An entry for nodes names something else than its own node or the placeholder.
    #[error(
        "annotation {ANNOTATION}: zone {zone:?} has {value:?} for nodes, which is neither \
             {OWN:?} nor {PLACEHOLDER:?}"
    )]
    UnknownNode {
        /// The entry's zone.
        zone: String,
        /// What it says.
        value: String,
    },
}

impl Annotation {
    /// What endpoints name that appear in each of these zones, and elsewhere: in no zone, or in
    /// another one.
    ///
    /// # Errors
    ///
    /// [`AnnotationError::NotALabelValue`] for a name that an API server would reject as a hint.
    pub fn new(
        zones: impl IntoIterator<Item = (Name, Chosen)>,
        elsewhere: Chosen,
    ) -> Result<Self, AnnotationError> {
        let zones: BTreeMap<Name, Chosen> =
            zones.into_iter().filter(|(_, chosen)| *chosen != elsewhere).collect();
        let named = zones.values().chain([&elsewhere]).flat_map(|chosen| chosen.zones.iter());
        if let Some(name) = zones.keys().chain(named).find(|name| !is_label_value(name)) {
            return Err(AnnotationError::NotALabelValue(name.to_string()));
        }
        Ok(Self { zones, elsewhere })
    }

    /// What an endpoint names that appears in this zone, or in none.
    pub fn chosen(&self, zone: Option<&str>) -> &Chosen {
        zone.and_then(|zone| self.zones.get(zone)).unwrap_or(&self.elsewhere)
    }

    /// Reads an annotation's text. The order of its entries is of no importance.
    pub fn parse(text: &str) -> Result<Self, AnnotationError> {
        let mut entries = BTreeMap::new();
        for entry in text.split(';').filter(|entry| !entry.is_empty()) {
            let Some((key, value)) = entry.split_once('=') else {
                return Err(AnnotationError::NoNames(entry.to_owned()));
            };
            if entries.insert(key, value).is_some() {
                return Err(AnnotationError::Twice(key.to_owned()));
            }
        }
        let mut all = BTreeMap::new();
        for (key, value) in &entries {
            if let Some(zone) = key.strip_suffix(NODE) {
                if !entries.contains_key(zone) {
                    return Err(AnnotationError::NodeWithoutZone(zone.to_owned()));
                }
                continue;
            }
            let names: Arc<[Name]> =
                value.split(',').filter(|name| !name.is_empty()).map(Name::from).collect();
            let distinct: BTreeSet<&Name> = names.iter().collect();
            if distinct.len() < names.len() {
                return Err(AnnotationError::Twice((*value).to_owned()));
            }
            let node = node(key, entries.get(&*format!("{key}{NODE}")).copied())?;
            all.insert(Name::from(*key), Chosen { zones: names, node });
        }
        let elsewhere = all.remove("").unwrap_or_default();
        Self::new(all, elsewhere)
    }
}

/// The annotation's text.
impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elsewhere = (self.elsewhere != Chosen::default()).then_some(("", &self.elsewhere));
        let zones = self.zones.iter().map(|(zone, chosen)| (&**zone, chosen));
        let mut separator = "";
        for (zone, chosen) in elsewhere.into_iter().chain(zones) {
            write!(f, "{separator}{zone}={}", chosen.zones.join(","))?;
            separator = ";";
            let node = match chosen.node {
                ChosenNode::Nothing => continue,
                ChosenNode::Own => OWN,
                ChosenNode::Placeholder => PLACEHOLDER,
            };
            write!(f, ";{zone}{NODE}={node}")?;
        }
        Ok(())
    }
}

/// What the entry of a zone for nodes says.
fn node(zone: &str, value: Option<&str>) -> Result<ChosenNode, AnnotationError> {
    match value {
        None => Ok(ChosenNode::Nothing),
        Some(OWN) => Ok(ChosenNode::Own),
        Some(PLACEHOLDER) => Ok(ChosenNode::Placeholder),
        Some(value) => {
            let (zone, value) = (zone.to_owned(), value.to_owned());
            Err(AnnotationError::UnknownNode { zone, value })
        }
    }
}

/// Whether an API server accepts this as the name of a zone in a hint: a label's value that is not
/// empty (`IsValidLabelValue` of apimachinery).
fn is_label_value(name: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= LONGEST
        && bytes.iter().copied().all(is_inside)
        && is_end(bytes.first())
        && is_end(bytes.last())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Arc<[Name]> {
        names.iter().copied().map(Name::from).collect()
    }

    fn chosen(zones: &[&str], node: ChosenNode) -> Chosen {
        Chosen { zones: names(zones), node }
    }

    fn annotation(zones: &[(&str, Chosen)], elsewhere: Chosen) -> Annotation {
        let zones = zones.iter().map(|(zone, chosen)| (Name::from(*zone), chosen.clone()));
        Annotation::new(zones, elsewhere).unwrap()
    }

    #[test]
    fn the_text_is_that_of_the_format() {
        let own = |zone| (zone, chosen(&[zone], ChosenNode::Nothing));
        let of = annotation(&[own("zone-b"), own("zone-a")], Chosen::default());
        assert_eq!(of.to_string(), "zone-a=zone-a;zone-b=zone-b");

        let of = annotation(
            &[
                ("zone-a", chosen(&["evacuated.closehaul.io"], ChosenNode::Placeholder)),
                ("zone-b", chosen(&["zone-b", "zone-a"], ChosenNode::Own)),
                ("zone-c", Chosen::default()),
            ],
            chosen(&["zone-a", "zone-b"], ChosenNode::Own),
        );
        assert_eq!(
            of.to_string(),
            "=zone-a,zone-b;/node=own;\
             zone-a=evacuated.closehaul.io;zone-a/node=evacuated.closehaul.io;\
             zone-b=zone-b,zone-a;zone-b/node=own;zone-c="
        );
        assert_eq!(Annotation::parse(&of.to_string()), Ok(of.clone()));
        assert_eq!(*of.chosen(Some("zone-c")), Chosen::default());
        assert_eq!(of.chosen(None), of.chosen(Some("elsewhere")));
        assert_eq!(of.chosen(None).node, ChosenNode::Own);
    }

    #[test]
    fn no_hints_at_all_are_the_empty_text() {
        assert_eq!(Annotation::default().to_string(), "");
        assert_eq!(annotation(&[("a", Chosen::default())], Chosen::default()).to_string(), "");
        for text in ["", ";", ";;", "=", "a=", "a=;b="] {
            assert_eq!(Annotation::parse(text), Ok(Annotation::default()), "{text:?}");
        }
    }

    #[test]
    fn a_zone_like_those_elsewhere_is_not_listed() {
        let all = chosen(&["a", "b"], ChosenNode::Nothing);
        let of = annotation(&[("a", all.clone()), ("b", all.clone())], all.clone());
        assert_eq!(of.to_string(), "=a,b");
        assert_eq!(*of.chosen(Some("a")), all);
        assert_eq!(Annotation::parse("a=a,b;=a,b;b=a,b"), Ok(of));
    }

    #[test]
    fn a_name_that_is_no_label_value_cannot_be_written() {
        let long = "a".repeat(64);
        for name in ["a;b", "a=b", "a,b", "a/node", "-a", "a-", "ä", "a b", "", &long] {
            let bad = AnnotationError::NotALabelValue(name.to_owned());
            let named = chosen(&["a", name], ChosenNode::Nothing);
            let of = |zones: &[(Name, Chosen)], elsewhere| {
                Annotation::new(zones.iter().cloned(), elsewhere)
            };
            assert_eq!(of(&[], named.clone()), Err(bad.clone()), "{name:?}");
            assert_eq!(of(&[("a".into(), named)], Chosen::default()), Err(bad.clone()));
            let of = of(&[(name.into(), chosen(&["a"], ChosenNode::Own))], Chosen::default());
            assert_eq!(of, Err(bad), "{name:?}");
        }
    }

    #[test]
    fn a_text_that_is_not_of_the_format_is_an_error_that_says_where() {
        for (text, message) in [
            ("a", r#"entry "a" has no `=`"#),
            ("a=a;b", r#"entry "b" has no `=`"#),
            ("a=a;a=b", r#""a" is there twice"#),
            ("a=a;a/node=own;a/node=own", r#""a/node" is there twice"#),
            ("a=b,b", r#""b,b" is there twice"#),
            ("a/node=own", r#"zone "a" has an entry for nodes, but none for zones"#),
            ("/node=own", r#"zone "" has an entry for nodes"#),
            ("a=a;a/node=worker-1", r#"zone "a" has "worker-1" for nodes"#),
            ("a=a;a/node=", r#"zone "a" has "" for nodes"#),
            ("a=a=a", r#"zone "a=a": not the value of a label"#),
            ("a=a/own", r#"zone "a/own": not the value of a label"#),
            ("a/b=a", r#"zone "a/b": not the value of a label"#),
            ("a=ä", r#"zone "ä": not the value of a label"#),
            ("a= b", r#"zone " b": not the value of a label"#),
        ] {
            let error = Annotation::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text:?}: {error}");
        }
    }

    fn any_chosen() -> impl Strategy<Value = Chosen> {
        let zones = prop::collection::btree_set(
            "[a-c]|[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?",
            0..5,
        );
        let node = prop_oneof![
            Just(ChosenNode::Nothing),
            Just(ChosenNode::Own),
            Just(ChosenNode::Placeholder)
        ];
        (zones, node).prop_map(|(zones, node)| Chosen {
            zones: zones.into_iter().map(Name::from).collect(),
            node,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            zones in prop::collection::vec(("[a-c]|[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", any_chosen()), 0..6),
            elsewhere in any_chosen(),
        ) {
            let zones: BTreeMap<Name, Chosen> =
                zones.into_iter().map(|(zone, chosen)| (Name::from(zone), chosen)).collect();
            let of = Annotation::new(zones.clone(), elsewhere.clone()).unwrap();
            prop_assert_eq!(Annotation::parse(&of.to_string()), Ok(of.clone()));
            for (zone, chosen) in &zones {
                prop_assert_eq!(of.chosen(Some(zone)), chosen);
            }
            prop_assert_eq!(of.chosen(None), &elsewhere);
        }

        #[test]
        fn any_text_is_read_or_an_error(text in "[ab/=;,]{0,12}|(a|b|own|/node|=|;|,){0,12}|.*") {
            if let Ok(of) = Annotation::parse(&text) {
                prop_assert_eq!(Annotation::parse(&of.to_string()), Ok(of));
            }
        }
    }
}
