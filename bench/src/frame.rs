//! As much of RFC 6455 as a loader and the floor need, at the least cost.
//!
//! Frames of servers are not masked and are split where they lie; nothing is copied.

/// Goes on with a message.
pub(crate) const CONTINUATION: u8 = 0;
/// A text message, or its beginning.
pub(crate) const TEXT: u8 = 1;
/// The connection is being closed.
pub(crate) const CLOSE: u8 = 8;
/// Asks for a Pong.
pub(crate) const PING: u8 = 9;
/// Answers a Ping.
pub(crate) const PONG: u8 = 10;

/// A client's masking key. It protects proxies from scripts in browsers; here there are neither.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a server may not send to a loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    #[error("sent a masked frame")]
    Masked,
    #[error("set reserved bits")]
    Reserved,
}

/// Calls `each` with opcode, whether it is the last of its message, and payload of every complete
/// frame in `bytes`; answers how many bytes they took. What is left is the start of a frame.
pub(crate) fn split(
    bytes: &[u8],
    mut each: impl FnMut(u8, bool, &[u8]),
) -> Result<usize, FrameFault> {
    let mut at = 0;
    while let Some(header) = Header::read(&bytes[at..]) {
        if header.first & 0x70 != 0 {
            return Err(FrameFault::Reserved);
        }
        if header.masked {
            return Err(FrameFault::Masked);
        }
        let start = at + header.size;
        let Some(end) = start.checked_add(header.payload).filter(|end| *end <= bytes.len()) else {
            break;
        };
        each(header.first & 0x0f, header.first & 0x80 != 0, &bytes[start..end]);
        at = end;
    }
    Ok(at)
}

/// Like [`split`] for what clients send: unmasks in place.
pub(crate) fn split_masked(bytes: &mut [u8], mut each: impl FnMut(u8, &[u8])) -> usize {
    let mut at = 0;
    while let Some(header) = Header::read(&bytes[at..]) {
        let key = at + header.size;
        let start = if header.masked { key + 4 } else { key };
        let Some(end) = start.checked_add(header.payload).filter(|end| *end <= bytes.len()) else {
            break;
        };
        if header.masked {
            let mask = [bytes[key], bytes[key + 1], bytes[key + 2], bytes[key + 3]];
            for (byte, key) in bytes[start..end].iter_mut().zip(mask.iter().cycle()) {
                *byte ^= key;
            }
        }
        each(header.first & 0x0f, &bytes[start..end]);
        at = end;
    }
    at
}

struct Header {
    first: u8,
    masked: bool,
    payload: usize,
    /// Without the masking key.
    size: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (payload, size) = match (second & 0x7f, rest) {
            (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize, 10)
            }
            (126 | 127, _) => return None,
            (short, _) => (usize::from(short), 2),
        };
        Some(Self { first: *first, masked: second & 0x80 != 0, payload, size })
    }
}

/// Appends a client's frame.
pub(crate) fn encode_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    header(out, opcode, payload.len(), 0x80);
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Appends a server's frame.
pub(crate) fn encode(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    header(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

fn header(out: &mut Vec<u8>, opcode: u8, size: usize, masked: u8) {
    out.push(0x80 | opcode);
    if size < 126 {
        out.push(masked | size as u8);
    } else if let Ok(size) = u16::try_from(size) {
        out.push(masked | 126);
        out.extend_from_slice(&size.to_be_bytes());
    } else {
        out.push(masked | 127);
        out.extend_from_slice(&(size as u64).to_be_bytes());
    }
}

/// The size of a server's frame around a payload of `size` bytes.
pub(crate) fn framed(size: usize) -> usize {
    size + if size < 126 {
        2
    } else if size <= 0xffff {
        4
    } else {
        10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Vec<(u8, Vec<u8>)>;

    /// Feeds `bytes` cut at `cut`, the way a connection does.
    fn in_two(bytes: &[u8], cut: usize) -> Seen {
        let mut seen = Seen::new();
        let mut carry = Vec::new();
        for part in [&bytes[..cut], &bytes[cut..]] {
            carry.extend_from_slice(part);
            let used = split(&carry, |op, fin, payload| {
                assert!(fin);
                seen.push((op, payload.to_vec()));
            })
            .unwrap();
            carry.drain(..used);
        }
        assert!(carry.is_empty());
        seen
    }

    #[test]
    fn frames_of_every_size_survive_every_split() {
        let mut wire = Vec::new();
        let mut sent = Seen::new();
        for size in [0, 1, 125, 126, 300, 65_535, 65_536] {
            let payload: Vec<u8> = (0..size).map(|i| i as u8).collect();
            let before = wire.len();
            encode(&mut wire, TEXT, &payload);
            assert_eq!(wire.len() - before, framed(size));
            sent.push((TEXT, payload));
        }
        encode(&mut wire, PING, b"?");
        sent.push((PING, b"?".to_vec()));
        // Every cut in the region of the headers, and a sample of those inside long payloads.
        for cut in (0..600).chain((600..wire.len()).step_by(997)).chain(wire.len() - 20..wire.len())
        {
            assert_eq!(in_two(&wire, cut), sent, "cut at {cut}");
        }
    }

    #[test]
    fn masked_frames_survive_every_split() {
        let mut wire = Vec::new();
        encode_masked(&mut wire, TEXT, b"first");
        encode_masked(&mut wire, TEXT, &[7; 200]);
        for cut in 0..=wire.len() {
            let mut seen = Seen::new();
            let mut carry = Vec::new();
            for part in [&wire[..cut], &wire[cut..]] {
                carry.extend_from_slice(part);
                let used = split_masked(&mut carry, |op, bytes| seen.push((op, bytes.to_vec())));
                carry.drain(..used);
            }
            assert_eq!(seen, [(TEXT, b"first".to_vec()), (TEXT, vec![7; 200])], "cut at {cut}");
        }
    }

    #[test]
    fn fragments_say_whether_they_are_the_last() {
        let mut seen = Vec::new();
        let bytes = [0x01, 1, b'a', 0x89, 0, 0x80, 1, b'b'];
        split(&bytes, |op, fin, payload| seen.push((op, fin, payload.to_vec()))).unwrap();
        let a = (TEXT, false, b"a".to_vec());
        assert_eq!(seen, [a, (PING, true, vec![]), (CONTINUATION, true, b"b".to_vec())]);
    }

    #[test]
    fn what_servers_may_not_send_is_refused() {
        assert_eq!(split(&[0xc1, 1, b'a'], |_, _, _| ()), Err(FrameFault::Reserved));
        assert_eq!(split(&[0x81, 0x81, 1, 2, 3, 4, 5], |_, _, _| ()), Err(FrameFault::Masked));
    }
}
