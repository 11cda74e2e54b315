//! Plugin error: what a credential plugin did wrong, in its own words. kube would show its command
//! with the environment, and its output as a list of bytes.

use std::error::Error;

use kube::client::AuthError;

use crate::plain::plain;

/// What the plugin did wrong, if the error is that of a plugin.
pub fn words(error: &AuthError) -> Option<String> {
    match error {
        AuthError::AuthExecStart(error) => Some(error.to_string()),
        AuthError::AuthExecRun { out, .. } => {
            let words = String::from_utf8_lossy(&out.stderr);
            let words = Some(words.trim()).filter(|words| !words.is_empty());
            let said = words.map_or_else(String::new, |words| format!(": {}", plain(words)));
            Some(format!("{}{said}", out.status))
        }
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            Some("it printed no ExecCredential with a status".to_owned())
        }
        _ => None,
    }
}

/// The error of a plugin that was run again for a new token, when the old one had expired. A
/// request fails with it, and what wraps it repeats its text.
pub(crate) fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a AuthError> {
    let boxed = || error.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
    match error.downcast_ref().or_else(boxed) {
        Some(kube::Error::Auth(error)) => Some(error),
        Some(kube::Error::Service(error)) => error.downcast_ref(),
        _ => error.downcast_ref(),
    }
}
