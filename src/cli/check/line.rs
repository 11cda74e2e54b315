//! Line: the result of one check.

use super::{
    item::Item,
    read::{Read, Unread},
};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Ok,
    /// Something may need attention, or the check could not be made.
    Warning,
    /// Something is wrong.
    Error,
}

impl Outcome {
    /// The word for it, the same in text and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What was found out about one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// What was found: for what is wrong also what to do. May be empty.
    pub detail: String,
}

/// All is well.
pub(super) fn ok(detail: impl Into<String>) -> Verdict {
    Verdict { outcome: Outcome::Ok, detail: detail.into() }
}

/// Something may need attention.
pub(super) fn warning(detail: impl Into<String>) -> Verdict {
    Verdict { outcome: Outcome::Warning, detail: detail.into() }
}

/// Something is wrong.
pub(super) fn error(detail: impl Into<String>) -> Verdict {
    Verdict { outcome: Outcome::Error, detail: detail.into() }
}

/// A check with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The check.
    pub item: Item,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found. May be empty.
    pub detail: String,
}

impl Line {
    /// The line of a check.
    pub fn new(item: Item, Verdict { outcome, detail }: Verdict) -> Self {
        Self { item, outcome, detail }
    }

    /// The line of a check whose facts may not be known. What may not be read is a warning that
    /// names the missing permission. What cannot be read for another reason is an error.
    pub(super) fn judge<'f>(
        item: Item,
        judge: impl FnOnce() -> Result<Verdict, &'f Unread>,
    ) -> Self {
        let verdict = judge().unwrap_or_else(|unread| match unread {
            Unread::Refused(permission) => {
                warning(format!("not checked: this requires the permission to {permission}"))
            }
            Unread::Failed(reason) => error(format!("not checked: {reason}")),
        });
        Self::new(item, verdict)
    }

    /// The same for a check of one fact.
    pub(super) fn of<T>(item: Item, read: &Read<T>, judge: impl FnOnce(&T) -> Verdict) -> Self {
        Self::judge(item, || read.as_ref().map(judge))
    }
}

/// `1 node`, `2 nodes`.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}
