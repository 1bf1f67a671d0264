//! Whether an update may be stored, and what of it.

use tidings_proto::yjs;

use super::open::Share;
use super::{Body, Depth, Document, Prepared};
use crate::limits::{DOCUMENT_LEVELS, DocumentLimits};

/// What is taken of an update.
#[derive(Debug)]
pub struct Taken {
    /// This; `None`: nothing, as all of it waits already, or is [lost](Self::lost).
    pub part: Option<Prepared>,
    /// It depends on what has not come, or is at the store.
    pub waits: bool,
    /// So does the rest, and there is no place for it to wait.
    pub lost: bool,
}

/// What a document has too much of, with one more update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Items in one place.
    Crowd,
    /// Shared types in each other.
    Levels,
}

impl Document {
    /// Whether this one, which is about to be appended, neither nests shared types too deep, nor
    /// puts too much into one place, nor is one too many that waits for others. Then
    /// [`commit`](Self::commit) has to follow, or [`revert`](Self::revert).
    pub fn admits(&mut self, prepared: &Prepared) -> bool {
        if matches!(&self.body, Body::Open(open) if open.crowds(prepared)) {
            return false;
        }
        let admitted = self.has_place(prepared) && self.has_levels(prepared);
        if admitted {
            self.take_place(prepared);
        }
        admitted
    }

    fn has_levels(&mut self, prepared: &Prepared) -> bool {
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

    /// What is too much of one that is not [admitted](Self::admits), whatever becomes of others.
    /// `None`: it may be when less is at the store, or waits for others.
    pub fn excess(&self, prepared: &Prepared) -> Option<Excess> {
        let Depth { stored, since, .. } = self.depth;
        let exceeds = |stored| stored + since + prepared.levels > DOCUMENT_LEVELS;
        let is_deep = prepared.levels > 0 && stored.is_some_and(exceeds);
        let is_crowded = || self.crowd.exceeds(prepared.crowd).then_some(Excess::Crowd);
        is_deep.then_some(Excess::Levels).or_else(is_crowded)
    }

    /// What is to be stored of an update that [adds](Self::adds) something. What depends on others
    /// that have not come waits for them, if there is a place.
    pub fn share(&mut self, prepared: Prepared, limits: &DocumentLimits) -> Taken {
        let share = self.open().map_or(Share::All, |open| open.share(&prepared));
        match share {
            Share::All => Taken { part: Some(prepared), waits: false, lost: false },
            Share::Waits => Taken { part: Some(prepared), waits: true, lost: false },
            Share::Now { update, whole } => {
                let part = Self::prepare(&update, limits).ok();
                let part = part.filter(|part| self.adds(part));
                Taken { part, waits: false, lost: !whole }
            }
        }
    }
}

impl Depth {
    /// Measuring takes as long as encoding: not before enough has changed to change something.
    fn is_worth_measuring(&self, measured: usize, grown: usize) -> bool {
        let changed = grown.saturating_sub(self.at) > 4096 + measured / 16;
        self.stored.is_none() || self.since > DOCUMENT_LEVELS / 8 || changed
    }
}
