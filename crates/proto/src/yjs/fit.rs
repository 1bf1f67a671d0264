//! Whether an update can be applied to what a document has, all of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Fault;
use super::walk::{Id, Kind, Of, Struct, Visitor, walk};

/// Of whom more has to come before an update can be applied to a document; nobody: it can be. It
/// can, if the structs of each client follow those that are there without a gap, and all that they
/// and the deletions refer to is there, or comes in the same update and in an order that exists.
///
/// `known` says for a client where what is there of it ends. Takes time in proportion to the
/// update's length.
///
/// # Errors
/// As [`check_update`](super::check_update), without limits.
pub fn lacking(update: &[u8], known: impl Fn(u64) -> u32) -> Result<Vec<u64>, Fault> {
    let mut parts = Parts::default();
    walk(update, usize::MAX, &mut parts)?;
    Ok(parts.lacking(known))
}

#[derive(Default)]
struct Parts {
    clients: BTreeMap<u64, Vec<Part>>,
    /// The last that is deleted of each range.
    deleted: Vec<Id>,
}

struct Part {
    clock: u32,
    end: u32,
    /// It is a gap.
    skips: bool,
    /// What it stands beside, or in.
    refers: [Option<Id>; 3],
}

impl<'a> Visitor<'a> for Parts {
    fn structure(&mut self, structure: Struct<'a>) -> Result<(), Fault> {
        let Id { client, clock } = structure.id;
        let end = clock.checked_add(structure.len).ok_or(Fault::Number)?;
        let mut part = Part { clock, end, skips: false, refers: [None; 3] };
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
        let clock = from.clock.checked_add(len.saturating_sub(1)).ok_or(Fault::Number)?;
        self.deleted.push(Id { client: from.client, clock });
        Ok(())
    }
}

impl Parts {
    fn lacking(&self, known: impl Fn(u64) -> u32) -> Vec<u64> {
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
                    let gap = (part.skips || part.clock > state).then_some((client, part.end));
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
        let mut lacking: BTreeSet<_> = waiting.into_keys().map(|(client, _)| client).collect();
        let ends = |client: u64| states.get(&client).map_or_else(|| known(client), |(end, _)| *end);
        let deleted = self.deleted.iter().filter(|id| id.clock >= ends(id.client));
        lacking.extend(deleted.map(|id| id.client));
        lacking.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "A" in the text "t", of client 1.
    const A: &[u8] = &[1, 1, 1, 0, 4, 1, 1, b't', 1, b'A', 0];
    /// "B" behind it, of client 2.
    const B: &[u8] = &[1, 1, 2, 0, 0x84, 1, 0, 1, b'B', 0];

    fn lacks(update: &[u8], known: &[(u64, u32)]) -> Vec<u64> {
        let known =
            |client| known.iter().find(|known| known.0 == client).map_or(0, |known| known.1);
        lacking(update, known).unwrap()
    }

    #[test]
    fn what_refers_to_nothing_unknown_lacks_nothing() {
        assert!(lacks(A, &[]).is_empty());
        assert!(lacks(A, &[(1, 1)]).is_empty());
        assert_eq!(lacks(B, &[]), [1]);
        assert!(lacks(B, &[(1, 1)]).is_empty());
        assert_eq!(lacks(&[0, 1, 3, 1, 4, 2], &[(3, 5)]), [3], "the last deletion is unknown");
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
        assert_eq!(lacks(&both(&circle, B), &[]), [1, 2]);
    }

    #[test]
    fn a_gap_waits_for_its_own_client() {
        let late = [1, 1, 1, 4, 4, 1, 1, b't', 1, b'A', 0];
        assert_eq!(lacks(&late, &[(1, 3)]), [1]);
        assert!(lacks(&late, &[(1, 4)]).is_empty());
        let skips = [1, 2, 1, 0, 10, 4, 4, 1, 1, b't', 1, b'A', 0];
        assert_eq!(lacks(&skips, &[(1, 3)]), [1]);
        assert!(lacks(&skips, &[(1, 4)]).is_empty());
        let itself = [1, 1, 1, 0, 0x84, 1, 0, 1, b'A', 0];
        assert_eq!(lacks(&itself, &[]), [1], "it stands beside itself");
    }
}
