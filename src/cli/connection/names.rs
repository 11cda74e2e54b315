//! Names: what there is to choose from, for a message.

use std::fmt;

/// The most names that a message lists.
const SHOWN: usize = 20;

/// What there is to choose from.
#[derive(Debug)]
pub struct Names(pub(in crate::cli) Vec<String>);

impl fmt::Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(names) = self;
        if names.is_empty() {
            return formatter.write_str("none");
        }
        formatter.write_str(&names[..names.len().min(SHOWN)].join(", "))?;
        match names.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(formatter, " and {more} more"),
        }
    }
}
