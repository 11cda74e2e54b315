//! Place: where something is in the input, and the errors that report it.

use std::{fmt, path::PathBuf, sync::Arc};

use super::tree::Tree;
use crate::api::field::FieldError;

/// Where an object is: file, document, and the item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: Arc<str>,
    document: usize,
    items: Vec<usize>,
    object: Option<String>,
}

/// What is wrong with the input.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file or directory that cannot be read.
    #[error("cannot read {}: {source}; check the path given with -f", file.display())]
    Unreadable {
        /// Which one.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A directory without files to read.
    #[error("{}: no file here ends in .yaml, .yml or .json{}; name a file or another directory with -f", directory.display(), folders(*has_folders))]
    Empty {
        /// Which one.
        directory: PathBuf,
        /// Whether there are subdirectories, which were not read.
        has_folders: bool,
    },
    /// More than may be read.
    #[error("{file}: is larger than {mebibytes} MiB; raise --max-input if that is meant")]
    TooLarge {
        /// The file.
        file: Arc<str>,
        /// How much may be read.
        mebibytes: u64,
    },
    /// Files without any object.
    #[error(
        "{files}: no object to read; give what `kubectl get services,pods,nodes,endpointslices -A -o yaml` prints"
    )]
    NoObjects {
        /// Which files.
        files: String,
    },
    /// A template of Helm.
    #[error(
        "{file}, document {document}: this is a template (it contains `{{{{`); render it first with `helm template`, or correct the syntax: {problem}"
    )]
    Template {
        /// The file.
        file: Arc<str>,
        /// The document in it, counted from 1.
        document: usize,
        /// What is wrong, with line and column.
        problem: String,
    },
    /// Standard input was named more than once.
    #[error("`-` is given twice: standard input can be read only once")]
    StdinTwice,
    /// Text that is neither YAML nor JSON.
    #[error("{file}, document {document}: {problem}; correct the syntax there")]
    Syntax {
        /// The file.
        file: Arc<str>,
        /// The document in it, counted from 1.
        document: usize,
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A field whose value cannot be understood.
    #[error("{place}: {}{problem}", lead(path))]
    Field {
        /// Where the object is.
        place: Box<Place>,
        /// The field in it, empty for the object itself.
        path: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// An object that occurs twice.
    #[error("{place}: the same object stands in {}; leave one of them out", first.position())]
    Twice {
        /// Where it appears the second time.
        place: Box<Place>,
        /// Where it appears the first time.
        first: Box<Place>,
    },
}

/// What is added about subdirectories.
fn folders(are_there: bool) -> &'static str {
    if are_there { " (-R reads its subdirectories too)" } else { "" }
}

/// The start of a message about a field.
fn lead(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl Place {
    /// A document of a file, counted from 1.
    pub(super) fn document(file: &Arc<str>, document: usize) -> Self {
        Self { file: file.clone(), document, items: Vec::new(), object: None }
    }

    /// An item of the list in this place, counted from 0.
    pub(super) fn item(&self, at: usize) -> Self {
        let mut place = self.clone();
        place.items.push(at);
        place
    }

    /// The same, with the name of the object in this place.
    pub(super) fn object(&self, kind: &str, document: &Tree) -> Self {
        let text = |key: &str| document["metadata"][key].as_str().filter(|text| !text.is_empty());
        let object = text("name").map(|name| match text("namespace") {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        });
        Self { object, ..self.clone() }
    }

    /// What is wrong with a field here.
    pub(super) fn error(&self, path: &str, problem: impl Into<String>) -> InputError {
        InputError::Field {
            place: Box::new(self.clone()),
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    /// The same, from an error that names the field.
    pub(super) fn because(&self, FieldError { path, problem }: FieldError) -> InputError {
        self.error(&path, problem)
    }

    /// File, document and item, without the name of the object.
    fn position(&self) -> String {
        let items = self.items.iter().map(ToString::to_string);
        let items = items.map(|at| [", items[", &at, "]"].concat()).collect::<String>();
        format!("{}, document {}{items}", self.file, self.document)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.position())?;
        match &self.object {
            Some(object) => write!(f, " ({object})"),
            None => Ok(()),
        }
    }
}
