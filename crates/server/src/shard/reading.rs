//! What a client sends, from the socket to the engine.

use std::rc::Rc;
use std::task::{Context, Poll};

use tidings_core::engine::{Dialect, Now, SessionKey};
use tidings_proto::CloseCode;
use tidings_websocket::{Close, Decoder, Item, encode};

use super::Shard;
use super::connection::Connection;
use super::taps::Ending;
use crate::metrics::End;

/// Answers to Pings that are sent as one piece: about so many bytes.
const PONGS: usize = 4 << 10;

impl Shard {
    /// Whether a client may be heard now: no shard has to catch up, it has not too many commands
    /// under way, and takes what it is sent. Small commands have large answers, so this is asked
    /// behind each.
    pub(super) fn may_go_on(&self, connection: &Rc<Connection>) -> bool {
        if connection.ended.get() || connection.paused.get() || self.throttled.get() {
            return false;
        }
        let much = self.settings().limits.backlog / 2;
        if connection.queue.borrow().bytes() > much && !connection.blocked.get() {
            self.flush(connection);
            self.after_flush();
        }
        connection.queue.borrow().bytes() <= much && !connection.ended.get()
    }

    /// Reads once, or goes on with what was held, and handles what came. `Pending`: nothing
    /// there; the task will be woken.
    pub(super) fn read(&self, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(mut held) = connection.held.take() {
            if connection.wire.is_http() {
                self.handle_lines(connection, &held);
            } else {
                self.handle(connection, &mut held);
            }
            return Poll::Ready(());
        }
        // Effects never read, so the scratch is free whenever this runs.
        let mut scratch = self.scratch.borrow_mut();
        match connection.stream.poll_read(cx, &mut scratch) {
            Poll::Pending => return Poll::Pending,
            // Nothing belongs behind the request for a stream of events.
            Poll::Ready(Ok(count)) if count > 0 && connection.wire.is_http() => {}
            Poll::Ready(Ok(count)) if count > 0 => self.handle(connection, &mut scratch[..count]),
            Poll::Ready(_) => self.end(connection),
        }
        Poll::Ready(())
    }

    /// A sign of life. Taking what it is sent is one too: meanwhile it may not be read.
    pub(super) fn heard(&self, connection: &Rc<Connection>) {
        if !connection.is_closing() {
            connection.heard_ms.set(self.node.clock.now().mono_ms);
            connection.pinged.set(false);
        }
    }

    pub(super) fn handle(&self, connection: &Rc<Connection>, bytes: &mut [u8]) {
        let now = self.node.clock.now();
        self.heard(connection);
        let mut inflater = self.inflater.borrow_mut();
        let inflater = connection.wire.is_compressed().then_some(&mut *inflater);
        let mut decoder = connection.decoder.borrow_mut();
        let config = self.settings().websocket_of(connection.wire);
        let mut reader = decoder.read(&config, bytes, inflater);
        let mut pongs = Vec::new();
        loop {
            let item = reader.next_item();
            if !pongs.is_empty() && !matches!(item, Ok(Some(Item::Ping(_)))) {
                self.send_pongs(connection, &mut pongs);
            }
            match item {
                Ok(None) => break,
                Ok(Some(Item::Text(text))) if !connection.wire.is_editor() => {
                    if let Some(key) = connection.session.get() {
                        self.receive(connection, now, key, text);
                    }
                }
                Ok(Some(Item::Binary(message))) if connection.wire.is_editor() => {
                    if let Some(key) = connection.session.get() {
                        self.receive_binary(connection, now, key, message);
                    }
                }
                Ok(Some(Item::Text(_) | Item::Binary(_))) => {
                    self.dismiss(connection, CloseCode::BadFrame);
                }
                Ok(Some(Item::Ping(payload))) => {
                    // invariant: the payload of a Ping fits into a Pong.
                    let _ = encode::put_pong(&mut pongs, payload, None);
                    if pongs.len() < PONGS {
                        continue;
                    }
                    self.send_pongs(connection, &mut pongs);
                }
                Ok(Some(Item::Pong(payload))) => self.ponged(connection, payload),
                Ok(Some(Item::Close(close))) => {
                    self.closed_by_peer(connection, close);
                    break;
                }
                Err(error) => {
                    self.protocol_fault(connection, error.close_code());
                    break;
                }
            }
            if !self.may_go_on(connection) {
                let rest = reader.unread();
                connection.held.replace((!rest.is_empty()).then(|| rest.into()));
                break;
            }
        }
        if connection.wire.is_editor() {
            self.count_partial(connection, &mut decoder);
        }
    }

    /// Messages of editors may be long, and many can arrive at the same time, or never to the end:
    /// what all of them hold has a bound. Who goes beyond it comes back.
    fn count_partial(&self, connection: &Rc<Connection>, decoder: &mut Decoder) {
        let (held, before) = (decoder.held_bytes(), connection.partial.get());
        if held > before && self.partial.get() - before + held > self.settings().limits.arriving {
            decoder.stop();
            self.note_partial(connection, 0);
            return self.dismiss(connection, CloseCode::RateLimited);
        }
        self.note_partial(connection, held);
    }

    /// So many bytes of a message have arrived by now.
    pub(super) fn note_partial(&self, connection: &Connection, held: usize) {
        let before = connection.partial.replace(held);
        self.partial.set(self.partial.get() - before + held);
    }

    /// A command of a client.
    pub(super) fn receive(&self, connection: &Connection, now: Now, from: SessionKey, text: &str) {
        if self.is_traced() {
            return self.receive_traced(connection, now, from, text);
        }
        self.engine.borrow_mut().receive(now, from, text);
        self.carry_out();
    }

    /// A message of an editor.
    fn receive_binary(&self, connection: &Connection, now: Now, from: SessionKey, message: &[u8]) {
        self.engine.borrow_mut().receive_binary(now, from, message);
        if self.is_traced() {
            self.trace_editor(connection, from, ("in", message.len()));
        }
        self.carry_out();
    }

    /// Answers to Pings that came one after the other: one piece, as each piece costs memory
    /// beside its bytes. They wait in the queue like all else: a flood of Pings that is not read
    /// ends as any slow consumer does.
    fn send_pongs(&self, connection: &Rc<Connection>, pongs: &mut Vec<u8>) {
        let pongs = std::mem::take(pongs);
        if !connection.is_closing() {
            connection.push(pongs.into());
            self.touch(connection);
        }
    }

    /// The client says good-bye, or answers ours.
    fn closed_by_peer(&self, connection: &Rc<Connection>, close: Option<Close<'_>>) {
        if let Some(key) = self.detach(connection) {
            self.tally.ended(End::Left);
            if self.is_traced() {
                let code = close.map(|close| close.code);
                self.trace_closed(key, Ending { code, reason: "left", why: None });
            }
            self.engine.borrow_mut().close(self.node.clock.now(), key, false);
            self.carry_out();
        }
        self.send_close(connection, close.map(|close| (close.code, "")));
        let mut closing = connection.closing.get();
        // The answer is out already, see above.
        let _ = closing.handle_close();
        connection.closing.set(closing);
        self.touch(connection);
    }

    /// The client broke RFC 6455: it is told with which code, and nothing more is read.
    fn protocol_fault(&self, connection: &Rc<Connection>, code: u16) {
        let reason = match code {
            1007 => CloseCode::InvalidPayload,
            1009 if connection.wire.is_editor() => return self.too_big(connection),
            1009 => CloseCode::MessageTooBig,
            _ => CloseCode::ProtocolError,
        };
        self.dismiss(connection, reason);
        let mut closing = connection.closing.get();
        let _ = closing.handle_error();
        connection.closing.set(closing);
        self.touch(connection);
    }

    /// A message of an editor that is longer than any may be. It would send the same again as soon
    /// as it is back, so it is told with a code that it does not come back from; y-websocket knows
    /// the 44xx for that, Hocuspocus 1009. It is read to the end: a socket that is closed in front
    /// of unread bytes is reset, and the code may be lost with it.
    fn too_big(&self, connection: &Rc<Connection>) {
        let Some(key) = connection.session.get() else { return };
        let dialect = self.engine.borrow().dialect(key);
        self.dismiss(
            connection,
            match dialect {
                Dialect::Hocuspocus => CloseCode::MessageTooBig,
                Dialect::Json | Dialect::Yjs => CloseCode::TooLarge,
            },
        );
    }
}
