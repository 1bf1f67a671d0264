//! Frame heads (RFC 6455 section 5.2): everything of a frame that comes before its payload.

use std::ops::Deref;

use crate::error::Misbehaviour;

/// The longest possible head: 2 bytes, a 64-bit length and a masking key.
pub const MAX_HEAD: usize = 14;

/// The longest payload of a control frame (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const MASKED: u8 = 0x80;

/// In the 7-bit length: the length follows as 16 or as 64 bits.
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

/// What a frame is for (RFC 6455 section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The next piece of a fragmented message.
    Continuation = 0x0,
    /// A text message or its first piece.
    Text = 0x1,
    /// A binary message or its first piece.
    Binary = 0x2,
    /// The start or the answer of the closing handshake.
    Close = 0x8,
    /// A question whether the peer is there.
    Ping = 0x9,
    /// The answer to a Ping, or a sign of life of its own accord.
    Pong = 0xa,
}

impl Opcode {
    const fn from_bits(bits: u8) -> Result<Self, Misbehaviour> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            reserved => return Err(Misbehaviour::ReservedOpcode(reserved)),
        })
    }

    /// Whether this is a control frame: short, whole, and allowed between fragments.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The two kinds of messages (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Any bytes.
    Binary,
    /// UTF-8.
    Text,
}

impl From<MessageKind> for Opcode {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Binary => Self::Binary,
            MessageKind::Text => Self::Text,
        }
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// Whether the message is compressed; set on its first frame only (RFC 7692 section 6).
    pub rsv1: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key. All frames of a client have one, no frame of a server has.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload.
    pub len: u64,
}

impl Head {
    /// The head of an empty, unmasked frame that is a message of its own.
    pub const fn new(opcode: Opcode) -> Self {
        Self { fin: true, rsv1: false, opcode, mask: None, len: 0 }
    }

    /// The same head with a masking key. RFC 6455 section 5.3 asks for a fresh one for each
    /// frame from a strong source of entropy.
    pub const fn masked(self, key: [u8; 4]) -> Self {
        Self { mask: Some(key), ..self }
    }

    /// The same head for a payload of `len` bytes.
    pub const fn with_len(self, len: usize) -> Self {
        Self { len: len as u64, ..self }
    }

    /// Reads a head from the front of `bytes` and tells how many bytes it took. `None` means
    /// that more bytes are needed; two are enough to find all faults but those of the length.
    ///
    /// # Errors
    ///
    /// What no extension and no role could make valid. Whether RSV1, the mask and the opcode fit
    /// the connection is for the [`Decoder`](crate::Decoder) to say.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Misbehaviour> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & RSV2_AND_3 != 0 {
            return Err(Misbehaviour::ReservedBits);
        }
        let opcode = Opcode::from_bits(first & 0x0f)?;
        let fin = first & FIN != 0;
        let short_len = second & 0x7f;
        if opcode.is_control() {
            check_control(fin, short_len)?;
        }

        let Some((len, rest)) = parse_len(short_len, rest)? else { return Ok(None) };
        let (mask, rest) = if second & MASKED == 0 {
            (None, rest)
        } else {
            let Some((key, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            (Some(*key), rest)
        };
        let head = Self { fin, rsv1: first & RSV1 != 0, opcode, mask, len };
        Ok(Some((head, bytes.len() - rest.len())))
    }

    /// Writes the head as it goes over the wire.
    pub fn encode(&self) -> HeadBytes {
        let fin = if self.fin { FIN } else { 0 };
        let rsv1 = if self.rsv1 { RSV1 } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };

        let mut out = HeadBytes { bytes: [0; MAX_HEAD], len: 0 };
        out.push(&[fin | rsv1 | self.opcode as u8]);
        if let Ok(len @ ..LEN_16) = u8::try_from(self.len) {
            out.push(&[masked | len]);
        } else if let Ok(len) = u16::try_from(self.len) {
            out.push(&[masked | LEN_16]);
            out.push(&len.to_be_bytes());
        } else {
            out.push(&[masked | LEN_64]);
            out.push(&self.len.to_be_bytes());
        }
        if let Some(key) = self.mask {
            out.push(&key);
        }
        out
    }
}

const fn check_control(fin: bool, short_len: u8) -> Result<(), Misbehaviour> {
    if !fin {
        return Err(Misbehaviour::FragmentedControl);
    }
    if short_len as usize > MAX_CONTROL_PAYLOAD {
        return Err(Misbehaviour::ControlTooLong);
    }
    Ok(())
}

/// Reads the extended length, if `short_len` says that there is one.
fn parse_len(short_len: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Misbehaviour> {
    let (len, rest, least) = match short_len {
        LEN_16 => match rest.split_first_chunk::<2>() {
            Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest, u64::from(LEN_16)),
            None => return Ok(None),
        },
        LEN_64 => match rest.split_first_chunk::<8>() {
            Some((len, rest)) => (u64::from_be_bytes(*len), rest, 1 << 16),
            None => return Ok(None),
        },
        len => (u64::from(len), rest, 0),
    };
    if len >> 63 != 0 {
        return Err(Misbehaviour::LengthTopBit);
    }
    if len < least {
        return Err(Misbehaviour::NonMinimalLength);
    }
    Ok(Some((len, rest)))
}

/// An encoded [`Head`] on the stack; it dereferences to its bytes.
#[derive(Clone, Copy, Debug)]
pub struct HeadBytes {
    bytes: [u8; MAX_HEAD],
    len: u8,
}

impl HeadBytes {
    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

impl Deref for HeadBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, Misbehaviour, Opcode};

    #[test]
    fn heads_survive_encoding_at_every_edge_of_the_length_forms() {
        let cases = [(0, 2), (125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10), (u64::MAX >> 1, 10)];
        for (len, size) in cases {
            for mask in [None, Some([9, 8, 7, 6])] {
                let head = Head { fin: false, rsv1: true, opcode: Opcode::Binary, mask, len };
                let bytes = head.encode();
                let size = size + if mask.is_some() { 4 } else { 0 };
                assert_eq!(Head::parse(&bytes), Ok(Some((head, size))));
                for cut in 0..size {
                    assert_eq!(Head::parse(&bytes[..cut]), Ok(None), "{len} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn two_bytes_are_enough_to_refuse_a_bad_head() {
        let cases = [
            ([0xa1, 0x80], Misbehaviour::ReservedBits),
            ([0x91, 0x80], Misbehaviour::ReservedBits),
            ([0x83, 0x80], Misbehaviour::ReservedOpcode(3)),
            ([0x8f, 0x80], Misbehaviour::ReservedOpcode(15)),
            ([0x09, 0x80], Misbehaviour::FragmentedControl),
            ([0x89, 0xfe], Misbehaviour::ControlTooLong),
            ([0x88, 0x7f], Misbehaviour::ControlTooLong),
        ];
        for (bytes, fault) in cases {
            assert_eq!(Head::parse(&bytes), Err(fault));
        }
    }

    #[test]
    fn lengths_must_be_minimal_and_below_two_to_the_63() {
        let long = |len: u64| [&[0x82, 0x7f][..], &len.to_be_bytes()].concat();
        assert_eq!(Head::parse(&long(0xffff)), Err(Misbehaviour::NonMinimalLength));
        assert_eq!(Head::parse(&long(1 << 63)), Err(Misbehaviour::LengthTopBit));
        assert_eq!(Head::parse(&[0x82, 0x7e, 0, 125]), Err(Misbehaviour::NonMinimalLength));
    }
}
