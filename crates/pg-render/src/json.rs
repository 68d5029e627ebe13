//! JSON strings, and values of `json` and `jsonb` as a part of other JSON.
//!
//! The output is always UTF-8 on one line, so that it fits into a format in which a newline ends a message.

use super::DecodeError;

/// Appends a JSON string with its quotes. Each maximal invalid part of UTF-8 (in a database in `SQL_ASCII`) becomes
/// U+FFFD.
pub fn write_json_string(text: impl AsRef<[u8]>, out: &mut Vec<u8>) {
    let text = text.as_ref();
    out.reserve(text.len() + 2);
    out.push(b'"');
    push_escaped_utf8(text, out);
    out.push(b'"');
}

/// The number of bytes at the start of `text` that are whole characters and take at most `bytes_max` bytes inside a JSON
/// string.
pub(super) fn fitting_bytes(text: &[u8], mut bytes_max: usize) -> usize {
    let mut fitting = 0;
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().chars().map(|character| (character.len_utf8(), escaped_bytes(character)));
        let invalid = (!chunk.invalid().is_empty()).then_some((chunk.invalid().len(), '\u{fffd}'.len_utf8()));
        for (bytes, escaped) in valid.chain(invalid) {
            if escaped > bytes_max {
                return fitting;
            }
            bytes_max -= escaped;
            fitting += bytes;
        }
    }
    fitting
}

/// Escapes `out[start..]` in place, as the inside of a JSON string.
pub(super) fn escape_tail(out: &mut Vec<u8>, start: usize) {
    let tail = &out[start..];
    if tail.iter().any(|&byte| ESCAPES[usize::from(byte)] != 0) || std::str::from_utf8(tail).is_err() {
        let tail = out.split_off(start);
        push_escaped_utf8(&tail, out);
    }
}

/// JSON with more levels is written as a string. serde_json reads at most 128 levels, and the JSON around the value needs
/// some of them.
const EMBEDDED_DEPTH_MAX: usize = 100;

/// Appends a value of `json` or `jsonb`, which PostgreSQL has checked to be JSON. Digits, keys and their order do not
/// change. A newline becomes a blank: it is white space, because a JSON string has no raw newline. JSON that some readers
/// refuse becomes a string of its text, because such a reader would refuse everything around the value too.
pub(super) fn embed(type_name: &'static str, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    if raw.iter().all(u8::is_ascii_whitespace) {
        return Err(DecodeError { type_name, problem: "it is empty" });
    }
    if !is_portable(raw) {
        write_json_string(raw, out);
        return Ok(());
    }
    let start = out.len();
    push_utf8(raw, out);
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Ok(())
}

/// Whether `written`, which [`embed`] has written for `raw`, can be mistaken for no other value. A JSON null looks like a
/// NULL, and a string of the text looks like a JSON string.
pub(super) fn is_self_describing(raw: &[u8], written: &[u8]) -> bool {
    raw.trim_ascii() != b"null" && (written.first() != Some(&b'"') || is_portable(raw))
}

/// Whether every common reader accepts this JSON. PostgreSQL accepts deep nesting, half of a surrogate pair, and a number
/// that is too large for a double; serde_json, Go or Python refuse some of these.
fn is_portable(text: &[u8]) -> bool {
    let (mut at, mut depth) = (0, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => match string_end(text, at + 1) {
                Some(end) => at = end,
                None => return false,
            },
            b'-' | b'0'..=b'9' => {
                let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let length = text[at..].iter().take_while(|byte| is_of_number(byte)).count();
                if !fits_a_double(&text[at..at + length]) {
                    return false;
                }
                at += length;
            }
            b'[' | b'{' if depth == EMBEDDED_DEPTH_MAX => return false,
            b'[' | b'{' => (at, depth) = (at + 1, depth + 1),
            b']' | b'}' => (at, depth) = (at + 1, depth.saturating_sub(1)),
            _ => at += 1,
        }
    }
    true
}

/// The end of the string whose first character is at `at`, if all its surrogates are in pairs.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        match utf16_escape(text, at) {
            Some(0xd800..=0xdbff) => match utf16_escape(text, at + 6) {
                Some(0xdc00..=0xdfff) => at += 12,
                _ => return None,
            },
            Some(0xdc00..=0xdfff) => return None,
            Some(_) => at += 6,
            None if at + 2 <= text.len() => at += 2,
            None => return None,
        }
    }
}

/// The number in the `\uXXXX` at `at`, if there is one.
fn utf16_escape(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn fits_a_double(number: &[u8]) -> bool {
    /// 10^308 fits into a double.
    const DIGITS_MAX: usize = 308;
    if number.len() <= DIGITS_MAX && !number.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return true;
    }
    std::str::from_utf8(number).is_ok_and(|number| number.parse::<f64>().is_ok_and(f64::is_finite))
}

fn push_utf8(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn push_escaped_utf8(text: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(text) {
        Ok(text) => push_json_escaped(text.as_bytes(), out),
        Err(_) => {
            for chunk in text.utf8_chunks() {
                push_json_escaped(chunk.valid().as_bytes(), out);
                if !chunk.invalid().is_empty() {
                    out.extend_from_slice("\u{fffd}".as_bytes());
                }
            }
        }
    }
}

/// Appends UTF-8, escaped as the inside of a JSON string and without quotes. `text` may be any part of the string: it may
/// end inside a character.
pub fn push_json_escaped(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = text.iter().position(|&byte| ESCAPES[usize::from(byte)] != 0) {
        let byte = text[at];
        out.extend_from_slice(&text[..at]);
        match ESCAPES[usize::from(byte)] {
            b'u' => {
                out.extend_from_slice(b"\\u00");
                super::scalar::hex(&[byte], out);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

/// The number of bytes of a character inside a JSON string.
fn escaped_bytes(character: char) -> usize {
    match u8::try_from(character).map(|byte| ESCAPES[usize::from(byte)]) {
        Ok(0) | Err(_) => character.len_utf8(),
        Ok(b'u') => "\\u0000".len(),
        Ok(_) => "\\n".len(),
    }
}

/// For each byte: the letter after the backslash; `u` for a byte that has no such letter; 0 if it needs no escape.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0c] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};
