//! The text of a value, of which pieces can be taken. If possible it borrows the bytes of the value.

use std::borrow::Cow;

use super::json::fitting_bytes;
use super::scalar;

/// The length of the longest character in UTF-8.
const CHARACTER_BYTES_MAX: usize = 4;

/// The text that psql would show for a value. Offsets and lengths are in bytes of the text.
#[derive(Clone, Debug)]
pub struct Text<'a>(Form<'a>);

#[derive(Clone, Debug)]
enum Form<'a> {
    Bytes(Cow<'a, [u8]>),
    /// `\x`, then two digits for each of these bytes.
    Hex(&'a [u8]),
}

impl<'a> Text<'a> {
    /// These bytes as a text.
    pub fn of(text: &'a [u8]) -> Self {
        Self(Form::Bytes(Cow::Borrowed(text)))
    }

    pub(super) fn written(text: Vec<u8>) -> Self {
        Self(Form::Bytes(Cow::Owned(text)))
    }

    pub(super) fn hex(raw: &'a [u8]) -> Self {
        Self(Form::Hex(raw))
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Bytes(text) => text.len(),
            Form::Hex(raw) => HEX_SIGN.len() + 2 * raw.len(),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The offset of the first byte of the character that contains the byte at `offset`.
    pub fn character_start(&self, offset: usize) -> usize {
        let Form::Bytes(text) = &self.0 else { return offset };
        let is_inside = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
        if !is_inside(&offset) {
            return offset;
        }
        let nearest = offset.saturating_sub(CHARACTER_BYTES_MAX - 1);
        let Some(start) = (nearest..offset).rev().find(|at| !is_inside(at)) else { return offset };
        // In JSON each maximal invalid part of UTF-8 is one U+FFFD: here it is one character.
        let character = &text[start..text.len().min(start + CHARACTER_BYTES_MAX)];
        let length = character.utf8_chunks().next().map_or(0, |chunk| match chunk.valid().chars().next() {
            Some(character) => character.len_utf8(),
            None => chunk.invalid().len(),
        });
        if start + length > offset { start } else { offset }
    }

    /// The whole characters from `offset` on that together take at most `json_bytes_max` bytes inside a JSON string.
    pub fn piece(&self, offset: usize, json_bytes_max: usize) -> Cow<'_, [u8]> {
        // Each byte takes at least one byte. With three more, a character that the window cuts cannot be one that fits.
        let end = self.len().min(offset.saturating_add(json_bytes_max).saturating_add(CHARACTER_BYTES_MAX - 1));
        match &self.0 {
            Form::Bytes(text) => {
                let window = &text[offset.min(end)..end];
                Cow::Borrowed(&window[..fitting_bytes(window, json_bytes_max)])
            }
            Form::Hex(raw) => {
                let mut window = hex_window(raw, offset.min(end), end);
                window.truncate(fitting_bytes(&window, json_bytes_max));
                Cow::Owned(window)
            }
        }
    }
}

const HEX_SIGN: &[u8] = b"\\x";

/// The bytes `start..end` of the text of a `bytea`.
fn hex_window(raw: &[u8], start: usize, end: usize) -> Vec<u8> {
    let sign = HEX_SIGN.get(start..).unwrap_or_default();
    let first = start.saturating_sub(HEX_SIGN.len());
    let last = end.saturating_sub(HEX_SIGN.len());
    let mut window = sign.to_vec();
    scalar::hex(&raw[first / 2..last.div_ceil(2)], &mut window);
    // The digits are those of whole bytes: remove what is before `start` and after `end`.
    window.drain(sign.len()..sign.len() + first % 2);
    window.truncate(end - start);
    window
}
