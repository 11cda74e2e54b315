//! Selector: a label selector as the API server checks it, and the names of labels.

use super::{
    field::{Field, Read},
    limits::{self, LABEL, PREFIX},
};
use crate::model::{
    labels::Labels,
    name::Name,
    selector::{Expression, Operator, Selector},
};

#[derive(Clone, Copy)]
enum Word {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Reads a label selector (`metav1.LabelSelector`).
pub(super) fn selector(field: &Field<'_>) -> Read<Selector> {
    let fields = field.object(&["matchLabels", "matchExpressions"])?;
    let labels = fields.read("matchLabels", match_labels)?.unwrap_or_default();
    let expressions = fields.read("matchExpressions", |field| {
        field.list(limits::MATCH_EXPRESSIONS)?.iter().map(expression).collect::<Read<Vec<_>>>()
    })?;
    Ok(Selector { labels, expressions: expressions.unwrap_or_default() })
}

fn match_labels(field: &Field<'_>) -> Read<Labels> {
    let pair = |(key, field): (&str, Field<'_>)| {
        if !is_key(key) {
            return Err(not_a_key(&field, key));
        }
        Ok((Name::from(key), value(&field)?))
    };
    field.entries(limits::MATCH_LABELS)?.map(pair).collect()
}

fn expression(field: &Field<'_>) -> Read<Expression> {
    let fields = field.object(&["key", "operator", "values"])?;
    let key = label_key(&fields.required("key", "name the label")?)?;
    let expected = "write In, NotIn, Exists or DoesNotExist";
    let operator = fields.required("operator", expected)?.word(&[
        ("In", Word::In),
        ("NotIn", Word::NotIn),
        ("Exists", Word::Exists),
        ("DoesNotExist", Word::DoesNotExist),
    ])?;
    let values = fields.get("values");
    let some = || {
        let field = fields.required("values", "In and NotIn compare with at least one value")?;
        let values = field.list(limits::VALUES)?.iter().map(value).collect::<Read<Vec<_>>>()?;
        if values.is_empty() {
            return Err(field.invalid("is empty; In and NotIn compare with at least one value"));
        }
        Ok(values)
    };
    let operator = match operator {
        Word::In => Operator::In(some()?),
        Word::NotIn => Operator::NotIn(some()?),
        Word::Exists | Word::DoesNotExist => {
            if let Some(values) =
                values.filter(|values| values.list(limits::VALUES).is_ok_and(|it| !it.is_empty()))
            {
                let problem = "is given with an operator that compares with none; leave it out";
                return Err(values.invalid(problem));
            }
            if matches!(operator, Word::Exists) { Operator::Exists } else { Operator::DoesNotExist }
        }
    };
    Ok(Expression { key, operator })
}

/// Reads the key of a label.
pub(super) fn label_key(field: &Field<'_>) -> Read<Name> {
    let key = field.text()?;
    if is_key(key) { Ok(key.into()) } else { Err(not_a_key(field, key)) }
}

fn not_a_key(field: &Field<'_>, key: &str) -> super::field::Problem {
    field
        .invalid(format!("`{key}` is not the key of a label; write it like app or example.com/app"))
}

/// Reads the value of a label.
fn value(field: &Field<'_>) -> Read<Name> {
    let value = field.text()?;
    if is_value(value) {
        return Ok(value.into());
    }
    Err(field.invalid(format!(
        "`{value}` is not the value of a label: at most {LABEL} letters, digits, `-`, `_` and `.`, with a letter or digit at both ends; correct it"
    )))
}

/// Reads the name of a zone, which is a label's value.
pub(super) fn zone(field: &Field<'_>, text: &str) -> Read<Name> {
    if !text.is_empty() && is_value(text) {
        return Ok(text.into());
    }
    Err(field.invalid(format!(
        "`{text}` cannot be a zone; write the value of the label topology.kubernetes.io/zone"
    )))
}

/// Reads the name of a Service.
pub(super) fn service_name(field: &Field<'_>, text: &str) -> Read<Name> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_valid = text.chars().all(is_inner)
        && (1..=LABEL).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-');
    if is_valid {
        return Ok(text.into());
    }
    Err(field.invalid(format!("`{text}` cannot be the name of a Service; correct it")))
}

fn is_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

/// The part of a label's key behind its prefix.
fn is_name(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_inner = |c: char| is_end(c) || ['-', '_', '.'].contains(&c);
    (1..=LABEL).contains(&text.len())
        && text.chars().all(is_inner)
        && text.starts_with(is_end)
        && text.ends_with(is_end)
}

fn is_key(text: &str) -> bool {
    let is_lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        part.chars().all(|c| is_lower(c) || c == '-')
            && part.starts_with(is_lower)
            && part.ends_with(is_lower)
    };
    match text.split_once('/') {
        None => is_name(text),
        Some((prefix, name)) => {
            is_name(name) && prefix.len() <= PREFIX && prefix.split('.').all(is_part)
        }
    }
}
