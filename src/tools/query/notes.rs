//! The notes of an answer: what the statement did, what was cut, and how to read on. They come before the rows, because
//! many hosts show a model only the beginning of an answer.

use crate::messages::statements::Cursor;
use crate::postgres::statement::{Cut, FinishedPage, Outcome};
use crate::tools::render::counted;

/// What is not shown of a page, and how to read on.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The limit that has cut the rows; a part of a line.
    rows: Option<String>,
    /// The cells that are not complete: a line for each, or nothing.
    cells: String,
}

impl News {
    /// The notes for a page. `read_on` says how to request the next piece of a cut cell; the offset is added after it.
    pub(super) fn new(page: &FinishedPage, rows: Option<String>, read_on: &str) -> Self {
        Self { rows, cells: cut_cells(page, read_on) }
    }

    /// The first line of the text, which begins with `headline`, and a line for each cut cell.
    pub(super) fn lines(&self, headline: &str) -> String {
        match &self.rows {
            Some(rows) => format!("{headline}, {rows}\n{}", self.cells),
            None => format!("{headline}\n{}", self.cells),
        }
    }

    /// The same for a reader who sees only the structured part of an answer. `None` if nothing is missing.
    pub(super) fn note(&self) -> Option<String> {
        let parts =
            self.rows.iter().map(String::as_str).chain(Some(self.cells.trim_end()).filter(|cells| !cells.is_empty()));
        let parts: Vec<&str> = parts.collect();
        (!parts.is_empty()).then(|| parts.join("\n"))
    }
}

/// What a statement did, in the few words of a line.
pub(super) fn headline(outcome: &Outcome) -> String {
    let page = &outcome.page;
    match outcome.rows_affected {
        Some(count) => format!("{} affected", counted(count, "row")),
        // For example CREATE TABLE: "0 rows" would look like a query that has found nothing.
        None if page.columns.is_empty() && page.rows == 0 => "Done.".to_owned(),
        None => counted(page.rows as u64, "row"),
    }
}

/// Which limit has cut an answer, and how to go on.
pub(super) fn cut(cut: Cut, cursor: Option<&Cursor>) -> String {
    let (limit, argument, setting) = limit(cut);
    match cursor {
        Some(Cursor { handle, lifetime }) => {
            format!("cut at {limit}; more: fetch_rows cursor \"{handle}\" within {} s", lifetime.as_secs_f64())
        }
        None => format!("cut at {limit}; more: {GO_ON} or a greater {argument} (the operator's limit is {setting})"),
    }
}

/// The same in a batch. Its statements share the limits, so a statement may have had less than the call has requested.
pub(super) fn cut_in_batch(cut: Cut) -> String {
    let (limit, argument, setting) = limit(cut);
    format!(
        "cut at {limit}; more: {GO_ON} or a greater {argument}, which the whole batch shares (the operator's limit is {setting})"
    )
}

/// The limit in words, the argument that raises it, and the setting of the operator.
fn limit(cut: Cut) -> (String, &'static str, &'static str) {
    match cut {
        Cut::Rows(rows) => (counted(rows as u64, "row"), "max_rows", "MCP_MAX_ROWS_CEILING"),
        Cut::Bytes(bytes) => (format!("{bytes} bytes"), "max_bytes", "MCP_MAX_BYTES_CEILING"),
    }
}

const GO_ON: &str = "ORDER BY … LIMIT … OFFSET, less (WHERE, fewer columns, aggregates),";

/// How to read on in a cut cell after a call of a tool without `cell_offset`.
pub(super) const READ_ON_ELSEWHERE: &str = "Read on with async_query_execute and cell_offset";

/// The largest number of cut cells that the text names; the list for programs contains all.
const CUT_CELLS_NAMED_MAX: usize = 5;

/// Which cells are not complete. `read_on` says how to ask for the next piece; its offset is put after it.
fn cut_cells(page: &FinishedPage, read_on: &str) -> String {
    let mut note = String::new();
    for cell in page.cut_cells.iter().take(CUT_CELLS_NAMED_MAX) {
        let name = &page.columns[cell.column].name;
        // Several columns may have one name.
        let name = match page.columns.iter().filter(|column| column.name == *name).count() {
            1 => name.clone(),
            _ => format!("{name} (column {})", cell.column + 1),
        };
        let (row, offset, end, length) = (cell.row + 1, cell.offset, cell.end(), cell.length);
        note.push_str(&if cell.is_last_piece() {
            format!("Cell {name} of row {row} is shown from byte {offset} to its end at {length}.\n")
        } else {
            format!(
                "Cell {name} of row {row} is cut: bytes {offset} to {end} of {length}. {read_on} {end} \
                 (best with only that row and column).\n"
            )
        });
    }
    match page.cut_cells.len().saturating_sub(CUT_CELLS_NAMED_MAX) {
        0 => {}
        more => {
            note.push_str(&format!("Not shown whole, too: {} (cut_cells has all).\n", counted(more as u64, "cell")))
        }
    }
    note
}
