//! What has arrived of a head, a frame and a message that are not complete yet.

use crate::buffer;
use crate::error::{Error, InvalidPayload, Misbehaviour};
use crate::frame::{Head, MAX_CONTROL_PAYLOAD, MAX_HEAD, MessageKind, Opcode};
use crate::mask::apply_mask;

/// The state of a [`Decoder`](super::Decoder) that is not idle. All three can be there at once:
/// the head of a Ping may be cut in two in the middle of a message, but head and frame exclude
/// each other.
#[derive(Debug, Default)]
pub(super) struct Partial {
    head: [u8; MAX_HEAD],
    head_len: u8,
    frame: Option<Frame>,
    /// The payload of the control frame in `frame`.
    control: Vec<u8>,
    message: Option<Message>,
}

/// A frame whose head is complete and whose payload is not.
#[derive(Debug)]
struct Frame {
    head: Head,
    received: u64,
}

/// A message some of which has arrived.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: MessageKind,
    pub(super) compressed: bool,
    /// The payload up to now, unmasked.
    pub(super) bytes: Vec<u8>,
    /// How many frames it has had.
    pub(super) frames: usize,
    /// How much of `bytes` is known to be whole characters. Unused for other kinds than text.
    checked: usize,
}

impl Partial {
    pub(super) const fn is_empty(&self) -> bool {
        self.head_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    pub(super) fn capacity(&self) -> usize {
        self.control.capacity() + self.message.as_ref().map_or(0, |m| m.bytes.capacity())
    }

    pub(super) const fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    pub(super) const fn in_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// Reads a head whose beginning may have arrived before; tells how much of `input` it took.
    pub(super) fn take_head(
        &mut self,
        input: &[u8],
    ) -> Result<(Option<Head>, usize), Misbehaviour> {
        let start = usize::from(self.head_len);
        let copied = input.len().min(MAX_HEAD - start);
        self.head[start..start + copied].copy_from_slice(&input[..copied]);
        match Head::parse(&self.head[..start + copied])? {
            Some((head, len)) => {
                self.head_len = 0;
                // A head is looked for whenever bytes arrive, so it cannot end before `start`.
                Ok((Some(head), len - start))
            }
            None => {
                self.head_len = (start + copied) as u8;
                Ok((None, copied))
            }
        }
    }

    /// Begins a frame that the limits and the state of the connection admit.
    pub(super) fn start_frame(&mut self, head: Head) {
        self.frame = Some(Frame { head, received: 0 });
        match head.opcode {
            Opcode::Text => self.start_message(MessageKind::Text, head.rsv1),
            Opcode::Binary => self.start_message(MessageKind::Binary, head.rsv1),
            Opcode::Continuation => {
                if let Some(message) = &mut self.message {
                    message.frames += 1;
                }
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => {}
        }
    }

    fn start_message(&mut self, kind: MessageKind, compressed: bool) {
        let message = Message { kind, compressed, bytes: Vec::new(), frames: 1, checked: 0 };
        self.message = Some(message);
    }

    /// Takes what belongs to the frame from the front of `input`, at most `max_message` bytes in
    /// all. The second value is the head if the frame is complete now.
    ///
    /// # Errors
    ///
    /// Text is checked as it arrives, so that the connection fails at the first bad byte
    /// (RFC 6455 section 8.1), however long the message would go on.
    pub(super) fn take_payload(
        &mut self,
        input: &mut [u8],
        max_message: usize,
    ) -> Result<(usize, Option<Head>), Error> {
        let Some(frame) = &mut self.frame else { return Ok((0, None)) };
        let missing = frame.head.len - frame.received;
        let taken = usize::try_from(missing).unwrap_or(usize::MAX).min(input.len());
        let input = &mut input[..taken];
        if let Some(key) = frame.head.mask {
            apply_mask(input, key, (frame.received % 4) as usize);
        }
        frame.received += taken as u64;
        let complete = (frame.received == frame.head.len).then_some(frame.head);

        if frame.head.opcode.is_control() {
            buffer::reserve(&mut self.control, taken, MAX_CONTROL_PAYLOAD);
            self.control.extend_from_slice(input);
        } else if let Some(message) = &mut self.message {
            // The last frame tells how much room is needed at most.
            let rest = usize::try_from(missing).unwrap_or(usize::MAX);
            let last = message.bytes.len().saturating_add(rest);
            let ceiling = if frame.head.fin { last.min(max_message) } else { max_message };
            buffer::reserve(&mut message.bytes, taken, ceiling);
            message.bytes.extend_from_slice(input);
            message.check_text()?;
        }
        if complete.is_some() {
            self.frame = None;
        }
        Ok((taken, complete))
    }

    pub(super) fn end_control(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.control)
    }

    pub(super) const fn end_message(&mut self) -> Option<Message> {
        self.message.take()
    }
}

impl Message {
    /// Checks the text that was not checked yet. A character cut off at the end is neither good
    /// nor bad; compressed text can only be checked when it is inflated.
    fn check_text(&mut self) -> Result<(), InvalidPayload> {
        if self.compressed || self.kind != MessageKind::Text {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(InvalidPayload::Utf8),
        }
        Ok(())
    }
}
