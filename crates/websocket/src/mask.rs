//! Masking (RFC 6455 section 5.3).

/// Masks or unmasks `bytes` in place, which are the same operation.
///
/// `offset` is the position of `bytes[0]` in the payload of its frame, so that a payload can be
/// worked off in pieces.
pub fn apply_mask(bytes: &mut [u8], key: [u8; 4], offset: usize) {
    let turns = (offset % 4) as u32;
    let key = u32::from_le_bytes(key).rotate_right(8 * turns).to_le_bytes();
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);

    // Whole words first; the compiler turns this loop into vector instructions.
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::apply_mask;

    #[test]
    fn any_length_and_offset_agrees_with_the_formula_of_the_rfc() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..40 {
            for offset in 0..9 {
                let plain: Vec<u8> = (0..len).collect();
                let expected: Vec<u8> =
                    plain.iter().enumerate().map(|(i, b)| b ^ key[(i + offset) % 4]).collect();
                let mut masked = plain;
                apply_mask(&mut masked, key, offset);
                assert_eq!(masked, expected);
            }
        }
    }
}
