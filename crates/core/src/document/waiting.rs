//! Updates that cannot be applied before others have come.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use yrs::IdSet;

use crate::limits::{WAITING_BYTES, WAITING_UPDATES};

/// See the module. Which of them can be applied is looked up, and not tried: what comes of a client
/// for whom thousands wait would have all of them read again.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    updates: BTreeMap<u64, Update>,
    /// What has to be there: a client, a clock, and the number of the update that waits for it.
    places: BTreeSet<(u64, u32, u64)>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Update {
    bytes: Bytes,
    lacking: Vec<(u64, u32)>,
    structs: IdSet,
    deletions: IdSet,
}

impl Waiting {
    /// One that lacks these places.
    pub(super) fn insert(
        &mut self,
        bytes: Bytes,
        (structs, deletions): (IdSet, IdSet),
        lacking: Vec<(u64, u32)>,
    ) {
        let id = self.next;
        self.next += 1;
        self.bytes += bytes.len();
        self.places.extend(lacking.iter().map(|(client, clock)| (*client, *clock, id)));
        self.updates.insert(id, Update { bytes, lacking, structs, deletions });
    }

    /// It lacks only these by now; none: it waits no longer.
    pub(super) fn settle(&mut self, id: u64, lacking: Vec<(u64, u32)>) {
        let Some(update) = self.updates.get_mut(&id) else { return };
        for (client, clock) in update.lacking.drain(..) {
            self.places.remove(&(client, clock, id));
        }
        if lacking.is_empty() {
            self.bytes -= update.bytes.len();
            self.updates.remove(&id);
        } else {
            self.places.extend(lacking.iter().map(|(client, clock)| (*client, *clock, id)));
            update.lacking = lacking;
        }
    }

    /// Those that wait for something of a client of whom so much is there.
    pub(super) fn woken(&self, client: u64, known: u32) -> impl Iterator<Item = u64> {
        self.places.range((client, 0, 0)..(client, known, 0)).map(|place| place.2)
    }

    pub(super) fn get(&self, id: u64) -> Option<Bytes> {
        self.updates.get(&id).map(|update| update.bytes.clone())
    }

    pub(super) fn contains(&self, bytes: &Bytes) -> bool {
        self.updates.values().any(|update| update.bytes == bytes)
    }

    /// Whether there is no place for another one of so many bytes. The first one is always let in:
    /// who was away for long sends a long one.
    pub(super) fn is_full(&self, bytes: usize) -> bool {
        let is_long = !self.updates.is_empty() && self.bytes + bytes > WAITING_BYTES;
        is_long || self.updates.len() >= WAITING_UPDATES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// In the order in which they came.
    pub(super) fn updates(&self) -> impl Iterator<Item = &Bytes> {
        self.updates.values().map(|update| &update.bytes)
    }

    /// Whose structs there are in them.
    pub(super) fn clients(&self) -> impl Iterator<Item = u64> {
        self.updates.values().flat_map(|update| update.structs.client_ids()).map(|id| id.get())
    }

    /// Whether all of these wait already, in however many updates.
    pub(super) fn covers(&self, mut structs: IdSet, mut deletions: IdSet) -> bool {
        let is_empty = |set: &IdSet| set.iter().all(|(_, ranges)| ranges.is_empty());
        for update in self.updates.values() {
            if is_empty(&structs) && is_empty(&deletions) {
                break;
            }
            structs.diff_with(&update.structs);
            deletions.diff_with(&update.deletions);
        }
        is_empty(&structs) && is_empty(&deletions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_that_waits_is_read_again_only_when_what_it_waits_for_is_there() {
        let mut waiting = Waiting::default();
        let nothing = || (IdSet::new(), IdSet::new());
        waiting.insert(Bytes::from_static(b"far ahead"), nothing(), vec![(1, 900), (2, 7)]);
        waiting.insert(Bytes::from_static(b"next"), nothing(), vec![(1, 3)]);
        let woken = |waiting: &Waiting, client, known| -> Vec<_> {
            waiting.woken(client, known).filter_map(|id| waiting.get(id)).collect()
        };
        assert!(woken(&waiting, 1, 3).is_empty());
        assert_eq!(woken(&waiting, 1, 4), ["next"], "the other one is left alone");
        assert_eq!(woken(&waiting, 2, 8), ["far ahead"]);
        waiting.settle(1, Vec::new());
        waiting.settle(0, vec![(2, 9)]);
        assert!(woken(&waiting, 1, u32::MAX).is_empty() && woken(&waiting, 2, 9).is_empty());
        assert_eq!((woken(&waiting, 2, 10), waiting.bytes), (vec!["far ahead".into()], 9));
        waiting.settle(0, Vec::new());
        assert!(waiting.is_empty() && waiting.places.is_empty() && waiting.bytes == 0);
    }
}
