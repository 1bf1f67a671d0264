//! A document that is in memory as such.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidings_proto::yjs::{self, EMPTY_UPDATE};
use yrs::{ClientID, Doc, ID, IdSet, StateVector, Update};

use super::Prepared;
use super::engine::{self, Broken};
use crate::limits::WAITING_UPDATES;

#[derive(Debug)]
pub(super) struct Open {
    doc: Doc,
    /// All structs that have come, those of updates that wait too.
    seen: IdSet,
    /// Whether a client may have sent something whose beginning has not come.
    gaps: bool,
    /// Updates that cannot be applied, or not wholly, before others have come.
    waiting: Vec<Waiting>,
    /// What is deleted, or stored as such and waits, once it has been asked for: to find it takes
    /// as long as encoding the document.
    deleted: Option<IdSet>,
}

#[derive(Debug)]
struct Waiting {
    update: Bytes,
    /// Of whom more has to come.
    clients: Vec<ClientID>,
}

impl Open {
    pub(super) fn blank() -> Self {
        Self {
            doc: engine::blank(),
            seen: IdSet::new(),
            gaps: false,
            waiting: Vec::new(),
            deleted: None,
        }
    }

    /// What a state was encoded from, and what waited there.
    pub(super) fn decode(state: &Bytes, waiting: &[Bytes]) -> Result<Self, Broken> {
        let mut open = Self::blank();
        for bytes in std::iter::once(state).chain(waiting).filter(|bytes| *bytes != EMPTY_UPDATE) {
            open.apply(engine::decode(bytes).ok_or(Broken)?, bytes)?;
        }
        Ok(open)
    }

    /// Applies an update, and those that have waited for it. `false`: a part of it cannot be
    /// applied to anything.
    pub(super) fn apply(&mut self, update: Update, bytes: &Bytes) -> Result<bool, Broken> {
        let structs = update.insertions(true);
        let deletions = self.deleted.as_ref().map(|_| update.delete_set().clone());
        let applied = engine::apply(&self.doc, update)?;
        self.wait(bytes, applied.waits);
        if let (Some(deleted), Some(deletions)) = (&mut self.deleted, deletions) {
            insert_all(deleted, &deletions);
        }
        insert_all(&mut self.seen, &structs);
        for client in structs.client_ids() {
            self.gaps |= self.gap(client).is_some();
        }
        if !self.waiting.is_empty() {
            self.release(structs.client_ids().collect())?;
        }
        Ok(!applied.faulty)
    }

    fn wait(&mut self, update: &Bytes, clients: Vec<ClientID>) {
        if !clients.is_empty() && !self.waiting.iter().any(|waiting| waiting.update == update) {
            self.waiting.push(Waiting { update: update.clone(), clients });
        }
    }

    /// Tries those again that wait for what has come of these clients, and for what comes by that.
    /// It ends: only what has changed the document is a reason to go on.
    fn release(&mut self, mut come: BTreeSet<ClientID>) -> Result<(), Broken> {
        while !come.is_empty() {
            let is_ready =
                |waiting: &mut Waiting| waiting.clients.iter().any(|id| come.contains(id));
            let ready: Vec<_> = self.waiting.extract_if(.., is_ready).collect();
            come.clear();
            for Waiting { update: bytes, clients } in ready {
                let Some(update) = engine::decode(&bytes) else { continue };
                let structs = update.insertions(true);
                let applied = engine::apply(&self.doc, update)?;
                if applied.waits != clients {
                    come.extend(structs.client_ids());
                }
                self.wait(&bytes, applied.waits);
            }
        }
        Ok(())
    }

    /// Whether so many wait that this one may not wait as well, and it would.
    pub(super) fn crowds(&self, prepared: &Prepared) -> bool {
        if self.waiting.len() < WAITING_UPDATES {
            return false;
        }
        let vector = self.vector();
        let mut waits = false;
        let walked = yjs::for_each_reference(&prepared.bytes, |client, clock| {
            let id = ID::new(ClientID::new(client), clock);
            waits |= clock >= vector.get(&id.client) && !prepared.structs.contains(&id);
        });
        waits || walked.is_err()
    }

    /// Updates that wait for others.
    pub(super) fn waiting(&self) -> Vec<Bytes> {
        self.waiting.iter().map(|waiting| waiting.update.clone()).collect()
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

/// A few into many: merging takes as long as both are.
fn insert_all(set: &mut IdSet, few: &IdSet) {
    for (client, ranges) in few.iter() {
        for range in ranges.iter() {
            set.insert(ID::new(*client, range.start), range.end - range.start);
        }
    }
}
