//! How frames are written to a connection.

use bytes::Bytes;
use tidings_core::engine::Dialect;
use tidings_websocket::{Deflater, MAX_HEAD, MessageKind, encode};

/// Shorter messages are not worth compressing.
const COMPRESS_FROM: usize = 512;

/// What a frame looks like on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// A WebSocket message with permessage-deflate.
    Compressed,
    /// A binary WebSocket message, for an editor that speaks Yjs.
    Editor,
    /// The same with permessage-deflate.
    EditorCompressed,
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

    /// Whether messages are binary, in a protocol of Yjs.
    pub(crate) fn is_editor(self) -> bool {
        matches!(self, Wire::Editor | Wire::EditorCompressed)
    }

    /// Whether permessage-deflate was agreed on.
    pub(crate) fn is_compressed(self) -> bool {
        matches!(self, Wire::Compressed | Wire::EditorCompressed)
    }

    /// What it is called.
    pub(crate) fn transport(self) -> &'static str {
        match self {
            Wire::Compressed | Wire::WebSocket => "websocket",
            Wire::Editor | Wire::EditorCompressed => "editor",
            Wire::Events => "sse",
            Wire::Lines => "poll",
            Wire::Source => "eventsource",
        }
    }

    /// Appends one frame: JSON, or a binary message to an editor.
    pub(crate) fn put(self, out: &mut Vec<u8>, text: &[u8], deflater: &mut Deflater) {
        let kind = if self.is_editor() { MessageKind::Binary } else { MessageKind::Text };
        match self {
            Wire::Compressed | Wire::EditorCompressed if text.len() >= COMPRESS_FROM => {
                out.extend_from_slice(&encode::compressed(deflater, kind, text));
            }
            Wire::Compressed | Wire::WebSocket | Wire::Editor | Wire::EditorCompressed => {
                encode::put_message(out, kind, text, None);
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

/// JSON on one line: a publisher's `data` is kept as it was written, and a line break in it, which
/// can only be white space between two tokens, would end the frame.
fn put_line(out: &mut Vec<u8>, text: &[u8]) {
    let begin = out.len();
    out.extend_from_slice(text);
    for byte in &mut out[begin..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// Frames in one piece, how many, and the longest one's length.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    pub(super) bytes: Bytes,
    pub(super) count: usize,
    pub(super) longest: usize,
}

/// Frames of one batch as one piece for each wire that shares it, made when first asked for.
#[derive(Debug, Default)]
pub(super) struct Joined([Option<Frames>; 8]);

impl Joined {
    pub(super) fn get_or_make(
        &mut self,
        wire: Wire,
        dialect: Dialect,
        make: impl FnOnce() -> Frames,
    ) -> Frames {
        let slot = match wire {
            Wire::Compressed => 0,
            Wire::Events => 1,
            Wire::Lines => 2,
            // Each receiver has ids of its own.
            Wire::Source => return make(),
            Wire::WebSocket => 3,
            Wire::Editor | Wire::EditorCompressed => {
                4 + 2 * usize::from(dialect == Dialect::Hocuspocus)
                    + usize::from(wire.is_compressed())
            }
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
    fn data_that_was_written_on_many_lines_is_one_frame() {
        let mut deflater = Deflater::new(15, 1, false);
        let text = b"{\"data\":{\r\n\"text\":\"a\\nb\"}}";
        for (wire, expected) in [
            (Wire::Events, "data: {\"data\":{  \"text\":\"a\\nb\"}}\n\n"),
            (Wire::Source, "data: {\"data\":{  \"text\":\"a\\nb\"}}\n\n"),
            (Wire::Lines, "{\"data\":{  \"text\":\"a\\nb\"}}\n"),
        ] {
            let mut out = Vec::new();
            wire.put(&mut out, text, &mut deflater);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
