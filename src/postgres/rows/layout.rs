//! The text formats: how a header, a cell and the end of a row are written. The content of a cell is decided before.

use pg_render::write_json_string;

use crate::postgres::statement::{ColumnInfo, Format};

/// The initial capacity, in bytes: enough for a small answer.
const CAPACITY_BYTES: usize = 512;

/// The rule under a header is no longer than this, in characters.
const HEADER_RULE_MAX: usize = 80;

/// The JSON member with the list of cells that must be read as JSON.
pub const JSON_CELLS: &str = "json_cells";

/// The text of an answer so far.
#[derive(Debug)]
pub(super) struct Layout {
    format: Format,
    text: Vec<u8>,
}

impl Layout {
    /// Starts with the header of these columns.
    pub fn new(format: Format, columns: &[ColumnInfo]) -> Self {
        let mut layout = Self { format, text: Vec::with_capacity(CAPACITY_BYTES) };
        layout.write_header(columns);
        layout
    }

    /// Whether cells must be written: in the JSON format the text is built from the rows' JSON at the end.
    pub fn takes_cells(&self) -> bool {
        self.format != Format::Json
    }

    /// The mark after a piece that does not reach the end of its cell. CSV has none: a program would read it as data.
    pub fn sign_of_more(&self) -> &'static str {
        match self.format {
            Format::Table | Format::Markdown => "…",
            Format::Csv | Format::Json => "",
        }
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Drop everything after this length.
    pub fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
    }

    /// Write the text of a column; `None` is NULL.
    pub fn write_cell(&mut self, column: usize, cell: Option<&[u8]>) {
        let text = &mut self.text;
        let present = cell.is_some();
        let cell = cell.unwrap_or_default();
        match self.format {
            Format::Json => {}
            Format::Table => {
                if column > 0 {
                    text.extend_from_slice(b" | ");
                }
                if !present {
                    text.extend_from_slice(b"NULL");
                }
                for &byte in cell {
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
                for &byte in cell {
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
                if cell.iter().any(special) || (present && cell.is_empty()) {
                    text.push(b'"');
                    for &byte in cell {
                        if byte == b'"' {
                            text.push(b'"');
                        }
                        text.push(byte);
                    }
                    text.push(b'"');
                } else {
                    text.extend_from_slice(cell);
                }
            }
        }
    }

    pub fn end_row(&mut self) {
        match self.format {
            Format::Json => {}
            Format::Table => self.text.push(b'\n'),
            Format::Markdown => self.text.extend_from_slice(b"|\n"),
            Format::Csv => self.text.extend_from_slice(b"\r\n"),
        }
    }

    /// The whole text. In the JSON format it is the text without the rows, and the offset at which they belong.
    pub fn finish(mut self, columns: &[ColumnInfo], json_cells: &[[usize; 2]]) -> (Vec<u8>, Option<usize>) {
        let mut rows_in_text = None;
        if self.format == Format::Json {
            self.text.extend_from_slice(b"{\"columns\":[");
            for (at, column) in columns.iter().enumerate() {
                if at > 0 {
                    self.text.push(b',');
                }
                write_json_string(column.name.as_bytes(), &mut self.text);
            }
            self.text.extend_from_slice(b"],\"rows\":[");
            rows_in_text = Some(self.text.len());
            self.text.push(b']');
            if !json_cells.is_empty() {
                self.text.extend_from_slice(format!(",\"{JSON_CELLS}\":{}", serde_json::json!(json_cells)).as_bytes());
            }
            self.text.extend_from_slice(b"}\n");
        }
        (self.text, rows_in_text)
    }

    fn write_header(&mut self, columns: &[ColumnInfo]) {
        if self.format == Format::Json || columns.is_empty() {
            return;
        }
        for (at, column) in columns.iter().enumerate() {
            self.write_cell(at, Some(column.name.as_bytes()));
        }
        self.end_row();
        match self.format {
            Format::Table => {
                let width = String::from_utf8_lossy(&self.text).trim_end().chars().count();
                self.text.extend(std::iter::repeat_n(b'-', width.min(HEADER_RULE_MAX)));
                self.text.push(b'\n');
            }
            Format::Markdown => {
                for _ in columns {
                    self.text.extend_from_slice(b"|---");
                }
                self.text.extend_from_slice(b"|\n");
            }
            Format::Csv | Format::Json => {}
        }
    }
}
