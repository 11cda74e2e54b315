//! Selector: labels as `kubectl -l` takes them, as a selector of an object or of what was read.

use std::{collections::btree_map::Entry, iter::once};

use crate::{
    api::crd::label::{LabelKey, LabelSelector, LabelValue, Operator, Requirement},
    model::{
        name::Name,
        selector::{self, Expression, Selector},
    },
};

/// Reads a selector such as `tier=web,track!=canary,app in (cart,search),!legacy`. Whether keys and
/// values are those of labels is checked with the whole object.
///
/// # Errors
/// It is empty, or a part cannot be understood.
pub(super) fn parse(text: &str) -> Result<LabelSelector, String> {
    let mut selector = LabelSelector::default();
    for part in parts(text) {
        add(part.trim(), &mut selector)?;
    }
    Ok(selector)
}

/// The same for objects that were read. A key or a value that no label can have selects nothing.
pub(super) fn selecting(selector: &LabelSelector) -> Selector {
    let pair = |(key, value): (&String, &LabelValue)| (Name::from(&**key), Name::from(&*value.0));
    Selector {
        labels: selector.match_labels.iter().map(pair).collect(),
        expressions: selector.match_expressions.iter().map(expression).collect(),
    }
}

fn expression(requirement: &Requirement) -> Expression {
    let values = || requirement.values.iter().map(|value| Name::from(&*value.0)).collect();
    let operator = match requirement.operator {
        Operator::In => selector::Operator::In(values()),
        Operator::NotIn => selector::Operator::NotIn(values()),
        Operator::Exists => selector::Operator::Exists,
        Operator::DoesNotExist => selector::Operator::DoesNotExist,
    };
    Expression { key: Name::from(&*requirement.key.0), operator }
}

/// The parts between commas, except those within parentheses.
fn parts(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let is_end = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    let ends: Vec<usize> = text.match_indices(is_end).map(|(at, _)| at).collect();
    let begins = once(0).chain(ends.iter().map(|at| at + 1));
    begins.zip(ends.iter().copied().chain(once(text.len()))).map(|(a, b)| &text[a..b]).collect()
}

/// Adds one part.
fn add(part: &str, selector: &mut LabelSelector) -> Result<(), String> {
    if let Some(key) = part.strip_prefix('!') {
        selector.match_expressions.push(requirement(key, Operator::DoesNotExist, Vec::new()));
        return checked(part, key);
    }
    if let Some((key, value)) = part.split_once("!=") {
        selector.match_expressions.push(requirement(key, Operator::NotIn, vec![value]));
        return checked(part, key);
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        let (name, value) = (key.trim().to_owned(), value.trim());
        match selector.match_labels.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(LabelValue(value.to_owned()));
            }
            Entry::Occupied(_) => {
                selector.match_expressions.push(requirement(key, Operator::In, vec![value]));
            }
        }
        return checked(part, key);
    }
    let Some((head, values)) = part.split_once('(') else {
        selector.match_expressions.push(requirement(part, Operator::Exists, Vec::new()));
        return checked(part, part);
    };
    let mut words = head.split_whitespace();
    let operator = match (words.next(), words.next(), words.next()) {
        (Some(key), Some("in"), None) => Some((key, Operator::In)),
        (Some(key), Some("notin"), None) => Some((key, Operator::NotIn)),
        _ => None,
    };
    let (Some((key, operator)), Some(values)) = (operator, values.strip_suffix(')')) else {
        return Err(unclear(part));
    };
    selector.match_expressions.push(requirement(key, operator, values.split(',').collect()));
    checked(part, key)
}

fn requirement(key: &str, operator: Operator, values: Vec<&str>) -> Requirement {
    let values = values.into_iter().map(|value| LabelValue(value.trim().to_owned())).collect();
    Requirement { key: LabelKey(key.trim().to_owned()), operator, values }
}

fn checked(part: &str, key: &str) -> Result<(), String> {
    let key = key.trim();
    let is_key = !key.is_empty() && !key.contains(char::is_whitespace);
    if is_key { Ok(()) } else { Err(unclear(part)) }
}

fn unclear(part: &str) -> String {
    format!(
        "`{part}` selects nothing; write it like tier=web, tier!=web, tier in (web,api), tier or !tier"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Value {
        serde_json::to_value(parse(text).unwrap()).unwrap()
    }

    #[test]
    fn selectors_as_kubectl_takes_them() {
        assert_eq!(
            read("tier=web, example.com/track==stable"),
            json!({"matchLabels": {"tier": "web", "example.com/track": "stable"}})
        );
        assert_eq!(
            read("a!=b,app in (cart, search),c notin (d),e,!f,g="),
            json!({"matchLabels": {"g": ""}, "matchExpressions": [
                {"key": "a", "operator": "NotIn", "values": ["b"]},
                {"key": "app", "operator": "In", "values": ["cart", "search"]},
                {"key": "c", "operator": "NotIn", "values": ["d"]},
                {"key": "e", "operator": "Exists"},
                {"key": "f", "operator": "DoesNotExist"},
            ]})
        );
        // Both must hold, so nothing is selected.
        assert_eq!(
            read("a=b,a=c"),
            json!({"matchLabels": {"a": "b"},
                "matchExpressions": [{"key": "a", "operator": "In", "values": ["c"]}]})
        );
    }

    #[test]
    fn the_same_for_what_was_read() {
        let labels = crate::model::samples::labels(&[("tier", "web"), ("app", "cart")]);
        for (text, is_selected) in [
            ("tier=web", true),
            ("tier=db", false),
            ("tier!=db,app", true),
            ("app in (cart,search)", true),
            ("app notin (cart)", false),
            ("!tier", false),
            ("!legacy", true),
        ] {
            assert_eq!(selecting(&parse(text).unwrap()).selects(&labels), is_selected, "{text}");
        }
    }

    #[test]
    fn what_selects_nothing() {
        for text in
            ["", "a,,b", "a=b,", "=b", "!", "a in b", "a in (b", "a of (b)", "a b", "in (b)"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
