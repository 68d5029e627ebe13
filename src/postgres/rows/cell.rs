//! A cell before it is written: its value, how much space it needs and how much it gets.

use pg_render::{Codec, DecodeError, Text, write_json_string};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

/// No cell is cut to less than this many bytes of JSON, however little space is left: half an integer, timestamp or
/// UUID (38 bytes with its quotes) would look like another value.
pub const CELL_BYTES_MIN: usize = 40;

/// The bytes of a JSON string besides its characters.
pub(super) const QUOTES_BYTES: usize = 2;

/// How a value is shown that the codec of its column cannot show.
#[derive(Debug)]
pub enum RenderedCell {
    /// With this text; `None` is NULL.
    Text(Option<String>),
    /// With this codec.
    Codec(Codec),
}

/// The value of a cell as PostgreSQL sent it, whatever its type.
pub(super) struct BinaryValue<'a>(pub &'a [u8]);

impl<'a> FromSql<'a> for BinaryValue<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The bytes of a cell; `None` is NULL.
pub(super) fn binary_value(row: &Row, column: usize) -> Option<&[u8]> {
    // `BinaryValue` accepts every type and never fails; the index comes from the row's own columns.
    row.try_get::<_, Option<BinaryValue<'_>>>(column).ok().flatten().map(|value| value.0)
}

/// The cells of a row.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub row: &'a Row,
    /// How values are shown that only PostgreSQL can render, by column.
    pub rendered: &'a [(usize, RenderedCell)],
}

impl<'a> Cells<'a> {
    pub fn value(&self, column: usize, codec: &'a Codec) -> CellValue<'a> {
        let codec = match self.rendered.iter().find(|(at, _)| *at == column) {
            Some((_, RenderedCell::Text(text))) => {
                return text.as_deref().map_or(CellValue::Null, CellValue::ServerText);
            }
            Some((_, RenderedCell::Codec(own))) => own,
            None => codec,
        };
        binary_value(self.row, column).map_or(CellValue::Null, |raw| CellValue::Binary(codec, raw))
    }
}

/// The value of a cell.
pub(super) enum CellValue<'a> {
    Null,
    /// In binary form, as PostgreSQL sent it.
    Binary(&'a Codec, &'a [u8]),
    /// As PostgreSQL's own text.
    ServerText(&'a str),
}

impl<'a> CellValue<'a> {
    /// The least number of bytes of its JSON, without writing it. For a value that is already text this is its length:
    /// escapes and quotes only add to it.
    pub fn json_bytes_min(&self) -> Result<usize, DecodeError> {
        Ok(match self {
            Self::Null => 0,
            Self::Binary(codec, raw) => codec.borrowed_text(raw)?.map_or(0, |text| text.len()),
            Self::ServerText(text) => text.len(),
        })
    }

    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Binary(codec, raw) => codec.write_json(raw, out)?,
            Self::ServerText(text) => write_json_string(text, out),
        }
        Ok(())
    }

    /// Whether the written JSON is enough to know the value: JSON null and SQL NULL look the same, for example.
    pub fn is_self_describing(&self, written: &[u8]) -> bool {
        match self {
            Self::Binary(codec, raw) => codec.is_self_describing(raw, written),
            Self::Null | Self::ServerText(_) => true,
        }
    }

    /// Writes the text; returns false for NULL.
    pub fn write_text(&self, out: &mut Vec<u8>) -> Result<bool, DecodeError> {
        match self {
            Self::Null => return Ok(false),
            Self::Binary(codec, raw) => codec.write_text(raw, out)?,
            Self::ServerText(text) => out.extend_from_slice(text.as_bytes()),
        }
        Ok(true)
    }

    /// Its text, from which pieces can be taken.
    pub fn text(&self) -> Result<Text<'a>, DecodeError> {
        match self {
            Self::Null => Ok(Text::of(b"")),
            Self::Binary(codec, raw) => codec.text(raw),
            Self::ServerText(text) => Ok(Text::of(text.as_bytes())),
        }
    }

    /// Its text and the start of the character at `offset`, if the text is longer than that; `None` if the cell is
    /// shown from its start.
    pub fn text_from(&self, offset: usize) -> Result<Option<(Text<'a>, usize)>, DecodeError> {
        if offset == 0 {
            return Ok(None);
        }
        let text = self.text()?;
        if text.len() <= offset {
            return Ok(None);
        }
        let start = text.character_start(offset);
        Ok(Some((text, start)))
    }
}

/// How much space each cell of a row gets, in bytes of JSON.
pub(super) struct Shares {
    needs: Vec<usize>,
    /// The limit of a cell that needs more.
    pub most: usize,
}

impl Shares {
    /// Divides `room`: cells that need little get what they need, and the rest is divided equally among the others. No
    /// cell gets less than [`CELL_BYTES_MIN`].
    pub fn of(needs: Vec<usize>, mut room: usize) -> Self {
        let mut ascending = needs.clone();
        ascending.sort_unstable();
        let mut most = usize::MAX;
        for (at, need) in ascending.iter().enumerate() {
            let share = room / (ascending.len() - at);
            if *need > share {
                most = share.max(CELL_BYTES_MIN);
                break;
            }
            room -= need;
        }
        Self { needs, most }
    }

    /// Whether the cell of that column fits whole.
    pub fn is_enough(&self, column: usize) -> bool {
        self.needs[column] <= self.most
    }
}
