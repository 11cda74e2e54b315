//! The control plane's certificates and keys, new for each run.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::Error;

/// Where the files are.
#[derive(Debug)]
pub(super) struct Certificates {
    /// The certificate authority that clients trust.
    pub(super) ca: PathBuf,
    /// The serving certificate of all components.
    pub(super) certificate: PathBuf,
    /// Its key.
    pub(super) key: PathBuf,
    /// The key that signs service account tokens.
    pub(super) service_account_key: PathBuf,
    /// Its public half, which verifies them.
    pub(super) service_account_public_key: PathBuf,
}

impl Certificates {
    /// Creates them in `directory`, for servers reached at `addresses` or at localhost.
    pub(super) fn create(directory: &Path, addresses: &[IpAddr]) -> Result<Self, Error> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "closehaul-e2e");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let ca = authority.self_signed(&authority_key)?;

        let mut names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
            .map(str::to_owned)
            .to_vec();
        names.extend(addresses.iter().map(ToString::to_string));
        let mut serving = CertificateParams::new(names)?;
        serving.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        serving.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        serving.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let serving_key = KeyPair::generate()?;
        let issuer = Issuer::from_params(&authority, &authority_key);
        let certificate = serving.signed_by(&serving_key, &issuer)?;

        let service_account = KeyPair::generate()?;
        let write = |name: &str, content: String| {
            let path = directory.join(name);
            fs::write(&path, content).map_err(Error::file(&path))?;
            Ok::<_, Error>(path)
        };
        Ok(Self {
            ca: write("ca.crt", ca.pem())?,
            certificate: write("serving.crt", certificate.pem())?,
            key: write("serving.key", serving_key.serialize_pem())?,
            service_account_key: write("service-account.key", service_account.serialize_pem())?,
            service_account_public_key: write(
                "service-account.pub",
                service_account.public_key_pem(),
            )?,
        })
    }
}
