//! Dumps: pods as `kubectl get pods -o yaml` prints them, about 13 kB each, with what an application of
//! two containers has: environment, probes, volumes, and statuses.

use std::{env, fs, hint::black_box, path::PathBuf};

use closehaul::cli::input::{self, Reading};
use granit_parser::Parser;

/// An item of a list, whose name and UID end in NUMBER.
const POD: &str = include_str!("pod.yaml");

/// A List of so many pods.
pub fn text(pods: usize) -> String {
    let pods = (0..pods).map(|number| POD.replace("NUMBER", &format!("{number:012}")));
    format!("apiVersion: v1\nitems:\n{}kind: List\n", pods.collect::<String>())
}

/// What the parser of YAML does by itself.
pub fn scan(text: &str) {
    for event in Parser::new_from_str(text) {
        drop(black_box(event.expect("YAML")));
    }
}

/// A dump in a file, removed at the end.
pub struct Dump(PathBuf);

impl Dump {
    /// A List of so many pods.
    pub fn new(pods: usize) -> Self {
        let path = env::temp_dir().join(format!("closehaul-dump-{}.yaml", std::process::id()));
        fs::write(&path, text(pods)).expect("a file");
        Self(path)
    }

    /// Reads it as `closehaul plan -f` does.
    pub fn read(&self) {
        let reading = Reading { namespace: "default", is_recursive: false, max_bytes: 1 << 30 };
        let read = input::read(std::slice::from_ref(&self.0), reading).expect("pods");
        black_box(read);
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
