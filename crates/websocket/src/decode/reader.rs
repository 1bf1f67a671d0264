//! The pass over the bytes of one read.

use std::ops::Range;

use super::Decoder;
use super::partial::{Message, Partial};
use crate::close::Close;
use crate::config::{Config, Role};
use crate::deflate::Inflater;
use crate::error::{Error, InvalidPayload, Limit, Misbehaviour};
use crate::frame::{Head, Opcode};
use crate::mask::apply_mask;

/// What a peer has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A binary message.
    Binary(&'a [u8]),
    /// A Close frame, the last item of a connection. It is to be answered with the same status
    /// code: see [`CloseHandshake`](crate::CloseHandshake).
    Close(Option<Close<'a>>),
    /// A Ping, to be answered with a Pong of the same payload (RFC 6455 section 5.5.2).
    Ping(&'a [u8]),
    /// A Pong.
    Pong(&'a [u8]),
    /// A text message.
    Text(&'a str),
}

/// Finds the items in the bytes of one [`Decoder::read`].
///
/// Call [`next_item`](Self::next_item) until it returns `None`: all bytes are used up then, and
/// what is incomplete is kept in the decoder. To pause earlier, as flow control asks for, stop
/// calling and keep a copy of [`unread`](Self::unread); those bytes come first when reading goes
/// on, ahead of anything from the socket. They are untouched, so they can be read like any other.
#[derive(Debug)]
#[must_use = "bytes that are not read are lost"]
pub struct Reader<'a> {
    decoder: &'a mut Decoder,
    config: &'a Config,
    inflater: Option<&'a mut Inflater>,
    bytes: &'a mut [u8],
    position: usize,
    /// The last item, if it is not in `bytes`: put together from fragments or inflated.
    carried: Vec<u8>,
}

/// A complete item and where its payload is.
struct Ready {
    opcode: Opcode,
    place: Place,
}

enum Place {
    Bytes(Range<usize>),
    Carried,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(
        decoder: &'a mut Decoder,
        config: &'a Config,
        bytes: &'a mut [u8],
        inflater: Option<&'a mut Inflater>,
    ) -> Self {
        Self { decoder, config, inflater, bytes, position: 0, carried: Vec::new() }
    }

    /// The next item, or `None` if there is no whole one left.
    ///
    /// # Errors
    ///
    /// The peer broke a rule or a limit. Items ahead of the fault have been handed out before;
    /// the decoder [stops](Decoder::is_stopped).
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, Error> {
        self.carried = Vec::new();
        let ready = match self.advance() {
            Ok(Some(ready)) => ready,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.decoder.stop();
                return Err(error);
            }
        };
        let payload = match ready.place {
            Place::Bytes(range) => &self.bytes[range],
            Place::Carried => &self.carried,
        };
        let item = to_item(ready.opcode, payload);
        if matches!(item, Err(_) | Ok(Item::Close(_))) {
            self.decoder.stop();
        }
        item.map(Some)
    }

    /// The bytes which have not been looked at yet.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.position..]
    }

    /// Goes on to the end of the next item.
    fn advance(&mut self) -> Result<Option<Ready>, Error> {
        if self.decoder.stopped {
            self.position = self.bytes.len();
            return Ok(None);
        }
        loop {
            let ready = if self.decoder.partial.as_ref().is_some_and(|p| p.in_frame()) {
                let Some(head) = self.take_payload()? else { return Ok(None) };
                self.end_frame(head)?
            } else {
                let Some(head) = self.take_head()? else { return Ok(None) };
                self.admit(&head)?;
                self.begin_frame(head)?
            };
            if ready.is_some() {
                return Ok(ready);
            }
        }
    }

    /// Reads a head, which costs no copy if it is all in `bytes`.
    fn take_head(&mut self) -> Result<Option<Head>, Error> {
        let input = &self.bytes[self.position..];
        if input.is_empty() {
            return Ok(None);
        }
        if self.decoder.partial.is_none()
            && let Some((head, len)) = Head::parse(input)?
        {
            self.position += len;
            return Ok(Some(head));
        }
        let partial = self.decoder.partial.get_or_insert_default();
        let (head, taken) = partial.take_head(input)?;
        self.position += taken;
        Ok(head)
    }

    /// Checks a head against the role, the extension, the message it belongs to and the limits:
    /// all that can be known before the payload arrives.
    fn admit(&self, head: &Head) -> Result<(), Error> {
        match (self.decoder.role, head.mask) {
            (Role::Server, None) => return Err(Misbehaviour::MaskMissing.into()),
            (Role::Client, Some(_)) => return Err(Misbehaviour::MaskUnexpected.into()),
            (Role::Server, Some(_)) | (Role::Client, None) => {}
        }
        let starts_message = matches!(head.opcode, Opcode::Binary | Opcode::Text);
        if head.rsv1 && !(starts_message && self.inflater.is_some()) {
            return Err(Misbehaviour::ReservedBits.into());
        }
        if head.opcode.is_control() {
            return Ok(());
        }

        let message = self.decoder.partial.as_ref().and_then(|partial| partial.message());
        let (arrived, frames) = match message {
            Some(_) if starts_message => return Err(Misbehaviour::UnfinishedMessage.into()),
            None if !starts_message => return Err(Misbehaviour::UnexpectedContinuation.into()),
            Some(message) => (message.bytes.len(), message.frames),
            None => (0, 0),
        };
        if head.len > self.config.max_frame as u64 {
            return Err(Limit::Frame.into());
        }
        if (arrived as u64).saturating_add(head.len) > self.config.max_message as u64 {
            return Err(Limit::Message.into());
        }
        if frames >= self.config.max_fragments {
            return Err(Limit::Fragments.into());
        }
        Ok(())
    }

    /// Hands out a frame that is a whole item and all here, or begins to collect it.
    fn begin_frame(&mut self, head: Head) -> Result<Option<Ready>, Error> {
        let end = usize::try_from(head.len).ok().and_then(|len| self.position.checked_add(len));
        let end = end.filter(|&end| end <= self.bytes.len());
        let is_item = head.fin && head.opcode != Opcode::Continuation;
        let Some(end) = end.filter(|_| is_item) else {
            self.decoder.partial.get_or_insert_default().start_frame(head);
            return Ok(None);
        };

        let range = self.position..end;
        self.position = end;
        if let Some(key) = head.mask {
            apply_mask(&mut self.bytes[range.clone()], key, 0);
        }
        // The head may have been the only thing in there.
        self.decoder.tidy();
        if !head.rsv1 {
            return Ok(Some(Ready { opcode: head.opcode, place: Place::Bytes(range) }));
        }
        if let Some(inflater) = &mut self.inflater {
            self.carried = inflater.inflate(&self.bytes[range], self.config.max_message)?;
        }
        Ok(Some(Ready { opcode: head.opcode, place: Place::Carried }))
    }

    /// Adds to the frame that is being collected; returns its head when it is complete.
    fn take_payload(&mut self) -> Result<Option<Head>, Error> {
        let Some(partial) = &mut self.decoder.partial else { return Ok(None) };
        let input = &mut self.bytes[self.position..];
        let (taken, head) = partial.take_payload(input, self.config.max_message)?;
        self.position += taken;
        Ok(head)
    }

    /// Hands out what the collected frame completes.
    fn end_frame(&mut self, head: Head) -> Result<Option<Ready>, Error> {
        let partial = self.decoder.partial.as_deref_mut();
        let opcode = if head.opcode.is_control() {
            self.carried = partial.map(Partial::end_control).unwrap_or_default();
            head.opcode
        } else if head.fin
            && let Some(message) = partial.and_then(Partial::end_message)
        {
            let kind = message.kind;
            self.carried = self.unpack(message)?;
            kind.into()
        } else {
            return Ok(None);
        };
        self.decoder.tidy();
        Ok(Some(Ready { opcode, place: Place::Carried }))
    }

    fn unpack(&mut self, message: Message) -> Result<Vec<u8>, Error> {
        if !message.compressed {
            return Ok(message.bytes);
        }
        // Without an inflater the first frame was not admitted, unless the caller forgot to pass
        // it again. Compressed bytes must not be taken for the message in any case.
        let inflater = self.inflater.as_mut().ok_or(Misbehaviour::ReservedBits)?;
        inflater.inflate(&message.bytes, self.config.max_message)
    }
}

fn to_item(opcode: Opcode, payload: &[u8]) -> Result<Item<'_>, Error> {
    Ok(match opcode {
        Opcode::Text => Item::Text(std::str::from_utf8(payload).map_err(|_| InvalidPayload::Utf8)?),
        Opcode::Close => Item::Close(Close::parse(payload)?),
        Opcode::Ping => Item::Ping(payload),
        Opcode::Pong => Item::Pong(payload),
        // A continuation is handed out under the opcode of its message.
        Opcode::Binary | Opcode::Continuation => Item::Binary(payload),
    })
}
