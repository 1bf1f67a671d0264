//! Connections that are spoken in HTTP requests: these may come to any shard, and are handed to the
//! connection's.

use std::rc::Rc;

use bytes::Bytes;
use tidings_proto::CloseCode;
use tokio::sync::oneshot;

use super::Shard;
use super::connection::Connection;
use super::mailbox::Mail;
use super::wire::Wire;
use crate::node::Seat;
use crate::transport::link::Link;
use crate::transport::positions::Positions;
use crate::transport::stream::Stream;

/// Which connection a request belongs to: told to its client alone, who proves by it to be the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) shard: u16,
    index: u32,
    secret: u64,
}

impl Handle {
    /// As the client has it.
    pub(crate) fn text(self) -> String {
        format!("{:04x}{:08x}{:016x}", self.shard, self.index, self.secret)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 28 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        Some(Self {
            shard: u16::from_str_radix(&text[..4], 16).ok()?,
            index: u32::from_str_radix(&text[4..12], 16).ok()?,
            secret: u64::from_str_radix(&text[12..], 16).ok()?,
        })
    }
}

/// Commands of a client, one a line.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) handle: Handle,
    pub(crate) number: u64,
    pub(crate) lines: Bytes,
    /// The client says good-bye behind them.
    pub(crate) close: bool,
    pub(crate) reply: oneshot::Sender<Taken>,
}

/// A client asks for what there is.
#[derive(Debug)]
pub(crate) struct Poll {
    pub(crate) handle: Handle,
    pub(crate) ack: u64,
    /// Dropped if there is no such connection, or another poll takes this one's place.
    pub(crate) reply: oneshot::Sender<Bytes>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All of it was handled, now or before.
    Yes,
    /// Its number is not the next one, which is this.
    NotNext(u64),
    /// There is no such connection.
    Gone,
}

impl Shard {
    /// A session begins in an HTTP request. `lines` are its first commands.
    pub(crate) fn admit_http(
        self: &Rc<Self>,
        (wire, seat): (Wire, Seat),
        token: Option<&str>,
        lines: &[u8],
        positions: Option<Positions>,
    ) -> Rc<Connection> {
        let link = Link::new(random_u64(), positions);
        let secret = link.secret;
        let now = self.node.clock.now();
        let stream = Stream::Http(Box::new(link));
        let connection =
            self.keep(|index| Connection::new((stream, seat), index, wire, now.mono_ms));
        self.tally.opened(wire);
        let key = {
            let mut engine = self.engine.borrow_mut();
            let key = engine.open(now, None);
            engine.stay(key);
            key
        };
        self.join_session(&connection, key);
        let index = u32::try_from(connection.index).unwrap_or(u32::MAX);
        if wire != Wire::Source {
            let handle = Handle { shard: self.id.0, index, secret }.text();
            let opened = format!("{{\"type\":\"opened\",\"connection\":\"{handle}\"}}");
            connection.push(self.frame(&connection, opened.as_bytes()));
        }
        self.touch(&connection);
        if self.stopping.get() {
            self.dismiss(&connection, CloseCode::Draining);
        } else if let Some(token) = token {
            self.engine.borrow_mut().identify(now, key, token);
            self.carry_out();
        }
        self.handle_lines(&connection, lines);
        self.start(connection.clone());
        connection
    }

    /// The answer of an opening request goes on without hyper, behind this head.
    pub(crate) fn carry(&self, connection: &Rc<Connection>, socket: Stream, head: Bytes) {
        if let Some(link) = connection.link() {
            link.carry(socket);
            connection.queue.borrow_mut().push_front(head);
            connection.blocked.set(false);
            self.touch(connection);
        }
        // Its task takes the socket's waker slots over from hyper's, which would stay in memory.
        if let Some(waker) = connection.waker.take() {
            waker.wake();
        }
    }

    /// Commands that the server gives in a client's name.
    pub(crate) fn hear_lines(&self, connection: &Rc<Connection>, lines: &[u8]) {
        self.handle_lines(connection, lines);
    }

    /// Lets a session in whose URL has a token that lives for `most_ms` at most.
    pub(crate) fn admit_by_ticket(&self, connection: &Rc<Connection>, ticket: &str, most_ms: u64) {
        if let Some(key) = connection.session.get() {
            self.engine.borrow_mut().admit(self.node.clock.now(), key, ticket, most_ms);
            self.carry_out();
        }
    }

    /// Hands a batch to the connection's shard.
    pub(crate) fn send_batch(self: &Rc<Self>, batch: Batch) {
        if batch.handle.shard == self.id.0 {
            return self.take_batch(batch);
        }
        self.post(batch.handle.shard, Mail::Batch(Box::new(batch)));
    }

    /// Hands a poll to the connection's shard.
    pub(crate) fn send_poll(&self, poll: Poll) {
        if poll.handle.shard == self.id.0 {
            return self.take_poll(poll);
        }
        self.post(poll.handle.shard, Mail::Poll(poll));
    }

    pub(super) fn post(&self, shard: u16, mail: Mail) {
        if let Some(outgoing) = self.outgoing.borrow_mut().get_mut(usize::from(shard)) {
            outgoing.push(mail);
            self.turn_is_due();
        }
    }

    fn find_link(&self, handle: Handle) -> Option<Rc<Connection>> {
        let found = self.connections.borrow().get(handle.index as usize).cloned()?;
        let secret = found.link()?.secret;
        (secret == handle.secret && !found.ended.get()).then_some(found)
    }

    pub(super) fn take_batch(&self, batch: Batch) {
        let Batch { handle, number, lines, close, reply } = batch;
        let found = self.find_link(handle);
        let Some((connection, link)) = found.as_ref().and_then(|c| Some((c, c.link()?))) else {
            let _ = reply.send(Taken::Gone);
            return;
        };
        let taken = link.taken.get();
        if number == taken && taken > 0 {
            // Its answer was lost. If it is still being handled, whoever asks now waits for it.
            if connection.held.borrow().is_some() {
                link.sender.replace(Some(reply));
            } else {
                let _ = reply.send(Taken::Yes);
            }
            return;
        }
        if number != taken + 1 {
            let _ = reply.send(Taken::NotNext(taken + 1));
            return;
        }
        link.taken.set(number);
        link.leaving.set(close);
        link.sender.replace(Some(reply));
        // Behind what still waits: the commands of the opening request, for instance.
        let held = connection.held.take();
        match held {
            None => self.handle_lines(connection, &lines),
            Some(held) => {
                let all = [&held[..], b"\n", &lines].concat();
                connection.held.replace(Some(all.into()));
            }
        }
    }

    pub(super) fn take_poll(&self, poll: Poll) {
        let Poll { handle, ack, reply } = poll;
        let Some(connection) = self.find_link(handle) else { return };
        let polls = connection.wire == Wire::Lines;
        if let Some(link) = connection.link().filter(|_| polls)
            && link.park(reply, ack)
        {
            self.heard(&connection);
            connection.blocked.set(false);
            self.touch(&connection);
        }
    }

    /// Handles commands, one a line, as far as the client may go on.
    pub(super) fn handle_lines(&self, connection: &Rc<Connection>, mut lines: &[u8]) {
        let now = self.node.clock.now();
        self.heard(connection);
        while !lines.is_empty() {
            let (line, rest) = match lines.iter().position(|byte| *byte == b'\n') {
                Some(end) => (&lines[..end], &lines[end + 1..]),
                None => (lines, &lines[lines.len()..]),
            };
            lines = rest;
            self.handle_line(connection, now, line);
            if !lines.is_empty() && !self.may_go_on(connection) {
                connection.held.replace((!connection.ended.get()).then(|| lines.into()));
                return;
            }
        }
        if let Some(link) = connection.link() {
            link.batch_done(Taken::Yes);
            if link.leaving.get() {
                self.end(connection);
            }
        }
    }

    fn handle_line(
        &self,
        connection: &Rc<Connection>,
        now: tidings_core::engine::Now,
        line: &[u8],
    ) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        let Some(key) = connection.session.get() else { return };
        if line.len() > self.settings().limits.frame {
            return self.dismiss(connection, CloseCode::MessageTooBig);
        }
        match std::str::from_utf8(line) {
            Ok(text) => {
                self.receive(connection, now, key, text);
            }
            Err(_) => self.dismiss(connection, CloseCode::InvalidPayload),
        }
    }
}

fn random_u64() -> u64 {
    // A secret: without randomness there is no safe way to go on.
    getrandom::u64().unwrap_or_else(|error| panic!("the system has no randomness: {error}"))
}
