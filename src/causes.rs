//! Causes: an error told whole. Libraries differ in whether an error repeats its source, and the
//! reason that helps ("connection refused") is often three sources down.

use std::error::Error;

/// The error and all its sources on one line, less what has been said already.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = said(error);
    let mut source = error.source();
    while let Some(cause) = source {
        let said = said(cause);
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

/// One of them. Of the API server's answer the code and the message: kube adds all of its fields.
fn said(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref() {
        Some(kube::Error::Api(status)) => format!("{} {}", status.code, status.message),
        _ => error.to_string(),
    }
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
    fn an_answer_is_told_by_its_code_and_message() {
        let status = kube::core::Status::failure("leases is forbidden", "Forbidden").with_code(403);
        let error = kube::Error::Api(Box::new(status));
        assert_eq!(causes(&error), "403 leases is forbidden");
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
