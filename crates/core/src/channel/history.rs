//! The events that a channel keeps, each in its newest version.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tidings_proto::{Amendment, Logged, Says, author, hide, renew};

use super::tally::Tally;
use crate::limits::CHANGES_PER_EVENT;
use crate::store::{Scoped, StoredEvent};

/// A dense run of events and changes of events, newest at the back. A change stands at its own
/// offset, and has taken effect on the event that it is about.
#[derive(Debug, Default)]
pub(crate) struct History {
    events: VecDeque<Kept>,
    /// Of all events.
    bytes: usize,
    /// How many of them are changes.
    changes: usize,
    /// Reactions, by the offset of the event that they are to.
    tallies: BTreeMap<u64, Tally>,
    /// The newest edit of each event, by the event's offset: others say what was taken back.
    edits: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Kept {
    stored: StoredEvent,
    /// A hash of its author's name: whoever counts does not look at each frame.
    author: u32,
    is: Is,
    /// It has other reactions than its frame says: many come at once, and few look.
    stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Change,
    Deleted,
    Event,
}

/// A piece of history.
#[derive(Debug)]
pub(crate) struct Page {
    /// Oldest first.
    pub(crate) events: Vec<Bytes>,
    /// The offset of the last of them, or where the page started if it has none.
    pub(crate) end: u64,
}

impl History {
    pub(crate) fn restore(events: Vec<StoredEvent>) -> Self {
        let mut history = Self { events: VecDeque::with_capacity(events.len()), ..Self::default() };
        events.into_iter().for_each(|event| history.push(event));
        history
    }

    /// Adds the next event, or the next change of one, which takes effect.
    pub(crate) fn push(&mut self, event: StoredEvent) {
        debug_assert!(self.events.back().is_none_or(|last| last.stored.offset + 1 == event.offset));
        let (logged, frame) = (Logged::of(&event.event), event.event.clone());
        let is = match logged {
            Logged::Event | Logged::Other => Is::Event,
            Logged::Deleted | Logged::Edited | Logged::Reacted => Is::Change,
        };
        self.bytes += frame.len();
        self.changes += usize::from(is == Is::Change);
        let (author, offset) = (hash(author(&frame)), event.offset);
        self.events.push_back(Kept { stored: event, author, is, stale: false });
        if is == Is::Change
            && let Some(change) = Amendment::read(&frame)
        {
            self.apply(logged, offset, &change);
        }
    }

    fn apply(&mut self, logged: Logged, offset: u64, change: &Amendment<'_>) {
        let Some(index) = self.index_of(change.target) else { return };
        match (logged, change.data, change.reaction.as_deref()) {
            (Logged::Deleted, ..) => {
                self.tallies.remove(&change.target);
                self.hide(self.edits.get(&change.target).copied());
                self.edits.remove(&change.target);
                self.renew(index, Says::Nothing);
                self.events[index].is = Is::Deleted;
            }
            (Logged::Edited, Some(data), _) => {
                let earlier = self.edits.insert(change.target, offset);
                self.hide(earlier);
                self.renew(index, Says::New(data, &change.timestamp));
            }
            (Logged::Reacted, _, Some(reaction)) => {
                let tally = self.tallies.entry(change.target).or_default();
                tally.note(reaction, &change.user, change.removed);
                self.events[index].stale = true;
            }
            _ => {}
        }
    }

    /// What an edit said is not given out any more.
    fn hide(&mut self, edit: Option<u64>) {
        let Some((edit, first)) = edit.zip(self.first()) else { return };
        // It is younger than its event, which is here.
        let index = usize::try_from(edit - first).unwrap_or(usize::MAX);
        let Some(kept) = self.events.get_mut(index) else { return };
        let Some(hidden) = hide(&kept.stored.event) else { return };
        self.bytes = self.bytes - kept.stored.event.len() + hidden.len();
        kept.stored.event = hidden;
    }

    /// Puts an event's newest version in its place.
    fn renew(&mut self, index: usize, says: Says<'_>) {
        let kept = &mut self.events[index];
        kept.stale = false;
        let reactions = self.tallies.get(&kept.stored.offset).map(Tally::shown);
        let renewed = renew(&kept.stored.event, says, reactions.as_deref().unwrap_or_default());
        // invariant: the engine has written the frame, so it is one.
        let Some(event) = renewed else { return };
        self.bytes = self.bytes - kept.stored.event.len() + event.len();
        kept.stored.event = event;
    }

    /// The frame of one of them, up to date.
    fn frame(&mut self, index: usize) -> &Bytes {
        if self.events[index].stale {
            self.renew(index, Says::TheSame);
        }
        &self.events[index].stored.event
    }

    /// Where an event stands that is not deleted.
    fn index_of(&self, offset: u64) -> Option<usize> {
        let index = usize::try_from(offset.checked_sub(self.first()?)?).ok()?;
        self.events.get(index).filter(|kept| kept.is == Is::Event).map(|_| index)
    }

    /// Whether there is an event with this offset that can be changed.
    pub(crate) fn has(&self, offset: u64) -> bool {
        self.index_of(offset).is_some()
    }

    /// Whether there is one, and it is from this user.
    pub(crate) fn is_from(&self, offset: u64, user: &str) -> bool {
        let written = written(user);
        self.index_of(offset).is_some_and(|index| self.events[index].is_from(&written))
    }

    /// The reactions to an event; `None`: there are none.
    pub(crate) fn tally(&self, offset: u64) -> Option<&Tally> {
        self.tallies.get(&offset)
    }

    /// How many changes of events there are.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// The events behind `after` that are from others than `user` and not deleted: how many, and
    /// the offset of the first.
    pub(crate) fn unread(&self, after: u64, user: &str) -> (u64, Option<u64>) {
        let written = written(user);
        let behind = self.events.range(self.index_after(after)..);
        let mut unread = behind.filter(|kept| kept.is == Is::Event && !kept.is_from(&written));
        let first = unread.next().map(|kept| kept.stored.offset);
        (u64::from(first.is_some()) + unread.count() as u64, first)
    }

    /// Drops all but the newest `size` events and those older than `ttl_ms`, as long as `kept`
    /// bytes stay.
    pub(crate) fn trim(&mut self, now_ms: u64, (size, kept): (u32, usize), ttl_ms: u64) {
        let size = size as usize;
        let most = size.saturating_mul(1 + CHANGES_PER_EVENT);
        while let Some(oldest) = self.events.front() {
            let is_old = oldest.stored.at_ms.saturating_add(ttl_ms) <= now_ms;
            let is_full = self.events.len() - self.changes > size || self.events.len() > most;
            let rest = self.bytes - oldest.stored.event.len();
            if (!is_old && !is_full) || (rest < kept && kept > 0) {
                break;
            }
            self.bytes = rest;
            self.changes -= usize::from(oldest.is == Is::Change);
            self.tallies.remove(&oldest.stored.offset);
            self.edits.remove(&oldest.stored.offset);
            self.events.pop_front();
        }
        // Bursts leave big buffers behind; what is kept for idle channels is what they need.
        if self.events.capacity() > 64 && self.events.len() < self.events.capacity() / 4 {
            self.events.shrink_to(self.events.len() * 2);
        }
    }

    /// How many events and changes there are.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// The offset of the oldest event; `None` if there is none.
    pub(crate) fn first(&self) -> Option<u64> {
        self.events.front().map(|kept| kept.stored.offset)
    }

    /// Whether every event after `offset` up to `last`, the channel's newest, is here.
    pub(crate) fn reaches_back_to(&self, offset: u64, last: u64) -> bool {
        offset == last || self.first().is_some_and(|first| first <= offset + 1)
    }

    /// Whether what came after `offset` has at most so many bytes.
    pub(crate) fn is_short(&self, offset: u64, bytes: usize) -> bool {
        let mut room = bytes;
        self.events.range(self.index_after(offset)..).all(|kept| {
            let fits = kept.stored.event.len() <= room;
            room = room.saturating_sub(kept.stored.event.len());
            fits
        })
    }

    /// How many events stand at or below `offset`: where the events after it begin.
    fn index_after(&self, offset: u64) -> usize {
        let Some(first) = self.first() else { return 0 };
        usize::try_from(offset.saturating_add(1).saturating_sub(first))
            .unwrap_or(usize::MAX)
            .min(self.events.len())
    }

    /// All that came after `offset`, changes too: at most `count` of them and `bytes` bytes, but at
    /// least one.
    pub(crate) fn page_after(&mut self, offset: u64, count: usize, bytes: usize) -> Page {
        let mut page = Page { events: Vec::new(), end: offset };
        let mut room = bytes;
        let start = self.index_after(offset);
        for index in (start..self.events.len()).take(count) {
            let event = self.frame(index).clone();
            if event.len() > room && !page.events.is_empty() {
                break;
            }
            room = room.saturating_sub(event.len());
            page.events.push(event);
            page.end = self.events[index].stored.offset;
        }
        page
    }

    /// The events after `offset`, without changes, with the same bounds; and whether there are
    /// newer ones.
    pub(crate) fn events_after(
        &mut self,
        offset: u64,
        count: usize,
        bytes: usize,
    ) -> (Vec<Bytes>, bool) {
        self.take_events(self.index_after(offset)..self.events.len(), count, bytes)
    }

    /// The newest events below `offset`, without changes, oldest first, with the same bounds; and
    /// whether there are older ones.
    pub(crate) fn events_before(
        &mut self,
        offset: u64,
        count: usize,
        bytes: usize,
    ) -> (Vec<Bytes>, bool) {
        let below = (0..self.index_after(offset.saturating_sub(1))).rev();
        let (mut events, more) = self.take_events(below, count, bytes);
        events.reverse();
        (events, more)
    }

    /// The first of these that are no changes, with the bounds of a page; and whether there are
    /// more.
    fn take_events(
        &mut self,
        indices: impl Iterator<Item = usize>,
        count: usize,
        bytes: usize,
    ) -> (Vec<Bytes>, bool) {
        let (mut events, mut room) = (Vec::new(), bytes);
        for index in indices {
            if self.events[index].is == Is::Change {
                continue;
            }
            let event = self.frame(index).clone();
            if events.len() >= count || (event.len() > room && !events.is_empty()) {
                return (events, true);
            }
            room = room.saturating_sub(event.len());
            events.push(event);
        }
        (events, false)
    }

    /// The offset that a producer's publish got, if its event is still here.
    pub(crate) fn find(&self, producer: &Scoped, seq: u64) -> Option<u64> {
        let same = |kept: &&Kept| {
            kept.stored.producer.as_ref().is_some_and(|(who, n)| *n == seq && who == producer)
        };
        self.events.iter().rev().find(same).map(|kept| kept.stored.offset)
    }

    /// Whether a producer's publish that is not here was no event: it would be, because what came
    /// before it is.
    pub(crate) fn would_have(&self, producer: &Scoped, seq: u64) -> bool {
        let before = |kept: &Kept| {
            kept.stored.producer.as_ref().is_some_and(|(who, n)| *n < seq && who == producer)
        };
        self.first() == Some(1) || self.events.iter().any(before)
    }
}

impl Kept {
    fn is_from(&self, (hash, name): &(u32, Box<[u8]>)) -> bool {
        self.author == *hash && author(&self.stored.event) == &**name
    }
}

/// A user's name as it stands in frames, and its hash.
fn written(user: &str) -> (u32, Box<[u8]>) {
    let json = serde_json::to_vec(user).unwrap_or_default();
    let name = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    (hash(name), name.into())
}

/// FNV-1a. Names that meet are compared.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |h, byte| (h ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests;
