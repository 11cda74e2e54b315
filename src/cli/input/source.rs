//! Source: files, directories and standard input as texts, and texts as documents.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use serde_saphyr::{UserMessageFormatter, options::NonFiniteFloatPolicy};

use super::InputError;

/// What one file holds.
#[derive(Debug)]
pub(super) struct Text {
    /// The name of the file in messages.
    pub(super) name: Arc<str>,
    content: String,
    is_json: bool,
}

/// The contents of all files. Those of a directory are sorted by name.
pub(super) fn texts(files: &[PathBuf]) -> Result<Vec<Text>, InputError> {
    let mut texts = Vec::new();
    for file in files {
        if is_stdin(file) {
            let mut content = String::new();
            let read = io::stdin().read_to_string(&mut content);
            read.map_err(|source| unreadable(Path::new("standard input"), source))?;
            texts.push(Text { name: "standard input".into(), content, is_json: false });
        } else if file.is_dir() {
            let entries = entries(file).map_err(|source| unreadable(file, source))?;
            if entries.is_empty() {
                return Err(InputError::Empty { directory: file.clone() });
            }
            for entry in entries {
                texts.push(text(&entry)?);
            }
        } else {
            texts.push(text(file)?);
        }
    }
    Ok(texts)
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

/// The files of a directory that are read, sorted. Subdirectories are skipped.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_known = path.extension().is_some_and(|end| {
            ["yaml", "yml", "json"].iter().any(|known| end.eq_ignore_ascii_case(known))
        });
        if is_known && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn text(file: &Path) -> Result<Text, InputError> {
    let content = fs::read_to_string(file).map_err(|source| unreadable(file, source))?;
    let is_json = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    Ok(Text { name: file.display().to_string().into(), content, is_json })
}

fn unreadable(file: &Path, source: io::Error) -> InputError {
    InputError::Unreadable { file: file.to_owned(), source }
}

/// The documents of a text. Empty ones are not counted.
pub(super) fn documents(text: &Text) -> Result<Vec<Value>, InputError> {
    if text.is_json {
        return json(text);
    }
    // A YAML document may open with a brace too, so JSON is only tried first.
    let opens_json = text.content.trim_start().starts_with('{');
    match opens_json.then(|| json(text)) {
        Some(Ok(documents)) => Ok(documents),
        _ => yaml(text),
    }
}

/// Any number of JSON documents, one after the other.
fn json(text: &Text) -> Result<Vec<Value>, InputError> {
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_str(&text.content).into_iter() {
        match document {
            Ok(Value::Null) => (),
            Ok(document) => documents.push(document),
            Err(error) => return Err(syntax(text, documents.len() + 1, &error.to_string())),
        }
    }
    Ok(documents)
}

/// YAML documents, with the types that Kubernetes gives to plain values: `yes` is a boolean and
/// `1e3` a number.
fn yaml(text: &Text) -> Result<Vec<Value>, InputError> {
    let options = serde_saphyr::options! {
        // The user decides how much there is to read. Copies that aliases create are still
        // limited.
        budget: None,
        // `76e1234567` is infinite as a number, and yet `kubectl` prints such a string without
        // quotes. It is an error only in a field that is read; see `strict`.
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let mut documents = Vec::new();
    let mut content = text.content.as_bytes();
    for document in serde_saphyr::read_with_options::<_, Value>(&mut content, options) {
        let said = |error: serde_saphyr::Error| error.render_with_formatter(&UserMessageFormatter);
        let document = document.map_err(|error| syntax(text, documents.len() + 1, &said(error)))?;
        documents.push(document);
    }
    Ok(documents)
}

fn syntax(text: &Text, document: usize, problem: &str) -> InputError {
    let problem = problem.lines().next().unwrap_or_default().to_owned();
    InputError::Syntax { file: text.name.clone(), document, problem }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(content: &str, is_json: bool) -> Result<Vec<Value>, String> {
        let text = Text { name: "a".into(), content: content.to_owned(), is_json };
        documents(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn documents_of_either_kind() {
        let two = vec![json!({"a": 1}), json!({"b": "2"})];
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
        let yaml = "a: &x {q: yes}\nb: *x\nc: 1e3\nd: 76e1234567\ne: 010\nf: '010'";
        let expected = json!({"a": {"q": true}, "b": {"q": true}, "c": 1000.0, "d": ".inf", "e": 10.0, "f": "010"});
        assert_eq!(of(yaml, false), Ok(vec![expected]));
    }

    #[test]
    fn errors_name_document_line_and_column() {
        let error = of("a: 1\n---\nb: [1\n", false).unwrap_err();
        assert!(error.starts_with("a, document 2: ") && error.contains("line 3"), "{error}");
        let error = of("{\"a\": 1}\n{\"b\": ]", true).unwrap_err();
        assert!(error.contains("document 2") && error.contains("line 2 column 7"), "{error}");
        let error = of("a: 1\na: 2\n", false).unwrap_err();
        assert!(error.contains("duplicate"), "{error}");
    }
}
