//! A user's inbox: the notifications that are kept, what the user has done with them, how far they
//! have read in other channels, and where pushes go to. Folded from the log of the user's own
//! channel.
//!
//! It is as of the newest event that was assigned, stored or not: what an event says of the counts
//! is right behind it. So nobody is told what it holds before the newest append has come back, and
//! when one fails all of it is read again from the store.

mod item;
mod list;
mod log;
mod page;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};

use tidings_proto::{Epoch, MarkAs};

pub(crate) use item::{Item, Notification};
pub(crate) use list::Query;

use crate::push::PushSubscription;

/// Read cursors of one user: the one that was moved least lately is dropped.
const CURSORS: usize = 1000;

/// Browsers of one user that get pushes: the oldest is dropped.
const SUBSCRIPTIONS: usize = 20;

/// How many items the user has not dealt with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Neither read nor archived.
    pub(crate) unread: u64,
    /// Neither seen nor archived.
    pub(crate) unseen: u64,
}

/// How far the user has read in another channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) channel: Box<str>,
    pub(crate) epoch: Epoch,
    pub(crate) offset: u64,
}

/// Which items a mark is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// These, in ascending order.
    Ids(Vec<u64>),
    /// All up to this one: those that came later are not swallowed.
    Upto(u64),
}

/// One step of the fold.
#[derive(Debug)]
pub(crate) enum Step {
    /// A new item, and those that made room for it.
    Add(Item, Vec<u64>),
    Mark(MarkAs, Marked),
    /// These are over.
    Expire(Vec<u64>),
    Cursor(Cursor),
    Subscribe(PushSubscription),
    Unsubscribe(Box<str>),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// By id, oldest first.
    items: VecDeque<Item>,
    tally: Tally,
    item_bytes: usize,
    /// The newest id given.
    newest: u64,
    /// Items that end before their time, by when.
    ends: BTreeSet<(u64, u64)>,
    /// The one moved last is last.
    cursors: Vec<Cursor>,
    /// Oldest first.
    subscriptions: Vec<PushSubscription>,
}

impl Inbox {
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.cursors.is_empty() && self.subscriptions.is_empty()
    }

    pub(crate) fn cursors(&self) -> &[Cursor] {
        &self.cursors
    }

    pub(crate) fn cursor(&self, channel: &str) -> Option<&Cursor> {
        self.cursors.iter().find(|cursor| &*cursor.channel == channel)
    }

    pub(crate) fn subscriptions(&self) -> &[PushSubscription] {
        &self.subscriptions
    }

    pub(crate) fn item(&self, id: u64) -> Option<&Item> {
        self.place(id).map(|place| &self.items[place])
    }

    /// The id of the next item, which gets this offset.
    pub(crate) fn next_id(&self, offset: u64) -> u64 {
        offset.max(self.newest + 1)
    }

    /// Those that go, oldest first, so that there is room for one more of so many bytes.
    pub(crate) fn over(&self, items: usize, bytes: usize, more: usize) -> Vec<u64> {
        let (mut count, mut size) = (self.items.len() + 1, self.item_bytes + more);
        let mut over = Vec::new();
        for item in &self.items {
            if count <= items && size <= bytes {
                break;
            }
            over.push(item.id);
            count -= 1;
            size -= item.bytes();
        }
        over
    }

    /// Those whose time is over, at most so many. `keep_ms`: how long any is kept.
    pub(crate) fn expired(&self, now_ms: u64, keep_ms: u64, max: usize) -> Vec<u64> {
        let old = |item: &&Item| item.at_ms.saturating_add(keep_ms) <= now_ms;
        let mut over: Vec<u64> =
            self.items.iter().take_while(old).map(|i| i.id).take(max).collect();
        let ended = self.ends.iter().take_while(|(end, _)| *end <= now_ms).map(|(_, id)| *id);
        over.extend(ended.take(max - over.len()));
        over.sort_unstable();
        over.dedup();
        over
    }

    /// When the next one's time is over.
    pub(crate) fn next_due(&self, keep_ms: u64) -> Option<u64> {
        let oldest = self.items.front().map(|item| item.at_ms.saturating_add(keep_ms));
        let end = self.ends.first().map(|(end, _)| *end);
        oldest.into_iter().chain(end).min()
    }

    /// Of these ids those that a mark changes; `None`: it changes nothing.
    pub(crate) fn changing(&self, how: MarkAs, which: Marked) -> Option<Marked> {
        let changes = |item: &Item| item.flags.marked(how) != item.flags;
        match which {
            Marked::Ids(mut ids) => {
                ids.sort_unstable();
                ids.dedup();
                ids.retain(|id| self.item(*id).is_some_and(changes));
                (!ids.is_empty()).then_some(Marked::Ids(ids))
            }
            Marked::Upto(upto) => {
                let mut below = self.items.iter().take_while(|item| item.id <= upto);
                below.any(changes).then_some(Marked::Upto(upto))
            }
        }
    }

    /// Whether a cursor would be moved: it only goes forwards.
    pub(crate) fn moves(&self, channel: &str, epoch: Epoch, offset: u64) -> bool {
        let known = self.cursor(channel);
        known.is_none_or(|known| known.epoch != epoch || known.offset < offset)
    }

    /// Takes a step.
    pub(crate) fn apply(&mut self, step: Step) {
        match step {
            Step::Add(item, over) => {
                self.remove(&over);
                self.add(item);
            }
            Step::Mark(how, Marked::Ids(ids)) => {
                for id in ids {
                    if let Some(place) = self.place(id) {
                        self.mark(place, how);
                    }
                }
            }
            Step::Mark(how, Marked::Upto(upto)) => {
                let end = self.items.partition_point(|item| item.id <= upto);
                (0..end).for_each(|place| self.mark(place, how));
            }
            Step::Expire(ids) => self.remove(&ids),
            Step::Cursor(cursor) => {
                self.cursors.retain(|known| known.channel != cursor.channel);
                if self.cursors.len() >= CURSORS {
                    self.cursors.remove(0);
                }
                self.cursors.push(cursor);
            }
            Step::Subscribe(subscription) => {
                self.subscriptions.retain(|known| known.endpoint != subscription.endpoint);
                if self.subscriptions.len() >= SUBSCRIPTIONS {
                    self.subscriptions.remove(0);
                }
                self.subscriptions.push(subscription);
            }
            Step::Unsubscribe(endpoint) => {
                self.subscriptions.retain(|known| known.endpoint != endpoint);
            }
        }
    }

    /// Takes an event in that was read from the store, in the order of offsets.
    pub(crate) fn replay(&mut self, at_ms: u64, event: &[u8]) {
        if let Some(step) = log::read(at_ms, event) {
            self.apply(step);
        }
    }

    fn place(&self, id: u64) -> Option<usize> {
        self.items.binary_search_by_key(&id, |item| item.id).ok()
    }

    fn add(&mut self, item: Item) {
        if item.id <= self.newest {
            // Only damage makes this: ids grow.
            return;
        }
        self.newest = item.id;
        self.keep(item);
    }

    fn keep(&mut self, item: Item) {
        self.item_bytes += item.bytes();
        self.tally.unread += u64::from(item.flags.is_unread());
        self.tally.unseen += u64::from(item.flags.is_unseen());
        if let Some(end) = item.expires_ms {
            self.ends.insert((end, item.id));
        }
        self.items.push_back(item);
    }

    fn mark(&mut self, place: usize, how: MarkAs) {
        let flags = &mut self.items[place].flags;
        let (before, after) = (*flags, flags.marked(how));
        *flags = after;
        let Tally { unread, unseen } = &mut self.tally;
        *unread = *unread + u64::from(after.is_unread()) - u64::from(before.is_unread());
        *unseen = *unseen + u64::from(after.is_unseen()) - u64::from(before.is_unseen());
    }

    /// `ids` in ascending order.
    fn remove(&mut self, ids: &[u64]) {
        // What makes room is always in front.
        let front = ids.iter().zip(&self.items).take_while(|(id, item)| **id == item.id).count();
        for _ in 0..front {
            if let Some(item) = self.items.pop_front() {
                self.forget(&item);
            }
        }
        let rest = &ids[front..];
        if rest.is_empty() {
            return;
        }
        let (gone, kept): (VecDeque<_>, _) = std::mem::take(&mut self.items)
            .into_iter()
            .partition(|item| rest.binary_search(&item.id).is_ok());
        self.items = kept;
        gone.iter().for_each(|item| self.forget(item));
    }

    fn forget(&mut self, item: &Item) {
        self.item_bytes -= item.bytes();
        self.tally.unread -= u64::from(item.flags.is_unread());
        self.tally.unseen -= u64::from(item.flags.is_unseen());
        if let Some(end) = item.expires_ms {
            self.ends.remove(&(end, item.id));
        }
    }
}
