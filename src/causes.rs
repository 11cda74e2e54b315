//! Causes: an error told whole. Libraries differ in whether an error repeats its source, and the
//! reason that helps ("connection refused") is often three sources down.

use std::error::Error;

/// The error and all its sources on one line, less what has been said already.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{says}")]
    struct Told {
        says: &'static str,
        source: Option<Box<Self>>,
    }

    fn told(says: &[&'static str]) -> Option<Box<Told>> {
        let (says, rest) = says.split_first()?;
        Some(Box::new(Told { says, source: told(rest) }))
    }

    #[test]
    fn each_cause_is_told_once() {
        for (says, whole) in [
            (&["a"][..], "a"),
            (
                &["create slice a", "no connection", "refused"],
                "create slice a: no connection: refused",
            ),
            (&["cannot use x: no such file", "no such file"], "cannot use x: no such file"),
        ] {
            assert_eq!(causes(&*told(says).unwrap()), whole);
        }
    }
}
