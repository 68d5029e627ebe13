//! Halves of surrogate pairs in JSON. A string of JavaScript may have one, and JSON.stringify writes it as an escape. It is no
//! character, so no text of Rust or PostgreSQL can have it.

/// Where the escapes are, 6 bytes each, that are one half of a surrogate pair without its other half.
pub(crate) fn unpaired(json: &[u8]) -> Vec<usize> {
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut unpaired = Vec::new();
    let mut at = 0;
    while at < json.len() {
        at += match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                unpaired.push(at);
                6
            }
            // The character after a backslash begins no other escape.
            _ if json[at] == b'\\' => 2,
            _ => 1,
        };
    }
    unpaired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_unpaired_unless_the_other_half_follows_and_only_if_it_is_an_escape() {
        for (json, places) in [
            (r#""plain é \n \u00e9""#, &[][..]),
            (r#""\ud83d\ude00""#, &[]),
            (r#""\uD83D\uDE00 \ud83d\ude00""#, &[]),
            (r#""\ud83d""#, &[1]),
            (r#""\ude00\ud83d""#, &[1, 7]),
            (r#""\ud83d\ud83d\ude00""#, &[1]),
            (r#""\ud83d \ude00""#, &[1, 8]),
            (r#""\\ud83d""#, &[]),
            (r#""\\\ud83d""#, &[3]),
            (r#"{"a":["\udfff",7]}"#, &[7]),
            (r#""\u"#, &[]),
        ] {
            assert_eq!(unpaired(json.as_bytes()), places, "{json}");
        }
    }
}
