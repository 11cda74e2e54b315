//! Selector: a label selector as policies write it, with `matchLabels` and `matchExpressions`.

use super::{labels::Labels, name::Name};

/// A label selector. An empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// `matchLabels`: pairs that must be there.
    pub labels: Labels,
    /// `matchExpressions`: all of them must hold.
    pub expressions: Vec<Expression>,
}

/// An entry of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// The key of the label.
    pub key: Name,
    /// What must hold for it.
    pub operator: Operator,
}

/// What must hold for a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It is there with one of these values.
    In(Vec<Name>),
    /// It is absent, or has none of these values.
    NotIn(Vec<Name>),
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}

impl Selector {
    /// Whether it selects an object with these labels.
    pub fn selects(&self, labels: &Labels) -> bool {
        labels.match_selector(&self.labels)
            && self.expressions.iter().all(|expression| expression.holds(labels))
    }
}

impl Expression {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::labels;

    #[test]
    fn operators_mean_what_they_mean_to_kubernetes() {
        let pod = labels(&[("app", "web"), ("tier", "front")]);
        let select = |operator: Operator, key: &str| {
            let expressions = vec![Expression { key: key.into(), operator }];
            Selector { labels: labels(&[("app", "web")]), expressions }.selects(&pod)
        };
        let values = |texts: &[&str]| texts.iter().map(|text| (*text).into()).collect();
        for (operator, key, is_selected) in [
            (Operator::In(values(&["front", "back"])), "tier", true),
            (Operator::In(values(&["back"])), "tier", false),
            (Operator::In(values(&["front"])), "track", false),
            (Operator::NotIn(values(&["back"])), "tier", true),
            (Operator::NotIn(values(&["front"])), "tier", false),
            (Operator::NotIn(values(&["front"])), "track", true),
            (Operator::Exists, "tier", true),
            (Operator::Exists, "track", false),
            (Operator::DoesNotExist, "track", true),
            (Operator::DoesNotExist, "tier", false),
        ] {
            assert_eq!(select(operator.clone(), key), is_selected, "{operator:?} {key}");
        }
        assert!(Selector::default().selects(&pod) && Selector::default().selects(&labels(&[])));
        let other = Selector { labels: labels(&[("app", "api")]), expressions: Vec::new() };
        assert!(!other.selects(&pod));
    }
}
