//! Messages to bytes (RFC 6455 section 5).
//!
//! [`text`], [`binary`] and [`compressed`] make a server's frame once, to be shared by every
//! socket it goes to. The `put_` functions append to a growable buffer (`Vec<u8>`, `BytesMut`)
//! for either role; a client passes a fresh masking key with each frame, a server passes `None`.

use std::fmt;

use bytes::{BufMut, Bytes};

use crate::close::Close;
use crate::deflate::Deflater;
use crate::frame::{Head, MAX_CONTROL_PAYLOAD, MAX_HEAD, MessageKind, Opcode};
use crate::mask::apply_mask;

/// A masking key, or `None` on a server.
pub type Mask = Option<[u8; 4]>;

/// The payload of a Ping or Pong was longer than the 125 bytes of RFC 6455 section 5.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlTooLong;

impl fmt::Display for ControlTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a control frame holds at most {MAX_CONTROL_PAYLOAD} bytes")
    }
}

impl std::error::Error for ControlTooLong {}

/// A server's text message in one frame.
pub fn text(payload: &str) -> Bytes {
    shared(Head::new(Opcode::Text), payload.as_bytes())
}

/// A server's binary message in one frame.
pub fn binary(payload: &[u8]) -> Bytes {
    shared(Head::new(Opcode::Binary), payload)
}

/// A server's message in one frame, compressed if that makes it smaller.
///
/// With a deflater [without takeover](Deflater::new) the frame is good for every connection with
/// permessage-deflate whose window is as large as the deflater's, which is how a broadcast is
/// compressed once.
pub fn compressed(deflater: &mut Deflater, kind: MessageKind, payload: &[u8]) -> Bytes {
    let head = Head::new(kind.into());
    match deflater.compress_if_smaller(payload) {
        Some(small) => shared(Head { rsv1: true, ..head }, &small),
        None => shared(head, payload),
    }
}

fn shared(head: Head, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(MAX_HEAD + payload.len());
    put_frame(&mut out, head, payload);
    // Trims the few bytes of head that were not needed: a frame may sit in many queues.
    out.into_boxed_slice().into()
}

/// Appends a frame. The length and the mask come from `payload` and `head.mask`.
pub fn put_frame(out: &mut impl BufMut, head: Head, payload: &[u8]) {
    out.put_slice(&head.with_len(payload.len()).encode());
    match head.mask {
        Some(key) => put_masked(out, key, payload),
        None => out.put_slice(payload),
    }
}

/// Appends a message in one frame.
pub fn put_message(out: &mut impl BufMut, kind: MessageKind, payload: &[u8], mask: Mask) {
    put_frame(out, Head { mask, ..Head::new(kind.into()) }, payload);
}

/// Appends a message in one frame, compressed if that makes it smaller.
pub fn put_compressed(
    out: &mut impl BufMut,
    deflater: &mut Deflater,
    kind: MessageKind,
    payload: &[u8],
    mask: Mask,
) {
    let head = Head { mask, ..Head::new(kind.into()) };
    match deflater.compress_if_smaller(payload) {
        Some(small) => put_frame(out, Head { rsv1: true, ..head }, &small),
        None => put_frame(out, head, payload),
    }
}

/// Appends a Close frame. A reason that is too long is cut at the end of a character.
pub fn put_close(out: &mut impl BufMut, close: Option<Close<'_>>, mask: Mask) {
    let mut payload = [0; MAX_CONTROL_PAYLOAD];
    let len = close.map_or(0, |Close { code, reason }| {
        let cut = reason.floor_char_boundary(MAX_CONTROL_PAYLOAD - 2);
        payload[..2].copy_from_slice(&code.to_be_bytes());
        payload[2..2 + cut].copy_from_slice(&reason.as_bytes()[..cut]);
        2 + cut
    });
    put_frame(out, Head { mask, ..Head::new(Opcode::Close) }, &payload[..len]);
}

/// Appends a Ping.
///
/// # Errors
///
/// The payload is too long; nothing was appended.
pub fn put_ping(out: &mut impl BufMut, payload: &[u8], mask: Mask) -> Result<(), ControlTooLong> {
    put_control(out, Head { mask, ..Head::new(Opcode::Ping) }, payload)
}

/// Appends a Pong. The payload of a Ping is never too long to be sent back.
///
/// # Errors
///
/// The payload is too long; nothing was appended.
pub fn put_pong(out: &mut impl BufMut, payload: &[u8], mask: Mask) -> Result<(), ControlTooLong> {
    put_control(out, Head { mask, ..Head::new(Opcode::Pong) }, payload)
}

fn put_control(out: &mut impl BufMut, head: Head, payload: &[u8]) -> Result<(), ControlTooLong> {
    if payload.len() > MAX_CONTROL_PAYLOAD {
        return Err(ControlTooLong);
    }
    put_frame(out, head, payload);
    Ok(())
}

/// Masks on the way: `BufMut` does not let one go back to what was written.
fn put_masked(out: &mut impl BufMut, key: [u8; 4], payload: &[u8]) {
    // A multiple of four, so that every block begins with the first byte of the key.
    let mut block = [0; 1024];
    for piece in payload.chunks(block.len()) {
        let block = &mut block[..piece.len()];
        block.copy_from_slice(piece);
        apply_mask(block, key, 0);
        out.put_slice(block);
    }
}
