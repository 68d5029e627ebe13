//! A value's text of which pieces are taken, without writing the whole where the value itself holds it.

use std::borrow::Cow;

use super::json::fitting_bytes;
use super::scalar;

/// The longest character of UTF-8.
const CHARACTER_BYTES_MAX: usize = 4;

/// The text that psql would show of a value.
#[derive(Clone, Debug)]
pub struct Text<'a>(Form<'a>);

#[derive(Clone, Debug)]
enum Form<'a> {
    Bytes(Cow<'a, [u8]>),
    /// `\x` and two digits for each of these.
    Hex(&'a [u8]),
}

impl<'a> Text<'a> {
    /// The text that these bytes are.
    pub fn of(text: &'a [u8]) -> Self {
        Self(Form::Bytes(Cow::Borrowed(text)))
    }

    pub(super) fn written(text: Vec<u8>) -> Self {
        Self(Form::Bytes(Cow::Owned(text)))
    }

    pub(super) fn hex(raw: &'a [u8]) -> Self {
        Self(Form::Hex(raw))
    }

    /// How many bytes it is long.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Bytes(text) => text.len(),
            Form::Hex(raw) => HEX_SIGN.len() + 2 * raw.len(),
        }
    }

    /// Whether it is the empty text.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the character begins to which the byte at `offset` belongs.
    pub fn character_start(&self, offset: usize) -> usize {
        let Form::Bytes(text) = &self.0 else { return offset };
        let is_inside = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
        if !is_inside(&offset) {
            return offset;
        }
        let nearest = offset.saturating_sub(CHARACTER_BYTES_MAX - 1);
        let Some(start) = (nearest..offset).rev().find(|at| !is_inside(at)) else { return offset };
        // What is no UTF-8 is shown as a U+FFFD for each maximal part of a character.
        let character = &text[start..text.len().min(start + CHARACTER_BYTES_MAX)];
        let length = character.utf8_chunks().next().map_or(0, |chunk| match chunk.valid().chars().next() {
            Some(character) => character.len_utf8(),
            None => chunk.invalid().len(),
        });
        if start + length > offset { start } else { offset }
    }

    /// The whole characters from `offset` on that take no more than `room` bytes inside of a JSON string.
    pub fn piece(&self, offset: usize, room: usize) -> Cow<'_, [u8]> {
        // A byte takes one at least. With three more, what is cut off at the end is no part of what fits.
        let end = self.len().min(offset.saturating_add(room).saturating_add(CHARACTER_BYTES_MAX - 1));
        match &self.0 {
            Form::Bytes(text) => {
                let window = &text[offset.min(end)..end];
                Cow::Borrowed(&window[..fitting_bytes(window, room)])
            }
            Form::Hex(raw) => {
                let mut window = hex_window(raw, offset.min(end), end);
                window.truncate(fitting_bytes(&window, room));
                Cow::Owned(window)
            }
        }
    }
}

const HEX_SIGN: &[u8] = b"\\x";

/// The bytes of the text from `start` to `end`.
fn hex_window(raw: &[u8], start: usize, end: usize) -> Vec<u8> {
    let sign = HEX_SIGN.get(start..).unwrap_or_default();
    let first = start.saturating_sub(HEX_SIGN.len());
    let last = end.saturating_sub(HEX_SIGN.len());
    let mut window = sign.to_vec();
    scalar::hex(&raw[first / 2..last.div_ceil(2)], &mut window);
    // The digits begin and end with whole bytes of the value.
    window.drain(sign.len()..sign.len() + first % 2);
    window.truncate(end - start);
    window
}
