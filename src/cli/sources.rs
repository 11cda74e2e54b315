//! Sources: where a command that only reads gets the objects of a cluster: files, or a running cluster,
//! with changes laid over them.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::{
    connection::{ConnectError, Connection},
    input::{self, InputError, Reading},
    live::{self, LiveError},
    say::say,
    snapshot::Snapshot,
};
use crate::plain::plain;

/// Where objects come from, and for which time.
#[derive(Args, Debug)]
pub struct Sources {
    /// Read objects from a file, a directory (its .yaml, .yml and .json) or - (standard input)
    ///
    /// As often as there are files. Services, Pods, Nodes, EndpointSlices, Namespaces and
    /// closehaul's policies and evacuations count, as `kubectl get … -o yaml` prints them:
    /// documents or Lists, YAML or JSON. Other kinds are skipped.
    #[arg(short, long, value_name = "FILE|DIR|-", env = "CLOSEHAUL_FILENAME", hide_env = true)]
    filename: Vec<PathBuf>,

    /// Read the subdirectories of directories too, as `kubectl cluster-info dump` writes them
    #[arg(short = 'R', long, env = "CLOSEHAUL_RECURSIVE", hide_env = true)]
    recursive: bool,

    /// The most that is read from one file, after decompression, in MiB
    #[arg(
        long,
        value_name = "MIB",
        value_parser = clap::value_parser!(u32).range(1..),
        default_value_t = 256,
        env = "CLOSEHAUL_MAX_INPUT",
        hide_env = true
    )]
    max_input: u32,

    /// Lay objects over those that were read, from a file, a directory or -: what if?
    ///
    /// Each replaces the object of its kind, namespace and name, or joins the others. A Service may
    /// leave out what the API server sets. As often as there are files.
    #[arg(long, value_name = "FILE|DIR|-", env = "CLOSEHAUL_WITH", hide_env = true)]
    with: Vec<PathBuf>,

    /// The time for which to plan, such as 2026-01-02T03:04:05Z [default: now]
    ///
    /// It decides which evacuations are over.
    #[arg(long, value_name = "TIME", env = "CLOSEHAUL_AT", hide_env = true)]
    at: Option<Timestamp>,
}

/// What was read.
pub(super) struct Read {
    /// The cluster.
    pub(super) snapshot: Snapshot,
    /// Whether it comes from files.
    pub(super) from_files: bool,
}

/// Why there is nothing to work with.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The files cannot be used. What they contain must not hide or forge lines.
    #[error("{}", plain(&.0.to_string()))]
    Input(InputError),
    /// The cluster cannot be read.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// No cluster.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl From<InputError> for ReadError {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

impl ReadError {
    /// Whether the user must change the command or the files.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Input(_) => true,
            Self::Live(LiveError::Connect(error)) | Self::Connect(error) => error.is_usage(),
            Self::Live(_) => false,
        }
    }
}

impl Sources {
    /// Whether files are given, so that no cluster is read.
    pub(super) fn are_files(&self) -> bool {
        !self.filename.is_empty()
    }

    /// Reads everything, and says what should be known about it. `namespace` is the one to which
    /// objects in files belong that name none, and `listed` the only one to read of a running cluster.
    pub(super) async fn read(
        &self,
        connection: &Connection,
        namespace: Option<&str>,
        listed: Option<&str>,
    ) -> Result<Read, ReadError> {
        input::check_stdin(&[&self.filename, &self.with])?;
        let reading = Reading {
            namespace: namespace.unwrap_or("default"),
            is_recursive: self.recursive,
            max_bytes: u64::from(self.max_input) << 20,
        };
        let with =
            if self.with.is_empty() { None } else { Some(input::read(&self.with, reading)?) };
        let (mut objects, mut notes, mut kinds) = if self.are_files() {
            let input = input::read(&self.filename, reading)?;
            let notes = input.notes().iter().map(|note| plain(note)).collect();
            (input.objects, notes, Some(input.kinds))
        } else {
            let needs = with.as_ref().map(|with| with.objects.rules.needs()).unwrap_or_default();
            let (objects, notes) = live::list(connection, listed, needs).await?;
            (objects, notes, None)
        };
        if let Some(with) = with {
            notes.extend(with.notes().iter().map(|note| plain(note)));
            objects.lay_over(with.objects);
            if let Some(kinds) = &mut kinds {
                kinds.extend(with.kinds);
            }
        }
        if let Some(kinds) = kinds {
            notes.extend(input::assume(&mut objects, &kinds));
        }
        notes.extend(objects.note());
        for note in notes {
            say(note);
        }
        let snapshot = Snapshot::of(objects, self.at.unwrap_or_else(Timestamp::now));
        Ok(Read { snapshot, from_files: self.are_files() })
    }
}
