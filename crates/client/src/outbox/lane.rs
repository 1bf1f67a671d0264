//! The entries of one channel, in order.

use std::collections::VecDeque;
use std::sync::Arc;

/// One publish on its way.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ticket: u64,
    /// JSON of the `publish` command, without `id`, `producer` and `seq`.
    pub(super) frame: String,
    /// It has a key of its own, so the server may know it from elsewhere.
    pub(super) keyed: bool,
    /// What it takes of the limit of bytes.
    pub(super) size: usize,
    /// The user who wrote it, if known.
    pub(super) writer: Option<Arc<str>>,
    pub(super) created_at: u64,
    pub(super) age_max: u64,
    pub(super) producer: Arc<str>,
    /// 0: none yet.
    pub(super) seq: u64,
    /// It was sent and not answered: it may have been stored under this number, so it keeps it.
    pub(super) doubt: bool,
    /// It was sent on the connection of now and has no answer yet.
    pub(super) flying: bool,
}

/// The first `sent` entries were sent on this connection.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) entries: VecDeque<Entry>,
    pub(super) producer: Arc<str>,
    /// The last number of `producer` that the server has, or may have, used up.
    pub(super) used: u64,
    /// The next number to give.
    next: u64,
    pub(super) sent: usize,
    /// Sent and not answered.
    pub(super) open: usize,
    /// Begin again with the first entry as soon as nothing is open.
    pub(super) back: bool,
    /// Not before then.
    pub(super) until: u64,
    /// Refusals in a row that pass by themselves.
    pub(super) trouble: u32,
}

impl Lane {
    pub(super) fn new(producer: Arc<str>) -> Self {
        Self {
            entries: VecDeque::new(),
            producer,
            used: 0,
            next: 1,
            sent: 0,
            open: 0,
            back: false,
            until: 0,
            trouble: 0,
        }
    }

    /// Where the entry with this ticket is: tickets ascend.
    pub(super) fn find(&self, ticket: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&ticket, |entry| entry.ticket).ok()
    }

    pub(super) fn rename(&mut self, producer: Arc<str>) {
        self.producer = producer;
        self.used = 0;
    }

    /// The number of this entry is, or may be, used up.
    pub(super) fn used_up(&mut self, at: usize) {
        let entry = &self.entries[at];
        if entry.producer == self.producer {
            self.used = self.used.max(entry.seq);
        }
    }

    /// Only what may have been stored keeps its number.
    pub(super) fn go_back(&mut self) {
        self.back = false;
        (self.sent, self.open) = (0, 0);
        self.next = self.used + 1;
        for entry in self.entries.iter_mut().filter(|entry| !entry.doubt) {
            entry.seq = 0;
        }
    }

    /// Gives the first unsent entry its number, if it has none.
    pub(super) fn number(&mut self) {
        let Some(entry) = self.entries.get_mut(self.sent) else { return };
        if entry.seq == 0 {
            entry.producer = self.producer.clone();
            entry.seq = self.next;
        }
        if entry.producer == self.producer {
            self.next = self.next.max(entry.seq + 1);
        }
    }
}
