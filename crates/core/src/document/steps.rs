//! How long yrs is busy with an update.
//!
//! An item is carried past all that was written at the same time in the same place, and a long text
//! is cut where it is written into: see [`Order`](tidings_proto::yjs::Order). How far, only the
//! whole document tells. So mostly the most that it can be is enough: every loose item past all
//! that is there. What may be more is counted, by an order of the items that is made then, and kept
//! as long as the document is open.

use std::collections::VecDeque;

use bytes::Bytes;
use tidings_proto::yjs;

use super::{Document, Prepared, engine};
use crate::limits::{DOCUMENT_STEPS, SMALL_STEPS, UPDATE_STEPS};

/// So many bytes of a text are cut in the time of one step.
const BYTES_PER_STEP: usize = 512;

/// Those whose last change is known, so that what they type on costs nothing.
const WRITERS: usize = 8;

/// What making the document takes, at most.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// In steps. `None`: nobody knows.
    spent: Option<u64>,
    /// Items that it may have.
    items: u64,
    /// Who wrote last, the newest first.
    writers: VecDeque<Writer>,
    /// Updates that are at the store, the oldest first.
    flying: VecDeque<Bytes>,
    /// What was not admitted last would have taken too many.
    refused: bool,
}

#[derive(Debug)]
struct Writer {
    client: u64,
    end: u32,
    /// How many items there were then.
    items: u64,
    /// As [`Shape`](yjs::Shape) has it.
    typed: Option<Option<(u64, u32)>>,
}

impl Steps {
    /// Of a document that has nothing, or of which nothing is known.
    pub(super) fn new(is_known: bool) -> Self {
        Self { spent: is_known.then_some(0), ..Self::default() }
    }

    /// An update that was stored, and never admitted.
    pub(super) fn replay(&mut self, bytes: usize) {
        self.spent = None;
        // A struct has two bytes at least, and cuts two others.
        self.items += 3 * (bytes / 2) as u64;
    }

    pub(super) fn commit(&mut self, bytes: &Bytes) {
        match self.flying.front() {
            Some(first) if first.as_ptr() == bytes.as_ptr() => drop(self.flying.pop_front()),
            _ => self.replay(bytes.len()),
        }
    }

    pub(super) fn revert(&mut self) {
        self.flying.clear();
        self.writers.clear();
    }

    /// The next one is looked at.
    pub(super) fn judge(&mut self) {
        self.refused = false;
    }

    /// Whether what was not [admitted](Document::admits) last would have taken too many.
    pub(super) fn has_refused(&self) -> bool {
        self.refused
    }

    pub(super) fn flying(&self) -> impl Iterator<Item = &Bytes> {
        self.flying.iter()
    }

    /// What all of it takes, if anybody knows.
    #[cfg(test)]
    pub(super) fn spent(&self) -> Option<u64> {
        self.spent
    }

    /// As if as much had been estimated as may be.
    #[cfg(test)]
    pub(super) fn exhaust(&mut self) {
        self.spent = Some(DOCUMENT_STEPS);
    }

    /// How many an update takes at most.
    pub(super) fn estimate(&self, prepared: &Prepared, bytes: usize) -> u64 {
        let shape = &prepared.shape;
        let cuts = 2 * (bytes / BYTES_PER_STEP);
        let (loose, structs) = (shape.loose as u64, shape.structs as u64);
        let others = self.before(prepared).map(|writer| self.items - writer.items);
        let others = others.unwrap_or(self.items + cuts as u64);
        loose * (others + structs) + structs * (shape.clients as u64 / 32)
    }

    /// Who goes on with it where they have stopped.
    fn before(&self, prepared: &Prepared) -> Option<&Writer> {
        let starts = prepared.starts().filter(|_| prepared.shape.goes_on)?;
        self.writers.iter().find(|writer| (writer.client, writer.end) == starts)
    }

    fn take(&mut self, prepared: &Prepared) {
        let shape = &prepared.shape;
        // What is typed on is one item with what was typed before, unless that was cut.
        let before = self.before(prepared);
        let is_one =
            before.is_some_and(|writer| writer.typed == shape.typed && shape.typed.is_some());
        let items = if is_one { 0 } else { 4 * shape.structs };
        self.items += (items + 3 * shape.deletes) as u64;
        if let Some((client, end)) = prepared.ends().next().filter(|_| shape.clients == 1) {
            self.writers.retain(|writer| writer.client != client);
            self.writers.truncate(WRITERS - 1);
            let (items, typed) = (self.items, shape.typed);
            self.writers.push_front(Writer { client, end, items, typed });
        }
        self.flying.push_back(prepared.bytes.clone());
    }
}

impl Document {
    /// Whether one more update keeps nobody waiting, or is the server's [own](Self::admits_own).
    /// Then it is on its way to the store.
    pub(super) fn has_steps(&mut self, prepared: &Prepared, own: bool) -> bool {
        let is_small = self.has_few_steps(prepared);
        if own && !is_small {
            // How many there are then is found out when somebody has to know.
            self.steps.spent = None;
            self.forget_order();
        }
        // The last time with what is known by then, where an order cannot be relied on.
        let admitted =
            is_small || own || self.count_steps(prepared).is_some() || self.has_few_steps(prepared);
        if admitted {
            self.steps.take(prepared);
        }
        self.steps.refused = !admitted;
        admitted
    }

    /// Whether it cannot take many: once they are counted, nobody estimates any more, but where an
    /// order cannot be relied on.
    fn has_few_steps(&mut self, prepared: &Prepared) -> bool {
        let Ok(open) = self.open() else { return false };
        if open.order.as_ref().is_some_and(|order| !order.is_astray()) {
            return false;
        }
        let estimate = self.steps.estimate(prepared, self.bytes() + prepared.bytes.len());
        let spent = self.steps.spent.map(|spent| spent.saturating_add(estimate));
        let fits = estimate <= UPDATE_STEPS && spent.is_some_and(|all| all <= DOCUMENT_STEPS);
        let admitted = fits || estimate <= SMALL_STEPS;
        if admitted {
            self.steps.spent = spent;
        }
        admitted
    }

    /// What it takes, if that is not too much.
    pub(super) fn count_steps(&mut self, prepared: &Prepared) -> Option<u64> {
        if self.open().ok()?.order.is_none() {
            self.make_order()?;
        }
        let order = self.open().ok()?.order.as_mut()?;
        if order.is_astray() {
            return None;
        }
        let left = DOCUMENT_STEPS.saturating_sub(order.steps()).max(SMALL_STEPS);
        let take = || order.take(&prepared.bytes, left.min(UPDATE_STEPS), UPDATE_STEPS);
        let Ok(taken) = engine::guarded(take) else {
            self.forget_order();
            return None;
        };
        self.steps.spent = Some(order.steps());
        taken.ok()
    }

    /// Takes as long as making the document again.
    fn make_order(&mut self) -> Option<()> {
        let state = self.open().ok()?.encode().ok()?;
        let mut order = yjs::Order::default();
        let put = engine::guarded(|| {
            let mut all = std::iter::once(&state).chain(self.steps.flying());
            all.all(|update| order.take(update, u64::MAX, u64::MAX).is_ok())
        });
        if put != Ok(true) {
            return None;
        }
        self.steps.items = order.items() as u64;
        self.steps.writers.clear();
        self.steps.spent.get_or_insert(order.steps());
        self.open().ok()?.order = Some(Box::new(order));
        Some(())
    }
}
