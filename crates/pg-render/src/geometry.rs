//! The geometric types. Their coordinates are `float8` and have its text. Layouts: coordinates are x, then y.

use super::DecodeError;
use super::float::write_f64;
use super::value_reader::ValueReader;

pub(super) fn point(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("point", raw);
    write_point(&mut reader, out)?;
    reader.finish()
}

/// Layout: A, B and C of Ax + By + C = 0.
pub(super) fn line(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("line", raw);
    for before in [b'{', b',', b','] {
        out.push(before);
        write_f64(reader.f64()?, out);
    }
    out.push(b'}');
    reader.finish()
}

/// Layout: both end points.
pub(super) fn lseg(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("lseg", raw);
    out.push(b'[');
    write_points(2, &mut reader, out)?;
    out.push(b']');
    reader.finish()
}

/// Layout: the upper right corner, then the lower left. The server has put them in this order.
pub(super) fn box_(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("box", raw);
    write_points(2, &mut reader, out)?;
    reader.finish()
}

/// Layout: whether it is closed (a byte), the number of points (int32), the points.
pub(super) fn path(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("path", raw);
    let closed = reader.u8()? != 0;
    let count = reader.count(16)?;
    out.push(if closed { b'(' } else { b'[' });
    write_points(count, &mut reader, out)?;
    out.push(if closed { b')' } else { b']' });
    reader.finish()
}

/// Layout: the number of points (int32), the points.
pub(super) fn polygon(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("polygon", raw);
    let count = reader.count(16)?;
    out.push(b'(');
    write_points(count, &mut reader, out)?;
    out.push(b')');
    reader.finish()
}

/// Layout: the centre, the radius.
pub(super) fn circle(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("circle", raw);
    out.push(b'<');
    write_point(&mut reader, out)?;
    out.push(b',');
    write_f64(reader.f64()?, out);
    out.push(b'>');
    reader.finish()
}

fn write_points(count: usize, reader: &mut ValueReader<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    for n in 0..count {
        if n > 0 {
            out.push(b',');
        }
        write_point(reader, out)?;
    }
    Ok(())
}

fn write_point(reader: &mut ValueReader<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    for before in [b'(', b','] {
        out.push(before);
        write_f64(reader.f64()?, out);
    }
    out.push(b')');
    Ok(())
}
