//! Compressed payloads (RFC 7692 section 7.2).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};
use crate::buffer;
use crate::error::{Error, InvalidPayload, Limit};

/// The empty stored block each message would end with. The sender leaves it out and the receiver
/// puts it back (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// What an empty message is compressed to (section 7.2.3.6).
const EMPTY: u8 = 0x00;

/// Compresses messages. Its 250 to 380 KB are allocated when the first one comes.
///
/// Without takeover a deflater serves any number of connections. Context takeover improves the
/// compression of similar messages and needs a deflater of its own for each connection.
///
/// A peer never notices when a deflater starts afresh: what it sends next does not refer to the
/// past. So a connection's own deflater can be dropped at any time to save memory, and must be if
/// a compressed frame of another one, such as a broadcast, has been sent in between.
#[derive(Debug)]
pub struct Deflater {
    state: Option<Box<Compress>>,
    level: u8,
    window_bits: u8,
    takeover: bool,
}

impl Deflater {
    /// A deflater with a window of 2 to the `window_bits` (clamped to 9 to 15) and an effort
    /// `level` of 0 to 9. `takeover` is whether a message may refer to those before it.
    pub fn new(window_bits: u8, level: u8, takeover: bool) -> Self {
        let window_bits = window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        Self { state: None, level: level.min(9), window_bits, takeover }
    }

    /// The window a receiver needs: 2 to this many bytes.
    pub const fn window_bits(&self) -> u8 {
        self.window_bits
    }

    /// The compressed payload of a message, to be sent with RSV1. `None` if the back end fails,
    /// which it has no reason to: send the message as it is.
    pub fn compress(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.is_empty() {
            // Two flushes in a row with nothing between them produce nothing.
            return Some(vec![EMPTY]);
        }
        let out = self.flush(payload);
        if out.is_none() {
            // The peer will not see what went into it.
            self.state = None;
        } else if !self.takeover
            && let Some(state) = &mut self.state
        {
            state.reset();
        }
        out
    }

    /// Like [`compress`](Self::compress), but `None` as well if the message would not become
    /// smaller. With takeover it is always compressed: the next one may refer to it.
    pub fn compress_if_smaller(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        self.compress(payload).filter(|out| self.takeover || out.len() < payload.len())
    }

    /// `None` if the back end fails, which it has no reason to.
    fn flush(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let (level, window_bits) = (Compression::new(self.level.into()), self.window_bits);
        let state = self.state.get_or_insert_with(|| {
            Box::new(Compress::new_with_window_bits(level, false, window_bits))
        });
        let mut out = Vec::with_capacity(payload.len() / 2 + 64);
        let mut rest = payload;
        loop {
            // With less room than this zlib may write the end of the block twice.
            if out.capacity() - out.len() < 16 {
                buffer::reserve(&mut out, 64, usize::MAX);
            }
            let before = state.total_in();
            state.compress_vec(rest, &mut out, FlushCompress::Sync).ok()?;
            rest = &rest[(state.total_in() - before) as usize..];
            if out.len() < out.capacity() {
                break;
            }
        }
        if !rest.is_empty() || !out.ends_with(&TAIL) {
            return None;
        }
        out.truncate(out.len() - TAIL.len());
        Some(out)
    }
}

/// Inflates messages. Its up to 47 KB are allocated when the first one comes.
///
/// If the peer compresses without takeover, one inflater serves any number of connections: it is
/// only used for whole messages. Otherwise each connection needs its own.
#[derive(Debug)]
pub struct Inflater {
    state: Option<Box<Decompress>>,
    window_bits: u8,
    takeover: bool,
}

impl Inflater {
    /// An inflater for a peer with a window of at most 2 to the `window_bits` (clamped to 9 to
    /// 15). `takeover` is whether its messages may refer to those before them.
    pub fn new(window_bits: u8, takeover: bool) -> Self {
        // Only a kept context is worth a small window: the back end resets a full one for less.
        let least = if takeover { MIN_WINDOW_BITS } else { MAX_WINDOW_BITS };
        Self { state: None, window_bits: window_bits.clamp(least, MAX_WINDOW_BITS), takeover }
    }

    /// The payload that was compressed to `payload`, if it is not longer than `limit`. The limit
    /// holds while inflating: no more than that is ever produced or allocated.
    ///
    /// # Errors
    ///
    /// [`Limit::Inflated`] or [`InvalidPayload::Deflate`]. The context is lost then, and with it
    /// the connection if it had one.
    pub fn inflate(&mut self, payload: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
        let window_bits = self.window_bits;
        let state = self
            .state
            .get_or_insert_with(|| Box::new(Decompress::new_with_window_bits(false, window_bits)));
        match inflate_message(state, payload, limit) {
            Ok((out, ended)) => {
                if ended || !self.takeover {
                    state.reset(false);
                }
                Ok(out)
            }
            Err(error) => {
                self.state = None;
                Err(error)
            }
        }
    }
}

/// Inflates a message; the second value is whether it held the end of the DEFLATE stream.
fn inflate_message(
    state: &mut Decompress,
    payload: &[u8],
    limit: usize,
) -> Result<(Vec<u8>, bool), Error> {
    let mut out = Vec::new();
    let mut ended = inflate_part(state, payload, &mut out, limit)?;
    if !ended {
        ended = inflate_part(state, &TAIL, &mut out, limit)?;
    }
    Ok((out, ended))
}

/// Inflates all of `rest`; `true` if it held the end of the DEFLATE stream.
fn inflate_part(
    state: &mut Decompress,
    mut rest: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<bool, Error> {
    loop {
        if out.len() == out.capacity() {
            // One byte beyond the limit shows that it is exceeded.
            let more = rest.len().saturating_mul(2).clamp(64, 1 << 16);
            let room = limit.saturating_add(1).saturating_sub(out.len()).max(1);
            buffer::reserve(out, more.min(room), limit.saturating_add(1));
        }
        let (before_in, before_out) = (state.total_in(), out.len());
        let status = state
            .decompress_vec(rest, out, FlushDecompress::Sync)
            .map_err(|_| InvalidPayload::Deflate)?;
        let consumed = (state.total_in() - before_in) as usize;
        rest = &rest[consumed..];
        if out.len() > limit {
            return Err(Limit::Inflated.into());
        }
        let full = out.len() == out.capacity();
        match status {
            // Allowed by section 7.2.3.4, with a single empty byte behind it. More ends of
            // streams in one message are not: each costs a reset, so a message of nothing else
            // would be very slow.
            Status::StreamEnd if matches!(rest, [] | [EMPTY]) => return Ok(true),
            Status::StreamEnd => return Err(InvalidPayload::Deflate.into()),
            Status::Ok | Status::BufError if rest.is_empty() && !full => return Ok(false),
            Status::Ok | Status::BufError if full || consumed > 0 || out.len() > before_out => {}
            // Input and room are there, and still nothing happens.
            Status::Ok | Status::BufError => return Err(InvalidPayload::Deflate.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Deflater, Inflater};
    use crate::error::{Error, InvalidPayload, Limit};

    const MAX: usize = 1 << 20;

    #[test]
    fn the_examples_of_the_rfc_inflate_to_hello() {
        // RFC 7692 sections 7.2.3.1, 7.2.3.3 (stored), 7.2.3.4 (BFINAL), 7.2.3.5 (two blocks).
        let examples: [&[u8]; 4] = [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ];
        let mut inflater = Inflater::new(15, false);
        for example in examples {
            assert_eq!(inflater.inflate(example, MAX).unwrap(), b"Hello");
        }
        assert_eq!(inflater.inflate(&[0x00], MAX).unwrap(), b"");
    }

    #[test]
    fn takeover_refers_to_the_last_message_as_in_section_7_2_3_2() {
        let mut inflater = Inflater::new(15, true);
        let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
        assert_eq!(inflater.inflate(&first, MAX).unwrap(), b"Hello");
        assert_eq!(inflater.inflate(&second, MAX).unwrap(), b"Hello");
        let mut forgetful = Inflater::new(15, false);
        assert_eq!(forgetful.inflate(&first, MAX).unwrap(), b"Hello");
        let fault = Error::from(InvalidPayload::Deflate);
        assert_eq!(forgetful.inflate(&second, MAX), Err(fault));
        assert_eq!(forgetful.inflate(&first, MAX).unwrap(), b"Hello", "usable after an error");
    }

    #[test]
    fn messages_of_all_sizes_come_back_for_every_window() {
        let long: Vec<u8> =
            (0..200_000_u32).flat_map(|i| (i.wrapping_mul(i) / 7).to_le_bytes()).collect();
        for takeover in [true, false] {
            for bits in 9..=15 {
                let mut deflater = Deflater::new(bits, 1, takeover);
                let mut inflater = Inflater::new(bits, takeover);
                for len in [0, 1, 2, 500, 70_000, 0, 0, 800_000, 3] {
                    let plain = &long[..len];
                    let small = deflater.compress(plain).unwrap();
                    assert_eq!(inflater.inflate(&small, MAX).unwrap(), plain);
                }
            }
        }
    }

    #[test]
    fn a_deflater_may_start_afresh_without_telling_the_peer() {
        let mut inflater = Inflater::new(15, true);
        for _ in 0..3 {
            let small = Deflater::new(15, 6, true).compress(b"abcabcabcabc").unwrap();
            assert_eq!(inflater.inflate(&small, MAX).unwrap(), b"abcabcabcabc");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = Deflater::new(15, 9, false).compress(&vec![0; 10_000_000]).unwrap();
        assert!(bomb.len() < 20_000);
        let mut inflater = Inflater::new(15, false);
        assert_eq!(inflater.inflate(&bomb, 1000), Err(Limit::Inflated.into()));
        assert_eq!(inflater.inflate(&bomb, 9_999_999), Err(Limit::Inflated.into()));
        assert_eq!(inflater.inflate(&bomb, 10_000_000).unwrap().len(), 10_000_000);
        assert_eq!(inflater.inflate(&[0x00], 0).unwrap(), b"");
    }

    #[test]
    fn a_message_has_at_most_one_end_of_stream() {
        let mut inflater = Inflater::new(15, false);
        let ends = [0x03, 0x00].repeat(1000);
        assert_eq!(inflater.inflate(&ends, MAX), Err(InvalidPayload::Deflate.into()));
    }

    #[test]
    fn incompressible_messages_are_sent_as_they_are_without_takeover() {
        for payload in [&b"xyz"[..], b""] {
            let mut deflater = Deflater::new(15, 6, false);
            assert_eq!(deflater.compress_if_smaller(payload), None);
            assert!(deflater.compress(payload).is_some());
            assert!(Deflater::new(15, 6, true).compress_if_smaller(payload).is_some());
        }
    }
}
