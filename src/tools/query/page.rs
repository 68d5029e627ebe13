//! The rows of an answer, twice: in the text for the model, and as members of the structured answer for programs, with the
//! schema of these members.

use std::fmt::Write as _;

use pg_render::write_json_string;
use serde_json::{Map, Value, json};
use tokio_util::bytes::Bytes;

use crate::messages::answer::Pieces;
use crate::postgres::inbox::Notices;
use crate::postgres::rows::JSON_CELLS;
use crate::postgres::statement::{CutCell, FinishedPage};
use crate::tools::render;
use crate::tools::schema::nullable;

/// The text of a page. If its format is JSON, `rows` are in it, and they are not copied.
pub(super) fn text(page: &mut FinishedPage, rows: &Bytes) -> Pieces {
    if page.columns.is_empty() {
        return Pieces::default();
    }
    let mut before = std::mem::take(&mut page.text);
    let Some(at) = page.rows_in_text else { return before.into() };
    let after = before.split_off(at);
    let mut text = Pieces::from(before);
    text.push_rows(rows.clone());
    text.push(after);
    text
}

/// `{"columns":[…],"rows":[…],"row_count":…` of a page: the beginning of the object for programs, which the caller closes.
pub(super) fn members(page: &FinishedPage, rows: Bytes, rows_affected: Option<u64>) -> Pieces {
    let mut before = Vec::with_capacity(32 + page.columns.len() * 48);
    before.extend_from_slice(b"{\"columns\":[");
    for (at, column) in page.columns.iter().enumerate() {
        before.extend_from_slice(if at == 0 { b"{\"name\":" } else { b",{\"name\":" });
        write_json_string(&column.name, &mut before);
        before.extend_from_slice(b",\"type\":");
        write_json_string(&column.type_name, &mut before);
        before.push(b'}');
    }
    before.extend_from_slice(b"],\"rows\":[");
    let mut members = Pieces::from(String::from_utf8_lossy(&before).into_owned());
    members.push_rows(rows);
    let mut after = String::new();
    let is_truncated = page.is_truncated();
    // Writing into a string cannot fail.
    let _ = write!(after, r#"],"row_count":{},"rows_affected":"#, page.rows);
    let _ = match rows_affected {
        Some(count) => write!(after, "{count}"),
        None => write!(after, "null"),
    };
    let _ = write!(after, r#","truncated":{is_truncated}"#);
    if !page.json_cells.is_empty() {
        let _ = write!(after, r#","{JSON_CELLS}":{}"#, json!(page.json_cells));
    }
    if !page.cut_cells.is_empty() {
        let listed = |cell: &CutCell| {
            json!({
                "row": cell.row,
                "column": page.columns[cell.column].name,
                "column_index": cell.column,
                "offset": cell.offset,
                "bytes": cell.bytes,
                "length": cell.length,
            })
        };
        let cells: Value = page.cut_cells.iter().map(listed).collect();
        let _ = write!(after, r#","{CUT_CELLS}":{cells}"#);
    }
    members.push(after);
    members
}

/// `,"notices":[…]`: what PostgreSQL has said besides; nothing if it has said nothing.
pub(super) fn notices(notices: &Notices) -> String {
    let mut members = String::new();
    if !notices.shown.is_empty() {
        members = format!(r#","{NOTICES}":{}"#, render::notices(notices));
    }
    if notices.omitted > 0 {
        let _ = write!(members, r#","{NOTICES_OMITTED}":{}"#, notices.omitted);
    }
    members
}

/// Like [`JSON_CELLS`], members that are there only if they are not empty.
const CUT_CELLS: &str = "cut_cells";
const NOTICES: &str = "notices";
const NOTICES_OMITTED: &str = "notices_omitted";

/// The schemas of these members.
pub(super) fn properties() -> Map<String, Value> {
    let properties = json!({
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
                "required": ["name", "type"],
            },
        },
        "rows": {
            "type": "array",
            "description": "One array a row, in the columns' order.",
            "items": {"type": "array", "items": {"description": "A value: any JSON."}},
        },
        "row_count": {"type": "integer"},
        "rows_affected": nullable("integer"),
        "truncated": {"type": "boolean"},
        JSON_CELLS: {
            "type": "array",
            "description": "[row, column] (from 0) of nulls that are JSON's, and strings that are JSON's text.",
            "items": {"type": "array", "items": {"type": "integer"}},
        },
        CUT_CELLS: {
            "type": "array",
            "description": "Cells shown in part: row and column_index from 0, and bytes of the value's text.",
            "items": {
                "type": "object",
                "properties": {
                    "row": {"type": "integer"},
                    "column": {"type": "string"},
                    "column_index": {"type": "integer"},
                    "offset": {"type": "integer"},
                    "bytes": {"type": "integer"},
                    "length": {"type": "integer"},
                },
                "required": ["row", "column", "column_index", "offset", "bytes", "length"],
            },
        },
        NOTICES: {
            "type": "array",
            "description": "What PostgreSQL said besides: severity, sqlstate, message, detail, hint.",
            "items": {"type": "object"},
        },
        NOTICES_OMITTED: {"type": "integer", "description": "How many more there were."},
    });
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// The members that are always there.
pub(super) fn required(properties: &Map<String, Value>) -> Vec<&String> {
    let optional = [CUT_CELLS, JSON_CELLS, NOTICES, NOTICES_OMITTED];
    properties.keys().filter(|name| !optional.contains(&name.as_str())).collect()
}
