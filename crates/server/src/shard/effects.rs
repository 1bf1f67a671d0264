//! Carrying out what the engine says.

use std::rc::Rc;

use bytes::Bytes;
use tidings_core::Effect;
use tidings_core::engine::{Address, Delivery, Dialect, SessionKey, TopicKey};
use tidings_proto::CloseCode;
use tidings_websocket::{Close, encode};

use super::Shard;
use super::connection::Connection;
use super::mailbox::Mail;
use super::taps::Ending;
use super::wire::{Frames, HEAD_ROOM, Joined};
use crate::metrics::End;

impl Shard {
    /// Carries out the effects of the engine's last call.
    pub(super) fn carry_out(&self) {
        let mut effects = self.engine.borrow_mut().effects();
        if effects.is_empty() {
            return;
        }
        self.turn_is_due();
        for effect in effects.drain(..) {
            match effect {
                Effect::Answer { text } => self.served(text),
                Effect::Append(append) => self.node.storage.append(self.id, append),
                Effect::AppendSoon(append) => self.node.storage.append_soon(self.id, append),
                Effect::Close { session, code, why } => self.close(session, code, why.as_deref()),
                Effect::Consult { id, session, about } => self.consult(id, session, &about),
                Effect::Drain { session } => self.with(session, |connection| {
                    connection.drain.set(true);
                    self.touch(connection);
                }),
                Effect::Fanout { topic, upto, batch } => {
                    self.fan_out(topic, upto, &batch);
                    if self.is_traced() {
                        self.trace_fan_out(topic, upto, &batch);
                    }
                }
                Effect::Load { channel } => self.node.storage.load(self.id, channel),
                Effect::Message { shard, message } => {
                    let mut outgoing = self.outgoing.borrow_mut();
                    outgoing[usize::from(shard.0)].push(Mail::Message(message));
                }
                Effect::Move { session, to, traveller } => {
                    self.with(session, |connection| self.send_off(connection, to, traveller));
                }
                Effect::Notice(notice) => self.node.storage.notice(notice),
                Effect::Pause { session } => self.with(session, |c| c.paused.set(true)),
                Effect::Push(due) => self.node.storage.push_due(due),
                Effect::Pushed { ticket, answer } => {
                    if let Some(pushes) = &self.node.pushes {
                        pushes.answered(ticket, answer);
                    }
                }
                Effect::Probe { session } => {
                    self.with(session, |connection| self.probe(connection));
                }
                Effect::Restore { channel, ticket, now, then, client } => {
                    self.restore((channel, ticket), now, then, client);
                }
                Effect::Resume { session } => self.with(session, |connection| {
                    // It has begun, perhaps by its ticket, without a question.
                    connection.shown.replace(None);
                    connection.paused.set(false);
                    connection.wake();
                }),
                Effect::Send { session, text } => self.send(session, &text),
                Effect::SendBinary { session, message } => self.send_binary(session, &message),
                Effect::SendProbing { session, text } => self.with(session, |connection| {
                    if self.is_traced() {
                        self.trace_sent(connection, session, &text);
                    }
                    self.send_probing(connection, &text);
                }),
                Effect::Told { channel, batch } => self.trace_told(&channel, &batch),
                Effect::Wake { at_ms } => self.set_alarm(at_ms),
            }
        }
        self.engine.borrow_mut().recycle(effects);
        self.settle_paces();
    }

    fn send(&self, session: SessionKey, text: &Bytes) {
        self.with(session, |connection| {
            // An editor's protocol has no such frame; what it must know it is told by the close
            // code.
            if connection.wire.is_editor() {
                return;
            }
            if self.is_traced() {
                self.trace_sent(connection, session, text);
            }
            connection.push(self.frame(connection, text));
            self.touch(connection);
        });
    }

    fn send_binary(&self, session: SessionKey, message: &Bytes) {
        self.with(session, |connection| {
            if self.is_traced() {
                self.trace_editor(connection, session, ("out", message.len()));
            }
            connection.allow(message.len());
            connection.push(self.frame(connection, message));
            self.touch(connection);
        });
    }

    pub(super) fn with(&self, session: SessionKey, act: impl FnOnce(&Rc<Connection>)) {
        let found = self.by_slot.borrow().get(session.slot as usize).cloned().flatten();
        if let Some(connection) = found.filter(|c| c.session.get() == Some(session)) {
            act(&connection);
        }
    }

    /// The session is over; its connection says so and waits for the answer.
    fn close(&self, session: SessionKey, code: CloseCode, why: Option<&str>) {
        self.with(session, |connection| {
            self.detach(connection);
            self.tally.ended(End::Closed(code));
            if self.is_traced() {
                let (code, reason) = (Some(code.code()), code.reason());
                self.trace_closed(session, Ending { code, reason, why });
            }
            connection.paused.set(false);
            connection.wake();
            connection.heard_ms.set(self.node.clock.now().mono_ms);
            self.send_close(connection, Some((code.code(), code.reason())));
        });
    }

    pub(super) fn send_close(&self, connection: &Rc<Connection>, close: Option<(u16, &str)>) {
        let mut closing = connection.closing.get();
        if connection.wire.is_http() {
            // `bye` was the last frame; the answer ends behind it.
            let _ = (closing.start(), closing.handle_close());
            self.touch(connection);
        } else if closing.start() {
            let mut frame = Vec::with_capacity(32);
            let close = close.map(|(code, reason)| Close { code, reason });
            encode::put_close(&mut frame, close, None);
            connection.push(frame.into());
            self.touch(connection);
        }
        connection.closing.set(closing);
    }

    /// One frame, as the connection wants it.
    pub(super) fn frame(&self, connection: &Connection, text: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(HEAD_ROOM + text.len());
        self.put_frame(&mut out, connection, text);
        out.into()
    }

    fn put_frame(&self, out: &mut Vec<u8>, connection: &Connection, text: &[u8]) {
        if let Some(link) = connection.link() {
            link.put_id(out, text);
        }
        connection.wire.put(out, text, &mut self.deflater.borrow_mut());
    }

    /// Sends a batch to the subscribers of a channel: encoded once, shared by all.
    fn fan_out(&self, topic: TopicKey, upto: usize, batch: &[Delivery]) {
        let engine = self.engine.borrow();
        let by_slot = self.by_slot.borrow();
        let subscribers = &engine.subscribers(topic)[..upto];
        let (mut all, mut without_presence) = (Joined::default(), Joined::default());
        let mut delivered = 0;
        let has_presence = batch.iter().any(|delivery| delivery.presence);
        let conflates = engine.conflates(topic);
        let has_spared = batch.iter().any(|delivery| delivery.except.is_some());
        for subscriber in subscribers.iter().filter(|it| !it.apart) {
            let Some(Some(connection)) = by_slot.get(subscriber.slot as usize) else { continue };
            let (presence, dialect) = (subscriber.presence, subscriber.dialect);
            if subscriber.held {
                let mine = |d: &&Delivery| !d.kept && (presence || !d.presence);
                for payload in batch.iter().filter(mine).filter_map(|d| payload(d, dialect)) {
                    connection.push(self.frame(connection, payload));
                    self.touch(connection);
                }
                continue;
            }
            let me = connection.session.get().map(|session| Address { shard: self.id, session });
            let spared = has_spared && batch.iter().any(|delivery| delivery.except == me);
            let mine = |d: &&Delivery| (presence || !d.presence) && (!spared || d.except != me);
            let join = || self.join(connection, batch.iter().filter(mine), dialect);
            let frames = match (spared, presence || !has_presence) {
                (true, _) => join(),
                (false, true) => all.get_or_make(connection.wire, dialect, join),
                (false, false) => without_presence.get_or_make(connection.wire, dialect, join),
            };
            delivered += frames.count;
            if !frames.bytes.is_empty() {
                if connection.wire.is_editor() {
                    connection.allow(frames.longest);
                }
                connection.push(frames.bytes);
                self.touch(connection);
                if let Some(key) = connection.session.get().filter(|_| conflates) {
                    self.watch_pace(connection, key);
                }
            }
        }
        self.tally.delivered(delivered as u64);
    }

    fn join<'a>(
        &self,
        connection: &Connection,
        batch: impl Iterator<Item = &'a Delivery>,
        dialect: Dialect,
    ) -> Frames {
        let (mut out, mut count, mut longest) = (Vec::with_capacity(512), 0, 0);
        for payload in batch.filter_map(|delivery| payload(delivery, dialect)) {
            self.put_frame(&mut out, connection, payload);
            count += 1;
            longest = longest.max(payload.len());
        }
        Frames { bytes: out.into(), count, longest }
    }
}

/// What is told to whoever speaks so, if anything.
fn payload(delivery: &Delivery, dialect: Dialect) -> Option<&Bytes> {
    match dialect {
        Dialect::Json => Some(&delivery.text),
        Dialect::Yjs | Dialect::Hocuspocus => delivery.binary(dialect),
    }
}
