//! How many items want to stand in one place.
//!
//! Whoever puts one more between two neighbours compares it with all that stand there. The guard
//! counts those of one update; many updates together make as long a way for each of the next.

use tidings_proto::yjs;

use super::{Document, Prepared};
use crate::limits::{DOCUMENT_CROWD, SMALL_CROWD};

/// The most items of a document that stand in one place, at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crowd {
    /// What is stored: as last measured, and what has come since. `None`: not measured yet.
    stored: Option<usize>,
    since: usize,
    /// What was admitted and is at the store.
    ahead: usize,
    /// How much had grown when it was measured.
    at: usize,
}

impl Crowd {
    /// Nothing is in it any more.
    pub(super) fn emptied(self) -> Self {
        Self { stored: Some(0), ahead: self.ahead, ..Self::default() }
    }

    /// Of a document that was read: it is measured when it has to be.
    pub(super) fn unknown(self) -> Self {
        Self { stored: None, ..self }
    }

    pub(super) fn commit(&mut self, prepared: usize) {
        self.since += prepared;
        self.ahead = self.ahead.saturating_sub(prepared);
    }

    pub(super) fn revert(&mut self) {
        self.ahead = 0;
    }

    /// Whether so many more are too many, whatever becomes of what is at the store.
    pub(super) fn exceeds(&self, more: usize) -> bool {
        let exceeds = |stored| stored + self.since + more > DOCUMENT_CROWD;
        more > SMALL_CROWD && self.stored.is_some_and(exceeds)
    }

    fn fits(&self, more: usize) -> bool {
        let all = self.stored.map(|stored| stored + self.since + self.ahead);
        all.is_some_and(|all| all + more <= DOCUMENT_CROWD)
    }
}

impl Document {
    /// Whether one more update may stand where it wants to. One with few items in each place always
    /// may: what a person types is one.
    pub(super) fn has_place(&mut self, prepared: &Prepared) -> bool {
        let more = prepared.crowd;
        if more > SMALL_CROWD && !self.crowd.fits(more) {
            self.measure_crowd();
        }
        more <= SMALL_CROWD || self.crowd.fits(more)
    }

    /// It is on its way to the store.
    pub(super) fn take_place(&mut self, prepared: &Prepared) {
        self.crowd.ahead += prepared.crowd;
    }

    /// Takes as long as encoding: not before enough has come to change something.
    fn measure_crowd(&mut self) {
        let changed = self.grown.saturating_sub(self.crowd.at) > 4096 + self.measured / 16;
        if self.crowd.stored.is_some() && self.crowd.since <= DOCUMENT_CROWD / 8 && !changed {
            return;
        }
        let Ok(state) = self.encode() else { return };
        let all = std::iter::once(state).chain(self.waiting());
        let stored = all.map(|update| yjs::crowd(&update)).sum::<Result<_, _>>().ok();
        self.crowd = Crowd { stored, since: 0, at: self.grown, ahead: self.crowd.ahead };
    }
}
