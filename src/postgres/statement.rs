//! What is said of a statement by everybody here: how it is to be read, and what it gave.

use std::sync::Arc;

use tokio_postgres::Column;

use super::params;

/// What one statement did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    pub page: FinishedPage,
    /// How many rows it changed, for a statement that changes rows.
    pub rows_affected: Option<u64>,
}

/// How a statement is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// What the answer may hold.
    pub limits: Limits,
    /// How its text is laid out.
    pub format: Format,
    /// A cell whose text is longer than this is shown from this byte of it on; 0 shows all from their start.
    pub cell_offset: usize,
}

/// How the text of an answer is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `a | b`, a rule under the header, one line a row.
    #[default]
    Table,
    /// `{"columns": […], "rows": [[…]]}`.
    Json,
    /// RFC 4180; NULL is empty, an empty text is `""`.
    Csv,
    Markdown,
}

/// What an answer may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows.
    pub rows_max: usize,
    /// Bytes of rows, as JSON. A first row of many cells may take more: each has [`CELL_BYTES_MIN`].
    pub bytes_max: usize,
}

/// The limit that cut an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// `rows_max` rows are there.
    Rows(usize),
    /// The next row would have passed `bytes_max` bytes.
    Bytes(usize),
}

/// A cell that is not shown whole: a piece of PostgreSQL's text of the value stands in its place, as a JSON string. All
/// in bytes of that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutCell {
    /// Which row of the page, from 0.
    pub row: usize,
    /// Which column, from 0.
    pub column: usize,
    /// Where the piece begins.
    pub offset: usize,
    pub bytes: usize,
    /// How long the whole is.
    pub length: usize,
}

impl CutCell {
    /// Where the piece ends, and the next begins.
    pub fn end(&self) -> usize {
        self.offset + self.bytes
    }

    /// Whether nothing comes after the piece.
    pub fn is_last_piece(&self) -> bool {
        self.end() == self.length
    }
}

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// As PostgreSQL names it; not always unique, and `?column?` where it has no name.
    pub name: String,
    pub type_name: String,
}

impl ColumnInfo {
    /// As PostgreSQL describes it.
    pub fn of(column: &Column) -> Self {
        Self { name: column.name().to_owned(), type_name: params::name(column.type_()) }
    }
}

/// The rows of an answer, ready.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FinishedPage {
    /// What the cells of a row are.
    pub columns: Arc<[ColumnInfo]>,
    /// The rows as JSON arrays, separated by commas, without the brackets around them all.
    pub json: String,
    /// The rows in the format asked for.
    pub text: String,
    /// Where in the text the rows go, in bytes, if they stand there as JSON: they are not copied.
    pub rows_in_text: Option<usize>,
    pub rows: usize,
    /// Row and column, from 0, of the cells that are to be read as JSON: null there is JSON's own, and a string JSON's text.
    pub json_cells: Vec<[usize; 2]>,
    /// The cells that are not shown whole, in the order of rows and columns.
    pub cut_cells: Vec<CutCell>,
    /// The limit that cut the answer, if one did.
    pub cut: Option<Cut>,
}

impl FinishedPage {
    /// The text with its rows.
    pub fn whole_text(&self) -> String {
        match self.rows_in_text {
            Some(at) => format!("{}{}{}", &self.text[..at], self.json, &self.text[at..]),
            None => self.text.clone(),
        }
    }

    /// Whether there is more than is shown: more rows, or more of a cell.
    pub fn is_truncated(&self) -> bool {
        self.cut.is_some() || self.cut_cells.iter().any(|cell| !cell.is_last_piece())
    }
}
