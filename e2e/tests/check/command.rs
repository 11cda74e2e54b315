//! The command, and what it printed.

use std::path::Path;

use e2e::cluster::Cluster;

/// What one run of the command printed.
pub struct Checked {
    /// Standard output, with names for what differs from run to run.
    pub text: String,
    pub stderr: String,
    pub code: Option<i32>,
}

impl Checked {
    /// Runs the command with a kubeconfig.
    pub async fn run(binary: &Path, cluster: &Cluster, kubeconfig: &str, args: &[&str]) -> Self {
        // The last of two counts.
        let mut command = tokio::process::Command::new(binary);
        let kubeconfig =
            if args.contains(&"--kubeconfig") { &[][..] } else { &["--kubeconfig", kubeconfig] };
        let output = command.arg("check").args(kubeconfig).args(args).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let text = text.replace(cluster.url(), "https://192.0.2.10:6443");
        Self {
            text: text.replace(&format!("the lease: {}\n", host.trim()), "the lease: cp-1\n"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }

    /// Prints it to the log of the test.
    pub fn show(&self, what: &str) {
        eprintln!("=== check: {what}\n{}{}", self.text, self.stderr);
    }

    /// No check failed.
    pub fn passed(&self) {
        assert_eq!(self.code, Some(0), "{}{}", self.text, self.stderr);
        assert!(!self.text.contains("\nerror  "), "{}", self.text);
    }

    /// At least one check failed.
    pub fn failed(&self) {
        assert_eq!(self.code, Some(1), "{}{}", self.text, self.stderr);
        assert!(self.stderr.contains("failed; the links above say what to do"), "{}", self.stderr);
    }

    /// How many checks there are.
    pub fn lines(&self) -> usize {
        let is_line =
            |line: &&str| ["ok     ", "warning", "error  "].iter().any(|it| line.starts_with(it));
        self.text.lines().filter(is_line).count()
    }

    /// The check ended so, its detail contains these words, and there is a link if it is not well.
    pub fn says(&self, outcome: &str, name: &str, words: &str) {
        let head = format!("{outcome:<7} {name}");
        let mut lines = self.text.lines().skip_while(|line| !line.starts_with(&head));
        let first = lines.next().unwrap_or_else(|| panic!("no line `{head}`:\n{}", self.text));
        let more = lines.take_while(|line| line.starts_with("    ")).map(str::trim);
        let all = std::iter::once(first).chain(more).collect::<Vec<_>>().join(" ");
        assert!(all.contains(words), "`{words}` is not in: {all}");
        let link = format!("docs/check.md#{}", name.to_lowercase().replace(' ', "-"));
        assert!(outcome == "ok" || all.ends_with(&link), "{all}");
    }
}
