//! Reading the bytes of one value: every length is checked against what is really there before it is used, so
//! that a forged one costs an error and never an allocation.

use super::DecodeError;

/// What is left of a value of the named type.
pub(super) struct Reader<'a> {
    type_name: &'static str,
    raw: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(type_name: &'static str, raw: &'a [u8]) -> Self {
        Reader { type_name, raw }
    }

    pub fn bad(&self, problem: &'static str) -> DecodeError {
        DecodeError { type_name: self.type_name, problem }
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.raw.split_at_checked(count).ok_or_else(|| self.bad("it is too short"))?;
        self.raw = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.raw.split_first_chunk::<N>().ok_or_else(|| self.bad("it is too short"))?;
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

    /// A count of things (int32), each of which takes at least `bytes_min` of the bytes that follow.
    pub fn count(&mut self, bytes_min: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.i32()?).map_err(|_| self.bad("a count is negative"))?;
        match count.checked_mul(bytes_min) {
            Some(bytes) if bytes <= self.raw.len() => Ok(count),
            _ => Err(self.bad("a count is larger than the value")),
        }
    }

    /// A value inside this one: its length (int32, −1 for NULL) and its bytes.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| self.bad("a length is negative"))?;
                self.bytes(length).map(Some)
            }
        }
    }

    /// The bytes up to a NUL, which is consumed.
    pub fn c_string(&mut self) -> Result<&'a [u8], DecodeError> {
        let end = self.raw.iter().position(|&byte| byte == 0);
        let text = self.bytes(end.ok_or_else(|| self.bad("a string has no end"))?)?;
        self.bytes(1)?;
        Ok(text)
    }

    pub fn finish(self) -> Result<(), DecodeError> {
        if self.raw.is_empty() { Ok(()) } else { Err(self.bad("it is too long")) }
    }
}

/// A value that is always `N` bytes.
pub(super) fn fixed<const N: usize>(type_name: &'static str, raw: &[u8]) -> Result<[u8; N], DecodeError> {
    raw.try_into().map_err(|_| DecodeError { type_name, problem: "it does not have its type's length" })
}
