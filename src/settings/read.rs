//! Reads the files of the settings. A file must be text, a regular file, and of limited size. Other files could block
//! for ever or never end, so they are refused before anything is read.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::{Secret, WatchedFile};

/// A larger file is not a file of settings.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The longest time to wait for the writer of a pipe.
const PIPE_WAIT: Duration = Duration::from_secs(10);

/// Who has named a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedBy {
    /// Nobody: it was found in the working folder.
    Nobody,
    /// A setting in a file or in the environment.
    Setting,
    /// A flag of the command line. Such a file may be a pipe, for example `<(command)` of a shell.
    Flag,
}

/// The texts of pipes that flags name. A pipe can be read only once, but the settings are loaded again after each
/// change of a file.
#[derive(Clone, Debug, Default)]
pub struct Pipes(Arc<Mutex<BTreeMap<PathBuf, Secret>>>);

/// The files that were read for one load.
pub(super) struct Files<'a> {
    /// The files that can be watched: all except pipes.
    pub(super) followed: Vec<WatchedFile>,
    pipes: &'a Pipes,
}

impl<'a> Files<'a> {
    pub(super) fn new(pipes: &'a Pipes) -> Self {
        Self { followed: Vec::new(), pipes }
    }

    /// The text of a file. The file is watched from now on.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn text(&mut self, path: &Path, named: NamedBy) -> Result<String, Unreadable> {
        let is_pipe = || fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo());
        if named == NamedBy::Flag && is_pipe() {
            return self.pipes.text(path);
        }
        if let Some(known) = self.followed.iter().find(|known| known.path == path).and_then(|known| known.text.clone())
        {
            return Ok(known);
        }
        let text = regular(path).and_then(decode);
        let is_named = named != NamedBy::Nobody;
        self.followed.push(WatchedFile { path: path.to_owned(), text: text.as_ref().ok().cloned(), is_named });
        text
    }
}

impl Pipes {
    fn text(&self, path: &Path) -> Result<String, Unreadable> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(path) {
            return Ok(text.expose().to_owned());
        }
        let (tell, told) = mpsc::channel();
        let pipe = path.to_owned();
        // Opening it waits for its writer. If the writer never comes, this thread stays until the process ends.
        std::thread::spawn(move || tell.send(File::open(pipe).and_then(bounded)));
        let bytes = told.recv_timeout(PIPE_WAIT).map_err(|_| Unreadable::Silent)??;
        let text = decode(within_bounds(bytes)?)?;
        known.insert(path.to_owned(), Secret::new(text.as_str()));
        Ok(text)
    }
}

fn regular(path: &Path) -> Result<Vec<u8>, Unreadable> {
    // Opened in non-blocking mode, because a pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(Unreadable::Folder);
    } else if !kind.is_file() {
        return Err(Unreadable::NotRegular(if kind.is_fifo() { "a pipe" } else { "a device" }));
    }
    within_bounds(bounded(file)?)
}

/// At most one byte more than the limit.
fn bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn within_bounds(bytes: Vec<u8>) -> Result<Vec<u8>, Unreadable> {
    if bytes.len() as u64 > FILE_BYTES_MAX { Err(Unreadable::TooLarge) } else { Ok(bytes) }
}

fn decode(bytes: Vec<u8>) -> Result<String, Unreadable> {
    // UTF-16 is recognised by its byte order mark, or by a zero byte beside the first character.
    if matches!(bytes.as_slice(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..]) {
        return Err(Unreadable::Utf16);
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        Unreadable::NotUtf8 { line, lossy: String::from_utf8_lossy(error.as_bytes()).into_owned() }
    })
}

/// Why a file cannot be read as text.
#[derive(Debug)]
pub(super) enum Unreadable {
    Io(io::Error),
    Folder,
    /// It is not a regular file; the text says what it is.
    NotRegular(&'static str),
    TooLarge,
    Utf16,
    NotUtf8 {
        /// The first line that is not UTF-8.
        line: usize,
        /// The text, with U+FFFD in place of invalid bytes.
        lossy: String,
    },
    /// A pipe that has delivered nothing in time.
    Silent,
}

impl Unreadable {
    /// Whether the file does not exist.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Io(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
            other => matches!(other, Self::Folder),
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Folder => f.write_str("it is a folder"),
            Self::NotRegular(what) => write!(f, "it is {what} and no regular file; only a flag may name a pipe"),
            Self::TooLarge => write!(f, "it has more than {FILE_BYTES_MAX} bytes"),
            Self::Utf16 => f.write_str("it is UTF-16: save it as UTF-8"),
            Self::NotUtf8 { line, .. } => write!(f, "its line {line} is not UTF-8"),
            Self::Silent => write!(f, "it is a pipe, and nobody wrote to it and closed it within {PIPE_WAIT:?}"),
        }
    }
}
