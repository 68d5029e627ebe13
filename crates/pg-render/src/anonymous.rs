//! Values that name the types of their parts: an anonymous `record` those of its fields, an `anyarray` the type of its
//! elements.
//!
//! A type that is built into PostgreSQL is known by its OID. A part of any other type, or of a type whose text only the
//! server knows, is "server-only": [`server_only_parts`] finds these parts, and the caller supplies their texts.

use postgres_types::Type;

use super::DecodeError;
use super::nested::{array_text_by, deeper, element_oid, elements, write_field};
use super::rule::{Delimiter, Item, Rule, delimiter};
use super::value_reader::ValueReader;

/// A part of a value that only the server can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The OID of its type.
    pub type_oid: u32,
    /// Its value in binary form. It is not NULL.
    pub value: &'a [u8],
}

/// Appends the text of a part that only the server can write.
pub(super) type WritePart<'w> = dyn FnMut(Part<'_>, &mut Vec<u8>) -> Result<(), DecodeError> + 'w;

pub(super) fn is_anonymous(rule: &Rule) -> bool {
    match rule {
        Rule::Record | Rule::AnyArray => true,
        Rule::Array(item, _) => matches!(item.rule, Rule::Record),
        _ => false,
    }
}

/// The type of the elements of an `anyarray` value, and the delimiter of its text.
pub(super) fn item(raw: &[u8]) -> Result<(Item, Delimiter), DecodeError> {
    let oid = element_oid(raw)?;
    let delimiter = Type::from_oid(oid).map_or(b',', |type_| delimiter(&type_));
    Ok((Item { oid, rule: rule_of(oid) }, delimiter))
}

/// Finds the server-only parts of a value, in the order in which [`text`] writes them.
pub(super) fn server_only_parts<'a>(
    rule: &Rule,
    raw: &'a [u8],
    depth: usize,
    found: &mut Vec<Part<'a>>,
) -> Result<(), DecodeError> {
    match rule {
        Rule::Record => {
            let mut reader = ValueReader::new("record", raw);
            let depth = deeper(depth, &reader)?;
            for _ in 0..reader.count(8)? {
                let type_oid = reader.u32()?;
                match (reader.value()?, rule_of(type_oid)) {
                    (None, _) => {}
                    (Some(value), Rule::ServerOnly) => found.push(Part { type_oid, value }),
                    (Some(value), rule) => server_only_parts(&rule, value, depth, found)?,
                }
            }
        }
        Rule::Array(item, _) if is_anonymous(rule) => {
            let depth = deeper(depth, &ValueReader::new("array", raw))?;
            for element in elements(item.oid, raw)? {
                server_only_parts(&item.rule, element, depth, found)?;
            }
        }
        Rule::AnyArray => {
            let (Item { oid, rule }, _) = item(raw)?;
            if matches!(rule, Rule::ServerOnly) {
                found.extend(elements(oid, raw)?.into_iter().map(|value| Part { type_oid: oid, value }));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Appends the text of a value. `write_part` writes the server-only parts.
pub(super) fn text(
    rule: &Rule,
    raw: &[u8],
    out: &mut Vec<u8>,
    depth: usize,
    write_part: &mut WritePart<'_>,
) -> Result<(), DecodeError> {
    match rule {
        Rule::Record => record_text(raw, out, depth, write_part),
        Rule::Array(item, delimiter) if is_anonymous(rule) => {
            array_text_by(item.oid, *delimiter, raw, out, depth, &mut |element, out, depth| {
                record_text(element, out, depth, write_part)
            })
        }
        Rule::AnyArray => {
            let (item, delimiter) = item(raw)?;
            array_text_by(item.oid, delimiter, raw, out, depth, &mut |value, out, depth| match &item.rule {
                Rule::ServerOnly => write_part(Part { type_oid: item.oid, value }, out),
                rule => rule.text(value, out, depth),
            })
        }
        rule => rule.text(raw, out, depth),
    }
}

/// Layout: the number of fields (int32), then for each field the OID of its type (int32) and its value.
fn record_text(raw: &[u8], out: &mut Vec<u8>, depth: usize, write_part: &mut WritePart<'_>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("record", raw);
    let depth = deeper(depth, &reader)?;
    let count = reader.count(8)?;
    out.push(b'(');
    for n in 0..count {
        let type_oid = reader.u32()?;
        write_field(n, reader.value()?, out, |value, out| match rule_of(type_oid) {
            Rule::ServerOnly => write_part(Part { type_oid, value }, out),
            rule => text(&rule, value, out, depth, write_part),
        })?;
    }
    out.push(b')');
    reader.finish()
}

fn rule_of(oid: u32) -> Rule {
    Type::from_oid(oid).as_ref().map_or(Rule::ServerOnly, Rule::of)
}
