//! Values that contain values: arrays, records, ranges. The text quotes the members; the JSON of an array is an array.

use super::DecodeError;
use super::json;
use super::quote::{Quoting, quote_tail};
use super::rule::{Delimiter, Item, Rule};
use super::scalar::integer;
use super::value_reader::ValueReader;

/// PostgreSQL's `MAXDIM`.
const DIMENSIONS_MAX: usize = 6;

/// An array of which the header is read. Layout: the number of dimensions, whether there are NULLs, the OID of the
/// elements' type (int32 each); for each dimension its length and its lower bound (int32 each); then the elements.
struct Array<'a> {
    reader: ValueReader<'a>,
    dimensions: Dimensions,
}

/// The dimensions without an allocation, and how many there are: none if the array has no element.
type Dimensions = ([Dimension; DIMENSIONS_MAX], usize);

#[derive(Clone, Copy, Default)]
struct Dimension {
    length: usize,
    lower: i32,
}

impl<'a> Array<'a> {
    fn read(element_oid: u32, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = ValueReader::new("array", raw);
        let count = reader.count(8).ok().filter(|&count| count <= DIMENSIONS_MAX);
        let count = count.ok_or_else(|| reader.error("it has too many dimensions"))?;
        let _has_nulls = reader.i32()?;
        if reader.u32()? != element_oid {
            return Err(reader.error("its elements are of another type than the column's"));
        }
        let mut dimensions = [Dimension::default(); DIMENSIONS_MAX];
        let mut elements = usize::from(count > 0);
        for dimension in &mut dimensions[..count] {
            let length = usize::try_from(reader.i32()?).map_err(|_| reader.error("a length is negative"))?;
            *dimension = Dimension { length, lower: reader.i32()? };
            elements = elements.checked_mul(length).ok_or_else(|| reader.error("it has too many elements"))?;
        }
        // Each element has a length of four bytes.
        if elements > raw.len() / 4 {
            return Err(reader.error("it has too many elements"));
        }
        Ok(Array { reader, dimensions: (dimensions, if elements == 0 { 0 } else { count }) })
    }

    fn dimensions(&self) -> &[Dimension] {
        &self.dimensions.0[..self.dimensions.1]
    }
}

/// The OID of the elements' type, from the header of an array.
pub(super) fn element_oid(raw: &[u8]) -> Result<u32, DecodeError> {
    let mut reader = ValueReader::new("array", raw);
    let (_dimensions, _has_nulls) = (reader.i32()?, reader.i32()?);
    reader.u32()
}

/// The elements of an array that are not NULL.
pub(super) fn elements(element_oid: u32, raw: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut array = Array::read(element_oid, raw)?;
    let count = array.dimensions().iter().map(|dimension| dimension.length).product::<usize>();
    let count = if array.dimensions().is_empty() { 0 } else { count };
    let mut elements = Vec::new();
    for _ in 0..count {
        elements.extend(array.reader.value()?);
    }
    Ok(elements)
}

pub(super) fn array_text(
    item: &Item,
    delimiter: Delimiter,
    raw: &[u8],
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), DecodeError> {
    array_text_by(item.oid, delimiter, raw, out, depth, &mut |element, out, depth| item.rule.text(element, out, depth))
}

/// Appends the text of an element. The last argument is how many more levels may nest.
type WriteText<'w> = dyn FnMut(&[u8], &mut Vec<u8>, usize) -> Result<(), DecodeError> + 'w;

/// As [`array_text`], but `write` writes the text of each element.
pub(super) fn array_text_by(
    element_oid: u32,
    delimiter: Delimiter,
    raw: &[u8],
    out: &mut Vec<u8>,
    depth: usize,
    write: &mut WriteText<'_>,
) -> Result<(), DecodeError> {
    let Array { mut reader, dimensions } = Array::read(element_oid, raw)?;
    let dimensions = &dimensions.0[..dimensions.1];
    let depth = deeper(depth, &reader)?;
    if dimensions.iter().any(|dimension| dimension.lower != 1) {
        for dimension in dimensions {
            let upper = i64::from(dimension.lower) + dimension.length as i64 - 1;
            out.push(b'[');
            integer(dimension.lower, out)?;
            out.push(b':');
            integer(upper, out)?;
            out.push(b']');
        }
        out.push(b'=');
    }
    let shape = Shape { open: b'{', between: delimiter, close: b'}' };
    each_element(dimensions, shape, &mut reader, out, &mut |element, out| match element {
        None => {
            out.extend_from_slice(b"NULL");
            Ok(())
        }
        Some(element) => {
            let start = out.len();
            write(element, out, depth)?;
            quote_tail(out, start, Quoting::Array(delimiter))
        }
    })?;
    reader.finish()
}

/// Writes nested JSON arrays. With `delimiter`, which is the one of the text, two arrays become a string of their text:
/// one with a lower bound that is not 1, because JSON cannot express it, and one of JSON with an element that could be
/// mistaken for another. Without it lower bounds are ignored.
pub(super) fn array_json(
    item: &Item,
    raw: &[u8],
    out: &mut Vec<u8>,
    depth: usize,
    delimiter: Option<Delimiter>,
) -> Result<(), DecodeError> {
    let array = Array::read(item.oid, raw)?;
    let as_text = |delimiter, out: &mut Vec<u8>| {
        out.push(b'"');
        let start = out.len();
        array_text(item, delimiter, raw, out, depth)?;
        json::escape_tail(out, start);
        out.push(b'"');
        Ok(())
    };
    if let Some(delimiter) = delimiter
        && array.dimensions().iter().any(|dimension| dimension.lower != 1)
    {
        return as_text(delimiter, out);
    }
    let Array { mut reader, dimensions } = array;
    let inside = deeper(depth, &reader)?;
    let (start, mut all_self_describing) = (out.len(), true);
    let shape = Shape { open: b'[', between: b',', close: b']' };
    each_element(&dimensions.0[..dimensions.1], shape, &mut reader, out, &mut |element, out| match element {
        None => {
            out.extend_from_slice(b"null");
            Ok(())
        }
        Some(element) => {
            let start = out.len();
            item.rule.json(element, out, inside)?;
            all_self_describing &= item.rule.is_self_describing(element, &out[start..]);
            Ok(())
        }
    })?;
    if let Some(delimiter) = delimiter
        && !all_self_describing
    {
        out.truncate(start);
        return as_text(delimiter, out);
    }
    reader.finish()
}

/// int2vector and oidvector: the elements with blanks between them.
pub(super) fn vector_text(item: &Item, raw: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), DecodeError> {
    let Array { mut reader, dimensions } = Array::read(item.oid, raw)?;
    let depth = deeper(depth, &reader)?;
    if dimensions.1 > 1 {
        return Err(reader.error("a vector has one dimension"));
    }
    for n in 0..dimensions.0[0].length {
        if n > 0 {
            out.push(b' ');
        }
        let element = reader.value()?.ok_or_else(|| reader.error("an element is null"))?;
        item.rule.text(element, out, depth)?;
    }
    reader.finish()
}

/// The bytes before, between and after the elements.
#[derive(Clone, Copy)]
struct Shape {
    open: u8,
    between: u8,
    close: u8,
}

type WriteElement<'w> = dyn FnMut(Option<&[u8]>, &mut Vec<u8>) -> Result<(), DecodeError> + 'w;

fn each_element(
    dimensions: &[Dimension],
    shape: Shape,
    reader: &mut ValueReader<'_>,
    out: &mut Vec<u8>,
    write: &mut WriteElement<'_>,
) -> Result<(), DecodeError> {
    out.push(shape.open);
    if let Some((outer, inner)) = dimensions.split_first() {
        for n in 0..outer.length {
            if n > 0 {
                out.push(shape.between);
            }
            if inner.is_empty() {
                write(reader.value()?, out)?;
            } else {
                each_element(inner, shape, reader, out, write)?;
            }
        }
    }
    out.push(shape.close);
    Ok(())
}

/// Layout: the number of fields (int32), then for each field the OID of its type (int32) and its value.
pub(super) fn composite_text(items: &[Item], raw: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("record", raw);
    let depth = deeper(depth, &reader)?;
    if reader.count(8)? != items.len() {
        return Err(reader.error("it has another number of fields than its type"));
    }
    out.push(b'(');
    for (n, item) in items.iter().enumerate() {
        if reader.u32()? != item.oid {
            return Err(reader.error("a field is of another type than declared"));
        }
        write_field(n, reader.value()?, out, |value, out| item.rule.text(value, out, depth))?;
    }
    out.push(b')');
    reader.finish()
}

/// Writes field `n` of a record; `write` writes its text.
pub(super) fn write_field(
    n: usize,
    value: Option<&[u8]>,
    out: &mut Vec<u8>,
    write: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    if n > 0 {
        out.push(b',');
    }
    let Some(value) = value else { return Ok(()) };
    let start = out.len();
    write(value, out)?;
    quote_tail(out, start, Quoting::Record)
}

const RANGE_EMPTY: u8 = 0x01;
const RANGE_LOWER_INCLUSIVE: u8 = 0x02;
const RANGE_UPPER_INCLUSIVE: u8 = 0x04;
const RANGE_LOWER_INFINITE: u8 = 0x08;
const RANGE_UPPER_INFINITE: u8 = 0x10;

/// Layout: flags (a byte), then the lower and the upper bound, each only if it is finite.
pub(super) fn range_text(bound: &Rule, raw: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("range", raw);
    let depth = deeper(depth, &reader)?;
    let flags = reader.u8()?;
    if flags & !0x1f != 0 {
        return Err(reader.error("a flag is unknown"));
    }
    if flags & RANGE_EMPTY != 0 {
        out.extend_from_slice(b"empty");
        return reader.finish();
    }
    let mut write_bound = |infinite: u8, out: &mut Vec<u8>| {
        if flags & infinite != 0 {
            return Ok(());
        }
        let value = reader.value()?.ok_or_else(|| reader.error("a bound is null"))?;
        let start = out.len();
        bound.text(value, out, depth)?;
        quote_tail(out, start, Quoting::Range)
    };
    out.push(if flags & RANGE_LOWER_INCLUSIVE != 0 { b'[' } else { b'(' });
    write_bound(RANGE_LOWER_INFINITE, out)?;
    out.push(b',');
    write_bound(RANGE_UPPER_INFINITE, out)?;
    out.push(if flags & RANGE_UPPER_INCLUSIVE != 0 { b']' } else { b')' });
    reader.finish()
}

/// Layout: the number of ranges (int32), then each range as a value.
pub(super) fn multirange_text(bound: &Rule, raw: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("multirange", raw);
    let depth = deeper(depth, &reader)?;
    out.push(b'{');
    for n in 0..reader.count(5)? {
        if n > 0 {
            out.push(b',');
        }
        let range = reader.value()?.ok_or_else(|| reader.error("a range is null"))?;
        range_text(bound, range, out, depth)?;
    }
    out.push(b'}');
    reader.finish()
}

/// One level less of `depth`, which is how many more levels may nest.
pub(super) fn deeper(depth: usize, reader: &ValueReader<'_>) -> Result<usize, DecodeError> {
    depth.checked_sub(1).ok_or_else(|| reader.error("values nest too deep"))
}
