//! Carrying out what the engine says.

use std::rc::Rc;

use bytes::Bytes;
use tidings_core::Effect;
use tidings_core::engine::{Address, Delivery, SessionKey, TopicKey};
use tidings_proto::CloseCode;
use tidings_websocket::{Close, Head, MAX_HEAD, MessageKind, Opcode, encode};

use super::Shard;
use super::connection::Connection;
use super::mailbox::Mail;

/// Shorter messages are not worth compressing.
const COMPRESS_FROM: usize = 512;

/// Frames of one batch as one piece: with compression and without, made when first asked for.
#[derive(Debug, Default)]
struct Joined {
    plain: Option<Bytes>,
    compressed: Option<Bytes>,
}

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
                Effect::Append(append) => self.node.storage.append(self.id, append),
                Effect::Close { session, code } => self.close(session, code),
                Effect::Drain { session } => self.with(session, |connection| {
                    connection.drain.set(true);
                    self.touch(connection);
                }),
                Effect::Fanout { topic, upto, batch } => self.fan_out(topic, upto, &batch),
                Effect::Load { channel } => self.node.storage.load(self.id, channel),
                Effect::Message { shard, message } => {
                    let mut outgoing = self.outgoing.borrow_mut();
                    outgoing[usize::from(shard.0)].push(Mail::Message(message));
                }
                Effect::Move { session, to, traveller } => {
                    self.with(session, |connection| self.send_off(connection, to, traveller));
                }
                Effect::Pause { session } => self.with(session, |c| c.paused.set(true)),
                Effect::Resume { session } => self.with(session, |connection| {
                    connection.paused.set(false);
                    connection.wake();
                }),
                Effect::Send { session, text } => self.with(session, |connection| {
                    connection.push(self.frame(&text, connection.deflate));
                    self.touch(connection);
                }),
            }
        }
        self.engine.borrow_mut().recycle(effects);
    }

    fn with(&self, session: SessionKey, act: impl FnOnce(&Rc<Connection>)) {
        let found = self.by_slot.borrow().get(session.slot as usize).cloned().flatten();
        if let Some(connection) = found.filter(|c| c.session.get() == Some(session)) {
            act(&connection);
        }
    }

    /// The session is over; its connection says so and waits for the answer.
    fn close(&self, session: SessionKey, code: CloseCode) {
        self.with(session, |connection| {
            self.detach(connection);
            connection.paused.set(false);
            connection.wake();
            connection.heard_ms.set(self.node.clock.now().mono_ms);
            self.send_close(connection, Some((code.code(), code.reason())));
        });
    }

    pub(super) fn send_close(&self, connection: &Rc<Connection>, close: Option<(u16, &str)>) {
        let mut closing = connection.closing.get();
        if closing.start() {
            let mut frame = Vec::with_capacity(32);
            let close = close.map(|(code, reason)| Close { code, reason });
            encode::put_close(&mut frame, close, None);
            connection.push(frame.into());
            self.touch(connection);
        }
        connection.closing.set(closing);
    }

    /// One WebSocket frame of a server.
    fn frame(&self, text: &[u8], deflate: bool) -> Bytes {
        let mut out = Vec::with_capacity(MAX_HEAD + text.len());
        self.put_frame(&mut out, text, deflate);
        out.into()
    }

    fn put_frame(&self, out: &mut Vec<u8>, text: &[u8], deflate: bool) {
        if deflate && text.len() >= COMPRESS_FROM {
            let mut deflater = self.deflater.borrow_mut();
            out.extend_from_slice(&encode::compressed(&mut deflater, MessageKind::Text, text));
        } else {
            encode::put_frame(out, Head::new(Opcode::Text), text);
        }
    }

    /// Sends a batch to the subscribers of a channel: encoded once, shared by all.
    fn fan_out(&self, topic: TopicKey, upto: usize, batch: &[Delivery]) {
        let engine = self.engine.borrow();
        let by_slot = self.by_slot.borrow();
        let subscribers = &engine.subscribers(topic)[..upto];
        let (mut all, mut without_presence) = (Joined::default(), Joined::default());
        let has_presence = batch.iter().any(|delivery| delivery.presence);
        let has_spared = batch.iter().any(|delivery| delivery.except.is_some());
        for subscriber in subscribers {
            let Some(Some(connection)) = by_slot.get(subscriber.slot as usize) else { continue };
            let me = connection.session.get().map(|session| Address { shard: self.id, session });
            let spared = has_spared && batch.iter().any(|delivery| delivery.except == me);
            let deflate = connection.deflate;
            let frames = if spared {
                let mine = |d: &&Delivery| d.except != me && (subscriber.presence || !d.presence);
                self.join(batch.iter().filter(mine), deflate)
            } else if subscriber.presence || !has_presence {
                self.joined(&mut all, batch, deflate, |_| true)
            } else {
                self.joined(&mut without_presence, batch, deflate, |d| !d.presence)
            };
            if !frames.is_empty() {
                connection.push(frames);
                self.touch(connection);
            }
        }
    }

    fn joined(
        &self,
        cache: &mut Joined,
        batch: &[Delivery],
        deflate: bool,
        wanted: impl Fn(&Delivery) -> bool,
    ) -> Bytes {
        let slot = if deflate { &mut cache.compressed } else { &mut cache.plain };
        let made = || self.join(batch.iter().filter(|delivery| wanted(delivery)), deflate);
        slot.get_or_insert_with(made).clone()
    }

    fn join<'a>(&self, batch: impl Iterator<Item = &'a Delivery>, deflate: bool) -> Bytes {
        let mut out = Vec::with_capacity(512);
        for delivery in batch {
            self.put_frame(&mut out, &delivery.text, deflate);
        }
        out.into()
    }
}
