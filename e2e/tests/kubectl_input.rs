//! What kubectl prints is what `closehaul plan` reads: label values that look like numbers, dates or
//! booleans, of which kubectl prints many without quotes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use closehaul::random::Random;
use e2e::{
    closehaul::{self as command, Profile},
    components::{self, Component},
};
use serde_json::{Value, json};

const SEED: u64 = 17;
const VALUES: usize = 10_000;

/// What YAML may take for something else than a text.
const WORDS: [&str; 24] = [
    "y", "Y", "n", "N", "yes", "No", "ON", "off", "true", "False", "null", "Null", "NULL", "nan",
    "NaN", "inf", "Infinity", "0x", "0b", "0o", "1e", "e1", "0", "",
];

fn text(random: &mut Random, letters: &str, longest: u32) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let most = u32::try_from(letters.len() - 1).unwrap();
    let letter = |random: &mut Random| letters[random.within(0..=most) as usize];
    (0..random.within(1..=longest)).map(|_| letter(random)).collect()
}

/// A label value, if the API server takes it.
fn value(random: &mut Random) -> Option<String> {
    const DIGITS: &str = "0123456789";
    let value = match random.within(0..=7) {
        0 => WORDS[random.within(0..=23) as usize].to_owned(),
        // A commit.
        1 => format!("{:07x}", random.within(0..=0xfff_ffff)),
        2 => format!("{}e{}", text(random, DIGITS, 5), text(random, DIGITS, 4)),
        3 => text(random, DIGITS, 40),
        4 => {
            let start = ["0x", "0o", "0b", "0"][random.within(0..=3) as usize];
            format!("{start}{}", text(random, "01234567_89abcdefABCDEF", 8))
        }
        5 => format!("{}.{}", text(random, DIGITS, 3), text(random, "0123456789eE._", 5)),
        6 => format!(
            "{:04}-{:02}-{:02}",
            random.within(0..=2999),
            random.within(0..=13),
            random.within(0..=32)
        ),
        _ => text(random, "0123456789abcdefxoABEXTZ._-", 12),
    };
    let is_end = |char: Option<char>| char.is_none_or(|char| char.is_ascii_alphanumeric());
    let ends = is_end(value.chars().next()) && is_end(value.chars().next_back());
    (ends && value.len() <= 63).then_some(value)
}

/// What a program prints that reads `input`.
fn printed(program: &Path, args: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn label_values_survive_kubectl() {
    let closehaul = command::build(Profile::Dev).await.unwrap();
    let ensure = || components::ensure(&[Component::Kubectl]);
    let components = tokio::task::spawn_blocking(ensure).await.unwrap().unwrap();
    let mut random = Random::seeded(SEED);
    let values = std::iter::repeat_with(|| value(&mut random)).flatten().take(VALUES);
    let labels: BTreeMap<_, _> =
        values.enumerate().map(|(at, value)| (format!("l{at}"), value)).collect();
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "a", "namespace": "default", "labels": labels},
        "spec": {"clusterIP": "10.96.0.1", "selector": {"a": "b"}, "ports": [{"port": 80}]},
    });

    let args = ["annotate", "--local", "-f", "-", "a=b", "-o", "yaml"];
    let yaml = printed(components.path(Component::Kubectl), &args, &service.to_string());
    let plain = yaml.lines().filter(|line| line.starts_with("    l") && !line.contains('"'));
    assert!(plain.count() > VALUES / 10, "kubectl quotes nearly all of them");
    // Without a list of pods, nothing would be planned.
    let input = format!("{yaml}---\n{{apiVersion: v1, kind: PodList, items: []}}\n");
    let slices = printed(&closehaul, &["plan", "-f", "-", "-o", "json"], &input);

    let slices: Value = serde_json::from_str(&slices).unwrap();
    let found = &slices["items"][0]["metadata"]["labels"];
    let changed: Vec<_> = labels.iter().filter(|(key, value)| found[*key] != **value).collect();
    assert!(changed.is_empty(), "{changed:?}");
}
