//! Numbers and parts of records and pages: LEB128, as in the Yjs formats.

use bytes::{BufMut, BytesMut};

pub(super) fn put_var(out: &mut BytesMut, mut number: u64) {
    while number > 0x7f {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

pub(super) fn put_part(out: &mut BytesMut, part: &[u8]) {
    put_var(out, part.len() as u64);
    out.put_slice(part);
}

/// `None`: it ends too early, or has more than 64 bits.
pub(super) fn take_var(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

pub(super) fn take_part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_var(bytes)?).ok()?;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_long_ones_are_refused() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), (1 << 53) - 1, u64::MAX] {
            let mut out = BytesMut::new();
            put_var(&mut out, number);
            let mut bytes = &out[..];
            assert_eq!(take_var(&mut bytes), Some(number));
            assert!(bytes.is_empty());
        }
        assert_eq!(take_var(&mut &[0xff; 11][..]), None);
        assert_eq!(take_var(&mut &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"[..]), None);
        assert_eq!(take_var(&mut &[0x80][..]), None);
        assert_eq!(take_part(&mut &[3, 1, 2][..]), None);
    }
}
