//! The rows of an answer in two forms: in the text for the model, and as members of the structured answer for programs,
//! with the schema of these members.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use tokio_util::bytes::Bytes;

use super::notes::News;
use crate::messages::answer::Pieces;
use crate::messages::statements::Cursor;
use crate::postgres::inbox::Notices;
use crate::postgres::rows::JSON_CELLS;
use crate::postgres::statement::{CutCell, FinishedPage};
use crate::tools::render;
use crate::tools::schema::nullable;

/// The text of a page. If its format is JSON, it contains `rows`, which are not copied.
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

/// The object for programs up to the end of its rows, `{"row_count":…,"rows":[…]`. The caller closes it. Short members
/// come first, because hosts that show a model this part cut off its end. `cursor` is for a tool that returns one.
pub(super) fn members(
    page: &FinishedPage,
    rows: Bytes,
    rows_affected: Option<u64>,
    cursor: Option<Option<&Cursor>>,
    news: &News,
    notices: &Notices,
) -> Pieces {
    let mut before = format!(
        r#"{{"row_count":{},"rows_affected":{},"truncated":{}"#,
        page.rows,
        json!(rows_affected),
        page.is_truncated(),
    );
    let mut put = |name: &str, value: Value| {
        // Writing to a `String` cannot fail.
        let _ = write!(before, ",\"{name}\":{value}");
    };
    if let Some(cursor) = cursor {
        put("cursor", json!(cursor.map(|cursor| &cursor.handle)));
    }
    if let Some(note) = news.note() {
        put(NOTE, json!(note));
    }
    if !notices.shown.is_empty() {
        put(NOTICES, render::notices(notices));
    }
    if notices.omitted > 0 {
        put(NOTICES_OMITTED, json!(notices.omitted));
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
        put(CUT_CELLS, page.cut_cells.iter().map(listed).collect());
    }
    if !page.json_cells.is_empty() {
        put(JSON_CELLS, json!(page.json_cells));
    }
    let columns = page.columns.iter().map(|column| json!({"name": column.name, "type": column.type_name}));
    put("columns", columns.collect());
    before.push_str(",\"rows\":[");
    let mut members = Pieces::from(before);
    members.push_rows(rows);
    members.push("]");
    members
}

// Members that are present only if they contain something, like those of [`JSON_CELLS`].
const NOTE: &str = "note";
const NOTICES: &str = "notices";
const NOTICES_OMITTED: &str = "notices_omitted";
const CUT_CELLS: &str = "cut_cells";

/// The schemas of these members.
pub(super) fn properties() -> Map<String, Value> {
    let properties = json!({
        "row_count": {"type": "integer"},
        "rows_affected": nullable("integer"),
        "truncated": {"type": "boolean"},
        NOTE: {"type": "string", "description": "What was cut, and how to read on."},
        NOTICES: {
            "type": "array",
            "description": "What PostgreSQL said besides.",
            "items": {
                "type": "object",
                "properties": {
                    "severity": {"type": "string"},
                    "sqlstate": {"type": "string"},
                    "message": {"type": "string"},
                    "detail": {"type": "string"},
                    "hint": {"type": "string"},
                },
                "required": ["severity", "sqlstate", "message"],
            },
        },
        NOTICES_OMITTED: {"type": "integer", "description": "How many more there were."},
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
        JSON_CELLS: {
            "type": "array",
            "description": "[row, column] (from 0) of nulls that are JSON's, and strings that are JSON's text.",
            "items": {"type": "array", "items": {"type": "integer"}},
        },
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
    });
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// The members that are always present.
pub(super) fn required(properties: &Map<String, Value>) -> Vec<&String> {
    let optional = [NOTE, NOTICES, NOTICES_OMITTED, CUT_CELLS, JSON_CELLS];
    properties.keys().filter(|name| !optional.contains(&name.as_str())).collect()
}
