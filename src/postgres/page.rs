//! One answer's rows while they arrive: each row is written once as JSON and once as text, and counted against the
//! answer's limits. Nothing else of a row is kept.

use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Column, Row};

use super::encode::{Codec, DecodeError, write_json_string};
use super::params;

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
    /// A Markdown table.
    Markdown,
}

/// What an answer may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows.
    pub rows_max: usize,
    /// Bytes of rows, as JSON.
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

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// As PostgreSQL names it; not always unique, and `?column?` where it has no name.
    pub name: String,
    /// The type's name.
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
    columns: Vec<ColumnInfo>,
    codecs: Vec<Codec>,
    format: Format,
    limits: Limits,
    /// `[1,"a"],[2,"b"]`: the rows, without the brackets around them.
    json: Vec<u8>,
    text: Vec<u8>,
    cell: Vec<u8>,
    rows: usize,
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
    /// An empty page of these columns.
    /// Their values come as `types`, which differ from the columns' own where a cast stands between.
    pub fn new(columns: Vec<ColumnInfo>, types: &[Type], format: Format, limits: Limits) -> Self {
        let mut page = Self {
            codecs: types.iter().map(Codec::of).collect(),
            columns,
            format,
            limits,
            json: Vec::new(),
            text: Vec::new(),
            cell: Vec::new(),
            rows: 0,
            cut: None,
        };
        page.write_header();
        page
    }

    /// Which columns hold values that only PostgreSQL itself can show.
    pub fn foreign_columns(&self) -> Vec<usize> {
        (0..self.codecs.len()).filter(|&column| !self.codecs[column].is_native()).collect()
    }

    /// How many more rows there is room for.
    pub fn rows_left(&self) -> usize {
        self.limits.rows_max - self.rows
    }

    /// How many more rows of the size seen so far there is byte room for; `None` before the first.
    pub fn rows_left_by_bytes(&self) -> Option<usize> {
        let row_bytes = self.json.len().checked_div(self.rows)?.max(1);
        Some(self.limits.bytes_max.saturating_sub(self.json.len()) / row_bytes)
    }

    /// Whether a limit has cut the answer.
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Add a row, or cut the answer before it. `shown` are the texts of the foreign columns, by column.
    ///
    /// # Errors
    /// The value that could not be read.
    pub fn push(&mut self, row: &Row, shown: &[(usize, Option<String>)]) -> Result<(), DecodeError> {
        if self.cut.is_some() {
            return Ok(());
        }
        if self.rows == self.limits.rows_max {
            self.cut = Some(Cut::Rows(self.rows));
            return Ok(());
        }
        let (json_before, text_before) = (self.json.len(), self.text.len());
        if self.rows > 0 {
            self.json.push(b',');
        }
        self.json.push(b'[');
        for column in 0..self.codecs.len() {
            if column > 0 {
                self.json.push(b',');
            }
            match shown.iter().find(|(at, _)| *at == column) {
                Some((_, text)) => self.push_shown(column, text.as_deref()),
                None => self.push_cell(column, wire(row, column))?,
            }
        }
        self.json.push(b']');
        self.end_text_row();
        // One row is always answered, or the answer could never go on.
        if self.json.len() > self.limits.bytes_max && self.rows > 0 {
            self.json.truncate(json_before);
            self.text.truncate(text_before);
            self.cut = Some(Cut::Bytes(self.limits.bytes_max));
            return Ok(());
        }
        self.rows += 1;
        Ok(())
    }

    fn push_cell(&mut self, column: usize, value: Option<&[u8]>) -> Result<(), DecodeError> {
        let Some(value) = value else {
            self.push_shown(column, None);
            return Ok(());
        };
        let codec = &self.codecs[column];
        codec.write_json(value, &mut self.json)?;
        if self.format != Format::Json {
            self.cell.clear();
            codec.write_text(value, &mut self.cell)?;
            self.write_text_cell(column, true);
        }
        Ok(())
    }

    fn push_shown(&mut self, column: usize, text: Option<&str>) {
        match text {
            Some(text) => write_json_string(text.as_bytes(), &mut self.json),
            None => self.json.extend_from_slice(b"null"),
        }
        self.cell.clear();
        self.cell.extend_from_slice(text.unwrap_or("").as_bytes());
        self.write_text_cell(column, text.is_some());
    }

    fn write_header(&mut self) {
        if self.format == Format::Json || self.columns.is_empty() {
            return;
        }
        for column in 0..self.columns.len() {
            self.cell.clear();
            self.cell.extend_from_slice(self.columns[column].name.as_bytes());
            self.write_text_cell(column, true);
        }
        self.end_text_row();
        match self.format {
            Format::Table => {
                let width = String::from_utf8_lossy(&self.text).trim_end().chars().count();
                self.text.extend(std::iter::repeat_n(b'-', width.min(HEADER_RULE_MAX)));
                self.text.push(b'\n');
            }
            Format::Markdown => {
                for _ in &self.columns {
                    self.text.extend_from_slice(b"|---");
                }
                self.text.extend_from_slice(b"|\n");
            }
            Format::Csv | Format::Json => {}
        }
    }

    /// Write `self.cell` as the text of a column; not `present` is NULL.
    fn write_text_cell(&mut self, column: usize, present: bool) {
        let text = &mut self.text;
        match self.format {
            Format::Json => {}
            Format::Table => {
                if column > 0 {
                    text.extend_from_slice(b" | ");
                }
                if !present {
                    text.extend_from_slice(b"NULL");
                }
                for &byte in &self.cell {
                    match byte {
                        b'\n' => text.extend_from_slice(b"\\n"),
                        b'\r' => text.extend_from_slice(b"\\r"),
                        byte => text.push(byte),
                    }
                }
            }
            Format::Markdown => {
                text.extend_from_slice(b"| ");
                if !present {
                    text.extend_from_slice(b"NULL");
                }
                let mut previous = b' ';
                for &byte in &self.cell {
                    match byte {
                        // After a backslash, \| would be a backslash and the end of the cell.
                        b'|' if previous == b'\\' => text.extend_from_slice(b"&#124;"),
                        b'|' => text.extend_from_slice(b"\\|"),
                        b'\n' => text.extend_from_slice(b"<br>"),
                        b'\r' => {}
                        byte => text.push(byte),
                    }
                    previous = byte;
                }
                text.push(b' ');
            }
            Format::Csv => {
                if column > 0 {
                    text.push(b',');
                }
                let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
                if self.cell.iter().any(special) || (present && self.cell.is_empty()) {
                    text.push(b'"');
                    for &byte in &self.cell {
                        if byte == b'"' {
                            text.push(b'"');
                        }
                        text.push(byte);
                    }
                    text.push(b'"');
                } else {
                    text.extend_from_slice(&self.cell);
                }
            }
        }
    }

    fn end_text_row(&mut self) {
        match self.format {
            Format::Json => {}
            Format::Table => self.text.push(b'\n'),
            Format::Markdown => self.text.extend_from_slice(b"|\n"),
            Format::Csv => self.text.extend_from_slice(b"\r\n"),
        }
    }

    /// The page as it goes into an answer.
    pub fn finish(mut self) -> FinishedPage {
        let mut rows_in_text = None;
        if self.format == Format::Json {
            self.text.extend_from_slice(b"{\"columns\":[");
            for (at, column) in self.columns.iter().enumerate() {
                if at > 0 {
                    self.text.push(b',');
                }
                write_json_string(column.name.as_bytes(), &mut self.text);
            }
            self.text.extend_from_slice(b"],\"rows\":[");
            rows_in_text = Some(self.text.len());
            self.text.extend_from_slice(b"]}\n");
        }
        FinishedPage {
            columns: self.columns,
            json: into_string(self.json),
            text: into_string(self.text),
            rows_in_text,
            rows: self.rows,
            cut: self.cut,
        }
    }
}

/// The rule under a header is no longer than this, in characters.
const HEADER_RULE_MAX: usize = 80;

/// A database in SQL_ASCII may send what is no UTF-8; an answer never holds it.
fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The rows of an answer, ready.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FinishedPage {
    /// What the cells of a row are.
    pub columns: Vec<ColumnInfo>,
    /// The rows as JSON arrays, separated by commas, without the brackets around them all.
    pub json: String,
    /// The rows in the format asked for.
    pub text: String,
    /// Where in the text the rows go, in bytes, if they stand there as JSON: they are not copied.
    pub rows_in_text: Option<usize>,
    /// How many there are.
    pub rows: usize,
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
}

#[cfg(test)]
mod tests;
