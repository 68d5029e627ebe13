//! One answer's rows while they arrive: each row is written once as JSON and once as text, and counted against the
//! answer's limits. Nothing else of a row is kept.
//!
//! A row that would pass the limit of bytes is left to the next answer, but for the first: its long cells are cut, so
//! that there is always an answer to go on from, and what is left of a cell can be asked for by its offset.

mod cell;
mod layout;

use std::sync::Arc;

use pg_render::{Codec, DecodeError, write_json_string};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Column, Row};

use super::foreign::Shown;
use super::params;
use cell::{Cells, Shares};
pub use layout::JSON_CELLS;
use layout::Layout;

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

/// No cell is cut below this many bytes of JSON, however little room there is. An integer, a timestamp or a UUID (38
/// bytes with its quotes) that is half there would be taken for another.
pub const CELL_BYTES_MIN: usize = 40;

/// Room for a small answer, and what stands around its rows, in bytes.
const ROOM: usize = 512;

/// What the list of cut cells takes for each, about. It counts as bytes of rows: many rows of small pieces would
/// otherwise make a list without a bound.
const CUT_CELL_BYTES: usize = 128;

/// The same of the list of cells that hold JSON.
const JSON_CELL_BYTES: usize = 12;

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

/// The rows of an answer so far.
#[derive(Debug)]
pub struct Page {
    columns: Arc<[ColumnInfo]>,
    codecs: Arc<[Codec]>,
    limits: Limits,
    /// A cell whose text is longer than this is shown from this byte on; 0 shows all from their start.
    cell_offset: usize,
    /// `[1,"a"],[2,"b"]`: the rows, without the brackets around them.
    json: Vec<u8>,
    layout: Layout,
    /// The text of the cell being written.
    cell: Vec<u8>,
    rows: usize,
    json_cells: Vec<[usize; 2]>,
    cut_cells: Vec<CutCell>,
    cut: Option<Cut>,
}

/// The value of a cell as PostgreSQL sent it, whatever its type.
pub(super) struct Wire<'a>(pub &'a [u8]);

impl<'a> FromSql<'a> for Wire<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The bytes of a cell; `None` is NULL.
pub(super) fn wire(row: &Row, column: usize) -> Option<&[u8]> {
    // It accepts every type and never fails; the index comes from the row's own columns.
    row.try_get::<_, Option<Wire<'_>>>(column).ok().flatten().map(|wire| wire.0)
}

impl Page {
    /// An empty page of these columns, whose values come as what `codecs` read.
    pub fn new(
        columns: Arc<[ColumnInfo]>,
        codecs: Arc<[Codec]>,
        format: Format,
        limits: Limits,
        cell_offset: usize,
    ) -> Self {
        Self {
            codecs,
            layout: Layout::new(format, &columns),
            columns,
            limits,
            cell_offset,
            json: Vec::with_capacity(ROOM),
            cell: Vec::new(),
            rows: 0,
            json_cells: Vec::new(),
            cut_cells: Vec::new(),
            cut: None,
        }
    }

    /// Which columns hold values, or may hold some, that only PostgreSQL itself can show.
    pub fn foreign_columns(&self) -> Vec<usize> {
        let may_be_foreign = |codec: &Codec| !codec.is_native() || codec.is_anonymous();
        (0..self.codecs.len()).filter(|&column| may_be_foreign(&self.codecs[column])).collect()
    }

    /// How many more rows there is room for.
    pub fn rows_left(&self) -> usize {
        self.limits.rows_max - self.rows
    }

    /// How many more rows of the size seen so far there is byte room for; `None` before the first.
    pub fn rows_left_by_bytes(&self) -> Option<usize> {
        let row_bytes = self.bytes_taken().checked_div(self.rows)?.max(1);
        Some(self.bytes_left() / row_bytes)
    }

    /// Whether a limit has cut the answer.
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Add a row, or cut the answer before it. `shown` says how values of the foreign columns are shown, by column.
    ///
    /// # Errors
    /// The value that could not be read.
    pub(super) fn push(&mut self, row: &Row, shown: &[(usize, Shown)]) -> Result<(), DecodeError> {
        if self.cut.is_some() {
            return Ok(());
        }
        if self.rows == self.limits.rows_max {
            self.cut = Some(Cut::Rows(self.rows));
            return Ok(());
        }
        let cells = Cells { row, shown };
        if !self.write_row(cells, None)? {
            if self.rows > 0 {
                self.cut = Some(Cut::Bytes(self.limits.bytes_max));
                return Ok(());
            }
            let shares = self.shares(cells)?;
            self.write_row(cells, Some(&shares))?;
        }
        self.rows += 1;
        Ok(())
    }

    fn bytes_taken(&self) -> usize {
        self.json.len() + self.cut_cells.len() * CUT_CELL_BYTES + self.json_cells.len() * JSON_CELL_BYTES
    }

    fn bytes_left(&self) -> usize {
        self.limits.bytes_max.saturating_sub(self.bytes_taken())
    }

    /// Write a row; false where it does not fit, and nothing is written. With `shares` it is always written, and the
    /// cells are cut whose share is not enough.
    fn write_row(&mut self, cells: Cells<'_>, shares: Option<&Shares>) -> Result<bool, DecodeError> {
        let (json_before, text_before) = (self.json.len(), self.layout.len());
        let (json_cells_before, cut_before) = (self.json_cells.len(), self.cut_cells.len());
        if self.rows > 0 {
            self.json.push(b',');
        }
        self.json.push(b'[');
        let mut fits = true;
        for column in 0..self.codecs.len() {
            if column > 0 {
                self.json.push(b',');
            }
            fits = self.write_cell(column, cells, shares)?;
            if !fits {
                break;
            }
        }
        self.json.push(b']');
        self.layout.end_row();
        if fits && (shares.is_some() || self.bytes_taken() <= self.limits.bytes_max) {
            return Ok(true);
        }
        self.json.truncate(json_before);
        // What was tried and did not fit may have been large.
        self.json.shrink_to_fit();
        self.layout.truncate(text_before);
        self.json_cells.truncate(json_cells_before);
        self.cut_cells.truncate(cut_before);
        Ok(false)
    }

    /// Write a cell; false where it does not fit into what is left of the page, and no share allows a piece of it.
    fn write_cell(&mut self, column: usize, cells: Cells<'_>, shares: Option<&Shares>) -> Result<bool, DecodeError> {
        let room = shares.map_or(self.bytes_left(), |shares| shares.most);
        let value = cells.value(column, &self.codecs[column]);
        let later = value.text_from(self.cell_offset)?;
        if later.is_none() {
            let may_be_whole = match shares {
                Some(shares) => shares.is_enough(column),
                // A huge value is not written only to be thrown away.
                None => value.json_bytes_min()? <= room,
            };
            if may_be_whole {
                let before = self.json.len();
                value.write_json(&mut self.json)?;
                if shares.is_none() && self.json.len() - before > room {
                    return Ok(false);
                }
                if !value.is_itself(&self.json[before..]) {
                    self.json_cells.push([self.rows, column]);
                }
                if self.layout.takes_cells() {
                    self.cell.clear();
                    let present = value.write_text(&mut self.cell)?;
                    self.layout.write_cell(column, present.then_some(&self.cell));
                }
                return Ok(true);
            }
            if shares.is_none() {
                return Ok(false);
            }
        }
        let (text, offset) = match later {
            Some(later) => later,
            None => (value.text()?, 0),
        };
        let piece = text.piece(offset, room.saturating_sub(cell::QUOTES_BYTES));
        let cut = CutCell { row: self.rows, column, offset, bytes: piece.len(), length: text.len() };
        if shares.is_none() && !cut.is_last_piece() {
            return Ok(false);
        }
        write_json_string(&piece, &mut self.json);
        self.cell.clear();
        self.cell.extend_from_slice(&piece);
        if !cut.is_last_piece() {
            self.cell.extend_from_slice(self.layout.sign_of_more().as_bytes());
        }
        self.layout.write_cell(column, Some(&self.cell));
        self.cut_cells.push(cut);
        Ok(true)
    }

    /// What each cell of the first row may take, so that together they fit.
    fn shares(&self, cells: Cells<'_>) -> Result<Shares, DecodeError> {
        let bytes_max = self.limits.bytes_max;
        let mut json = Vec::new();
        let mut needs = Vec::with_capacity(self.codecs.len());
        for (column, codec) in self.codecs.iter().enumerate() {
            json.clear();
            let value = cells.value(column, codec);
            let later = value.text_from(self.cell_offset)?;
            let need_min = match &later {
                Some((text, offset)) => text.len() - offset,
                None => value.json_bytes_min()?,
            };
            // What is more than any share can be need not be known.
            if need_min <= bytes_max.max(CELL_BYTES_MIN) {
                match &later {
                    Some((text, offset)) => write_json_string(text.piece(*offset, usize::MAX), &mut json),
                    None => value.write_json(&mut json)?,
                }
            }
            needs.push(need_min.max(json.len()));
        }
        // The brackets around the cells, and the commas between.
        let room = bytes_max.saturating_sub(self.codecs.len() + 1);
        Ok(Shares::of(needs, room))
    }

    /// The page as it goes into an answer.
    pub fn finish(self) -> FinishedPage {
        let (text, rows_in_text) = self.layout.finish(&self.columns, &self.json_cells);
        FinishedPage {
            text: into_string(text),
            columns: self.columns,
            json: into_string(self.json),
            rows_in_text,
            rows: self.rows,
            json_cells: self.json_cells,
            cut_cells: self.cut_cells,
            cut: self.cut,
        }
    }
}

/// A database in SQL_ASCII may send what is no UTF-8; an answer never holds it.
fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
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

#[cfg(test)]
mod tests;
