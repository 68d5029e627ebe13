//! One answer's rows while they arrive: each row is written once as JSON and once as text, and counted against the
//! answer's limits. Nothing else of a row is kept.
//!
//! A row that would pass the limit of bytes is left to the next answer, but for the first: its long cells are cut, so
//! that there is always an answer to go on from, and what is left of a cell can be asked for by its offset.

use std::sync::Arc;

use pg_render::{Codec, DecodeError, write_json_string};
use tokio_postgres::Row;

use super::cell::{CELL_BYTES_MIN, Cells, QUOTES_BYTES, RenderedCell, Shares};
use super::layout::Layout;
use crate::postgres::statement::{ColumnInfo, Cut, CutCell, FinishedPage, Format, Limits};

/// Room for a small answer, and what stands around its rows, in bytes.
const ROOM: usize = 512;

/// What the list of cut cells takes for each, about. It counts as bytes of rows: many rows of small pieces would
/// otherwise make a list without a bound.
const CUT_CELL_BYTES: usize = 128;

/// The same of the list of cells that hold JSON.
const JSON_CELL_BYTES: usize = 12;

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
    pub fn server_text_columns(&self) -> Vec<usize> {
        let may_need_server = |codec: &Codec| !codec.is_native() || codec.is_anonymous();
        (0..self.codecs.len()).filter(|&column| may_need_server(&self.codecs[column])).collect()
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

    /// Add a row, or cut the answer before it. `shown` says how values are shown that only the server can write, by column.
    ///
    /// # Errors
    /// The value that could not be read.
    pub fn push(&mut self, row: &Row, shown: &[(usize, RenderedCell)]) -> Result<(), DecodeError> {
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

#[cfg(test)]
mod tests;
