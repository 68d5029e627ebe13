//! What a call of a tool is answered: the text in pieces, the part for programs, and what can be known of a failure.

use std::fmt;

use serde_json::{Map, Value};
use tokio_util::bytes::Bytes;

/// What a call is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It is done, or has failed.
    Answer(Answer),
    /// It is not done: the client has to answer questions first, and to call again with its answers.
    InputRequired(InputRequired),
}

/// What a call answers that has come to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// For the model to read.
    pub text: Pieces,
    /// A JSON object for programs, already encoded and without a newline; `None` for an error.
    pub structured: Option<Pieces>,
    /// Whether it is a failure that the model may be able to mend.
    pub is_error: bool,
    /// What a program can know of a failure of the database, by member.
    pub failure: Option<Box<Value>>,
}

/// What a client has to answer before its call can go on (MCP 2026-07-28, multi round-trip requests).
#[derive(Debug, Clone, PartialEq)]
pub struct InputRequired {
    /// The questions by name, each a request of the protocol: its method and its parameters.
    pub requests: Map<String, Value>,
    /// What the client has to send back as it is.
    pub state: Option<String>,
}

/// A text in pieces, none of which is moved when others are put before or after it.
#[derive(Debug, Clone, Default)]
pub struct Pieces(Vec<Piece>);

/// A piece of a text.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Of this text alone.
    Text(String),
    /// Rows as JSON, which another text has too: they are in memory once.
    Rows(Bytes),
}

/// A text up to this length, in bytes, is copied to the end of the piece before it.
const COPIED_BYTES_MAX: usize = 4 << 10;

impl Pieces {
    /// Put a text after all others.
    pub fn push(&mut self, text: impl Into<String> + AsRef<str>) {
        match self.0.last_mut() {
            Some(Piece::Text(last)) if text.as_ref().len() <= COPIED_BYTES_MAX => last.push_str(text.as_ref()),
            _ => self.0.push(Piece::Text(text.into())),
        }
    }

    /// Put rows after all others.
    pub fn push_rows(&mut self, rows: Bytes) {
        self.0.push(Piece::Rows(rows));
    }

    /// Put all of another text after this one.
    pub fn append(&mut self, other: Self) {
        for piece in other.0 {
            match piece {
                Piece::Text(text) => self.push(text),
                rows @ Piece::Rows(_) => self.0.push(rows),
            }
        }
    }

    /// Put a text before all others.
    pub fn push_front(&mut self, text: String) {
        self.0.insert(0, Piece::Text(text));
    }

    /// Whether it ends with a newline.
    pub fn is_line(&self) -> bool {
        self.chunks().rfind(|chunk| !chunk.is_empty()).is_some_and(|last| last.ends_with(b"\n"))
    }

    fn chunks(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Rows(rows) => rows,
        })
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::iter::Map<std::vec::IntoIter<Piece>, fn(Piece) -> Bytes>;

    /// The bytes of each piece; they are not copied.
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|piece| match piece {
            Piece::Text(text) => Bytes::from(text),
            Piece::Rows(rows) => rows,
        })
    }
}

impl From<String> for Pieces {
    fn from(text: String) -> Self {
        Self(vec![Piece::Text(text)])
    }
}

impl fmt::Display for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rows are JSON, so they are UTF-8.
        self.chunks().try_for_each(|chunk| f.write_str(&String::from_utf8_lossy(chunk)))
    }
}

/// By what they say, in whatever pieces.
impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        self.chunks().flatten().eq(other.chunks().flatten())
    }
}

impl Answer {
    /// The text, whole.
    pub fn whole_text(&self) -> String {
        self.text.to_string()
    }

    /// A failure, said so that the model can do better.
    pub fn error(text: impl Into<String>) -> Self {
        Self { text: Pieces::from(text.into()), structured: None, is_error: true, failure: None }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}
