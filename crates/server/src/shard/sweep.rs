//! What time alone brings: Pings, dead peers, connections that do not close.

use std::rc::Rc;

use bytes::Bytes;
use tidings_proto::CloseCode;
use tidings_websocket::encode;

use super::Shard;
use super::connection::Connection;
use super::wire::Wire;
use crate::transport::link::Link;

impl Shard {
    /// Called every half second.
    pub(crate) fn sweep(&self) {
        let now = self.node.clock.now();
        self.engine.borrow_mut().tick(now);
        self.carry_out();
        let limits = self.settings().limits.clone();
        let silence = limits.heartbeat.ms + limits.pong_timeout.ms;
        let mut due: Vec<(Rc<Connection>, Due)> = Vec::new();
        for (_, connection) in self.connections.borrow().iter() {
            let is_read = !connection.paused.get() && !self.throttled.get();
            if !is_read && !connection.wire.is_http() {
                // It is not read now: what it says, Pongs too, waits in front of us.
                self.heard(connection);
            }
            let silent_ms = now.mono_ms.saturating_sub(connection.heard_ms.get());
            let what = if connection.is_closing() {
                (silent_ms >= limits.close_timeout.ms).then_some(Due::End)
            } else if connection.link().is_some_and(Link::is_polled) {
                (silent_ms >= limits.heartbeat.ms).then_some(Due::Answer)
            } else if silent_ms >= silence {
                Some(Due::NoPong)
            } else if self.answers_no_ping(connection, silence) {
                Some(Due::Slow)
            } else {
                let quiet = silent_ms >= limits.heartbeat.ms && !connection.pinged.get();
                (quiet && connection.wire != Wire::Lines).then_some(Due::Ping)
            };
            due.extend(what.map(|what| (connection.clone(), what)));
        }
        for (connection, what) in due {
            match what {
                Due::Answer => self.answer_poll(&connection),
                Due::End => self.end(&connection),
                Due::NoPong => self.dismiss(&connection, CloseCode::NoPong),
                Due::Slow => self.dismiss(&connection, CloseCode::SlowConsumer),
                Due::Ping => self.ping(&connection),
            }
        }
        self.turn_is_due();
    }

    fn answers_no_ping(&self, connection: &Connection, silence_ms: u64) -> bool {
        let before_us = self.node.clock.mono_us().saturating_sub(silence_ms * 1000);
        connection.pace.borrow().as_ref().is_some_and(|pace| pace.waits_since(before_us))
    }

    fn ping(&self, connection: &Rc<Connection>) {
        connection.pinged.set(true);
        if connection.wire.is_http() {
            // A comment: it keeps proxies from closing, and a dead peer takes none.
            connection.push(Bytes::from_static(b":\n\n"));
            return self.touch(connection);
        }
        let mut frame = Vec::with_capacity(2);
        if encode::put_ping(&mut frame, &[], None).is_ok() {
            connection.push(frame.into());
            self.touch(connection);
        }
    }

    /// A poll has waited long enough.
    fn answer_poll(&self, connection: &Rc<Connection>) {
        if let Some(link) = connection.link() {
            let mut queue = connection.queue.borrow_mut();
            let before = queue.payload();
            link.release(&mut queue);
            self.tally.sent(before.saturating_sub(queue.payload()));
            drop(queue);
            self.heard(connection);
        }
    }
}

/// What a connection's silence has come to.
enum Due {
    Answer,
    End,
    NoPong,
    Ping,
    /// It says something, but does not answer whether what it was sent has arrived.
    Slow,
}
