//! Causes: an error with all its causes. Libraries differ in whether an error repeats its source,
//! and the reason that helps ("connection refused") is often three sources down.

use std::error::Error;

use crate::{plain::shortened, tls_error, web_page};

/// The error and all its sources on one line, less what has been said already. Cut if it is too
/// long: an answer of the API server may be.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut next) = said(error);
    while let Some(cause) = next {
        let (said, source) = said(cause);
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = source;
    }
    shortened(text)
}

/// One of them, and its source. Of the API server's answer the code and the message: kube adds all
/// of its fields, and names the answer as its own source besides.
fn said<'a>(error: &'a (dyn Error + 'static)) -> (String, Option<&'a (dyn Error + 'static)>) {
    let boxed = || error.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
    match error.downcast_ref().or_else(boxed) {
        Some(kube::Error::Api(status)) => {
            let page = web_page::words(&status.message);
            let message = page.as_deref().unwrap_or(&status.message);
            (format!("{} {message}", status.code), None)
        }
        _ if let Some(words) = tls_error::words(error) => (words, None),
        _ => (error.to_string(), error.source()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::lease::LeaseError;

    #[derive(Debug, thiserror::Error)]
    #[error("{says}")]
    struct Failure {
        says: &'static str,
        source: Option<Box<Self>>,
    }

    fn failure(says: &[&'static str]) -> Option<Box<Failure>> {
        let (says, rest) = says.split_first()?;
        Some(Box::new(Failure { says, source: failure(rest) }))
    }

    #[test]
    fn an_answer_is_reported_by_its_code_and_message() {
        let status = kube::core::Status::failure("leases is forbidden", "Forbidden").with_code(403);
        let error = kube::Error::Api(Box::new(status));
        assert_eq!(causes(&error), "403 leases is forbidden");
        let lease = LeaseError::NotRenewed {
            name: "closehaul".to_owned(),
            deadline: std::time::Duration::from_secs(10),
            source: Some(Box::new(error)),
        };
        let text = causes(&lease);
        assert!(text.ends_with("in time: 403 leases is forbidden"), "{text}");
    }

    #[test]
    fn an_answer_of_megabytes_is_cut() {
        let status =
            kube::core::Status::failure(&"no ".repeat(1 << 20), "Forbidden").with_code(403);
        let text = causes(&kube::Error::Api(Box::new(status)));
        assert!(text.len() < 5000 && text.ends_with("bytes more)"), "{}", text.len());
    }

    #[test]
    fn each_cause_is_reported_once() {
        for (says, whole) in [
            (&["a"][..], "a"),
            (
                &["create slice a", "no connection", "refused"],
                "create slice a: no connection: refused",
            ),
            (&["cannot use x: no such file", "no such file"], "cannot use x: no such file"),
        ] {
            assert_eq!(causes(&*failure(says).unwrap()), whole);
        }
    }
}
