//! Hostile files: whatever is in a file, `closehaul plan` ends soon, with the right exit code, in
//! little memory, and with nothing on the terminal that could hide or forge a line.
//!
//! `CLOSEHAUL_HOSTILE_FILES` says how many are tried. A file depends on its number alone.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use closehaul::random::Random;

use super::command::text;

const FILES: u64 = 200;
/// On a machine with much else to do, too.
const LONGEST: Duration = Duration::from_secs(60);
/// In KiB, as `ulimit` takes it.
const MEMORY: u64 = 1 << 20;

fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.bits() % end.max(1) as u64).unwrap()
}

fn one<'a>(random: &mut Random, of: &[&'a str]) -> &'a str {
    of[below(random, of.len())]
}

fn byte(random: &mut Random) -> u8 {
    random.bits().to_le_bytes()[0]
}

/// Texts that a terminal would do something with, as YAML and JSON write them.
const TEXTS: &[&str] = &[
    "\"\\u001b[2J\\u001b[1;1Hgone\"",
    "\"a\\nerror: forged\\r\"",
    "\"\\u202egnp.exe\\u2066\"",
    "\"\\u009b2J\\u0000\\u0007\\u007f\"",
    "\"\u{85}\u{2028}\u{200b}\u{e0001}\"",
];

/// What stands in place of a value.
const VALUES: &[&str] = &[
    "\"\\e[2J\\e[1;1Hgone\"",
    "\"a\\nerror: forged\\r\"",
    "\"\\u202egnp.exe\\u2066\"",
    "\"\\x9b2J\\0\\x07\"",
    "'\u{85}\u{2028}\u{200b}'",
    "~",
    "[]",
    "{}",
    "[[{}]]",
    "-1",
    "65536",
    "1e999",
    ".inf",
    "0x",
    "99999999999999999999999999",
    "yes",
    "!!binary AAAA",
    "!!int x",
    "!<tag:example.com,2026:x> y",
    "&a [*a]",
    "*nothing",
    "{<<: 7}",
    "{<<: [{a: b}, [c]]}",
    "{{ .Values.name }}",
    "{? [a, b] : c}",
    "\"\\ud800\"",
    "@",
    "|",
    "%",
];

/// What stands between lines.
const LINES: &[&str] = &[
    "---",
    "...",
    "%YAML 9.9",
    "%TAG ! tag:example.com,2026:",
    "\t",
    "\u{feff}",
    "metadata: {name: \"\\e[31m\"}",
    "kind: \"Pod\\u001b]0;title\\u0007\"",
    "apiVersion: v1\nkind: \"\\n\\e[1A\\r\"",
    "{\"a\": 1, \"a\": 2}",
    "items: null",
    "? ",
    "- - - - -",
    "==== START logs for container",
];

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}

/// Deep, wide and long values.
fn large(random: &mut Random) -> String {
    let count = 1 << below(random, 17);
    match below(random, 8) {
        0 => "[".repeat(count),
        1 => "{a: ".repeat(count),
        2 => "- ".repeat(count),
        3 => "x".repeat(count * 8),
        4 => lines(count, |at| format!("k{at}: v")),
        5 => lines(count, |at| format!("a{at}: &a{at} [*a{}]", at.saturating_sub(1))),
        6 => {
            let more = lines(count.min(64), |at| {
                let last = [format!("*a{at}").as_str(); 9].join(", ");
                format!("a{}: &a{} [{last}]", at + 1, at + 1)
            });
            format!("a0: &a0 [x]\n{more}")
        }
        _ => {
            let ports = (0..count).map(|at| format!("{{name: p{at}, port: {at}}}"));
            let ports = ports.collect::<Vec<_>>().join(", ");
            format!(
                "---\n{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {{ports: [{ports}]}}}}\n"
            )
        }
    }
}

/// Changes a text in one way.
fn mutate(text: &mut String, random: &mut Random) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = below(random, lines.len());
    if lines.is_empty() {
        return;
    }
    match below(random, 8) {
        0..3 => {
            let value = one(random, VALUES);
            let kept = lines[at].find(": ").map_or(0, |end| end + 2);
            lines[at] = format!("{}{value}", &lines[at][..kept]);
        }
        3 => lines.insert(at, one(random, LINES).to_owned()),
        4 => lines.insert(at, large(random)),
        5 => {
            let other = below(random, lines.len());
            lines.swap(at, other);
        }
        6 => lines.truncate(at),
        _ => {
            let again = lines[at..].iter().take(20).cloned().collect::<Vec<_>>();
            lines.extend(again);
        }
    }
    *text = lines.join("\n");
}

/// Changes bytes, whatever they mean.
fn garble(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    match below(random, 10) {
        0 => {
            for _ in 0..8 {
                let at = below(random, bytes.len());
                bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte(random));
            }
        }
        1 => bytes.truncate(below(random, bytes.len())),
        2 | 3 => {
            let text = String::from_utf8(bytes).unwrap();
            let is_little = below(random, 2) == 0;
            let order = if is_little { u16::to_le_bytes } else { u16::to_be_bytes };
            bytes = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(order).collect();
            bytes.truncate(bytes.len() - below(random, 2));
        }
        4 | 5 => {
            if below(random, 2) == 0 {
                bytes.resize(1 << 26, b' ');
            }
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&bytes).unwrap();
            bytes = gzip.finish().unwrap();
            let cut = bytes.len() - below(random, 20);
            bytes.truncate(cut);
        }
        6 => bytes = (0..below(random, 4096)).map(|_| byte(random)).collect(),
        _ => {}
    }
    bytes
}

/// A file that is read, with hostile names in it.
fn readable(random: &mut Random) -> Vec<u8> {
    let mut text = text("shop.yaml");
    for (before, word) in [("", "zone-a"), ("", "zone-b"), ("name: ", "http,"), ("tier: ", "web")] {
        let hostile = format!("{before}{}", one(random, TEXTS));
        let end = if word.ends_with(',') { "," } else { "" };
        text = text.replace(&format!("{before}{word}"), &format!("{hostile}{end}"));
    }
    let kind = one(random, TEXTS);
    let other = format!("{{apiVersion: v1, kind: {kind}, metadata: {{name: {kind}}}}}");
    text.extend(["\n---\n", &other, "\n"]);
    text.into_bytes()
}

fn file(number: u64) -> Vec<u8> {
    let random = &mut Random::seeded(number);
    if below(random, 3) == 0 {
        return readable(random);
    }
    let bases = ["shop.yaml", "real.yaml", "field/dump.txt", "field/plain-labels.yaml"];
    let mut text = text(one(random, &bases));
    for _ in 0..=below(random, 4) {
        mutate(&mut text, random);
    }
    garble(text.into_bytes(), random)
}

/// Runs `closehaul plan` on a file with a limit on memory, and ends it if it takes too long.
fn run(path: &Path, output: &str) -> Option<Output> {
    let script = format!("ulimit -v {MEMORY}; exec \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_closehaul"), "plan", "--max-input", "16"])
        .args(["-o", output, "-f"])
        .arg(path)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdout = thread::spawn(move || {
        let mut all = Vec::new();
        out.read_to_end(&mut all).map(|_| all).unwrap()
    });
    let stderr = thread::spawn(move || {
        let mut all = Vec::new();
        err.read_to_end(&mut all).map(|_| all).unwrap()
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if start.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    Some(Output { status: status?, stdout, stderr })
}

/// Whether a terminal would do something with it other than show it.
fn is_raw(char: char) -> bool {
    let is_hidden = matches!(char, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0001}');
    (char.is_control() && char != '\n') || is_hidden
}

#[test]
fn hostile_files_do_no_harm() {
    let files = std::env::var("CLOSEHAUL_HOSTILE_FILES").map_or(FILES, |it| it.parse().unwrap());
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = directory.join(format!("hostile-\u{1b}[2J\u{202e}-{}.yaml", std::process::id()));
    let outputs = ["table", "wide", "summary", "changes", "json", "yaml", "html"];
    let (mut read, mut refused) = (0, 0);
    for number in 0..files {
        fs::write(&path, file(number)).unwrap();
        let output = outputs[usize::try_from(number % 7).unwrap()];
        let done = run(&path, output).unwrap_or_else(|| panic!("file {number}: takes too long"));
        let out = String::from_utf8(done.stdout).unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        match done.status.code() {
            Some(0) => read += 1,
            Some(2) => {
                refused += 1;
                assert_eq!(out, "", "file {number}");
                let last = err.lines().last().unwrap_or_default();
                assert!(last.starts_with("error: "), "file {number}: {err}");
            }
            _ => panic!("file {number}: {:?}: {err}", done.status),
        }
        for text in [&out, &err] {
            let raw = text.find(is_raw).map(|at| text[at..].chars().take(40).collect::<String>());
            assert_eq!(raw, None, "file {number}, -o {output}");
        }
    }
    fs::remove_file(&path).unwrap();
    // Both happen, so both are tried.
    assert!(read >= files / 5 && refused >= files / 5, "{read} read, {refused} refused");
}
