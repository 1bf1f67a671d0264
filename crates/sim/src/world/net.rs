//! Links between clients and the node: each way in order, with delays, losses and slow readers.

use std::collections::VecDeque;

use bytes::Bytes;
use tidings_core::engine::SessionKey;

use super::{Event, World};
use crate::checker::Op;

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: usize,
    /// Sent in the header of the upgrade.
    pub(super) header: Option<String>,
    /// The session that the node has for it.
    pub(super) at: Option<(u16, SessionKey)>,
    /// It is on its way from one shard to another.
    pub(super) moving: bool,
    /// The client says good-bye when it ends it.
    pub(super) goodbye: bool,
    /// Nothing passes any more.
    pub(super) cut: bool,
    /// The client believes in it.
    pub(super) open: bool,
    /// What came and was not read by the node.
    up: VecDeque<String>,
    pub(super) paused: bool,
    reading: bool,
    /// What the node sent and has not been written to the wire.
    down: VecDeque<Down>,
    pub(super) backlog: usize,
    drain: bool,
    pumping: bool,
    pub(super) pace: Pace,
    /// The node has ended it, or is about to.
    pub(super) ended: bool,
    /// When the node heard of it last.
    pub(super) heard_ms: u64,
    last_up_ms: u64,
    last_down_ms: u64,
}

#[derive(Debug)]
pub(super) enum Down {
    Frame(Bytes),
    Close(u16),
}

/// How fast a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Fast,
    /// So many milliseconds for a frame.
    Slow(u64),
    Stalled,
}

impl World {
    fn latency(&mut self) -> u64 {
        let (low, high) = self.setup.latency_ms;
        self.rng.range(low, high)
    }

    /// A client dials. The outcome comes later.
    pub(crate) fn dial(&mut self, client: usize, header: Option<String>) -> usize {
        let link = self.links.len();
        self.links.push(Link {
            client,
            header,
            at: None,
            moving: false,
            goodbye: false,
            cut: false,
            open: true,
            up: VecDeque::new(),
            paused: false,
            reading: false,
            down: VecDeque::new(),
            backlog: 0,
            drain: false,
            pumping: false,
            pace: Pace::Fast,
            ended: false,
            heard_ms: self.now_ms,
            last_up_ms: 0,
            last_down_ms: 0,
        });
        let delay = self.latency();
        self.links[link].last_up_ms = self.now_ms + delay;
        self.after(delay, Event::Accept { link });
        link
    }

    /// A client sends a frame.
    pub(crate) fn upload(&mut self, link: usize, text: String) {
        self.say_trace("->", link, &text);
        let at_ms = self.links[link].last_up_ms.max(self.now_ms + self.latency());
        self.links[link].last_up_ms = at_ms;
        self.at(at_ms, None, Event::ServerFrame { link, text });
    }

    /// A frame of a client has come.
    pub(super) fn server_frame(&mut self, link: usize, text: String) {
        let at = &mut self.links[link];
        if at.cut || (at.at.is_none() && !at.moving) {
            return;
        }
        at.heard_ms = self.now_ms;
        at.up.push_back(text);
        self.read_soon(link);
    }

    pub(super) fn read_soon(&mut self, link: usize) {
        let at = &mut self.links[link];
        if !at.reading && !at.up.is_empty() && !at.paused {
            at.reading = true;
            self.node_after(0, Event::Read { link });
        }
    }

    /// The node reads one frame.
    pub(super) fn read(&mut self, link: usize) {
        let at = &mut self.links[link];
        at.reading = false;
        let Some((shard, key)) = at.at else { return };
        if at.paused {
            return;
        }
        let Some(text) = at.up.pop_front() else { return };
        self.call(shard, |engine, now| engine.receive(now, key, &text));
        self.read_soon(link);
    }

    /// The node sends something. `true` if more is waiting than may be.
    pub(super) fn download(&mut self, link: usize, what: Down) -> bool {
        let at = &mut self.links[link];
        if let Down::Frame(text) = &what {
            at.backlog += text.len();
        }
        at.down.push_back(what);
        let full = at.backlog > self.setup.limits.backlog && !at.ended;
        self.flow(link);
        full && self.links[link].backlog > self.setup.limits.backlog
    }

    /// Tells the node when all has been written.
    pub(super) fn want_drain(&mut self, link: usize) {
        self.links[link].drain = true;
        self.flow(link);
    }

    /// Writes what the client reads now.
    pub(super) fn flow(&mut self, link: usize) {
        match self.links[link].pace {
            Pace::Stalled => return,
            Pace::Slow(ms) => {
                let at = &mut self.links[link];
                if !at.pumping && !at.down.is_empty() {
                    at.pumping = true;
                    self.after(ms, Event::Pump { link });
                }
            }
            Pace::Fast => while self.write_one(link) {},
        }
        let at = &mut self.links[link];
        if at.down.is_empty() && std::mem::take(&mut at.drain) {
            let delay = self.rng.below(3);
            self.node_after(delay, Event::Drained { link });
        }
    }

    pub(super) fn pump(&mut self, link: usize) {
        self.links[link].pumping = false;
        if self.links[link].pace != Pace::Stalled {
            self.write_one(link);
        }
        self.flow(link);
    }

    fn write_one(&mut self, link: usize) -> bool {
        let Some(what) = self.links[link].down.pop_front() else { return false };
        let at_ms = self.links[link].last_down_ms.max(self.now_ms + self.latency());
        self.links[link].last_down_ms = at_ms;
        match what {
            Down::Frame(text) => {
                self.links[link].backlog -= text.len();
                let text = String::from_utf8_lossy(&text).into_owned();
                self.at(at_ms, None, Event::ClientFrame { link, text });
            }
            Down::Close(code) => {
                let code = Some(code);
                self.at(at_ms, None, Event::ClientLost { link, code });
            }
        }
        true
    }

    pub(super) fn drained(&mut self, link: usize) {
        if let Some((shard, key)) = self.links[link].at {
            self.call(shard, |engine, now| engine.drained(now, key));
        }
    }

    /// A frame of the node has come to a client.
    pub(super) fn client_frame(&mut self, link: usize, text: &str) {
        let at = &self.links[link];
        if at.cut || !at.open {
            return;
        }
        self.say_trace("<-", link, text);
        self.hear(link, text);
    }

    /// A client learns that its connection is over.
    pub(super) fn client_lost(&mut self, link: usize, code: Option<u16>) {
        if !std::mem::take(&mut self.links[link].open) {
            return;
        }
        self.say_trace("lost", link, &format!("{code:?}"));
        self.note(Op::Closed { connection: connection(link) });
        if !std::mem::replace(&mut self.links[link].cut, true) {
            self.after(0, Event::ServerLost { link });
        }
        self.mourn(link, code);
    }

    /// The node learns that a connection is over.
    pub(super) fn server_lost(&mut self, link: usize) {
        let Some((shard, key)) = self.links[link].at.take() else { return };
        self.links[link].ended = true;
        self.node.sessions.remove(&(shard, key.slot));
        let lost = !self.links[link].goodbye;
        self.call(shard, |engine, now| engine.close(now, key, lost));
    }
}

/// The number of a link's connection in the history: 0 stands for none.
pub(crate) fn connection(link: usize) -> u64 {
    link as u64 + 1
}
