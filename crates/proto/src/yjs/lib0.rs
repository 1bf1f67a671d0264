//! Numbers, bytes and strings, as the npm package `lib0` writes them.

use super::{Fault, MAX_NUMBER};

/// The most bytes of a number: more could only be zeros.
const NUMBER_BYTES: usize = 9;

/// Reads bytes from front to back. Nothing is copied and nothing allocated.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Fault::Short`].
    pub fn byte(&mut self) -> Result<u8, Fault> {
        let (first, rest) = self.rest.split_first().ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// [`Fault::Short`].
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number: seven bits in a byte, the lowest first.
    ///
    /// # Errors
    /// [`Fault::Short`]; [`Fault::Number`] above 2^53 - 1, as in JavaScript, or of more than nine
    /// bytes.
    pub fn var_uint(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for place in 0..NUMBER_BYTES {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return if value <= MAX_NUMBER { Ok(value) } else { Err(Fault::Number) };
            }
        }
        Err(Fault::Number)
    }

    /// A number with a sign: six bits in the first byte.
    ///
    /// # Errors
    /// [`Fault::Short`]; [`Fault::Number`] beyond 2^53 - 1 on either side, or of more than nine
    /// bytes.
    pub fn var_int(&mut self) -> Result<i64, Fault> {
        let first = self.byte()?;
        let mut value = i64::from(first & 0x3f);
        let mut more = first >= 0x80;
        let mut place = 6;
        while more {
            if place > 7 * (NUMBER_BYTES - 1) {
                return Err(Fault::Number);
            }
            let byte = self.byte()?;
            value |= i64::from(byte & 0x7f) << place;
            place += 7;
            more = byte >= 0x80;
        }
        if value.unsigned_abs() > MAX_NUMBER {
            return Err(Fault::Number);
        }
        Ok(if first & 0x40 == 0 { value } else { -value })
    }

    /// Bytes with their length in front.
    ///
    /// # Errors
    /// [`Fault::Short`] or [`Fault::Number`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.var_uint()?;
        self.take(usize::try_from(length).map_err(|_| Fault::Short)?)
    }

    /// A string with its length in front.
    ///
    /// # Errors
    /// [`Fault::Short`], [`Fault::Number`] or [`Fault::Text`].
    pub fn string(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Fault::Text)
    }

    /// How many of something follow, each of so many bytes at least: more than there can be is
    /// refused before anybody makes room for them.
    ///
    /// # Errors
    /// [`Fault::Short`], [`Fault::Number`] or [`Fault::Count`].
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, Fault> {
        let count = self.var_uint()?;
        let possible = self.rest.len() / least;
        usize::try_from(count).ok().filter(|count| *count <= possible).ok_or(Fault::Count)
    }

    /// A number of at most `max`.
    pub(crate) fn at_most(&mut self, max: u64) -> Result<u64, Fault> {
        Some(self.var_uint()?).filter(|value| *value <= max).ok_or(Fault::Number)
    }

    /// That nothing is left.
    pub(crate) fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Trailing) }
    }
}

/// Writes a number.
pub fn put_var_uint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes bytes behind their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_var_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a string behind its length.
pub fn put_string(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were() {
        for value in [0, 1, 127, 128, 300, 1 << 31, (1 << 32) - 1, MAX_NUMBER] {
            let mut out = Vec::new();
            put_var_uint(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.var_uint(), Ok(value));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn a_number_that_javascript_cannot_count_to_is_refused() {
        let mut out = Vec::new();
        put_var_uint(&mut out, MAX_NUMBER + 1);
        assert_eq!(Reader::new(&out).var_uint(), Err(Fault::Number));
        assert_eq!(Reader::new(&[0x80; 20]).var_uint(), Err(Fault::Number));
        assert_eq!(Reader::new(&[0x80; 20]).var_int(), Err(Fault::Number));
        assert_eq!(Reader::new(&[0x80; 3]).var_uint(), Err(Fault::Short));
    }

    #[test]
    fn the_sign_of_a_number_is_in_its_first_byte() {
        // As lib0 writes them.
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x2a], 42),
            (&[0x6a], -42),
            (&[0xbf, 0xff, 0xff, 0xff, 0x0f], 2_147_483_647),
            (&[0xc0, 0x01], -64),
        ] {
            assert_eq!(Reader::new(bytes).var_int(), Ok(value), "{bytes:x?}");
        }
    }

    #[test]
    fn a_string_that_is_longer_than_what_there_is_is_no_string() {
        assert_eq!(Reader::new(&[2, b'n', b'o']).string(), Ok("no"));
        assert_eq!(Reader::new(&[3, b'n', b'o']).string(), Err(Fault::Short));
        assert_eq!(Reader::new(&[1, 0xff]).string(), Err(Fault::Text));
        assert_eq!(Reader::new(&[200, 1]).count(1), Err(Fault::Count));
    }
}
