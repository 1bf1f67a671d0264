//! Bytes to messages (RFC 6455 sections 5 and 8, RFC 7692 section 6).

mod partial;
mod reader;

pub use reader::{Item, Reader};

use crate::config::{Config, Role};
use crate::deflate::Inflater;
use partial::Partial;

/// What a connection has to remember between two reads.
///
/// Between two messages that is nothing: 16 bytes, none of them on the heap. A frame or message
/// that has arrived in part is kept in a buffer which grows with what has really arrived and is
/// freed when the message has been handed out.
#[derive(Debug)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
    role: Role,
    stopped: bool,
}

impl Decoder {
    /// The decoder of the end `role` of a new connection.
    pub const fn new(role: Role) -> Self {
        Self { partial: None, role, stopped: false }
    }

    /// Begins to decode `bytes`, which follow directly on those of the last call.
    ///
    /// They may come in any pieces. Frames are unmasked where they are, so that a whole message
    /// in `bytes` is handed out without a copy; the same buffer can serve all connections of a
    /// thread. An `inflater` is passed if and only if permessage-deflate was negotiated, and it
    /// may be shared if the peer has no context takeover: see [`Inflater`].
    pub fn read<'a>(
        &'a mut self,
        config: &'a Config,
        bytes: &'a mut [u8],
        inflater: Option<&'a mut Inflater>,
    ) -> Reader<'a> {
        Reader::new(self, config, bytes, inflater)
    }

    /// Whether nothing is waiting for its rest, so that the decoder owns no heap memory.
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Whether decoding has ended for good: after a Close frame and after an error. Bytes that
    /// still arrive are dropped (RFC 6455 sections 1.4 and 7.1.7).
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Heap memory held for a frame or message that has arrived in part.
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| size_of::<Partial>() + partial.capacity())
    }

    /// Ends decoding for good: what has arrived in part is freed, what still arrives is dropped.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.partial = None;
    }

    /// Frees the state if there is nothing in it.
    fn tidy(&mut self) {
        self.partial.take_if(|partial| partial.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    #[test]
    fn an_idle_decoder_is_small() {
        assert!(size_of::<Decoder>() <= 16);
    }
}
