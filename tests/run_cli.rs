//! `closehaul run` as a process: its standard error, its probes and its signals. There is no API
//! server, only a port where nothing listens, or where nothing answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running controller; dropping it kills it.
struct Running {
    child: Child,
    health: u16,
    kubeconfig: PathBuf,
}

impl Running {
    /// Starts one whose API server would be at `port`; the shell adds `redirection`.
    fn start(name: &str, port: u16, redirection: &str) -> Self {
        let name = format!("run-{name}-{}.yaml", std::process::id());
        let kubeconfig = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        });
        fs::write(&kubeconfig, config.to_string()).unwrap();
        let health = free_port();
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("exec \"$@\" {redirection}"), "sh"])
            .args([env!("CARGO_BIN_EXE_closehaul"), "run", "-v4", "--metrics-bind-address=0"])
            .arg(format!("--health-probe-bind-address=127.0.0.1:{health}"))
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut running = Self { child, health, kubeconfig };
        let began = Instant::now();
        while running.ask("/livez").is_err() {
            assert!(began.elapsed() < 20 * SECOND, "it does not answer");
            assert_eq!(running.child.try_wait().unwrap(), None, "it has ended");
            sleep(SECOND / 20);
        }
        running
    }

    /// The status line of an answer.
    fn ask(&self, path: &str) -> std::io::Result<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.health))?;
        connection.set_read_timeout(Some(5 * SECOND))?;
        connection.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it ends.
    fn wait(&mut self, limit: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < limit, "still running after {limit:?}");
            sleep(SECOND / 100);
        }
    }

    /// What it has printed on standard error.
    fn errors(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.kubeconfig);
    }
}

/// A full disk, a descriptor that is closed, and a pipe whose reader has gone.
#[test]
fn a_log_that_nothing_takes_does_not_end_the_controller() {
    for (name, redirection) in [("full", "2>/dev/full"), ("closed", "2>&-"), ("pipe", "")] {
        // Nothing listens there, which is logged repeatedly.
        let mut running = Running::start(name, free_port(), redirection);
        drop(running.child.stderr.take());
        sleep(2 * SECOND);
        assert!(running.is_running(), "{name}");
        assert!(running.ask("/livez").unwrap().contains("200"), "{name}");
        running.signal("TERM");
        assert_eq!(running.wait(10 * SECOND).code(), Some(0), "{name}");
    }
}

/// The last messages of a command that fails before it runs.
#[test]
fn an_error_that_nothing_takes_is_no_panic() {
    for redirection in ["2>/dev/full", "2>&-"] {
        let script = format!("exec \"$@\" {redirection}");
        let status = Command::new("/bin/sh")
            .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_closehaul")])
            .args(["plan", "-f", "/nonexistent/file"])
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(2), "{redirection}");
    }
}

/// What was requested on standard output, when that is closed or its reader has gone.
#[test]
fn a_reader_that_has_gone_ends_a_plan_quietly() {
    let pods = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}}";
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("run-plan.yaml");
    fs::write(&file, pods).unwrap();
    for script in ["\"$@\" >&-; echo $? >&2", "{ \"$@\"; echo $? >&2; } | true"] {
        let output = Command::new("/bin/sh")
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_closehaul"), "plan", "-f"])
            .arg(&file)
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.ends_with("0\n") && !errors.contains("panicked"), "{script}: {errors}");
    }
    fs::remove_file(file).unwrap();
}

/// A server that accepts connections and never answers: releasing the lease waits for it.
#[test]
fn a_stop_takes_ten_seconds_at_most_and_a_second_signal_ends_it() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = deaf.local_addr().unwrap().port();
    let mut patient = Running::start("patient", port, "");
    patient.signal("TERM");
    let asked = Instant::now();
    for (first, second, code) in [("TERM", "TERM", 143), ("TERM", "INT", 130)] {
        let mut running = Running::start("second", port, "");
        running.signal(first);
        sleep(SECOND);
        assert!(running.is_running(), "it waits for the API server");
        running.signal(second);
        let signalled = Instant::now();
        assert_eq!(running.wait(5 * SECOND).code(), Some(code));
        assert!(signalled.elapsed() < 2 * SECOND, "{:?}", signalled.elapsed());
        let errors = running.errors();
        assert!(errors.contains(&format!("got SIG{second} while stopping")), "{errors}");
    }
    assert_eq!(patient.wait(10 * SECOND).code(), Some(0));
    assert!(asked.elapsed() < 11 * SECOND, "{:?}", asked.elapsed());
}

#[test]
fn idle_connections_fail_no_probe_and_do_not_add_up() {
    let running = Running::start("idle", free_port(), "2>/dev/null");
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(("127.0.0.1", running.health)).unwrap());
    }
    // On a busy machine it accepts them a little later.
    let descriptors = format!("/proc/{}/fd", running.child.id());
    let began = Instant::now();
    let mut files = 0;
    while files < 200 && began.elapsed() < 5 * SECOND {
        files = fs::read_dir(&descriptors).unwrap().count();
        sleep(SECOND / 100);
    }
    let began = Instant::now();
    for _ in 0..5 {
        assert!(running.ask("/livez").unwrap().contains("200"));
    }
    let took = began.elapsed();
    assert!(took < 5 * SECOND, "{took:?}");
    assert!((200..320).contains(&files), "{files} open files");
}

/// Rates and times beyond what clocks can show would mean no limit, or a panic later.
#[test]
fn a_flag_out_of_range_is_refused_by_name() {
    let refused = |flag: &str, value: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_closehaul"))
            .args(["run", "--kubeconfig=/nonexistent", &format!("{flag}={value}")])
            .env_clear()
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag}={value}: {errors}");
        assert!(errors.contains(flag) && errors.contains(value), "{flag}={value}: {errors}");
        errors
    };
    for flag in ["--kube-api-qps", "--replan-qps"] {
        for value in ["1e-20", "1e-19", "-1", "1e300", "NaN"] {
            let errors = refused(flag, value);
            assert!(errors.contains("from 0.001 to 1000000"), "{errors}");
        }
    }
    refused("--kube-api-burst", "4294967296");
    for flag in [
        "--leader-elect-lease-duration",
        "--leader-elect-renew-deadline",
        "--leader-elect-retry-period",
        "--endpointslice-updates-batch-period",
    ] {
        let errors = refused(flag, "9223372036854775807s");
        assert!(errors.contains("more than a year"), "{errors}");
    }
}
