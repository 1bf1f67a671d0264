//! A document that is in memory as such.

use std::collections::BTreeMap;

use ::bytes::Bytes;
use yrs::{ClientID, Doc, ID, IdSet, StateVector, Update};

use super::engine::{self, Broken};
use super::{EMPTY, Prepared};

#[derive(Debug)]
pub(super) struct Open {
    doc: Doc,
    /// All structs that have come, those that wait for others too.
    seen: IdSet,
    /// Whether a client may have sent something whose beginning has not come.
    gaps: bool,
    /// What is deleted, if it has been asked for since the last update.
    deleted: Option<IdSet>,
}

impl Open {
    pub(super) fn blank() -> Self {
        Self { doc: engine::blank(), seen: IdSet::new(), gaps: false, deleted: None }
    }

    /// What a state was encoded from.
    pub(super) fn decode(state: &[u8]) -> Result<Self, Broken> {
        let mut open = Self::blank();
        if state != EMPTY {
            open.apply(engine::decode(state).ok_or(Broken)?)?;
        }
        Ok(open)
    }

    /// As [`engine::apply`].
    pub(super) fn apply(&mut self, update: Update) -> Result<bool, Broken> {
        let structs = update.insertions(true);
        self.deleted = None;
        let whole = engine::apply(&self.doc, update)?;
        for (client, ranges) in structs.iter() {
            for range in ranges.iter() {
                self.seen.insert(ID::new(*client, range.start), range.end - range.start);
            }
            self.gaps |= self.gap(*client).is_some();
        }
        Ok(whole)
    }

    /// Whether any struct or deletion in it is new.
    pub(super) fn adds(&mut self, prepared: &Prepared) -> bool {
        if !prepared.structs.diff(&self.seen).is_empty() {
            return true;
        }
        let deletions = prepared.update.delete_set();
        if deletions.is_empty() {
            return false;
        }
        let deleted = self.deleted.get_or_insert_with(|| engine::deleted(&self.doc));
        !deletions.diff(deleted).is_empty()
    }

    pub(super) fn has_client(&self, client: ClientID) -> bool {
        self.seen.get(&client).is_some()
    }

    pub(super) fn clients(&self) -> impl Iterator<Item = u64> {
        self.seen.client_ids().map(|client| client.get())
    }

    pub(super) fn vector(&self) -> StateVector {
        engine::vector(&self.doc)
    }

    pub(super) fn encode(&self) -> Result<Bytes, Broken> {
        engine::encode(&self.doc, &StateVector::default()).map(Bytes::from)
    }

    /// What somebody lacks.
    pub(super) fn missing(&mut self, vector: StateVector) -> Result<Bytes, Broken> {
        let vector = if self.gaps { self.before_gaps(&vector) } else { vector };
        engine::encode(&self.doc, &vector).map(Bytes::from)
    }

    /// yrs takes who has all in front of a gap to have all there is of that client, although it has
    /// what is behind. So they are taken to have a little less.
    fn before_gaps(&mut self, vector: &StateVector) -> StateVector {
        self.gaps = false;
        let mut lowered = Vec::new();
        for client in self.seen.client_ids() {
            let Some(start) = self.gap(client) else { continue };
            self.gaps = true;
            if vector.get(&client) >= start {
                lowered.push((client, start.saturating_sub(1)));
            }
        }
        let kept = vector.iter().map(|(client, clock)| (*client, *clock));
        let lowered: BTreeMap<_, _> = kept.chain(lowered).collect();
        // Without the clock 0: who has nothing of a client does not name it.
        lowered.into_iter().filter(|(_, clock)| *clock > 0).collect()
    }

    /// Where a client's first struct is missing in front of others.
    fn gap(&self, client: ClientID) -> Option<u32> {
        let mut ranges = self.seen.get(&client)?.iter().map(|(range, ())| range);
        let first = ranges.next()?;
        match (first.start, ranges.next()) {
            (1.., _) => Some(0),
            (0, Some(_)) => Some(first.end),
            (0, None) => None,
        }
    }
}
