//! What is to be pushed, in the log: on the storage thread.
//!
//! It is a channel of the log whose events are lines: `+` with a time, an id and a user for a
//! notification that waits, `-` with an id and a user for one that is done with. What waits is what
//! all of them together say. When there are many more lines than notifications that wait, the whole
//! is written anew, and the channel's retention lets go of what was before.
//!
//! The engine says that a notification is due in front of the notification's own append, and what
//! is due is written with what comes behind it, or before. So a crash loses none that was
//! acknowledged; one that was never stored is found out when its turn comes.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use tidings_core::PushDue;
use tidings_core::store::{Append, Loaded};
use tidings_proto::Epoch;

use super::queue::Key;
use super::sender::Sender;
use crate::metrics::Dropped;
use crate::webhooks::{CENTURY_MS, stream_append};

/// The channel. No client can name it.
pub(crate) const CHANNEL: &str = "\0push";

/// Lines beyond what waits before all is written anew.
const SLACK: u64 = 10_000;

/// Lines in one event of the whole.
const CHUNK: usize = 1000;

/// What is due while the disk takes nothing. Then the oldest is dropped, and counted.
const STALLED_MAX: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Agenda {
    sender: Arc<Sender>,
    channel: Arc<str>,
    epoch: Epoch,
    last: u64,
    /// Events up to here say nothing that later ones do not.
    base: u64,
    /// Lines behind `base`.
    lines: u64,
    waiting: HashMap<Key, u64>,
    /// What the next commit writes down.
    due: Vec<(Key, u64)>,
    done: Vec<Key>,
    /// `last`, `base` and `lines` before the commit that is being made.
    before: (u64, u64, u64),
}

impl Agenda {
    /// Reads what waits, and hands it to the sender. Its delay begins now, because clients have to
    /// come back first.
    pub(crate) fn new(
        sender: Arc<Sender>,
        loaded: Option<Loaded>,
        (fresh, now_ms): (Epoch, u64),
    ) -> Self {
        let mut agenda = Self {
            sender,
            channel: CHANNEL.into(),
            epoch: fresh,
            last: 0,
            base: 0,
            lines: 0,
            waiting: HashMap::new(),
            due: Vec::new(),
            done: Vec::new(),
            before: (0, 0, 0),
        };
        let Some(loaded) = loaded else { return agenda };
        (agenda.epoch, agenda.last) = (loaded.epoch, loaded.last_offset);
        agenda.base = agenda.last - loaded.events.len() as u64;
        for event in &loaded.events {
            agenda.read(&event.event);
        }
        let waiting = agenda.waiting.iter().map(|(key, at_ms)| (key.clone(), *at_ms));
        agenda.sender.push(waiting, now_ms);
        agenda
    }

    fn read(&mut self, event: &[u8]) {
        // Names have no control characters, so a line is a line.
        for line in String::from_utf8_lossy(event).lines() {
            self.lines += 1;
            let mut words = line.splitn(3, ' ');
            let head = words.next().unwrap_or_default();
            let id = words.next().and_then(|id| id.parse().ok());
            let (Some(id), Some(user)) = (id, words.next()) else { continue };
            let key = (user.into(), id);
            match head.strip_prefix('+').and_then(|at_ms| at_ms.parse().ok()) {
                Some(at_ms) => drop(self.waiting.insert(key, at_ms)),
                None => drop(self.waiting.remove(&key)),
            }
        }
    }

    /// A notification may need a push.
    pub(crate) fn note(&mut self, due: PushDue, at_ms: u64) {
        self.due.push(((due.user, due.id), at_ms));
    }

    /// Notes what is done with: the next commit writes it down.
    pub(crate) fn look(&mut self) {
        self.done.append(&mut self.sender.take_done());
    }

    /// Begins a commit. `true` if there is something to write down.
    pub(crate) fn begin(&mut self) -> bool {
        self.before = (self.last, self.base, self.lines);
        !self.due.is_empty() || !self.done.is_empty()
    }

    /// What goes in front of the commit's other appends.
    pub(crate) fn riders(&mut self, at_ms: u64) -> Vec<Append> {
        if self.due.is_empty() && self.done.is_empty() {
            return Vec::new();
        }
        let mut text = String::new();
        // In this order: an id whose append failed may be given again.
        for (user, id) in &self.done {
            let _ = writeln!(text, "- {id} {user}");
        }
        for ((user, id), at_ms) in &self.due {
            let _ = writeln!(text, "+{at_ms} {id} {user}");
        }
        let lines = (self.due.len() + self.done.len()) as u64;
        let mut out = vec![self.append(at_ms, text, lines)];
        let waiting = (self.waiting.len() + self.due.len()) as u64;
        if self.lines > 2 * waiting + SLACK {
            self.rewrite(at_ms, &mut out);
        }
        out
    }

    /// All that waits, written anew behind what was just said.
    fn rewrite(&mut self, at_ms: u64, out: &mut Vec<Append>) {
        (self.base, self.lines) = (self.last, 0);
        let done: HashSet<_> = self.done.iter().collect();
        let due = self.due.iter().map(|(key, at_ms)| (key, at_ms));
        let waiting = self.waiting.iter().filter(|(key, _)| !done.contains(key));
        let line = |((user, id), at_ms): (&Key, &u64)| format!("+{at_ms} {id} {user}\n");
        let all: Vec<_> = waiting.chain(due).map(line).collect();
        // At least one, whose retention lets go of the rest.
        let mut chunks: Vec<_> =
            all.chunks(CHUNK).map(|chunk| (chunk.concat(), chunk.len() as u64)).collect();
        if chunks.is_empty() {
            chunks.push((String::new(), 0));
        }
        for (text, lines) in chunks {
            let append = self.append(at_ms, text, lines);
            out.push(append);
        }
    }

    fn append(&mut self, at_ms: u64, text: String, lines: u64) -> Append {
        self.last += 1;
        self.lines += lines;
        let at = (self.epoch, self.last);
        let event = Some(Bytes::from(text));
        stream_append(&self.channel, at, at_ms, event, (self.last - self.base, CENTURY_MS))
    }

    /// The commit is stored, or it is not and is tried again with the next one.
    pub(crate) fn end(&mut self, stored: bool) {
        if !stored {
            (self.last, self.base, self.lines) = self.before;
            let over = self.due.len().saturating_sub(STALLED_MAX);
            self.due.drain(..over);
            self.sender.tally.dropped(Dropped::Disk, over as u64);
            return;
        }
        for key in self.done.drain(..) {
            self.waiting.remove(&key);
        }
        for (key, at_ms) in &self.due {
            self.waiting.insert(key.clone(), *at_ms);
        }
        self.sender.push(self.due.drain(..), 0);
    }
}
