//! Token file: a bearer token out of a file, which is read again once a minute.
//!
//! This replaces kube's reader, which refuses every request if the file ends with a line break, as
//! `echo` writes it. client-go trims it (`transport/token_source.go`).

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, header::AUTHORIZATION};

/// How old a token may be. The kubelet renews it when a fifth of its life is left.
const FRESH: Duration = Duration::from_secs(60);

/// The token of a file.
#[derive(Clone, Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    known: Arc<Mutex<(HeaderValue, Instant)>>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub(crate) struct TokenError {
    path: PathBuf,
    reason: String,
}

impl TokenFile {
    /// # Errors
    /// The file cannot be read, or has no token.
    pub(crate) fn new(path: PathBuf) -> Result<Self, TokenError> {
        match read(&path) {
            Ok(header) => Ok(Self { path, known: Arc::new(Mutex::new((header, Instant::now()))) }),
            Err(reason) => Err(TokenError { path, reason }),
        }
    }

    /// The request with the token.
    pub(crate) fn authorize<B>(&self, mut request: Request<B>) -> Request<B> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.1.elapsed() >= FRESH {
            // A token that was read once is still good if its file has gone.
            if let Ok(header) = read(&self.path) {
                known.0 = header;
            }
            known.1 = Instant::now();
        }
        request.headers_mut().insert(AUTHORIZATION, known.0.clone());
        request
    }
}

fn read(path: &PathBuf) -> Result<HeaderValue, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let token = text.trim();
    if token.is_empty() {
        return Err("it is empty".to_owned());
    }
    let header = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut header = header.map_err(|_| "it has a line break or a control character".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}
