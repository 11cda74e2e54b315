//! Every command and every file on the page of worked examples, and the command that explains a Service:
//! what is printed there is what the command prints. `CLOSEHAUL_UPDATE=1` writes the pages again.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::{env, fmt::Write as _, fs, path::Path, process::Command};

const PAGE: &str = "docs/examples.md";
/// Another page with a command.
const EXPLAIN: &str = "docs/explain.md";

/// The page as it should be: after each command what it prints, and in each block of YAML the file that the
/// line before names.
fn rendered(page: &str) -> String {
    let (mut text, mut file, mut lines) = (String::new(), None, page.lines());
    while let Some(line) = lines.next() {
        text += line;
        text.push('\n');
        if let Some(link) = line.strip_suffix("):") {
            file = link.rsplit_once('(').map(|(_, path)| format!("docs/{path}"));
        }
        let block = match line {
            "```yaml" => Some(fs::read_to_string(root().join(file.take().unwrap())).unwrap()),
            "```console" => {
                let command = lines.next().unwrap();
                Some(format!("{command}\n{}", printed(command)))
            }
            _ => None,
        };
        if let Some(block) = block {
            writeln!(text, "{}\n```", block.trim_end()).unwrap();
            lines.find(|line| *line == "```").unwrap();
        }
    }
    text
}

fn printed(command: &str) -> String {
    let words: Vec<_> = command.split_whitespace().collect();
    assert_eq!(words[..2], ["$", "closehaul"], "{command}");
    let mut closehaul = Command::new(env!("CARGO_BIN_EXE_closehaul"));
    let output = closehaul.args(&words[2..]).current_dir(root()).env_clear().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{command}: {error}");
    String::from_utf8(output.stdout).unwrap() + &error
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a page, which is written again if that is asked for.
#[track_caller]
fn checked(page: &str) -> String {
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let rendered = rendered(&text);
    if env::var_os("CLOSEHAUL_UPDATE").is_some() {
        fs::write(&path, &rendered).unwrap();
    }
    assert_eq!(text, rendered, "{page} is out of date: CLOSEHAUL_UPDATE=1 writes it again");
    text
}

#[test]
fn the_page_shows_what_is_printed() {
    let page = checked(PAGE);
    // Otherwise the page is not what this test takes it for.
    let count = |start: &str| page.lines().filter(|line| *line == start).count();
    assert_eq!((count("```console"), count("```yaml")), (8, 6));
    for file in fs::read_dir(root().join("docs/examples")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&format!("(examples/{name})")), "{PAGE} does not name {name}");
    }
}

#[test]
fn the_explanation_is_what_is_printed() {
    assert!(checked(EXPLAIN).contains("```console"));
}
