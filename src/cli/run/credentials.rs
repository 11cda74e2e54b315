//! Credentials: whether the kubeconfig, or a certificate or key that it names, has changed since the
//! clients were created from it.
//!
//! The kube client reads a service account's token and CA again every minute, and a kubeconfig's
//! `tokenFile` too. It reads nothing else again: after a rotation, a standby would be refused
//! forever, and a leader from its next connection on. The process then exits, and starts again with
//! what is valid.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use kube::Config;
use tokio::time::sleep;
use tracing::debug;

use crate::cli::connection::Connection;

/// Between two looks. A change counts once two of them in a row have seen the same: files are
/// replaced one after another.
const EVERY: Duration = Duration::from_secs(60);

/// What the clients were created from.
pub(super) struct Credentials {
    connection: Connection,
    known: u64,
}

impl Credentials {
    /// `config` was read from `connection`.
    pub(super) fn new(connection: Connection, config: &Config) -> Self {
        Self { connection, known: fingerprint(config) }
    }

    /// Ends when they have changed and the new ones can be used.
    pub(super) async fn changed(self) {
        let mut seen = None;
        loop {
            sleep(EVERY).await;
            let now = self.now().await.filter(|now| *now != self.known);
            if now.is_some() && now == seen {
                return;
            }
            seen = now;
        }
    }

    /// The fingerprint of what is there now, if a client can be created from it. Otherwise the
    /// process continues with what it has: the next start would fail.
    async fn now(&self) -> Option<u64> {
        let unusable = |error: String| debug!(error, "the kubeconfig cannot be used at the moment");
        let found = self.connection.find().await.map_err(|error| unusable(error.to_string()));
        let found = found.ok()?;
        found.client().map_err(|error| unusable(error.to_string())).ok()?;
        Some(fingerprint(&found.config))
    }
}

/// A hash of all that a client is created from and does not read again by itself.
fn fingerprint(config: &Config) -> u64 {
    let mut hasher = DefaultHasher::new();
    config.cluster_url.to_string().hash(&mut hasher);
    (config.accept_invalid_certs, &config.tls_server_name).hash(&mut hasher);
    config.proxy_url.as_ref().map(ToString::to_string).hash(&mut hasher);
    if config.root_cert_file.is_none() {
        config.root_cert.hash(&mut hasher);
    }
    let auth = &config.auth_info;
    // As a value, since its maps are in order.
    serde_json::to_value(auth).unwrap_or_default().to_string().hash(&mut hasher);
    for file in [&auth.client_certificate, &auth.client_key].into_iter().flatten() {
        fs::read(file).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;
    use serde_json::{Value, json};
    use tokio::{task::JoinHandle, time::advance};

    use super::*;

    const CA: &str = "-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUPh2ottwDafl3WSPgv2MnDlKo7cYwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDY2ExMCAXDTI2MTEyNzExNDUwN1oYDzIxMjYxMTAzMTE0NTA3
WjAOMQwwCgYDVQQDDANjYTEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ+uQW9
HD67HMMBVD7o4N8JfawP5lsW9MTFcGg15eFBt+7EXPZBqwOLCGcVValUvTrv4gmu
bHr+f2AhxBAKi4Soo1MwUTAdBgNVHQ4EFgQUjm8emiIltV45Pa72YnPgRIAFo28w
HwYDVR0jBBgwFoAUjm8emiIltV45Pa72YnPgRIAFo28wDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiEA+olnNKXiSfxLX6RgLeBwHcgjM69wEQHH8ZfV
pNTnCyoCIFoVliEx6vx6joKFJ0WGQhzGfeQDvz5gFV54ElQjLqXj
-----END CERTIFICATE-----
";
    const OTHER_CA: &str = "-----BEGIN CERTIFICATE-----
MIIBdDCCARmgAwIBAgIUexQdx/iwP1r3a3YVgwbykL2XGdEwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDY2EyMCAXDTI2MTEyNzExNDUwN1oYDzIxMjYxMTAzMTE0NTA3
WjAOMQwwCgYDVQQDDANjYTIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT0Jhg9
c+pTRXNsKWhiMXwy+N6kCv4Gw13y0X4RqzqYPvLjLb9XsKO8vudcSj2BLVBfWILa
j6K4dInnMXEfLtxlo1MwUTAdBgNVHQ4EFgQUIN53nkjfvQDb0kFxNNtYlPo8aYcw
HwYDVR0jBBgwFoAUIN53nkjfvQDb0kFxNNtYlPo8aYcwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNJADBGAiEAwzXr3ERgGEuWMnX40spGCUtCPi58ES4bFbie
Uv8B4e8CIQDkgPg0+11q+LOpzlWBQVMWCAsdILpCVfhBRY/xhg8p+Q==
-----END CERTIFICATE-----
";

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        connection: Connection,
    }

    /// A directory with a kubeconfig and what it names.
    struct Files(PathBuf);

    impl Files {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            let files = Self(directory);
            files.write("ca.pem", CA);
            files.write("token", "one");
            files.write("kubeconfig", &kubeconfig().to_string());
            files
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).unwrap();
        }

        /// Waits for a change.
        async fn watch(&self) -> JoinHandle<()> {
            let file = self.0.join("kubeconfig");
            let arguments = ["x", "--kubeconfig", file.to_str().unwrap()];
            let connection = Arguments::parse_from(arguments).connection;
            let config = connection.find().await.unwrap().config;
            tokio::spawn(Credentials::new(connection, &config).changed())
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn kubeconfig() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {
                "server": "https://127.0.0.1:1", "certificate-authority": "ca.pem"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"tokenFile": "token"}}],
        })
    }

    /// Lets so many minutes pass.
    async fn pass(minutes: u32) {
        for _ in 0..minutes {
            advance(EVERY).await;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_ca_ends_the_wait_once_it_is_complete() {
        let files = Files::new("rotated-ca");
        let wait = files.watch().await;
        pass(10).await;
        assert!(!wait.is_finished());
        files.write("ca.pem", &OTHER_CA[..100]);
        pass(10).await;
        assert!(!wait.is_finished(), "it is not complete");
        files.write("ca.pem", &format!("{CA}{OTHER_CA}"));
        pass(1).await;
        files.write("ca.pem", OTHER_CA);
        pass(1).await;
        assert!(!wait.is_finished(), "it may change once more");
        pass(1).await;
        assert!(wait.is_finished());
    }

    /// The client reads a file with a token again by itself.
    #[tokio::test(start_paused = true)]
    async fn a_new_token_counts_where_it_is_in_the_kubeconfig() {
        let files = Files::new("rotated-token");
        let wait = files.watch().await;
        files.write("token", "two");
        pass(3).await;
        assert!(!wait.is_finished());
        let mut kubeconfig = kubeconfig();
        kubeconfig["users"][0]["user"] = json!({"token": "three"});
        files.write("kubeconfig", &kubeconfig.to_string());
        pass(2).await;
        assert!(wait.is_finished());
    }

    /// What does not concern the context in use.
    #[tokio::test(start_paused = true)]
    async fn another_user_of_the_kubeconfig_does_not_count() {
        let files = Files::new("other-user");
        let wait = files.watch().await;
        let mut kubeconfig = kubeconfig();
        let other = json!({"name": "v", "user": {"token": "three"}});
        kubeconfig["users"].as_array_mut().unwrap().push(other);
        files.write("kubeconfig", &kubeconfig.to_string());
        pass(3).await;
        assert!(!wait.is_finished());
    }
}
