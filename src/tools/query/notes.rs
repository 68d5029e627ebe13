//! What the text of an answer says besides its rows: what the statement did, what was cut, and how to read on.

use crate::messages::statements::Cursor;
use crate::postgres::statement::{Cut, FinishedPage, Outcome};
use crate::tools::render::counted;

/// What a statement did, in the few words of a line.
pub(super) fn headline(outcome: &Outcome) -> String {
    let page = &outcome.page;
    match outcome.rows_affected {
        Some(count) => format!("{} affected", counted(count, "row")),
        // Such as CREATE TABLE: "0 rows" would read like a search that found nothing.
        None if page.columns.is_empty() && page.rows == 0 => "Done.".to_owned(),
        None => counted(page.rows as u64, "row"),
    }
}

/// Which limit has cut an answer, and how to go on.
pub(super) fn cut(cut: Cut, cursor: Option<&Cursor>) -> String {
    let (limit, setting) = match cut {
        Cut::Rows(rows) => (format!("{} (max_rows)", counted(rows as u64, "row")), "MCP_MAX_ROWS_CEILING"),
        Cut::Bytes(bytes) => (format!("{bytes} bytes of rows (max_bytes)"), "MCP_MAX_BYTES_CEILING"),
    };
    if let Some(Cursor { handle, lifetime }) = cursor {
        return format!(
            "Truncated at {limit}: there are more. Read on within {lifetime:?} by fetch_rows with cursor \"{handle}\", \
             or ask for less (WHERE, fewer columns, aggregates)."
        );
    }
    format!("Truncated at {limit}: {GO_ON}, or for more; the operator's limit on that is {setting}.")
}

/// The same in a batch. Its statements share the limits, so one may have had less left than the call has asked for.
pub(super) fn cut_in_batch(cut: Cut) -> String {
    let (limit, argument, setting) = match cut {
        Cut::Rows(rows) => (counted(rows as u64, "row"), "max_rows", "MCP_MAX_ROWS_CEILING"),
        Cut::Bytes(bytes) => (format!("{bytes} bytes of rows"), "max_bytes", "MCP_MAX_BYTES_CEILING"),
    };
    format!(
        "Truncated at {limit}: {GO_ON}, or for a greater {argument}, which all of a batch shares; the operator's limit on \
         that is {setting}."
    )
}

const GO_ON: &str =
    "there are more. Go on with ORDER BY … LIMIT … OFFSET, or ask for less (WHERE, fewer columns, aggregates)";

/// How to read on in a cut cell after a call of a tool without `cell_offset`.
pub(super) const READ_ON_ELSEWHERE: &str = "Read on with async_query_execute and cell_offset";

/// The most cut cells that the text names; the list for programs has all.
const CUT_CELLS_NAMED_MAX: usize = 5;

/// Which cells are not complete. `read_on` says how to ask for the next piece; its offset is put after it.
pub(super) fn cut_cells(page: &FinishedPage, read_on: &str) -> String {
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
