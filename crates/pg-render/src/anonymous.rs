//! Values that name the types of their parts themselves: an anonymous record its fields', an `anyarray` its elements'.
//!
//! The types that are built in are known by their OIDs. A part of any other type, or one whose text only the server
//! knows, is foreign: it is found here, and whoever has the whole written says what stands in its place.

use postgres_types::Type;

use super::DecodeError;
use super::nested::{array_text_by, deeper, element_oid, elements, write_field};
use super::rule::{Delimiter, Item, Rule, delimiter};
use super::wire::Reader;

/// The OID of a foreign part's type, and its value.
pub type Part<'a> = (u32, &'a [u8]);

/// Appends the text of a foreign part.
pub(super) type WritePart<'w> = dyn FnMut(u32, &[u8], &mut Vec<u8>) -> Result<(), DecodeError> + 'w;

/// Whether the values of this rule are such.
pub(super) fn is_anonymous(rule: &Rule) -> bool {
    match rule {
        Rule::Record | Rule::AnyArray => true,
        Rule::Array(item, _) => matches!(item.rule, Rule::Record),
        _ => false,
    }
}

/// What an `anyarray` value holds.
pub(super) fn item(raw: &[u8]) -> Result<(Item, Delimiter), DecodeError> {
    let oid = element_oid(raw)?;
    let delimiter = Type::from_oid(oid).map_or(b',', |type_| delimiter(&type_));
    Ok((Item { oid, rule: rule_of(oid) }, delimiter))
}

/// Finds the foreign parts of a value, in the order in which [`text`] writes them.
pub(super) fn foreign_parts<'a>(
    rule: &Rule,
    raw: &'a [u8],
    depth: usize,
    found: &mut Vec<Part<'a>>,
) -> Result<(), DecodeError> {
    match rule {
        Rule::Record => {
            let mut reader = Reader::new("record", raw);
            let depth = deeper(depth, &reader)?;
            for _ in 0..reader.count(8)? {
                let oid = reader.u32()?;
                match (reader.value()?, rule_of(oid)) {
                    (None, _) => {}
                    (Some(value), Rule::Foreign) => found.push((oid, value)),
                    (Some(value), rule) => foreign_parts(&rule, value, depth, found)?,
                }
            }
        }
        Rule::Array(item, _) if is_anonymous(rule) => {
            let depth = deeper(depth, &Reader::new("array", raw))?;
            for element in elements(item.oid, raw)? {
                foreign_parts(&item.rule, element, depth, found)?;
            }
        }
        Rule::AnyArray => {
            let (Item { oid, rule }, _) = item(raw)?;
            if matches!(rule, Rule::Foreign) {
                found.extend(elements(oid, raw)?.into_iter().map(|element| (oid, element)));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Appends the text of a value, its foreign parts by `foreign`.
pub(super) fn text(
    rule: &Rule,
    raw: &[u8],
    out: &mut Vec<u8>,
    depth: usize,
    foreign: &mut WritePart<'_>,
) -> Result<(), DecodeError> {
    match rule {
        Rule::Record => record_text(raw, out, depth, foreign),
        Rule::Array(item, delimiter) if is_anonymous(rule) => {
            array_text_by(item.oid, *delimiter, raw, out, depth, &mut |element, out, depth| {
                record_text(element, out, depth, foreign)
            })
        }
        Rule::AnyArray => {
            let (item, delimiter) = item(raw)?;
            array_text_by(item.oid, delimiter, raw, out, depth, &mut |element, out, depth| match &item.rule {
                Rule::Foreign => foreign(item.oid, element, out),
                rule => rule.text(element, out, depth),
            })
        }
        rule => rule.text(raw, out, depth),
    }
}

/// The number of fields (int32), then each: its type (int32) and its value.
fn record_text(raw: &[u8], out: &mut Vec<u8>, depth: usize, foreign: &mut WritePart<'_>) -> Result<(), DecodeError> {
    let mut reader = Reader::new("record", raw);
    let depth = deeper(depth, &reader)?;
    let count = reader.count(8)?;
    out.push(b'(');
    for n in 0..count {
        let oid = reader.u32()?;
        write_field(n, reader.value()?, out, |value, out| match rule_of(oid) {
            Rule::Foreign => foreign(oid, value, out),
            rule => text(&rule, value, out, depth, foreign),
        })?;
    }
    out.push(b')');
    reader.finish()
}

fn rule_of(oid: u32) -> Rule {
    Type::from_oid(oid).as_ref().map_or(Rule::Foreign, Rule::of)
}
