//! In which order the structs of an update are put into a document.

use std::collections::{BTreeMap, VecDeque};

use super::Fault;
use super::walk::{Id, Kind, Struct, Visitor};

/// The structs of an update: those of the client with the highest number first, each before what
/// refers to it. That is yrs' order, on which it depends how far an item has to be carried.
#[derive(Default)]
pub(super) struct Turns<'a> {
    clients: BTreeMap<u64, VecDeque<Struct<'a>>>,
    /// Whose turn it is.
    latest: VecDeque<Struct<'a>>,
    /// Those that wait for others of the same update; none of them is of the same client.
    stack: Vec<Struct<'a>>,
    deleted: Vec<(Id, u32)>,
}

impl<'a> Visitor<'a> for Turns<'a> {
    fn structure(&mut self, structure: Struct<'a>) -> Result<(), Fault> {
        if !matches!(structure.kind, Kind::Skip) {
            self.clients.entry(structure.id.client).or_default().push_back(structure);
        }
        Ok(())
    }

    fn deletion(&mut self, from: Id, len: u32) -> Result<(), Fault> {
        self.deleted.push((from, len));
        Ok(())
    }
}

impl<'a> Turns<'a> {
    pub(super) fn next(&mut self) -> Option<Struct<'a>> {
        loop {
            let next = self.stack.pop().or_else(|| self.latest.pop_front());
            if next.is_some() {
                return next;
            }
            self.latest = self.clients.pop_last()?.1;
        }
    }

    /// This one waits for something of that client. `false`: there is nothing more of it.
    pub(super) fn wait(&mut self, structure: Struct<'a>, missing: u64) -> bool {
        self.stack.push(structure);
        let is_free = self.stack.iter().all(|waits| waits.id.client != missing);
        let next = self.clients.get_mut(&missing).filter(|_| is_free);
        let Some(next) = next.and_then(VecDeque::pop_front) else { return false };
        self.stack.push(next);
        true
    }

    /// How many wait: to find out whether one does, all are looked at.
    pub(super) fn waiting(&self) -> usize {
        self.stack.len()
    }

    /// Ranges of deletions: those come last.
    pub(super) fn deleted(&self) -> impl Iterator<Item = (Id, u32)> + '_ {
        self.deleted.iter().copied()
    }
}
