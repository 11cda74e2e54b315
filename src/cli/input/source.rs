//! Source: files, directories and standard input as texts, and texts as documents.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::read::MultiGzDecoder;

use super::{
    super::progress::Progress,
    InputError, encoding, json,
    tree::Tree,
    yaml::{self, Fault},
};

/// How files are read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The namespace of objects that name none.
    pub namespace: &'a str,
    /// Whether the subdirectories of a directory are read too.
    pub is_recursive: bool,
    /// The most bytes of one file, after decompression.
    pub max_bytes: u64,
}

/// What one file holds.
#[derive(Debug)]
pub(super) struct Text {
    /// The name of the file in messages.
    pub(super) name: Arc<str>,
    content: String,
}

/// Files, and what was skipped.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<PathBuf>,
    pub(super) notes: Vec<String>,
}

/// The files that are meant. Those of a directory are sorted by name.
pub(super) fn files(given: &[PathBuf], reading: Reading<'_>) -> Result<Found, InputError> {
    let mut found = Found::default();
    for file in given {
        if is_stdin(file) || !file.is_dir() {
            found.files.push(file.clone());
            continue;
        }
        let (before, mut folders) = (found.files.len(), Vec::new());
        let entries = found.directory(file, reading.is_recursive, &mut folders);
        entries.map_err(|source| unreadable(file, source))?;
        if found.files.len() == before {
            let has_folders = !folders.is_empty();
            return Err(InputError::Empty { directory: file.clone(), has_folders });
        }
        if let Some(first) = folders.first() {
            let more = match folders.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = first.display();
            found.notes.push(format!("skipped the directory {first}{more}; -R reads them too"));
        }
    }
    Ok(found)
}

impl Found {
    /// Adds the files of a directory, sorted. Subdirectories that are not read are added to
    /// `folders`. A link to a directory is not followed: it may lead back.
    fn directory(
        &mut self,
        directory: &Path,
        is_recursive: bool,
        folders: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_unstable_by_key(fs::DirEntry::path);
        for entry in entries {
            let path = entry.path();
            if path.is_dir() {
                if !is_recursive {
                    folders.push(path);
                } else if entry.file_type()?.is_symlink() {
                    let path = path.display();
                    self.notes
                        .push(format!("skipped {path}: a link to a directory; name it with -f"));
                } else {
                    self.directory(&path, is_recursive, folders)?;
                }
            } else if is_known(&path) {
                // A pipe without a writer would wait indefinitely. A broken link is reported on reading.
                if fs::metadata(&path).is_ok_and(|data| !data.is_file()) {
                    self.notes.push(format!("skipped {}: not a regular file", path.display()));
                } else {
                    self.files.push(path);
                }
            }
        }
        Ok(())
    }
}

/// Checks that standard input is read once at most, by all options together.
pub fn check_stdin(options: &[&[PathBuf]]) -> Result<(), InputError> {
    let files = options.iter().copied().flatten();
    if files.filter(|file| is_stdin(file)).count() > 1 {
        return Err(InputError::StdinTwice);
    }
    Ok(())
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// Whether a file of a directory is read, by the end of its name.
fn is_known(path: &Path) -> bool {
    matches!(&*ending(path), "yaml" | "yml" | "json")
}

/// The end of a file's name in small letters, without that of compressed files.
fn ending(path: &Path) -> String {
    let of = |path: &Path| path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
    let ending = of(path).unwrap_or_default();
    if ending == "gz" { of(&path.with_extension("")).unwrap_or_default() } else { ending }
}

/// Reads a file, or standard input.
pub(super) fn text(file: &Path, max_bytes: u64, progress: &Progress) -> Result<Text, InputError> {
    let name = name(file).into();
    progress.read(&name, 0, 0);
    let content = if is_stdin(file) {
        content(io::stdin().lock(), max_bytes)
    } else {
        File::open(file).and_then(|open| content(open, max_bytes))
    };
    match content {
        Ok(Some(content)) => Ok(Text { name, content }),
        Ok(None) => Err(InputError::TooLarge { file: name, mebibytes: max_bytes >> 20 }),
        Err(source) => Err(unreadable(Path::new(&*name), source)),
    }
}

/// The name of a file in messages.
pub(super) fn name(file: &Path) -> String {
    if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() }
}

/// The text that is read, decompressed; nothing if it is too long.
fn content(from: impl Read, max_bytes: u64) -> io::Result<Option<String>> {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    let limit = max_bytes.saturating_add(1);
    if from.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(from).take(limit).read_to_end(&mut bytes)?;
    } else {
        from.take(limit).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > max_bytes {
        return Ok(None);
    }
    encoding::text(bytes).map(Some).map_err(io::Error::other)
}

fn unreadable(file: &Path, source: io::Error) -> InputError {
    InputError::Unreadable { file: file.to_owned(), source }
}

/// The documents of a text. Empty ones are not counted. Files with any name may contain JSON or
/// YAML.
pub(super) fn documents(text: &Text, progress: &Progress) -> Result<Vec<Tree>, InputError> {
    let content = encoding::without_marks(&text.content);
    let said = |fault: Fault| syntax(text, fault);
    let read = |bytes| progress.read(&text.name, bytes, content.len());
    read(0);
    if !content.trim_start().starts_with(['{', '[', '"']) {
        return yaml::documents(&content, &read).map_err(said);
    }
    // A YAML document may open with a brace too, so JSON is only tried first.
    let fault = match json::documents(&content) {
        Ok(documents) => return Ok(documents),
        Err(fault) => fault,
    };
    if fault.problem.starts_with("duplicate key") {
        return Err(said(fault));
    }
    yaml::documents(&content, &read)
        .map_err(|of_yaml| said(if is_json(text) { fault } else { of_yaml }))
}

fn is_json(text: &Text) -> bool {
    ending(Path::new(&*text.name)) == "json"
}

fn syntax(text: &Text, Fault { document, problem }: Fault) -> InputError {
    let problem = problem.lines().next().unwrap_or_default().to_owned();
    let file = text.name.clone();
    if text.content.contains("{{") {
        return InputError::Template { file, document, problem };
    }
    InputError::Syntax { file, document, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Tree {
        json::documents(text).unwrap().remove(0)
    }

    fn of(content: &str, is_json: bool) -> Result<Vec<Tree>, String> {
        let name = if is_json { "a.json" } else { "a" };
        let text = Text { name: name.into(), content: content.to_owned() };
        documents(&text, &Progress::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn documents_of_either_kind() {
        let two = vec![json(r#"{"a": 1}"#), json(r#"{"b": "2"}"#)];
        assert_eq!(of("a: 1\n---\nb: '2'\n", false), Ok(two.clone()));
        assert_eq!(
            of("---\n# nothing\n---\na: 1\n---\n---\nb: \"2\"\n...\n", false),
            Ok(two.clone())
        );
        assert_eq!(of("{\"a\": 1}\n{\"b\": \"2\"}", false), Ok(two.clone()));
        assert_eq!(of("{\"a\": 1}{\"b\": \"2\"}", true), Ok(two.clone()));
        assert_eq!(of("{a: 1}\n--- {b: '2'}", false), Ok(two));
        assert_eq!(of("", false), Ok(vec![]));
    }

    #[test]
    fn anchors_and_plain_values() {
        let yaml = "a: &x {q: yes}\nb: *x\nd: 76e1234567\nf: '010'";
        let expected = r#"{"a": {"q": true}, "b": {"q": true}, "d": "76e1234567", "f": "010"}"#;
        assert_eq!(of(yaml, false), Ok(vec![json(expected)]));
    }

    #[test]
    fn logs_between_lists_are_passed_over() {
        let logs = "==== START logs for container main of pod a/b ====\n{not json\n==== END logs for container main of pod a/b ====\n";
        let text = format!("{{\"a\": 1}}\n{logs}{logs}{{\"b\": \"2\"}}\n{logs}");
        assert_eq!(of(&text, false).map(|documents| documents.len()), Ok(2));
    }

    #[test]
    fn errors_name_document_line_and_column() {
        let error = of("a: 1\n---\nb: [1\n", false).unwrap_err();
        assert!(error.starts_with("a, document 2: ") && error.contains("line 3"), "{error}");
        let error = of("{\"a\": 1}\n{\"b\": ]", true).unwrap_err();
        assert!(error.contains("document 2") && error.contains("line 2 column 7"), "{error}");
        for text in ["a: 1\na: 2\n", r#"{"a": 1, "a": 2}"#, r#"{"b": [{"a": 1, "a": 2}]}"#] {
            let error = of(text, false).unwrap_err();
            assert!(error.contains("duplicate key `a`"), "{error}");
        }
    }
}
