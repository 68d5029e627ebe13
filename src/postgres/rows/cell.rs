//! A cell before it is written: what it holds, how much room it needs, and how much it gets.

use pg_render::{Codec, DecodeError, Text, write_json_string};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

/// No cell is cut below this many bytes of JSON, however little room there is. An integer, a timestamp or a UUID (38
/// bytes with its quotes) that is half there would be taken for another.
pub const CELL_BYTES_MIN: usize = 40;

/// What a JSON string takes besides its characters.
pub(super) const QUOTES_BYTES: usize = 2;

/// How a value is shown that its column's codec alone cannot show.
#[derive(Debug)]
pub enum RenderedCell {
    /// As this text; `None` is NULL.
    Text(Option<String>),
    /// As what this codec reads from it.
    By(Codec),
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
    // It accepts every type and never fails; the index comes from the row's own columns.
    row.try_get::<_, Option<BinaryValue<'_>>>(column).ok().flatten().map(|value| value.0)
}

/// The cells of a row.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub row: &'a Row,
    /// How values are shown that only the server can write, by column.
    pub shown: &'a [(usize, RenderedCell)],
}

impl<'a> Cells<'a> {
    pub fn value(&self, column: usize, codec: &'a Codec) -> Value<'a> {
        let codec = match self.shown.iter().find(|(at, _)| *at == column) {
            Some((_, RenderedCell::Text(text))) => return text.as_deref().map_or(Value::Null, Value::Shown),
            Some((_, RenderedCell::By(own))) => own,
            None => codec,
        };
        binary_value(self.row, column).map_or(Value::Null, |raw| Value::Wire(codec, raw))
    }
}

/// What a cell holds.
pub(super) enum Value<'a> {
    Null,
    /// As PostgreSQL sent it.
    Wire(&'a Codec, &'a [u8]),
    /// PostgreSQL's own text of it.
    Shown(&'a str),
}

impl<'a> Value<'a> {
    /// What its JSON takes at least, without writing any. Of what is text already that is its length: escapes and
    /// quotes only add to it.
    pub fn json_bytes_min(&self) -> Result<usize, DecodeError> {
        Ok(match self {
            Self::Null => 0,
            Self::Wire(codec, raw) => codec.borrowed_text(raw)?.map_or(0, |text| text.len()),
            Self::Shown(text) => text.len(),
        })
    }

    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Wire(codec, raw) => codec.write_json(raw, out)?,
            Self::Shown(text) => write_json_string(text, out),
        }
        Ok(())
    }

    /// Whether the JSON that was written says which value it is.
    pub fn is_self_describing(&self, written: &[u8]) -> bool {
        match self {
            Self::Wire(codec, raw) => codec.is_self_describing(raw, written),
            Self::Null | Self::Shown(_) => true,
        }
    }

    /// False is NULL.
    pub fn write_text(&self, out: &mut Vec<u8>) -> Result<bool, DecodeError> {
        match self {
            Self::Null => return Ok(false),
            Self::Wire(codec, raw) => codec.write_text(raw, out)?,
            Self::Shown(text) => out.extend_from_slice(text.as_bytes()),
        }
        Ok(true)
    }

    /// Its text, to take pieces of.
    pub fn text(&self) -> Result<Text<'a>, DecodeError> {
        match self {
            Self::Null => Ok(Text::of(b"")),
            Self::Wire(codec, raw) => codec.text(raw),
            Self::Shown(text) => Ok(Text::of(text.as_bytes())),
        }
    }

    /// Its text and the start of the character at `offset`, where the text is longer than that; `None` is to be shown
    /// from its start.
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

/// How much room each cell of a row gets, in bytes of JSON.
pub(super) struct Shares {
    needs: Vec<usize>,
    /// What a cell may take that needs more.
    pub most: usize,
}

impl Shares {
    /// Of `room`, all cells have as much as they need, or as much as any other: those that need little leave the rest
    /// to the others. None has less than [`CELL_BYTES_MIN`].
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

    /// Whether the cell of that column is shown whole.
    pub fn is_enough(&self, column: usize) -> bool {
        self.needs[column] <= self.most
    }
}
