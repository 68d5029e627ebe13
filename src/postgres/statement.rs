//! The types that all modules use for a statement: how it is read, and its result.

use std::sync::Arc;

use tokio_postgres::Column;

use super::inbox::Notices;
use super::params;

/// The result of one statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    pub page: FinishedPage,
    /// How many rows it changed, if it is a statement that changes rows.
    pub rows_affected: Option<u64>,
    /// PostgreSQL's notices.
    pub notices: Notices,
}

/// How the result of a statement is read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The limits of the answer.
    pub limits: Limits,
    /// The format of its text.
    pub format: Format,
    /// A cell whose text is longer than this starts at this byte of it; with 0 all start at their beginning.
    pub cell_offset: usize,
}

/// The format of an answer's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `a | b`, a line under the header, one line for each row.
    #[default]
    Table,
    /// `{"columns": […], "rows": [[…]]}`.
    Json,
    /// RFC 4180; NULL is empty, an empty text is `""`.
    Csv,
    Markdown,
}

/// The limits of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub rows_max: usize,
    /// The size of the rows as JSON, in bytes. A first row of many cells may be larger: each cell has at least
    /// [`CELL_BYTES_MIN`].
    pub bytes_max: usize,
}

/// The limit that cut an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The answer has `rows_max` rows.
    Rows(usize),
    /// The next row would have exceeded `bytes_max` bytes.
    Bytes(usize),
}

/// A cell that is not shown whole: it has a piece of PostgreSQL's text of the value, as a JSON string. All numbers are
/// bytes of that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutCell {
    /// Which row of the page, from 0.
    pub row: usize,
    /// Which column, from 0.
    pub column: usize,
    /// Where the piece begins.
    pub offset: usize,
    pub bytes: usize,
    /// The length of the whole text.
    pub length: usize,
}

impl CutCell {
    /// The end of the piece, where the next begins.
    pub fn end(&self) -> usize {
        self.offset + self.bytes
    }

    /// Whether the piece reaches the end of the text.
    pub fn is_last_piece(&self) -> bool {
        self.end() == self.length
    }
}

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// The name that PostgreSQL returns. It may not be unique, and is `?column?` for an unnamed column.
    pub name: String,
    pub type_name: String,
}

impl ColumnInfo {
    pub fn of(column: &Column) -> Self {
        Self { name: column.name().to_owned(), type_name: params::name(column.type_()) }
    }
}

/// The encoded rows of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FinishedPage {
    /// The columns of the rows.
    pub columns: Arc<[ColumnInfo]>,
    /// The rows as JSON arrays, separated by commas, without brackets around the list.
    pub json: String,
    /// The rows in the requested format.
    pub text: String,
    /// The byte offset in the text at which `json` belongs, if the format is JSON: the rows are not copied.
    pub rows_in_text: Option<usize>,
    pub rows: usize,
    /// Row and column, from 0, of the cells that must be read as JSON: null in them is JSON's null, and a string is
    /// JSON text.
    pub json_cells: Vec<[usize; 2]>,
    /// The cells that are not shown whole, ordered by row and column.
    pub cut_cells: Vec<CutCell>,
    /// The limit that was reached, if one was.
    pub cut: Option<Cut>,
}

impl FinishedPage {
    /// The text including the rows.
    pub fn whole_text(&self) -> String {
        match self.rows_in_text {
            Some(at) => format!("{}{}{}", &self.text[..at], self.json, &self.text[at..]),
            None => self.text.clone(),
        }
    }

    /// Whether something is not shown: more rows, or more of a cell.
    pub fn is_truncated(&self) -> bool {
        self.cut.is_some() || self.cut_cells.iter().any(|cell| !cell.is_last_piece())
    }
}
