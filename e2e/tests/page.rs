//! The page of `closehaul plan -o html` in a real browser: its script sorts by every column, up and
//! down, and filters by words, state and reason.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

use std::{fs, path::Path, process::Stdio, time::Duration};

use e2e::{
    closehaul::{Profile, build},
    machine::{self, BROWSER},
};
use serde::Deserialize;
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, process::Command};

/// The browser starts in a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What a user does on the page, and what is seen after each step.
const STEPS: &str = r#"
  const table = document.getElementById("table");
  const form = document.getElementById("filter").elements;
  const rows = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => ({
    name: row.cells[0].querySelector("summary").textContent,
    reasons: row.dataset.r.split(" "),
    cells: [...row.cells].map((cell) => cell.dataset.v ?? cell.textContent),
  }));
  const seen = { all: rows(), sorted: [], filtered: [] };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    for (const order of ["ascending", "descending"]) {
      head.querySelector("button").click();
      seen.sorted.push({ column, order, said: head.getAttribute("aria-sort"), rows: rows() });
    }
  });
  const set = (values) => {
    for (const [name, value] of Object.entries({ text: "", state: "", reason: "", ...values })) {
      form[name].value = value;
      form[name].dispatchEvent(new Event("input", { bubbles: true }));
    }
    seen.filtered.push({ said: document.getElementById("shown").textContent, rows: rows() });
  };
  set({ text: "SHOP cart" });
  set({ state: "Partial" });
  set({ state: "Partial", reason: "ZoneEmpty" });
  set({ text: "nothing has this name" });
  set({});
  const out = document.createElement("pre");
  out.id = "seen";
  out.textContent = JSON.stringify(seen);
  document.body.append(out);
"#;

#[derive(Deserialize)]
struct Seen {
    all: Vec<Row>,
    sorted: Vec<Sorted>,
    filtered: Vec<Filtered>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Row {
    name: String,
    reasons: Vec<String>,
    cells: Vec<String>,
}

#[derive(Deserialize)]
struct Sorted {
    column: usize,
    order: String,
    said: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Filtered {
    said: String,
    rows: Vec<Row>,
}

/// Forty Services in two namespaces, in several states.
fn cluster() -> String {
    let mut items = Vec::new();
    for zone in ["zone-a", "zone-b", "zone-c"] {
        items.push(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": format!("node-{zone}"), "labels": {"topology.kubernetes.io/zone": zone}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }));
    }
    for at in 0..40 {
        let name = format!("{}-{at}", ["cart", "search", "pay"][at % 3]);
        let namespace = ["shop", "batch"][at % 2];
        let distribution = (at % 4 > 0).then_some("PreferSameZone");
        items.push(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace, "uid": name},
            "spec": {
                "clusterIP": format!("10.96.0.{}", at + 1), "ipFamilies": ["IPv4"],
                "selector": {"app": name}, "ports": [{"name": "http", "port": 80}],
                "trafficDistribution": distribution,
            },
        }));
        for pod in 0..(at * 7 % 11) {
            let address = format!("10.128.{at}.{}", pod + 1);
            items.push(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("{name}-{pod}"), "namespace": namespace, "labels": {"app": name}},
                "spec": {"nodeName": format!("node-zone-{}", ["a", "b", "c"][pod * at % 3])},
                "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                    "conditions": [{"type": "Ready", "status": "True"}]},
            }));
        }
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

async fn page() -> String {
    let command = build(Profile::Dev).await.unwrap();
    let mut child = Command::new(command)
        .args(["plan", "-f", "-", "-o", "html", "--at", "2026-06-01T10:00:00Z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(cluster().as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The document as it is after the steps.
async fn browse(file: &Path, home: &Path) -> String {
    let browser = Command::new(BROWSER.command)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", home.display()))
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, browser).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn seen() -> Seen {
    machine::prepare_tests().unwrap();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join("page.html");
    fs::write(&file, page().await + "<script>" + STEPS + "</script>").unwrap();
    let document = browse(&file, &directory.join("browser")).await;
    let (_, seen) =
        document.split_once("<pre id=\"seen\">").unwrap_or_else(|| panic!("{document}"));
    let (seen, _) = seen.split_once("</pre>").unwrap();
    let plain = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&plain).unwrap()
}

/// What rows are ordered by in a column.
fn key(row: &Row, column: usize) -> (f64, String) {
    const STATES: [&str; 6] = ["Ineffective", "Empty", "Partial", "Shadow", "Applied", "None"];
    let cell = &row.cells[column];
    match column {
        0 => (0.0, row.name.clone()),
        4 => {
            let at = STATES.iter().position(|state| state == cell).unwrap();
            (f64::from(u8::try_from(at).unwrap()), String::new())
        }
        6.. => (cell.parse().unwrap_or(-2.0), String::new()),
        _ => (0.0, cell.clone()),
    }
}

#[tokio::test]
async fn the_script_sorts_and_filters() {
    let Seen { all, sorted, filtered } = seen().await;
    assert_eq!((all.len(), sorted.len()), (40, 20));
    for Sorted { column, order, said, rows } in &sorted {
        assert_eq!(said, order);
        let keys: Vec<_> = rows.iter().map(|row| key(row, *column)).collect();
        let is_in_order = |pair: &[(f64, String)]| {
            if order == "ascending" { pair[0] <= pair[1] } else { pair[0] >= pair[1] }
        };
        assert!(keys.windows(2).all(is_in_order), "column {column}, {order}: {keys:?}");
        let mut names = [&all, rows].map(|rows| {
            let mut names: Vec<_> = rows.iter().map(|row| row.name.clone()).collect();
            names.sort();
            names
        });
        assert_eq!(std::mem::take(&mut names[0]), names[1], "no row is lost");
    }
    let expected: [fn(&Row) -> bool; 5] = [
        |row| row.name.starts_with("cart") && row.cells[1] == "shop",
        |row| row.cells[4] == "Partial",
        |row| row.cells[4] == "Partial" && row.reasons.iter().any(|it| it == "ZoneEmpty"),
        |_| false,
        |_| true,
    ];
    assert_eq!(filtered.len(), expected.len());
    for (at, (Filtered { said, rows }, is_expected)) in filtered.iter().zip(expected).enumerate() {
        let count = all.iter().filter(|row| is_expected(row)).count();
        assert!(rows.iter().all(is_expected), "step {at}");
        assert_eq!((rows.len(), said), (count, &format!("{count} of 40 shown")), "step {at}");
        assert!(count > 1 || at == 3, "step {at} shows something");
    }
}
