//! A folder with kubeconfigs and what they name, and the command that reads them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

/// The result of a run.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub err: String,
}

impl Done {
    /// It reached the server, which has no objects.
    #[track_caller]
    pub fn reached(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert!(self.err.contains("nothing to do: there is no Service in "), "{self:?}");
    }

    /// It failed with one line that has all these words.
    #[track_caller]
    pub fn failed(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.says(words);
        assert_eq!(self.err.trim_end().lines().count(), 1, "{}", self.err);
    }

    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in: {}", self.err);
        }
    }
}

/// Removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("connect-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub fn path(&self) -> String {
        self.0.display().to_string()
    }

    /// Runs `closehaul plan` with the kubeconfig `config` and these variables.
    pub fn plan(&self, config: &Value, variables: &[(&str, &str)]) -> Done {
        let file = self.write("config", config.to_string());
        self.run(&["plan", "--kubeconfig", &file], variables)
    }

    /// Runs closehaul in a world without a cluster, but with these variables.
    pub fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> Done {
        let output = Command::new(env!("CARGO_BIN_EXE_closehaul"))
            .args(args)
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", self.0.join("home"))
            .env("PATH", "/usr/bin:/bin")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Done { code: output.status.code(), err: String::from_utf8(output.stderr).unwrap() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A kubeconfig with the context `here`, whose cluster and user are these.
pub fn config(cluster: &Value, user: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": cluster}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": user}],
    })
}

/// A kubeconfig for this server.
pub fn to(server: &str) -> Value {
    config(&json!({"server": server}), &json!({}))
}
