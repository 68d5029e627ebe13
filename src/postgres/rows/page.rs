//! The rows of one answer while they arrive: each row is written once as JSON and once as text, and counted against the
//! answer's limits. Nothing else of a row is kept.
//!
//! A row that would exceed the byte limit is left for the next page, except the first: its long cells are cut. So every
//! page has at least one row, and the rest of a cell can be read by its offset.

use std::sync::Arc;

use pg_render::{Codec, DecodeError, write_json_string};
use tokio_postgres::Row;

use super::cell::{CELL_BYTES_MIN, Cells, QUOTES_BYTES, RenderedCell, Shares};
use super::layout::Layout;
use crate::postgres::statement::{ColumnInfo, Cut, CutCell, FinishedPage, Format, Limits};

/// The initial capacity, in bytes: enough for a small answer.
const CAPACITY_BYTES: usize = 512;

/// About the size of one entry in the list of cut cells. It counts as bytes of rows: many rows with small pieces would
/// otherwise make an unlimited list.
const CUT_CELL_BYTES: usize = 128;

/// The same for the list of cells that contain JSON.
const JSON_CELL_BYTES: usize = 12;

/// The rows of a page so far.
#[derive(Debug)]
pub struct Page {
    columns: Arc<[ColumnInfo]>,
    codecs: Arc<[Codec]>,
    limits: Limits,
    /// A cell whose text is longer than this starts at this byte; with 0 all start at their beginning.
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

impl Page {
    /// An empty page of these columns; `codecs` read their values.
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
            json: Vec::with_capacity(CAPACITY_BYTES),
            cell: Vec::new(),
            rows: 0,
            json_cells: Vec::new(),
            cut_cells: Vec::new(),
            cut: None,
        }
    }

    /// The columns whose values only PostgreSQL can render, or may contain such values.
    pub fn server_text_columns(&self) -> Vec<usize> {
        let may_need_server = |codec: &Codec| !codec.is_native() || codec.is_anonymous();
        (0..self.codecs.len()).filter(|&column| may_need_server(&self.codecs[column])).collect()
    }

    /// How many more rows the row limit allows.
    pub fn rows_left(&self) -> usize {
        self.limits.rows_max - self.rows
    }

    /// How many more rows of the average size so far the byte limit allows; `None` before the first row.
    pub fn rows_left_by_bytes(&self) -> Option<usize> {
        let row_bytes = self.bytes_taken().checked_div(self.rows)?.max(1);
        Some(self.bytes_left() / row_bytes)
    }

    /// Whether a limit was reached.
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Add a row, or cut the page before it. `rendered` says how values are shown that only PostgreSQL can render, by
    /// column.
    ///
    /// # Errors
    /// The value that could not be read.
    pub fn push(&mut self, row: &Row, rendered: &[(usize, RenderedCell)]) -> Result<(), DecodeError> {
        if self.cut.is_some() {
            return Ok(());
        }
        if self.rows == self.limits.rows_max {
            self.cut = Some(Cut::Rows(self.rows));
            return Ok(());
        }
        let cells = Cells { row, rendered };
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

    /// Write a row. Returns false and writes nothing if it does not fit. With `shares` it is always written, and cells
    /// that need more than their share are cut.
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
        // The row that did not fit may have been large.
        self.json.shrink_to_fit();
        self.layout.truncate(text_before);
        self.json_cells.truncate(json_cells_before);
        self.cut_cells.truncate(cut_before);
        Ok(false)
    }

    /// Write a cell. Returns false if it does not fit into the rest of the page and no share allows a piece of it.
    fn write_cell(&mut self, column: usize, cells: Cells<'_>, shares: Option<&Shares>) -> Result<bool, DecodeError> {
        let room = shares.map_or(self.bytes_left(), |shares| shares.most);
        let value = cells.value(column, &self.codecs[column]);
        let later = value.text_from(self.cell_offset)?;
        if later.is_none() {
            let may_be_whole = match shares {
                Some(shares) => shares.is_enough(column),
                // A huge value is not written only to be discarded.
                None => value.json_bytes_min()? <= room,
            };
            if may_be_whole {
                let before = self.json.len();
                value.write_json(&mut self.json)?;
                if shares.is_none() && self.json.len() - before > room {
                    return Ok(false);
                }
                if !value.is_self_describing(&self.json[before..]) {
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
        let piece = text.piece(offset, room.saturating_sub(QUOTES_BYTES));
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

    /// How many bytes each cell of the first row may have, so that the row fits.
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
            // A need above every possible share does not have to be exact.
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

/// A database in SQL_ASCII may send bytes that are not UTF-8; they are replaced.
fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests;
