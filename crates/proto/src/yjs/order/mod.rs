//! In which order the items of a document stand, and what it takes to put more between them.
//!
//! An item says between which two it was written. Whatever stands between those by now was written
//! at the same time, and the item is carried past it, step by step. Honest items have few steps:
//! between their two there is what others wrote who did not know of them. A crafted one says that
//! it was written between the first word of a document and its end, and so may thousands of one
//! update. No decoder tells that, and no part of yrs that can be seen from outside: so this does
//! what yrs does (0.28.1, `Item::resolve_conflict`), with numbers instead of content, and counts.

mod nodes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::turns::Turns;
use super::walk::{Content, DEPTH_OF_CHECKED, Id, Item, Kind, Of, Parent, Struct, walk};
use super::{Fault, fit};

/// The items of a document in their order, without what they hold: some 80 bytes each.
#[derive(Debug, Default)]
pub struct Order {
    clients: Vec<u64>,
    numbers: BTreeMap<u64, u32>,
    /// Where what is there of each client ends.
    ends: Vec<u32>,
    nodes: Vec<Node>,
    /// By their first places.
    places: BTreeMap<Spot, u32>,
    lists: Vec<List>,
    names: BTreeMap<Name, u32>,
    stamp: u64,
    steps: u64,
    /// What cutting texts has taken, in steps: what is cut stays so, and takes nothing again.
    cuts: u64,
    astray: bool,
}

/// A place: the number of a client here, and a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    client: u32,
    clock: u32,
}

#[derive(Debug)]
struct Node {
    spot: Spot,
    len: u32,
    origin: Option<Spot>,
    right_origin: Option<Spot>,
    left: Option<u32>,
    right: Option<u32>,
    /// `None`: it is gone, and stands nowhere.
    list: Option<u32>,
    /// When an item that is carried came past it last, and that since it was put somewhere.
    seen: u64,
    passed: u64,
    text: bool,
    deleted: bool,
    /// It was a part of the one to its left when it came to be.
    split: bool,
}

/// What stands one behind the other: in a text, or the values that a key has had.
#[derive(Debug)]
struct List {
    head: Option<u32>,
    len: u64,
    keyed: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Root(Box<str>, Option<Box<str>>),
    Item(Id, Option<Box<str>>),
}

/// So many structs that wait are looked at in the time of one step.
const WAITING_PER_STEP: usize = 32;

/// Why an update is not taken in.
enum Obstacle {
    /// It takes more steps than were allowed.
    Exceeded,
    /// A part of it has to wait for something else.
    Lacking,
}

impl Order {
    /// Takes in what can be applied of an update, as [`fit`](super::fit()) says: how many steps
    /// that took. With more than `max`, or when cutting long texts takes more than `cuts`, nothing
    /// has changed.
    ///
    /// Takes time in proportion to the update and to the steps.
    ///
    /// # Errors
    /// [`Fault::Limit`] (`steps`) for more; and as [`check_update`](super::check_update), without
    /// its limits.
    pub fn take(&mut self, update: &[u8], max: u64, cuts: u64) -> Result<u64, Fault> {
        let taken = self.try_take(update, max, cuts)?;
        if let Err(Obstacle::Lacking) = taken {
            let fit = fit(update, |client| self.end(client))?;
            return self.try_take(&fit.now, max, cuts)?.map_err(|_| Fault::Limit("steps"));
        }
        taken.map_err(|_| Fault::Limit("steps"))
    }

    fn try_take(
        &mut self,
        update: &[u8],
        max: u64,
        cuts: u64,
    ) -> Result<Result<u64, Obstacle>, Fault> {
        let mut turns = Turns::default();
        walk(update, DEPTH_OF_CHECKED, &mut turns)?;
        let (nodes, lists, clients) = (self.nodes.len(), self.lists.len(), self.clients.len());
        let before = self.steps;
        self.cuts = 0;
        if let Err(obstacle) = self.put_all(&mut turns, before.saturating_add(max), cuts) {
            self.undo(nodes);
            self.lists.truncate(lists);
            self.names.retain(|_, list| (*list as usize) < lists);
            self.clients.truncate(clients);
            self.ends.truncate(clients);
            self.numbers.retain(|_, number| (*number as usize) < clients);
            self.steps = before;
            return Ok(Err(obstacle));
        }
        self.join_last(nodes);
        for (from, len) in turns.deleted() {
            self.delete(from, len);
        }
        Ok(Ok(self.steps - before))
    }

    /// Whether something in it was written between two of which the second stands in another list,
    /// or in one run of text before the first. No editor writes that, with a budget it is never
    /// taken in, and what yrs makes of it is not what is made of it here.
    pub fn is_astray(&self) -> bool {
        self.astray
    }

    /// Whether it has all of a client up to there.
    pub fn has(&self, client: u64, end: u32) -> bool {
        self.end(client) >= end
    }

    /// All steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many items stand in it, each as whole as it was written.
    pub fn items(&self) -> usize {
        self.nodes.len()
    }

    fn end(&self, client: u64) -> u32 {
        self.numbers.get(&client).map_or(0, |number| self.ends[*number as usize])
    }

    fn number(&mut self, client: u64) -> u32 {
        *self.numbers.entry(client).or_insert_with(|| {
            self.clients.push(client);
            self.ends.push(0);
            (self.clients.len() - 1) as u32
        })
    }

    fn put_all(&mut self, turns: &mut Turns<'_>, max: u64, cuts: u64) -> Result<(), Obstacle> {
        while let Some(structure) = turns.next() {
            let Some(structure) = self.rest_of(structure) else { continue };
            if structure.id.clock > self.end(structure.id.client) {
                return Err(Obstacle::Lacking);
            }
            if let Some(missing) = self.lacks(&structure) {
                if !turns.wait(structure, missing) {
                    return Err(Obstacle::Lacking);
                }
                self.steps += (turns.waiting() / WAITING_PER_STEP) as u64;
            } else {
                self.put(&structure, max)?;
            }
            if self.steps > max || self.cuts > cuts {
                return Err(Obstacle::Exceeded);
            }
        }
        Ok(())
    }

    /// What is new in it.
    fn rest_of<'a>(&self, mut structure: Struct<'a>) -> Option<Struct<'a>> {
        let end = self.end(structure.id.client);
        let known = end.saturating_sub(structure.id.clock);
        if known == 0 {
            return Some(structure);
        }
        structure.len = structure.len.checked_sub(known).filter(|len| *len > 0)?;
        structure.id.clock = end;
        if let Kind::Item(item) = &mut structure.kind {
            item.origin = Some(Id { clock: end - 1, ..structure.id });
        }
        Some(structure)
    }

    fn lacks(&self, structure: &Struct<'_>) -> Option<u64> {
        let Kind::Item(item) = &structure.kind else { return None };
        let outer = item.parent.and_then(|parent| match parent.of {
            Of::Item(id) => Some(id),
            Of::Root(_) => None,
        });
        let mut refers = [item.origin, item.right_origin, outer].into_iter().flatten();
        refers.find(|id| id.clock >= self.end(id.client)).map(|id| id.client)
    }

    fn put(&mut self, structure: &Struct<'_>, max: u64) -> Result<(), Obstacle> {
        let number = self.number(structure.id.client);
        let spot = Spot { client: number, clock: structure.id.clock };
        let mut node = Node {
            spot,
            len: structure.len,
            origin: None,
            right_origin: None,
            left: None,
            right: None,
            list: None,
            seen: 0,
            passed: 0,
            text: false,
            deleted: false,
            split: false,
        };
        if let Kind::Item(item) = &structure.kind {
            self.place(&mut node, item, max)?;
        }
        let index = self.nodes.len() as u32;
        self.places.insert(spot, index);
        self.ends[number as usize] = spot.clock + node.len;
        if let Some(list) = node.list {
            let list = &mut self.lists[list as usize];
            list.len += 1;
            node.right = match node.left {
                Some(left) => self.nodes[left as usize].right.replace(index),
                None => list.head.replace(index),
            };
        }
        if let Some(right) = node.right {
            self.nodes[right as usize].left = Some(index);
        }
        self.nodes.push(node);
        Ok(())
    }

    /// Finds out in which list it stands, and behind what.
    fn place(&mut self, node: &mut Node, item: &Item<'_>, max: u64) -> Result<(), Obstacle> {
        node.text = matches!(item.content, Content::Text(_));
        let left = item.origin.and_then(|id| self.ending_at(id));
        let right = item.right_origin.and_then(|id| self.starting_at(id));
        node.origin = item.origin.map(|id| self.spot(id));
        node.right_origin = item.right_origin.map(|id| self.spot(id));
        let list_of = |at: Option<u32>| at.and_then(|at| self.nodes[at as usize].list);
        let (before, behind) = (list_of(left), list_of(right));
        node.list = match &item.parent {
            Some(parent) => self.list(parent),
            None => before.or(behind),
        };
        let Some(list) = node.list else { return Ok(()) };
        let are_apart = before.is_some() && behind.is_some() && before != behind;
        if are_apart || left.zip(right).is_some_and(|(left, right)| self.is_one_run(right, left)) {
            if max < u64::MAX {
                return Err(Obstacle::Exceeded);
            }
            self.astray = true;
        }
        (node.left, node.right) = (left, right);
        if self.is_contested(node) {
            let List { head, len, keyed } = self.lists[list as usize];
            // The first value of a key is found by going back from the last one, twice.
            self.steps += if keyed && left.is_none() { 2 * len } else { 0 };
            self.carry(node, left.map_or(head, |left| self.nodes[left as usize].right), max)?;
        }
        node.right = None;
        Ok(())
    }

    /// Whether its two neighbours are none of each other by now.
    fn is_contested(&self, node: &Node) -> bool {
        match (node.left, node.right) {
            (None, None) => true,
            (None, Some(right)) => self.nodes[right as usize].left.is_some(),
            (Some(left), right) => self.nodes[left as usize].right != right,
        }
    }

    /// Carries it past all that have to stand before it.
    fn carry(&mut self, node: &mut Node, from: Option<u32>, max: u64) -> Result<(), Obstacle> {
        let client = self.clients[node.spot.client as usize];
        self.stamp += 1;
        let (seen, mut passed) = (self.stamp, self.stamp);
        let mut next = from;
        while let Some(at) = next.filter(|_| next != node.right) {
            self.steps += 1;
            if self.steps > max {
                return Err(Obstacle::Exceeded);
            }
            let other = &mut self.nodes[at as usize];
            (other.seen, other.passed, next) = (seen, passed, other.right);
            let (origin, left) = (other.origin, other.left);
            let theirs = self.clients[other.spot.client as usize];
            let stands_behind = if origin == node.origin {
                if theirs >= client && other.right_origin == node.right_origin {
                    break;
                }
                theirs < client
            } else {
                let origin = origin.and_then(|spot| self.find_beside(left, spot));
                let Some(origin) = origin.map(|at| &self.nodes[at as usize]) else { break };
                if origin.seen != seen || origin.list.is_none() {
                    break;
                }
                origin.passed != passed
            };
            if stands_behind {
                node.left = Some(at);
                self.stamp += 1;
                passed = self.stamp;
            }
        }
        Ok(())
    }

    fn list(&mut self, parent: &Parent<'_>) -> Option<u32> {
        let key = parent.key.map(Into::into);
        let name = match parent.of {
            Of::Root(name) => Name::Root(name.into(), key),
            Of::Item(id) => {
                let outer = self.find(self.known(id)?)?;
                self.nodes[outer as usize].list?;
                Name::Item(id, key)
            }
        };
        let next = self.lists.len() as u32;
        let list = *self.names.entry(name).or_insert(next);
        if list == next {
            self.lists.push(List { head: None, len: 0, keyed: parent.key.is_some() });
        }
        Some(list)
    }
}
