//! The documents: each section that a file cites exists, and each relative link leads somewhere.
//!
//! A citation is a page and the numbers of its sections, such as `docs/semantics.md 4.2, 10.3`. A
//! number is at the beginning of a heading. So no comment keeps citing a rule that gets another
//! number, or none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use closehaul::assess::reason::{Reason, State};

/// The text of the file at a path from the root of the repository; empty for a directory.
type Read<'r> = &'r dyn Fn(&Path) -> Option<String>;

/// The pages that a text mentions by path, each with the sections that it cites.
fn citations(text: &str) -> Vec<(String, Vec<String>)> {
    // A citation may continue on the next line, after the mark of a comment.
    let is_mark = |word: &&str| ["//", "///", "//!", "#"].contains(word);
    let words: Vec<&str> = text.split_whitespace().filter(|word| !is_mark(word)).collect();
    let pages = words.iter().enumerate().filter_map(|(at, word)| Some((at, page(word)?)));
    pages
        .map(|(at, (page, is_last))| {
            let numbers = if is_last { sections(&words[at + 1..]) } else { Vec::new() };
            (page, numbers)
        })
        .collect()
}

/// The page that a word names, and whether the word ends with it.
fn page(word: &str) -> Option<(String, bool)> {
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let (name, rest) = word.strip_prefix("docs/")?.split_once(".md")?;
    Some((format!("docs/{name}.md"), rest.is_empty()))
}

/// The section numbers with which `words` begin: `4.1 to 4.4, 10.3`.
fn sections(words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let is_number = |text: &str| text.split('.').all(|part| part.parse::<u8>().is_ok());
    for word in words.iter().filter(|word| !["to", "and"].contains(word)) {
        let number = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        if !is_number(number) {
            break;
        }
        found.push(number.to_owned());
        if !["", ","].contains(&&word[number.len()..]) {
            break;
        }
    }
    found
}

/// The lines of a document that are not in a code block.
fn prose(markdown: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    markdown.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The text of each heading.
fn headings(markdown: &str) -> impl Iterator<Item = &str> {
    prose(markdown).filter_map(|line| {
        let text = line.trim_start_matches('#');
        text.strip_prefix(' ').filter(|_| text.len() < line.len())
    })
}

/// The fragment by which GitHub links to a heading.
fn fragment(heading: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    heading.to_lowercase().chars().filter(is_kept).collect::<String>().replace(' ', "-")
}

/// What the relative links of a document lead to.
fn links(markdown: &str) -> Vec<String> {
    let text = prose(markdown).collect::<Vec<_>>().join("\n");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    targets.filter(|target| !target.contains(':')).map(str::to_owned).collect()
}

/// The citations of a text that lead nowhere.
fn broken_citations(text: &str, read: Read<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (page, sections) in citations(text) {
        let Some(markdown) = read(Path::new(&page)) else {
            broken.push(page);
            continue;
        };
        let exists = |section: &String| {
            headings(&markdown).any(|heading| heading.split(' ').next() == Some(section))
        };
        let missing = sections.into_iter().filter(|section| !exists(section));
        broken.extend(missing.map(|section| format!("{page} {section}")));
    }
    broken
}

/// The relative links that lead nowhere, of the document at `path`.
fn broken_links(path: &Path, read: Read<'_>) -> Vec<String> {
    let leads_somewhere = |link: &String| {
        let (file, part) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() { path.into() } else { path.with_file_name(file) };
        read(&target).is_some_and(|text| {
            part.is_empty() || headings(&text).any(|heading| fragment(heading) == part)
        })
    };
    let text = read(path).unwrap();
    links(&text).into_iter().filter(|link| !leads_somewhere(link)).collect()
}

// === the repository ===

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Option<String> {
    let path = root().join(path);
    path.exists().then(|| fs::read_to_string(path).unwrap_or_default())
}

/// The files below `directory` with these endings, as paths from the root; without build output.
fn files(directory: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(directory)).unwrap() {
        let entry = entry.unwrap();
        let path = directory.join(entry.file_name());
        let is_source = !["target", ".git"].contains(&entry.file_name().to_str().unwrap());
        if is_source && entry.file_type().unwrap().is_dir() {
            found.extend(files(&path, endings));
        } else if path.extension().is_some_and(|ending| endings.iter().any(|it| ending == *it)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_section_that_is_cited_exists() {
    let (mut count, mut broken) = (0, Vec::new());
    // The planted citations below do not belong to the repository.
    let files = files(Path::new(""), &["rs", "yaml", "md"]);
    for path in files.iter().filter(|path| *path != Path::new(file!())) {
        let text = read(path).unwrap();
        count += citations(&text).iter().map(|(_, sections)| sections.len()).sum::<usize>();
        let of_file = broken_citations(&text, &read);
        broken.extend(of_file.iter().map(|citation| format!("{}: {citation}", path.display())));
    }
    assert!(broken.is_empty(), "cited, and not there:\n{}", broken.join("\n"));
    assert!(count > 100, "{count} citations");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let (mut count, mut broken) = (0, Vec::new());
    for path in files(Path::new(""), &["md"]) {
        count += links(&read(&path).unwrap()).len();
        let of_file = broken_links(&path, &read);
        broken.extend(of_file.iter().map(|link| format!("{}: {link}", path.display())));
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    assert!(count > 50, "{count} links");
}

/// The list of reasons in the code is closed, and each has its place on the page that explains them.
#[test]
fn every_reason_and_state_is_explained_at_its_anchor() {
    let page = read(Path::new("docs/plan.md")).unwrap();
    let (states, reasons) = page.split_once("## Reasons").unwrap();
    let anchor = |word: &str| format!("<a id=\"{}\"></a>`{word}`", word.to_lowercase());
    let words: Vec<_> = Reason::ALL.iter().map(ToString::to_string).collect();
    for word in &words {
        assert_eq!(reasons.matches(&anchor(word)).count(), 1, "{word}");
    }
    assert_eq!(reasons.matches("<a id=").count(), words.len(), "a reason that is none");
    let rows = states.split_once("## States").unwrap().1;
    let rows = rows.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let explained: Vec<_> = rows.map(|(word, _)| word.to_owned()).collect();
    // The worst first, as they are ordered.
    assert_eq!(explained, State::ALL.map(|state| state.to_string()));
    assert!(State::ALL.is_sorted());
}

// === planted ===

const PAGE: &str = "# A page\n\n## 4 Slices\n\n### 4.2 The `last` one, packed\n\n\
                    ```\n# 5 is no heading\n```\n#6 neither\n";

fn planted(path: &Path) -> Option<String> {
    (path == Path::new("docs/page.md")).then(|| PAGE.to_owned())
}

#[test]
fn a_citation_is_read_in_every_form() {
    for (text, expected) in [
        ("(docs/page.md 4.2)", &["4.2"][..]),
        ("/// That is so (docs/page.md\n/// 4.2).", &["4.2"]),
        ("//! so (docs/page.md 4.1 to 4.4,\n//! 10.3), with numbers", &["4.1", "4.4", "10.3"]),
        ("/// docs/page.md 4.2, step 3: that", &["4.2"]),
        ("# so (docs/page.md 1, 3 and 5). 7 more", &["1", "3", "5"]),
        ("section: docs/page.md 4.4, 5.3\n  reason: 7", &["4.4", "5.3"]),
        ("`docs/page.md` has 4 of them", &[]),
        ("docs/page.md says 4", &[]),
    ] {
        let found = citations(text);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].0, "docs/page.md", "{text}");
        assert_eq!(found[0].1, expected, "{text}");
    }
}

#[test]
fn a_planted_citation_is_found() {
    let broken = |text: &str| broken_citations(text, &planted);
    assert!(broken("(docs/page.md 4, 4.2)").is_empty());
    assert_eq!(broken("(docs/page.md 4.2, 4.3)"), ["docs/page.md 4.3"]);
    assert_eq!(broken("docs/page.md 5 and 6"), ["docs/page.md 5", "docs/page.md 6"]);
    assert_eq!(broken("see docs/pages.md"), ["docs/pages.md"]);
}

#[test]
fn a_planted_link_is_found() {
    let broken = |text: &str| {
        let text = text.to_owned();
        let read = move |path: &Path| match path.to_str() {
            Some("docs/links.md") => Some(text.clone()),
            _ => planted(path),
        };
        broken_links(Path::new("docs/links.md"), &read)
    };
    assert!(broken("[a](page.md), [b](page.md#42-the-last-one-packed)").is_empty());
    assert!(broken("# Here\n[a](#here), [b](https://example.com/x)\n```\n[c](x)\n```").is_empty());
    assert_eq!(broken("[a](pages.md)"), ["pages.md"]);
    assert_eq!(broken("![a\nb](page.svg)"), ["page.svg"]);
    assert_eq!(broken("[a](page.md#42) [b](#here)"), ["page.md#42", "#here"]);
}
