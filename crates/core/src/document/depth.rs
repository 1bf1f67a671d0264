//! How deep shared types are nested.

use tidings_proto::yjs;

use super::{Document, Prepared};
use crate::limits::DOCUMENT_LEVELS;

/// How deep its shared types are nested, at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Depth {
    /// What is stored: as last measured, and what has come since. `None`: not measured yet.
    pub(super) stored: Option<usize>,
    pub(super) since: usize,
    /// What was admitted and is at the store.
    pub(super) ahead: usize,
    /// How much had grown when it was measured.
    pub(super) at: usize,
}

impl Depth {
    /// Measuring takes as long as encoding: not before enough has changed to change something.
    fn is_worth_measuring(&self, measured: usize, grown: usize) -> bool {
        let changed = grown.saturating_sub(self.at) > 4096 + measured / 16;
        self.stored.is_none() || self.since > DOCUMENT_LEVELS / 8 || changed
    }

    /// Whether so many more are too many, whatever becomes of what is at the store.
    pub(super) fn exceeds(&self, more: usize) -> bool {
        let exceeds = |stored| stored + self.since + more > DOCUMENT_LEVELS;
        more > 0 && self.stored.is_some_and(exceeds)
    }

    /// So many that were admitted are refused all the same.
    pub(super) fn give_back(&mut self, levels: usize) {
        self.ahead = self.ahead.saturating_sub(levels);
    }
}

impl Document {
    /// Whether it nests shared types no deeper than may be; then it is on its way to the store.
    pub(super) fn has_levels(&mut self, prepared: &Prepared) -> bool {
        if prepared.levels == 0 {
            return true;
        }
        let fits = |depth: &Depth| {
            let all = depth.stored.map(|stored| stored + depth.since + depth.ahead);
            all.is_some_and(|all| all + prepared.levels <= DOCUMENT_LEVELS)
        };
        if !fits(&self.depth) && self.depth.is_worth_measuring(self.measured, self.grown) {
            let stored = self.encode().ok().and_then(|state| {
                let all = std::iter::once(state).chain(self.waiting());
                all.map(|update| yjs::levels(&update)).sum::<Result<_, _>>().ok()
            });
            self.depth = Depth { stored, since: 0, at: self.grown, ..self.depth };
        }
        let admitted = fits(&self.depth);
        self.depth.ahead += if admitted { prepared.levels } else { 0 };
        admitted
    }
}
