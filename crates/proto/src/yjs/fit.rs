//! How much of an update can be applied to what a document has.

use std::collections::{BTreeMap, BTreeSet};

use super::walk::{DEPTH_OF_CHECKED, Id, Kind, Of, Struct, Visitor, walk};
use super::{Fault, put_var_uint};

/// How an update fits a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// What can be applied: an update of its own, without gaps, that refers to nothing unknown.
    pub now: Vec<u8>,
    /// Whether there are structs in it that are new.
    pub grows: bool,
    /// Places (client and clock), in order, that have to come before more of it can be applied:
    /// before any of them is there, nothing has changed. None: all of it can be.
    pub lacking: Vec<(u64, u32)>,
}

/// How much of an update can be applied to a document: the structs of each client that follow those
/// that are there without a gap, as far as all that they refer to is there, or comes in the same
/// update in an order that exists; and deletions of what is there then.
///
/// `known` says for a client where what is there of it ends. Takes time in proportion to the
/// update's length.
///
/// # Errors
/// As [`check_update`](super::check_update), without its limits.
pub fn fit(update: &[u8], known: impl Fn(u64) -> u32) -> Result<Fit, Fault> {
    let mut parts = Parts::default();
    walk(update, DEPTH_OF_CHECKED, &mut parts)?;
    Ok(parts.fit(known))
}

#[derive(Default)]
struct Parts<'a> {
    clients: BTreeMap<u64, Vec<Part<'a>>>,
    /// Where each range of deletions begins, and its end.
    deleted: Vec<(Id, u32)>,
}

struct Part<'a> {
    bytes: &'a [u8],
    clock: u32,
    end: u32,
    /// It is a gap.
    skips: bool,
    /// What it stands beside, or in.
    refers: [Option<Id>; 3],
}

impl<'a> Visitor<'a> for Parts<'a> {
    fn structure(&mut self, structure: Struct<'a>) -> Result<(), Fault> {
        let Id { client, clock } = structure.id;
        let end = clock.checked_add(structure.len).ok_or(Fault::Number)?;
        let bytes = structure.bytes;
        let mut part = Part { bytes, clock, end, skips: false, refers: [None; 3] };
        match structure.kind {
            Kind::Gc => {}
            Kind::Skip => part.skips = true,
            Kind::Item(item) => {
                let parent = item.parent.and_then(|parent| match parent.of {
                    Of::Item(id) => Some(id),
                    Of::Root(_) => None,
                });
                part.refers = [item.origin, item.right_origin, parent];
            }
        }
        self.clients.entry(client).or_default().push(part);
        Ok(())
    }

    fn deletion(&mut self, from: Id, len: u32) -> Result<(), Fault> {
        self.deleted.push((from, from.clock.checked_add(len).ok_or(Fault::Number)?));
        Ok(())
    }
}

impl Parts<'_> {
    fn fit(&self, known: impl Fn(u64) -> u32) -> Fit {
        // Where each client is, and which part of it is next.
        let mut states: BTreeMap<_, _> =
            self.clients.keys().map(|client| (*client, (known(*client), 0))).collect();
        // Who waits for which place; each is woken once for each thing that it refers to.
        let mut waiting: BTreeMap<(u64, u32), Vec<u64>> = BTreeMap::new();
        let mut turns: Vec<u64> = self.clients.keys().copied().collect();
        while let Some(client) = turns.pop() {
            let parts = &self.clients[&client];
            let (mut state, mut next) = states[&client];
            let there = |id: &Id, own: u32| match states.get(&id.client) {
                _ if id.client == client => id.clock < own,
                Some((state, _)) => id.clock < *state,
                None => id.clock < known(id.client),
            };
            let mut stuck = None;
            while let Some(part) = parts.get(next) {
                if part.end > state {
                    let first = if part.skips { part.end } else { part.clock };
                    let gap = (first > state).then(|| (client, first - 1));
                    let mut refers = part.refers.iter().flatten();
                    let refers = refers.find(|id| !there(id, state));
                    stuck = gap.or(refers.map(|id| (id.client, id.clock)));
                    if stuck.is_some() {
                        break;
                    }
                    state = part.end;
                }
                next += 1;
            }
            states.insert(client, (state, next));
            if let Some(place) = stuck {
                waiting.entry(place).or_default().push(client);
            }
            let come: Vec<_> =
                waiting.range((client, 0)..(client, state)).map(|at| *at.0).collect();
            turns.extend(come.iter().filter_map(|place| waiting.remove(place)).flatten());
        }
        let mut lacking: BTreeSet<_> = waiting.into_keys().collect();
        let ends = |client: u64| states.get(&client).map_or_else(|| known(client), |state| state.0);
        // Of each client the last one that is unknown: the others come before it.
        let unknown = self.deleted.iter().filter(|(from, end)| *end > ends(from.client));
        let last: BTreeMap<_, _> = unknown.map(|(from, end)| (from.client, end - 1)).collect();
        lacking.extend(last);
        let new = states.iter().filter(|(client, (end, _))| *end > known(**client));
        let new: Vec<_> = new.map(|(client, (_, next))| (*client, *next)).collect();
        let mut now = Vec::new();
        put_var_uint(&mut now, new.len() as u64);
        for (client, next) in &new {
            let behind = known(*client);
            let parts: Vec<_> =
                self.clients[client][..*next].iter().filter(|part| part.end > behind).collect();
            put_var_uint(&mut now, parts.len() as u64);
            put_var_uint(&mut now, *client);
            put_var_uint(&mut now, parts.first().map_or(0, |part| u64::from(part.clock)));
            parts.iter().for_each(|part| now.extend(part.bytes));
        }
        self.put_deletions(ends, &mut now);
        Fit { now, grows: !new.is_empty(), lacking: lacking.into_iter().collect() }
    }

    /// Those of what is there.
    fn put_deletions(&self, ends: impl Fn(u64) -> u32, now: &mut Vec<u8>) {
        let mut clients: BTreeMap<u64, Vec<(u32, u32)>> = BTreeMap::new();
        for (from, end) in &self.deleted {
            let end = ends(from.client).min(*end);
            if end > from.clock {
                clients.entry(from.client).or_default().push((from.clock, end - from.clock));
            }
        }
        put_var_uint(now, clients.len() as u64);
        for (client, ranges) in clients {
            put_var_uint(now, client);
            put_var_uint(now, ranges.len() as u64);
            for (clock, len) in ranges {
                put_var_uint(now, u64::from(clock));
                put_var_uint(now, u64::from(len));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "A" in the text "t", of client 1.
    const A: &[u8] = &[1, 1, 1, 0, 4, 1, 1, b't', 1, b'A', 0];
    /// "B" behind it, of client 2.
    const B: &[u8] = &[1, 1, 2, 0, 0x84, 1, 0, 1, b'B', 0];

    fn lacks(update: &[u8], known: &[(u64, u32)]) -> Vec<(u64, u32)> {
        let known =
            |client| known.iter().find(|known| known.0 == client).map_or(0, |known| known.1);
        fit(update, known).unwrap().lacking
    }

    #[test]
    fn what_refers_to_nothing_unknown_lacks_nothing() {
        assert!(lacks(A, &[]).is_empty());
        assert!(lacks(A, &[(1, 1)]).is_empty());
        assert_eq!(lacks(B, &[]), [(1, 0)]);
        assert!(lacks(B, &[(1, 1)]).is_empty());
        assert_eq!(lacks(&[0, 1, 3, 1, 4, 2], &[(3, 5)]), [(3, 5)], "the last deletion is unknown");
        assert!(lacks(&[0, 1, 3, 1, 4, 2], &[(3, 6)]).is_empty());
    }

    #[test]
    fn both_in_one_update_lack_nothing_in_whatever_order_they_stand() {
        let both = |first: &[u8], second: &[u8]| {
            [&[2][..], &first[1..first.len() - 1], &second[1..]].concat()
        };
        assert!(lacks(&both(A, B), &[]).is_empty());
        assert!(lacks(&both(B, A), &[]).is_empty());
        // "A" behind "B" behind "A".
        let circle = [1, 1, 1, 0, 0x84, 2, 0, 1, b'A', 0];
        assert_eq!(lacks(&both(&circle, B), &[]), [(1, 0), (2, 0)]);
    }

    #[test]
    fn a_gap_waits_for_its_own_client() {
        let late = [1, 1, 1, 4, 4, 1, 1, b't', 1, b'A', 0];
        assert_eq!(lacks(&late, &[(1, 3)]), [(1, 3)]);
        assert!(lacks(&late, &[(1, 4)]).is_empty());
        let skips = [1, 2, 1, 0, 10, 4, 4, 1, 1, b't', 1, b'A', 0];
        assert_eq!(lacks(&skips, &[(1, 3)]), [(1, 3)]);
        assert!(lacks(&skips, &[(1, 4)]).is_empty());
        let itself = [1, 1, 1, 0, 0x84, 1, 0, 1, b'A', 0];
        assert_eq!(lacks(&itself, &[]), [(1, 0)], "it stands beside itself");
    }

    #[test]
    fn what_can_be_applied_is_an_update_of_its_own() {
        // Behind each other: "A", a gap, and "B"; the deletion of "A" and of what is not there.
        let update = [
            &[1, 3, 1, 0][..],
            &[4, 1, 1, b't', 1, b'A', 10, 2, 4, 1, 1, b't', 1, b'B'],
            &[1, 1, 2, 0, 1, 2, 4],
        ];
        let fitting = fit(&update.concat(), |_| 0).unwrap();
        let now = [&A[..A.len() - 1], &[1, 1, 1, 0, 1]].concat();
        assert_eq!(fitting, Fit { now, grows: true, lacking: vec![(1, 2), (1, 5)] });
        let fitting = fit(&update.concat(), |_| 3).unwrap();
        let now = vec![1, 1, 1, 3, 4, 1, 1, b't', 1, b'B', 1, 1, 2, 0, 1, 2, 2];
        assert_eq!(fitting, Fit { now, grows: true, lacking: vec![(1, 5)] });
        assert_eq!(fit(A, |_| 1).unwrap(), Fit { now: vec![0, 0], grows: false, lacking: vec![] });
    }
}
