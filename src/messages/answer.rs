//! The reply to a call of a tool: text in pieces, structured content for programs, and the facts of a failure.

use std::fmt;

use serde_json::{Map, Value};
use tokio_util::bytes::Bytes;

/// The reply to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The call has succeeded or failed.
    Answer(Answer),
    /// The call is not done. The client has to answer questions, and to call again with the answers.
    InputRequired(InputRequired),
}

/// The answer of a call that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text for the model.
    pub text: Pieces,
    /// A JSON object for programs, encoded already and without a newline. `None` for an error, and where the operator wants none.
    pub structured: Option<Pieces>,
    /// Whether it is a failure, which the model may be able to correct.
    pub is_error: bool,
    /// The facts of a failure, for programs.
    pub failure: Option<Box<Value>>,
}

/// What a client has to answer before its call can go on (MCP 2026-07-28, multi round-trip requests).
#[derive(Debug, Clone, PartialEq)]
pub struct InputRequired {
    /// The questions by name. Each is a request of the protocol, with its method and parameters.
    pub requests: Map<String, Value>,
    /// The state that the client has to send back unchanged.
    pub state: Option<String>,
}

/// A text in pieces. Adding text before or after it moves no piece.
#[derive(Debug, Clone, Default)]
pub struct Pieces(Vec<Piece>);

/// A piece of a text.
#[derive(Debug, Clone)]
pub enum Piece {
    /// A piece of this text only.
    Text(String),
    /// Rows as JSON. Another text may have the same rows, which are in memory once.
    Rows(Bytes),
}

/// A text of at most this many bytes is copied to the end of the piece before it.
const COPIED_BYTES_MAX: usize = 4 << 10;

impl Pieces {
    /// Add a text at the end.
    pub fn push(&mut self, text: impl Into<String> + AsRef<str>) {
        match self.0.last_mut() {
            Some(Piece::Text(last)) if text.as_ref().len() <= COPIED_BYTES_MAX => last.push_str(text.as_ref()),
            _ => self.0.push(Piece::Text(text.into())),
        }
    }

    /// Add rows at the end.
    pub fn push_rows(&mut self, rows: Bytes) {
        self.0.push(Piece::Rows(rows));
    }

    /// Add another text at the end.
    pub fn append(&mut self, other: Self) {
        for piece in other.0 {
            match piece {
                Piece::Text(text) => self.push(text),
                rows @ Piece::Rows(_) => self.0.push(rows),
            }
        }
    }

    /// Add a text at the beginning.
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

/// Two texts are equal if their bytes are, whatever their pieces are.
impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        self.chunks().flatten().eq(other.chunks().flatten())
    }
}

impl Answer {
    /// The whole text.
    pub fn whole_text(&self) -> String {
        self.text.to_string()
    }

    /// A failure with this text for the model.
    pub fn error(text: impl Into<String>) -> Self {
        Self { text: Pieces::from(text.into()), structured: None, is_error: true, failure: None }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}
