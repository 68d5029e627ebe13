//! Reads the bytes of one value. Every count and length is compared with the bytes that are there before it is used: a
//! wrong one is an error and never a large allocation.

use super::DecodeError;

/// The bytes of a value that are not read yet. `type_name` is for errors.
pub(super) struct ValueReader<'a> {
    type_name: &'static str,
    raw: &'a [u8],
}

impl<'a> ValueReader<'a> {
    pub fn new(type_name: &'static str, raw: &'a [u8]) -> Self {
        ValueReader { type_name, raw }
    }

    pub fn error(&self, problem: &'static str) -> DecodeError {
        DecodeError { type_name: self.type_name, problem }
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.raw.split_at_checked(count).ok_or_else(|| self.error("it is too short"))?;
        self.raw = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.raw.split_first_chunk::<N>().ok_or_else(|| self.error("it is too short"))?;
        self.raw = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// The number (int32) of items, each of which takes at least `bytes_min` of the following bytes.
    pub fn count(&mut self, bytes_min: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.i32()?).map_err(|_| self.error("a count is negative"))?;
        match count.checked_mul(bytes_min) {
            Some(bytes) if bytes <= self.raw.len() => Ok(count),
            _ => Err(self.error("a count is larger than the value")),
        }
    }

    /// A value inside this one: its length (int32, −1 for NULL) and its bytes.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| self.error("a length is negative"))?;
                self.bytes(length).map(Some)
            }
        }
    }

    /// The bytes before the next NUL, which is read too.
    pub fn c_string(&mut self) -> Result<&'a [u8], DecodeError> {
        let end = self.raw.iter().position(|&byte| byte == 0);
        let text = self.bytes(end.ok_or_else(|| self.error("a string has no end"))?)?;
        self.bytes(1)?;
        Ok(text)
    }

    /// An error if there are more bytes.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.raw.is_empty() { Ok(()) } else { Err(self.error("it is too long")) }
    }
}

/// The bytes of a value that always has `N` bytes.
pub(super) fn fixed<const N: usize>(type_name: &'static str, raw: &[u8]) -> Result<[u8; N], DecodeError> {
    raw.try_into().map_err(|_| DecodeError { type_name, problem: "it does not have its type's length" })
}
