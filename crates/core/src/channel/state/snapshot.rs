//! What those who join a state channel are told first. It is encoded once, and all who join within
//! a while share it: what has changed since comes from history.

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::{Frame, Held, Timestamp};

use super::State;

/// Bytes of keys in one frame.
const PAGE: usize = 64 << 10;

/// What a key takes in a frame, beside its name and value.
const PER_KEY: usize = 96;

/// A snapshot is shared while less than this has changed since, or than a half of it.
const FRESH: usize = 32 << 10;

/// All keys as of an offset.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) offset: u64,
    /// `snapshot` frames.
    pub(crate) pages: Box<[Bytes]>,
    bytes: usize,
    /// How much had been logged.
    logged: usize,
}

impl State {
    /// The snapshot for those who join now. `reaches(offset)`: history has all that came behind.
    pub(crate) fn snapshot(
        &mut self,
        channel: &str,
        last: u64,
        reaches: impl Fn(u64) -> bool,
    ) -> Arc<Snapshot> {
        if let Some(snapshot) = &self.snapshot
            && reaches(snapshot.offset)
            && self.is_fresh(snapshot)
        {
            return snapshot.clone();
        }
        let snapshot = Arc::new(self.encode(channel, last));
        self.snapshot = Some(snapshot.clone());
        snapshot
    }

    fn is_fresh(&self, snapshot: &Snapshot) -> bool {
        self.logged.wrapping_sub(snapshot.logged) <= FRESH.max(snapshot.bytes / 2)
    }

    /// A snapshot that nobody will share is not kept.
    pub(crate) fn tidy(&mut self, unused: bool) {
        if unused || self.snapshot.as_ref().is_some_and(|snapshot| !self.is_fresh(snapshot)) {
            self.snapshot = None;
        }
    }

    fn encode(&self, channel: &str, offset: u64) -> Snapshot {
        let (mut pages, mut entries, mut room) = (Vec::new(), Vec::new(), PAGE);
        let page = |entries: &mut Vec<Held<'_>>, first, more| {
            let frame =
                Frame::Snapshot { id: None, channel, epoch: None, offset, first, more, entries };
            let text = frame.encode();
            entries.clear();
            text
        };
        for (key, entry) in self.range(None) {
            let size = key.len() + entry.value.get().len() + PER_KEY;
            if size > room && !entries.is_empty() {
                pages.push(page(&mut entries, pages.is_empty(), true));
                room = PAGE;
            }
            room = room.saturating_sub(size);
            entries.push(Held {
                key,
                value: &entry.value,
                version: entry.version,
                expires_at: entry.expires_ms.map(Timestamp),
            });
        }
        pages.push(page(&mut entries, pages.is_empty(), false));
        let bytes = pages.iter().map(Bytes::len).sum();
        Snapshot { offset, pages: pages.into(), bytes, logged: self.logged }
    }
}
