//! What a channel is beyond its events.

use bytes::Bytes;

use super::state::State;
use crate::policy::Kind;

/// What somebody who reads a snapshot finds behind it, at least: bytes of log.
const LOG: usize = 256 << 10;

/// Made of a channel's events, one after the other: the same events always make the same. A durable
/// one is kept by [`Checkpoints`](super::Checkpoints).
#[derive(Debug, Default)]
pub(crate) enum Fold {
    /// Nothing: its events are all there is.
    #[default]
    Events,
    /// Keys and what they hold.
    State(Box<State>),
}

impl Fold {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Events | Kind::Inbox => Fold::Events,
            Kind::State => Fold::State(Box::default()),
        }
    }

    /// Whether there is anything to keep.
    pub(crate) fn is_kept(&self) -> bool {
        !matches!(self, Fold::Events)
    }

    /// Whether nothing would be lost without it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Fold::Events => true,
            Fold::State(state) => state.len() == 0,
        }
    }

    /// Begins again, with nothing.
    pub(crate) fn clear(&mut self) {
        match self {
            Fold::Events => {}
            Fold::State(state) => state.clear(),
        }
    }

    /// Takes an event in that was read from the store, in the order of offsets.
    pub(crate) fn replay(&mut self, offset: u64, at_ms: u64, event: &[u8]) {
        let _ = (offset, at_ms);
        match self {
            Fold::Events => {}
            Fold::State(state) => state.replay(event),
        }
    }

    /// An event has been stored, in the order of offsets.
    pub(crate) fn commit(&mut self, offset: u64, at_ms: u64, event: &Bytes) {
        let _ = at_ms;
        match self {
            Fold::Events => {}
            Fold::State(state) => state.commit(offset, event),
        }
    }

    /// What was at the store has failed, all of it.
    pub(crate) fn revert(&mut self) {
        match self {
            Fold::Events => {}
            Fold::State(state) => state.revert(),
        }
    }

    /// Whether it is made of stored events only. `idle`: nothing is at the store.
    pub(crate) fn is_settled(&self, idle: bool) -> bool {
        let _ = idle;
        match self {
            Fold::Events | Fold::State(_) => true,
        }
    }

    /// All of it in pages of some `max` bytes, for [`take_page`](Self::take_page).
    pub(crate) fn pages(&self, max: usize) -> Vec<Bytes> {
        match self {
            Fold::Events => Vec::new(),
            Fold::State(state) => state.pages(max),
        }
    }

    /// Takes a page back in, in their order.
    pub(crate) fn take_page(&mut self, page: &[u8]) {
        match self {
            Fold::Events => {}
            Fold::State(state) => state.take_page(page),
        }
    }

    /// About how many bytes its pages have.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Fold::Events => 0,
            Fold::State(state) => state.bytes(),
        }
    }

    /// How many bytes of log stay in memory, at least, while somebody may be reading a snapshot:
    /// who reads faster than the log grows finds what comes behind it.
    pub(crate) fn log_bytes(&self) -> usize {
        match self {
            Fold::Events => 0,
            Fold::State(state) => state.bytes().max(LOG),
        }
    }

    /// Drops what can be made again. `unused`: nobody is subscribed.
    pub(crate) fn tidy(&mut self, unused: bool) {
        match self {
            Fold::Events => {}
            Fold::State(state) => state.tidy(unused),
        }
    }
}
