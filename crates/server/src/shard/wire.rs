//! How frames are written to a connection.

use bytes::Bytes;
use tidings_websocket::{Deflater, Head, MAX_HEAD, MessageKind, Opcode, encode};

/// Shorter messages are not worth compressing.
const COMPRESS_FROM: usize = 512;

/// What a frame looks like on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// A WebSocket message with permessage-deflate.
    Compressed,
    /// A Server-Sent Event.
    Events,
    /// A line of a poll's answer.
    Lines,
    /// A Server-Sent Event with an id that says where the receiver stands.
    Source,
    /// A WebSocket message.
    WebSocket,
}

impl Wire {
    /// Whether frames go out in answers to HTTP requests.
    pub(crate) fn is_http(self) -> bool {
        matches!(self, Wire::Events | Wire::Lines | Wire::Source)
    }

    /// What it is called.
    pub(crate) fn transport(self) -> &'static str {
        match self {
            Wire::Compressed | Wire::WebSocket => "websocket",
            Wire::Events => "sse",
            Wire::Lines => "poll",
            Wire::Source => "eventsource",
        }
    }

    /// Appends one frame.
    pub(crate) fn put(self, out: &mut Vec<u8>, text: &[u8], deflater: &mut Deflater) {
        match self {
            Wire::Compressed if text.len() >= COMPRESS_FROM => {
                out.extend_from_slice(&encode::compressed(deflater, MessageKind::Text, text));
            }
            Wire::Compressed | Wire::WebSocket => {
                encode::put_frame(out, Head::new(Opcode::Text), text);
            }
            Wire::Events | Wire::Source => {
                out.extend_from_slice(b"data: ");
                put_line(out, text);
                out.extend_from_slice(b"\n\n");
            }
            Wire::Lines => {
                put_line(out, text);
                out.push(b'\n');
            }
        }
    }
}

/// An event's data is passed through as its publisher wrote it, on many lines perhaps. Outside of
/// strings, where JSON escapes them, line breaks are white space like any other.
fn put_line(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    out.extend_from_slice(text);
    for byte in &mut out[start..] {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// Frames of one batch as one piece for each wire that shares it, made when first asked for.
#[derive(Debug, Default)]
pub(super) struct Joined([Option<Bytes>; 4]);

impl Joined {
    pub(super) fn get_or_make(&mut self, wire: Wire, make: impl FnOnce() -> Bytes) -> Bytes {
        let slot = match wire {
            Wire::Compressed => 0,
            Wire::Events => 1,
            Wire::Lines => 2,
            // Each receiver has ids of its own.
            Wire::Source => return make(),
            Wire::WebSocket => 3,
        };
        self.0[slot].get_or_insert_with(make).clone()
    }
}

/// Room for the head of a frame of any wire.
pub(super) const HEAD_ROOM: usize = MAX_HEAD;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_on_many_lines_is_one_event_and_one_line() {
        let text = b"{\"data\":{\r\n\t\"text\": \"a\\nb\"\n}}";
        let one_line = "{\"data\":{  \t\"text\": \"a\\nb\" }}";
        let written = |wire: Wire| {
            let mut out = Vec::new();
            wire.put(&mut out, text, &mut Deflater::new(15, 1, false));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(Wire::Events), format!("data: {one_line}\n\n"));
        assert_eq!(written(Wire::Source), format!("data: {one_line}\n\n"));
        assert_eq!(written(Wire::Lines), format!("{one_line}\n"));
    }
}
