//! TLS error: what is wrong with a server's certificate, in plain words and with what to do.

use std::{error::Error, io};

use rustls::{CertificateError, Error as TlsError};

/// How tokio-rustls says that the server closed the connection.
const HANDSHAKE_ENDED: &str = "tls handshake eof";

/// What the error means, if it is one of TLS that a user can do something about.
pub fn words(error: &(dyn Error + 'static)) -> Option<String> {
    let error = innermost(error);
    if error.to_string() == HANDSHAKE_ENDED {
        return Some(
            "the server ended the TLS handshake; does it speak TLS at this address, or should the \
             kubeconfig's server begin with http:// or have another port?"
                .to_owned(),
        );
    }
    match error.downcast_ref::<TlsError>()? {
        TlsError::InvalidCertificate(error) => Some(certificate(error)),
        TlsError::InvalidMessage(_) => Some(
            "the server does not speak TLS at this address; should the kubeconfig's server begin \
             with http://, or have another port?"
                .to_owned(),
        ),
        TlsError::AlertReceived(alert) => Some(format!(
            "the server refuses the connection ({alert:?}); has the client certificate of the \
             kubeconfig expired, or is it for another cluster?"
        )),
        _ => None,
    }
}

/// What an I/O error wraps. It hides that from the chain of sources, and often wraps another one.
fn innermost<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = inner;
    }
    error
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::InvalidPurpose => {
            "the server's certificate is from an authority that is not trusted; set \
             certificate-authority in the kubeconfig to that of this cluster, or does a proxy \
             intercept the connection?"
                .to_owned()
        }
        CertificateError::NotValidForName => {
            "the server's certificate is for another name; correct the kubeconfig's server, or set \
             its tls-server-name"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is not for {}, but for {}; correct the kubeconfig's server, or \
             set its tls-server-name to one of these names",
            expected.to_str(),
            if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") },
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired; renew it on the server, or is the clock of this \
             machine wrong?"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; is the clock of this machine wrong?"
                .to_owned()
        }
        other => format!("the server's certificate cannot be used: {other}"),
    }
}
