//! What clients are sent, from the queues of their connections to the sockets.

use std::rc::Rc;

use tidings_proto::CloseCode;

use super::Shard;
use super::connection::Connection;
use crate::transport::stream::Flush;

/// So many sockets to write to are worth a call of their own.
const TOGETHER_FROM: usize = 6;

impl Shard {
    /// Puts a connection on the list of those to write to.
    pub(super) fn touch(&self, connection: &Rc<Connection>) {
        if !connection.touched.replace(true) {
            self.touched.borrow_mut().push(connection.clone());
            self.turn_is_due();
        }
    }

    pub(super) fn flush_touched(&self) {
        let mut touched = self.touched.take();
        self.send_together(&touched);
        for connection in touched.drain(..) {
            connection.touched.set(false);
            self.flush(&connection);
        }
        // Spare the allocation, unless effects of flushing have begun a new list.
        if self.touched.borrow().is_empty() {
            self.touched.replace(touched);
        }
    }

    /// Sends to all that have one plain frame waiting, in one system call. What remains, for
    /// whatever reason, is left to `flush`.
    fn send_together(&self, touched: &[Rc<Connection>]) {
        let mut ring = self.ring.borrow_mut();
        let Some(working) = ring.as_mut().filter(|_| touched.len() >= TOGETHER_FROM) else {
            return;
        };
        let ready =
            |connection: &&Rc<Connection>| !connection.blocked.get() && !connection.ended.get();
        let (mut frames, mut whose) = (Vec::new(), Vec::new());
        for connection in touched.iter().filter(ready) {
            let queue = connection.queue.borrow();
            if let (Some(fd), Some(frame)) = (connection.stream.plain_fd(), queue.only()) {
                frames.push((fd, frame.clone()));
                whose.push((connection, false));
            }
        }
        let outcome = working.send(&frames, |place, sent| {
            let (connection, reported) = &mut whose[place];
            *reported = true;
            if let Ok(sent) = sent {
                self.tally.sent(sent);
                connection.queue.borrow_mut().advance(sent);
            }
        });
        if let Err(error) = outcome {
            tracing::warn!(%error, "io_uring failed; sockets are written to one by one now");
            *ring = None;
            drop(ring);
            // How much of their frame is out is not known: they come back and recover.
            for (connection, _) in whose.into_iter().filter(|(_, reported)| !reported) {
                self.end(connection);
            }
        }
    }

    /// Flushing may have made slow consumers leave and drained readers ask for more.
    pub(super) fn after_flush(&self) {
        self.carry_out();
        if !self.touched.borrow().is_empty() {
            self.turn_is_due();
        }
    }

    /// Answers are with their sockets now: one look at the clock for all of the turn.
    pub(super) fn measure_publishes(&self) {
        let mut engine = self.engine.borrow_mut();
        let mut published = engine.published().peekable();
        if published.peek().is_some() {
            let now_us = self.node.clock.mono_us();
            published.for_each(|began_us| self.tally.published(now_us.saturating_sub(began_us)));
        }
    }

    /// Writes what waits for a connection.
    pub(super) fn flush(&self, connection: &Rc<Connection>) {
        if connection.ended.get() || connection.blocked.get() {
            self.check_backlog(connection);
            return;
        }
        let outcome = {
            let mut queue = connection.queue.borrow_mut();
            let before = queue.payload();
            let outcome = connection.stream.flush(&mut queue);
            self.tally.sent(before.saturating_sub(queue.payload()));
            outcome
        };
        match outcome {
            Ok(Flush::Done) => self.flushed(connection),
            Ok(Flush::Blocked) => {
                connection.blocked.set(true);
                connection.wake();
                self.check_backlog(connection);
            }
            Err(_) => self.end(connection),
        }
    }

    fn flushed(&self, connection: &Rc<Connection>) {
        use tidings_websocket::{CloseStep, Role};
        if connection.closing.get().step(Role::Server) == CloseStep::EndTransport {
            return self.end(connection);
        }
        if connection.link().is_some_and(|link| link.socket().is_some()) {
            // Nothing comes up on its socket; one that is dead takes nothing before long.
            self.heard(connection);
        }
        connection.longest.set(0);
        if connection.drain.replace(false)
            && let Some(key) = connection.session.get()
        {
            self.engine.borrow_mut().drained(self.node.clock.now(), key);
        }
        self.flushed_http(connection);
    }

    /// A consumer that falls too far behind is told so and has to come back.
    fn check_backlog(&self, connection: &Rc<Connection>) {
        let waiting = connection.queue.borrow().bytes();
        if waiting > self.settings().limits.backlog + connection.longest.get()
            && connection.session.get().is_some()
        {
            connection.queue.borrow_mut().cut();
            self.dismiss(connection, CloseCode::SlowConsumer);
        }
    }
}
