//! Whether an update may be stored, and what of it.

use std::collections::BTreeMap;

use tidings_proto::yjs;

use super::open::Share;
use super::{Body, Document, Prepared};
use crate::limits::DocumentLimits;

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
    /// Items that are carried far from where they were written.
    Steps,
}

impl Document {
    /// Whether this one, which is about to be appended, neither nests shared types too deep, nor
    /// puts too much into one place, nor takes too long, nor is one too many that waits for others.
    /// Then [`commit`](Self::commit) has to follow, or [`revert`](Self::revert).
    pub fn admits(&mut self, prepared: &Prepared) -> bool {
        self.admits_from(prepared, false)
    }

    /// The same of one that the server has made of the document itself, all of it at once: a
    /// version that comes back, a copy. That may take as long as it takes.
    pub fn admits_own(&mut self, prepared: &Prepared) -> bool {
        self.admits_from(prepared, true)
    }

    fn admits_from(&mut self, prepared: &Prepared, own: bool) -> bool {
        self.steps.judge();
        if self.crowds(prepared) || !self.has_place(prepared) || !self.has_levels(prepared) {
            return false;
        }
        let admitted = self.has_steps(prepared, own);
        if admitted {
            self.take_place(prepared);
        } else {
            self.depth.give_back(prepared.levels);
        }
        admitted
    }

    /// Whether it would have to wait for others, and there is no place for that.
    fn crowds(&mut self, prepared: &Prepared) -> bool {
        let ahead = self.ahead_of(prepared);
        let Ok(open) = self.open() else { return true };
        open.is_full(prepared) && !open.fit(&prepared.bytes, &ahead).lacking.is_empty()
    }

    /// Where clients end of whom something is at the store: that will not be waited for. It is
    /// looked up where there is no place for this one to wait.
    fn ahead_of(&mut self, prepared: &Prepared) -> BTreeMap<u64, u32> {
        let mut ahead = BTreeMap::new();
        let Body::Open(open) = &self.body else { return ahead };
        if !open.is_full(prepared) {
            return ahead;
        }
        for update in self.steps.flying() {
            let fit = open.fit(update, &ahead);
            let _ = yjs::for_each_client(&fit.now, |client, clock, len| {
                ahead.insert(client, clock + len);
            });
        }
        ahead
    }

    /// What is too much of one that is not [admitted](Self::admits), whatever becomes of others.
    /// `None`: it may be when less is at the store, or waits for others.
    pub fn excess(&self, prepared: &Prepared) -> Option<Excess> {
        let is_crowded = || self.crowd.exceeds(prepared.shape.crowd).then_some(Excess::Crowd);
        let is_slow = || self.steps.has_refused().then_some(Excess::Steps);
        let is_deep = self.depth.exceeds(prepared.levels).then_some(Excess::Levels);
        is_deep.or_else(is_crowded).or_else(is_slow)
    }

    /// What is to be stored of an update that [adds](Self::adds) something. What depends on others
    /// that have not come waits for them, if there is a place.
    pub fn share(&mut self, prepared: Prepared, limits: &DocumentLimits) -> Taken {
        // So that it is looked at with what it finds there.
        let is_open = self.open().is_ok();
        let ahead = self.ahead_of(&prepared);
        let share = match &self.body {
            Body::Open(open) if is_open => open.share(&prepared, &ahead),
            _ => Share::All,
        };
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
