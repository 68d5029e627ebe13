//! The tools, a file each: a tool is its arguments. One line in [`TOOLS`] lists it, dispatches to it and documents it.

use std::fmt::Write as _;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pg_guard::{Statement, Transaction};
use pg_render::write_json_string;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::messages::RawArguments;
use crate::messages::call::{Answer, CallContext};
use crate::messages::database::{ClientDatabases, Database};
use crate::messages::events::CallOutcome;
use crate::messages::metrics::MetricsHandle;
use crate::messages::statements::Cursor;
use crate::postgres::error::QueryError;
use crate::postgres::rows::JSON_CELLS;
use crate::postgres::statement::{Cut, CutCell, FinishedPage, Format, Limits, Outcome};
use crate::settings::{AccessMode, Settings};
use crate::units;

mod arguments;
mod async_query_execute;
mod batch_query_execute;
pub(crate) mod boundary;
mod failure;
mod fetch_rows;
mod performance_summary;
mod slow_queries;

use arguments::Count;

/// Every tool, in the order in which a client is told of them.
pub const TOOLS: &[Tool] = &[
    async_query_execute::TOOL,
    fetch_rows::TOOL,
    batch_query_execute::TOOL,
    performance_summary::TOOL,
    slow_queries::TOOL,
];

pub fn names() -> Vec<&'static str> {
    TOOLS.iter().map(|tool| tool.name).collect()
}

/// The tool of that name.
pub fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

pub struct Tool {
    /// What a client calls it by.
    pub name: &'static str,
    /// What a person calls it.
    pub title: &'static str,
    /// What a model chooses it by.
    pub description: &'static str,
    /// Whether it writes when the server is in read-write mode.
    pub may_write: bool,
    /// Whether a call of it names the database, where there are several.
    pub names_database: bool,
    /// The JSON Schema of its arguments.
    pub input: fn() -> Value,
    /// The JSON Schema of [`Answer::structured`].
    pub output: fn() -> Value,
    /// Do it. An answer always comes; a failure is an answer with `is_error`.
    pub call: fn(ToolContext, Defaults, RawArguments) -> Work,
}

/// A call under way; dropping it cancels the call.
pub type Work = Pin<Box<dyn Future<Output = Answer>>>;

impl Tool {
    /// The JSON Schema of its arguments for a client that may ask these databases.
    pub fn input_of(&self, databases: &[&str]) -> Value {
        let mut schema = (self.input)();
        if self.names_database && databases.len() > 1 {
            schema["properties"]["database"] = json!({
                "type": "string",
                "enum": databases,
                "default": databases[0],
                "description": "Which database is asked.",
            });
        }
        schema
    }

    /// Whether it changes nothing in this mode.
    pub fn is_read_only(&self, access: AccessMode) -> bool {
        !self.may_write || access == AccessMode::ReadOnly
    }
}

/// For whom a tool works, whom it can ask, and whom it tells how far it is.
#[derive(Clone)]
pub struct ToolContext {
    pub call: CallContext,
    /// The database that the call is for.
    pub database: Arc<Database>,
    /// All that the client may ask.
    pub databases: Arc<ClientDatabases>,
    pub metrics: Arc<MetricsHandle>,
}

impl ToolContext {
    /// The mode of the call's statements: the database's, or the caller's where that is less.
    fn access(&self) -> AccessMode {
        let of_database = self.database.summary.borrow().access;
        if self.call.caller.access == AccessMode::ReadOnly { AccessMode::ReadOnly } else { of_database }
    }

    /// The names of those that the client may ask: of others it is told nothing.
    fn names(&self) -> Arc<[Arc<str>]> {
        self.databases.names()
    }
}

/// What holds for a call that does not say otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// Of an answer.
    pub limits: Limits,
    /// The most that a call may ask for.
    pub ceilings: Limits,
}

impl Defaults {
    /// As the operator set them.
    pub fn of(settings: &Settings) -> Self {
        let limits = &settings.limits;
        Self {
            limits: Limits { rows_max: limits.rows_max, bytes_max: limits.bytes_max },
            ceilings: Limits {
                rows_max: limits.rows_ceiling.max(limits.rows_max),
                bytes_max: limits.bytes_ceiling.max(limits.bytes_max),
            },
        }
    }

    /// The limits of a call that asks for these.
    fn limits(&self, max_rows: Option<Count>, max_bytes: Option<Count>) -> Limits {
        let within = |asked: Option<Count>, default, ceiling| asked.map_or(default, |Count(asked)| asked.min(ceiling));
        Limits {
            rows_max: within(max_rows, self.limits.rows_max, self.ceilings.rows_max),
            bytes_max: within(max_bytes, self.limits.bytes_max, self.ceilings.bytes_max),
        }
    }
}

impl Answer {
    /// A success.
    fn success(text: String, structured: String) -> Self {
        Self { text, structured: Some(structured), rows: None, is_error: false, failure: None }
    }

    /// What became of the call, for the metrics.
    pub fn outcome(&self) -> CallOutcome {
        match (self.is_error, &self.failure) {
            (false, _) => CallOutcome::Successful,
            (true, None) => CallOutcome::Failed,
            (true, Some(facts)) => match facts["kind"].as_str() {
                Some(failure::INVALID_ARGUMENTS) => CallOutcome::InvalidArguments,
                Some("refused") => CallOutcome::Refused,
                Some("busy") => CallOutcome::Busy,
                Some("cancelled") => CallOutcome::Cancelled,
                _ => CallOutcome::Failed,
            },
        }
    }

    /// What could not be done, and why not.
    fn failure(text: impl Into<String>, error: &QueryError) -> Self {
        Self { failure: Some(Box::new(failure::facts(error))), ..Self::error(text) }
    }
}

/// An answer for when an actor is gone, which only a bug or the end of the process can bring about.
fn server_ending(error: &actix::MailboxError) -> Answer {
    Answer {
        failure: Some(Box::new(json!({"kind": "ending", "retryable": true}))),
        ..Answer::error(format!("The server is ending and did not run this: {error}."))
    }
}

/// The schema of [`arguments::Parameters`]. Written by hand: a list of any value is `items: true` in a derived schema, which
/// strict hosts refuse.
fn parameters_schema() -> Value {
    // A list of types under one `type` is as legal, but some hosts hand schemas on to models that take one only.
    let types = ["string", "number", "boolean", "null", "array", "object"];
    let any = json!({"anyOf": types.map(|name| json!({"type": name}))});
    json!({
        "description": "Values of $1…$n: an array by position, or an object bound in the order written.",
        "anyOf": [{"type": "array", "items": any}, {"type": "object", "additionalProperties": any}],
    })
}

/// The statement of that text, if a call can run it in this mode and in such a transaction.
fn statement(
    sql: String,
    parameters: Vec<Value>,
    access: AccessMode,
    transaction: Transaction,
) -> Result<Statement, QueryError> {
    let statement = Statement::new(sql, parameters)?;
    statement.review(access, transaction)?;
    Ok(statement)
}

/// The refusal of the first of these counts that is 0.
fn reject_zero(counts: &[(&str, Option<Count>)]) -> Option<Answer> {
    let (name, _) = counts.iter().find(|(_, count)| *count == Some(Count(0)))?;
    Some(Answer::invalid_arguments(format!("`{name}` is 0; it must be at least 1.")))
}

/// `1 row`, `2 rows`, `3 queries`.
fn counted(count: u64, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}

/// What a statement did, in a line's few words.
fn headline(outcome: &Outcome) -> String {
    let page = &outcome.page;
    match outcome.rows_affected {
        Some(count) => format!("{} affected", counted(count, "row")),
        // As CREATE TABLE: "0 rows" would read like a search in vain.
        None if page.columns.is_empty() && page.rows == 0 => "Done.".to_owned(),
        None => counted(page.rows as u64, "row"),
    }
}

/// How long a call may take that says so itself.
fn timeout(timeout_ms: Option<Count>) -> Option<Duration> {
    timeout_ms.map(|Count(ms)| Duration::from_millis(ms as u64))
}

/// The schemas of what limits one call's answer.
fn limits_properties() -> Map<String, Value> {
    let limit = |what: &str| json!({"type": "integer", "minimum": 1, "description": what});
    Map::from_iter([
        ("max_rows".to_owned(), limit("At most this many rows, within the server's limit.")),
        ("max_bytes".to_owned(), limit("At most this many bytes of rows, likewise.")),
        ("timeout_ms".to_owned(), limit("Cancel the call after this long, waiting included.")),
    ])
}

/// What to say of a limit that cut an answer, and how to go on.
fn cut_note(cut: Cut, cursor: Option<&Cursor>) -> String {
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

/// The same in a batch, whose statements share its limits: one may be left with less than the call has asked for.
fn cut_note_of_batch(cut: Cut) -> String {
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

/// How the next piece of a cut cell is asked for where the tool itself has no `cell_offset`.
const READ_ON_ELSEWHERE: &str = "Read on with async_query_execute and cell_offset";

/// The most cells that the text of a page names as cut; the list for programs has all.
const CUT_CELLS_NAMED_MAX: usize = 5;

/// What to say of the cells that are not shown whole; `read_on` is how the next piece is asked for, up to its offset.
fn cut_cells_note(page: &FinishedPage, read_on: &str) -> String {
    let mut note = String::new();
    for cell in page.cut_cells.iter().take(CUT_CELLS_NAMED_MAX) {
        let name = &page.columns[cell.column].name;
        // A name need not be one column's alone.
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

/// `{"columns":[…],"rows":[…],"row_count":…` of a page: the beginning of an object that every answer with rows has; and
/// where in it the rows are. They are not copied, for they may be many.
fn page_members(page: FinishedPage, rows_affected: Option<u64>) -> (String, Range<usize>) {
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
    let before = String::from_utf8_lossy(&before);
    let rows = before.len()..before.len() + page.json.len();
    let is_truncated = page.is_truncated();
    let mut members = page.json;
    members.insert_str(0, &before);
    // Nothing that is written into a text fails.
    let _ = write!(members, r#"],"row_count":{},"rows_affected":"#, page.rows);
    let _ = match rows_affected {
        Some(count) => write!(members, "{count}"),
        None => write!(members, "null"),
    };
    let _ = write!(members, r#","truncated":{is_truncated}"#);
    if !page.json_cells.is_empty() {
        let _ = write!(members, r#","{JSON_CELLS}":{}"#, json!(page.json_cells));
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
        let _ = write!(members, r#","{CUT_CELLS}":{cells}"#);
    }
    (members, rows)
}

/// One of the two members that are not always there.
const CUT_CELLS: &str = "cut_cells";

/// The schemas of those members.
fn page_properties() -> Map<String, Value> {
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
            "items": {"type": "array"},
        },
        "row_count": {"type": "integer"},
        "rows_affected": nullable("integer"),
        "truncated": {"type": "boolean"},
        JSON_CELLS: {
            "type": "array",
            "description": "[row, column] (from 0) of nulls that are JSON's, and strings that are JSON's text.",
        },
        CUT_CELLS: {
            "type": "array",
            "description": "Cells shown in part: row, column, column_index (from 0), offset, bytes, full length.",
        },
    });
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// Those of them that are always there.
fn required(properties: &Map<String, Value>) -> Vec<&String> {
    properties.keys().filter(|name| *name != CUT_CELLS && *name != JSON_CELLS).collect()
}

/// The same properties without what they mean: that is told once, by async_query_execute, for a list of tools is read in
/// every session.
fn told_elsewhere(mut properties: Map<String, Value>) -> Map<String, Value> {
    properties.values_mut().filter_map(Value::as_object_mut).for_each(|schema| drop(schema.remove("description")));
    properties
}

/// The schema of a value of that type, or null.
fn nullable(name: &str) -> Value {
    json!({"anyOf": [{"type": name}, {"type": "null"}]})
}

/// Milliseconds with three decimals, as a JSON number.
fn milliseconds(duration: Duration) -> Value {
    json!(units::milliseconds(duration))
}

/// How a client names a [`Format`].
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FormatArgument {
    #[default]
    Table,
    Json,
    Csv,
    Markdown,
}

impl FormatArgument {
    const NAMES: [&str; 4] = ["table", "json", "csv", "markdown"];
}

impl From<FormatArgument> for Format {
    fn from(format: FormatArgument) -> Self {
        match format {
            FormatArgument::Table => Self::Table,
            FormatArgument::Json => Self::Json,
            FormatArgument::Csv => Self::Csv,
            FormatArgument::Markdown => Self::Markdown,
        }
    }
}
