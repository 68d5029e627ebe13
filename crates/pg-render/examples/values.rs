//! Prints a few values from the bytes that PostgreSQL sends for them. No database is needed.
//!
//! `cargo run -p pg-render --example values`

use std::error::Error;
use std::io::{self, Write};

use pg_render::Codec;
use postgres_types::Type;

/// The elements of `{1,NULL,3}`: one dimension, NULLs are possible, the OID of int4; its length and lower bound;
/// then each element as its length (−1 for NULL) and its bytes.
const INT4_ARRAY: &[u8] = &[
    0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, //
    0, 0, 0, 3, 0, 0, 0, 1, //
    0, 0, 0, 4, 0, 0, 0, 1, //
    255, 255, 255, 255, //
    0, 0, 0, 4, 0, 0, 0, 3,
];

fn main() -> Result<(), Box<dyn Error>> {
    let values: &[(Type, &[u8])] = &[
        (Type::BOOL, &[1]),
        (Type::INT4, &[0, 0, 0, 42]),
        (Type::INT8, &[127, 255, 255, 255, 255, 255, 255, 255]),
        (Type::FLOAT8, &0.1_f64.to_be_bytes()),
        (Type::NUMERIC, &[0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 9, 41, 26, 124]),
        (Type::TEXT, b"say \"hello\""),
        (Type::BYTEA, &[0, 255]),
        (Type::DATE, &[0, 0, 0, 0]),
        (Type::TIMESTAMPTZ, &[255; 8]),
        (Type::INET, &[2, 24, 0, 4, 192, 168, 100, 1]),
        (Type::JSONB, b"\x01{\"digits\": 1.50}"),
        (Type::INT4_ARRAY, INT4_ARRAY),
    ];
    let mut out = io::stdout().lock();
    writeln!(out, "{:<11} | {:<29} | JSON", "type", "text")?;
    for (type_, raw) in values {
        let codec = Codec::of(type_);
        let (mut text, mut json) = (Vec::new(), Vec::new());
        codec.write_text(raw, &mut text)?;
        codec.write_json(raw, &mut json)?;
        let (text, json) = (String::from_utf8_lossy(&text), String::from_utf8_lossy(&json));
        writeln!(out, "{:<11} | {text:<29} | {json}", type_.name())?;
    }

    // Only the server can write the text of `money`. A value that is too short is an error.
    writeln!(out, "money is native: {}", Codec::of(&Type::MONEY).is_native())?;
    if let Err(error) = Codec::of(&Type::INT4).write_text(&[0, 0], &mut Vec::new()) {
        writeln!(out, "{error}")?;
    }
    Ok(())
}
