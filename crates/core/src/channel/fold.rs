//! What a channel is beyond its events.

use bytes::Bytes;

use crate::policy::Kind;

/// Made of a channel's events, one after the other: the same events always make the same. A durable
/// one is kept by [`Checkpoints`](super::Checkpoints).
#[derive(Debug, Default)]
pub(crate) enum Fold {
    /// Nothing: its events are all there is.
    #[default]
    Events,
}

impl Fold {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Events | Kind::State | Kind::Inbox => Fold::Events,
        }
    }

    /// Whether there is anything to keep.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Fold::Events => false,
        }
    }

    /// Begins again, with nothing.
    pub(crate) fn clear(&mut self) {
        match self {
            Fold::Events => {}
        }
    }

    /// Takes an event in that was read from the store, in the order of offsets.
    pub(crate) fn replay(&mut self, offset: u64, at_ms: u64, event: &[u8]) {
        let _ = (offset, at_ms, event);
        match self {
            Fold::Events => {}
        }
    }

    /// An event has been stored, in the order of offsets.
    pub(crate) fn commit(&mut self, offset: u64, at_ms: u64, event: &Bytes) {
        let _ = (offset, at_ms, event);
        match self {
            Fold::Events => {}
        }
    }

    /// Whether it is made of stored events only. `idle`: nothing is at the store.
    pub(crate) fn is_settled(&self, idle: bool) -> bool {
        let _ = idle;
        match self {
            Fold::Events => true,
        }
    }

    /// All of it in pages of some `max` bytes, for [`take_page`](Self::take_page).
    pub(crate) fn pages(&self, max: usize) -> Vec<Bytes> {
        let _ = max;
        match self {
            Fold::Events => Vec::new(),
        }
    }

    /// Takes a page back in, in their order.
    pub(crate) fn take_page(&mut self, page: &[u8]) {
        let _ = page;
        match self {
            Fold::Events => {}
        }
    }

    /// About how many bytes its pages have.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Fold::Events => 0,
        }
    }
}
