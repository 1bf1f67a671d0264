//! A document that is in memory as such.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidings_proto::yjs::{self, EMPTY_UPDATE, Fit};
use yrs::{ClientID, Doc, ID, IdSet, StateVector, Update};

use super::Prepared;
use super::engine::{self, Broken};
use super::waiting::Waiting;

/// yrs gets only what it can apply at once and wholly. What is ahead of the document waits here:
/// yrs would keep gaps and what waits for others itself, but what it makes of two of those is
/// something else (0.28.1, `Update::merge_updates`), and crafted ones make it write where it must
/// not (`BlockStore::push`).
#[derive(Debug)]
pub(super) struct Open {
    doc: Doc,
    /// Where what is there of each client ends.
    known: BTreeMap<u64, u32>,
    /// Updates that cannot be applied before others have come.
    waiting: Waiting,
    /// What is deleted, once it has been asked for: to find it takes as long as encoding the
    /// document.
    deleted: Option<IdSet>,
}

/// What is to be stored of an update.
#[derive(Debug)]
pub(super) enum Share {
    All,
    /// All of it, which then waits for others: at least in part.
    Waits,
    /// What can be applied. What else is in it waits already (`whole`), or there is no place for it
    /// to wait.
    Now {
        update: Bytes,
        whole: bool,
    },
}

impl Open {
    pub(super) fn blank() -> Self {
        let (known, waiting) = (BTreeMap::new(), Waiting::default());
        Self { doc: engine::blank(), known, waiting, deleted: None }
    }

    /// What a state was encoded from, and what waited there.
    pub(super) fn decode(state: &Bytes, waiting: &[Bytes]) -> Result<Self, Broken> {
        let mut open = Self::blank();
        for bytes in std::iter::once(state).chain(waiting).filter(|bytes| *bytes != EMPTY_UPDATE) {
            open.apply(engine::decode(bytes).ok_or(Broken)?, bytes)?;
        }
        Ok(open)
    }

    /// Applies an update as far as that can be done, and what has waited for it. `false`: a part of
    /// it cannot be applied to anything.
    pub(super) fn apply(&mut self, update: Update, bytes: &Bytes) -> Result<bool, Broken> {
        let mut due = BTreeSet::new();
        let fit = self.fit(bytes);
        let whole = if fit.lacking.is_empty() {
            self.apply_now(update, &mut due)?
        } else {
            self.wait(&update, bytes, fit.lacking);
            engine::decode(&fit.now).map_or(Ok(true), |now| self.apply_now(now, &mut due))?
        };
        // It ends: what is there is not waited for again.
        while let Some(id) = due.pop_first() {
            let Some(bytes) = self.waiting.get(id) else { continue };
            let fit = self.fit(&bytes);
            self.waiting.settle(id, fit.lacking);
            if let Some(now) = engine::decode(&fit.now) {
                self.apply_now(now, &mut due)?;
            }
        }
        Ok(whole)
    }

    fn wait(&mut self, update: &Update, bytes: &Bytes, lacking: Vec<(u64, u32)>) {
        if !self.waiting.contains(bytes) {
            let holds = (update.insertions(true), update.delete_set().clone());
            self.waiting.insert(bytes.clone(), holds, lacking);
        }
    }

    fn fit(&self, update: &[u8]) -> Fit {
        let known = |client| self.known.get(&client).copied().unwrap_or(0);
        // What cannot be read was never stored.
        let nothing = |_| Fit { now: EMPTY_UPDATE.to_vec(), grows: false, lacking: Vec::new() };
        yjs::fit(update, known).unwrap_or_else(nothing)
    }

    /// `due`: those that wait for what is in it, too.
    fn apply_now(&mut self, update: Update, due: &mut BTreeSet<u64>) -> Result<bool, Broken> {
        let structs = update.insertions(true);
        let deletions = self.deleted.as_ref().map(|_| update.delete_set().clone());
        let whole = engine::apply(&self.doc, update)?;
        if let (Some(deleted), Some(deletions)) = (&mut self.deleted, deletions) {
            insert_all(deleted, &deletions);
        }
        for (client, ranges) in structs.iter() {
            let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
            let known = self.known.entry(client.get()).or_default();
            *known = end.max(*known);
            due.extend(self.waiting.woken(client.get(), *known));
        }
        if !whole {
            let vector = self.vector();
            let all = vector.iter().map(|(client, clock)| (client.get(), *clock));
            self.known = all.filter(|(_, clock)| *clock > 0).collect();
        }
        Ok(whole)
    }

    /// Whether so many wait that this one may not wait as well, and it would.
    pub(super) fn crowds(&self, prepared: &Prepared) -> bool {
        self.waiting.is_full(prepared.bytes.len()) && !self.fit(&prepared.bytes).lacking.is_empty()
    }

    /// Updates that wait for others.
    pub(super) fn waiting(&self) -> Vec<Bytes> {
        self.waiting.updates().cloned().collect()
    }

    /// Whether any struct or deletion in it is new.
    pub(super) fn adds(&mut self, prepared: &Prepared) -> bool {
        if self.waiting.contains(&prepared.bytes) {
            return false;
        }
        let is_new = |(client, end)| self.known.get(&client).is_none_or(|known| *known < end);
        let has_new = prepared.ends().any(is_new);
        if has_new && (self.waiting.is_empty() || self.fit(&prepared.bytes).grows) {
            return true;
        }
        let mut structs = IdSet::new();
        if has_new {
            structs = self.without_known(prepared.structs.clone());
        }
        let mut deletions = prepared.update.delete_set().clone();
        if !deletions.is_empty() {
            deletions.diff_with(self.deleted.get_or_insert_with(|| engine::deleted(&self.doc)));
        }
        // Who was told what waits holds it, and says it again.
        !self.waiting.covers(structs, deletions)
    }

    fn without_known(&self, mut structs: IdSet) -> IdSet {
        let mut known = IdSet::new();
        for client in structs.client_ids() {
            if let Some(end) = self.known.get(&client.get()).filter(|end| **end > 0) {
                known.insert(ID::new(client, 0), *end);
            }
        }
        structs.diff_with(&known);
        structs
    }

    /// What is to be stored of an update.
    pub(super) fn share(&self, prepared: &Prepared) -> Share {
        let fit = self.fit(&prepared.bytes);
        if fit.lacking.is_empty() {
            return Share::All;
        }
        let (mut structs, mut deletions) =
            (self.without_known(prepared.structs.clone()), prepared.update.delete_set().clone());
        if let Some(now) = engine::decode(&fit.now) {
            structs.diff_with(&now.insertions(true));
            deletions.diff_with(now.delete_set());
        }
        let is_full = self.waiting.is_full(prepared.bytes.len());
        match self.waiting.covers(structs, deletions) {
            false if !is_full => Share::Waits,
            waits => Share::Now { update: fit.now.into(), whole: waits },
        }
    }

    pub(super) fn has_client(&self, client: ClientID) -> bool {
        let client = client.get();
        self.known.contains_key(&client) || self.waiting.clients().any(|waits| waits == client)
    }

    /// How many have written, those of whom everything waits too.
    pub(super) fn count(&self) -> usize {
        if self.waiting.is_empty() { self.known.len() } else { self.clients().len() }
    }

    pub(super) fn clients(&self) -> BTreeSet<u64> {
        self.known.keys().copied().chain(self.waiting.clients()).collect()
    }

    #[cfg(test)]
    pub(super) fn document(&self) -> Doc {
        self.doc.clone()
    }

    pub(super) fn vector(&self) -> StateVector {
        engine::vector(&self.doc)
    }

    pub(super) fn encode(&self) -> Result<Bytes, Broken> {
        engine::encode(&self.doc, &StateVector::default()).map(Bytes::from)
    }

    /// What somebody lacks.
    pub(super) fn missing(&self, vector: &StateVector) -> Result<Bytes, Broken> {
        engine::encode(&self.doc, vector).map(Bytes::from)
    }
}

impl Drop for Open {
    /// A document inside of it holds on to it, and would for ever: it is deleted first.
    fn drop(&mut self) {
        if engine::has_documents(&self.doc) {
            let vector = engine::encode_vector(&self.vector());
            let erasure = yjs::erasure(&vector).ok().and_then(|all| engine::decode(&all));
            let _ = erasure.map(|all| engine::apply(&self.doc, all));
        }
    }
}

/// A few into many: merging takes as long as both are.
fn insert_all(set: &mut IdSet, few: &IdSet) {
    for (client, ranges) in few.iter() {
        for range in ranges.iter() {
            set.insert(ID::new(*client, range.start), range.end - range.start);
        }
    }
}
