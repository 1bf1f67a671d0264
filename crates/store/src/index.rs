//! What the log holds, in memory: where each kept event is, and the dedup records.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tidings_core::store::{Epoch, Retention, Scoped};

use crate::wire::{Row, ScopedRef, State, hash, next_epoch};

/// Where an event is. Its offset follows from its position in the channel. 20 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) segment: u32,
    pub(crate) pos: u32,
    pub(crate) len: u32,
    /// Milliseconds since 1970 in two halves: a `u64` would pad the entry to 24 bytes.
    at: [u32; 2],
}

impl Entry {
    fn new(at: Loc, at_ms: u64) -> Entry {
        let Loc { segment, pos, len } = at;
        Entry { segment, pos, len, at: [at_ms as u32, (at_ms >> 32) as u32] }
    }

    pub(crate) fn at_ms(&self) -> u64 {
        u64::from(self.at[0]) | u64::from(self.at[1]) << 32
    }

    pub(crate) fn is_at(&self, segment: u32, pos: u32) -> bool {
        self.segment == segment && self.pos == pos
    }
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loc {
    pub(crate) segment: u32,
    pub(crate) pos: u32,
    pub(crate) len: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ProducerRow {
    pub(crate) seq: u64,
    /// 0: the number was consumed by a refusal.
    pub(crate) offset: u64,
    pub(crate) at_ms: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRow {
    pub(crate) offset: u64,
    pub(crate) at_ms: u64,
}

/// A user and a name in one text, so that a lookup needs no allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Joined(Box<str>);

impl std::borrow::Borrow<str> for Joined {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Joined {
    /// `<length of user>:<user><name>`: no two pairs give one text.
    pub(crate) fn write(of: ScopedRef<'_>, into: &mut String) {
        use std::fmt::Write;
        into.clear();
        let _ = write!(into, "{}:", of.user.len());
        into.push_str(of.user);
        into.push_str(of.name);
    }

    pub(crate) fn split(&self) -> Scoped {
        let (len, rest) = self.0.split_once(':').unwrap_or(("0", &self.0));
        let (user, name) = rest.split_at(len.parse().unwrap_or(0));
        Scoped { user: user.into(), name: name.into() }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Dedup {
    pub(crate) producers: HashMap<Joined, ProducerRow>,
    pub(crate) keys: HashMap<Joined, KeyRow>,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: Arc<str>,
    pub(crate) epoch: Epoch,
    pub(crate) last: u64,
    pub(crate) retention: Retention,
    /// When it was last appended to.
    pub(crate) active_ms: u64,
    /// The segment of the newest record that tells epoch and last offset.
    pub(crate) base: u32,
    /// The kept events: dense, and the newest one has offset `last` (unless there is none).
    pub(crate) events: VecDeque<Entry>,
    pub(crate) dedup: Option<Box<Dedup>>,
}

/// Estimates, for deciding when to compact: what a channel and a dedup record take when
/// they are written alone, without their names.
const CHANNEL_COST: u64 = 110;
const DEDUP_COST: u64 = 130;

impl Channel {
    fn new(name: &str, epoch: Epoch, retention: Retention) -> Channel {
        Channel {
            name: name.into(),
            epoch,
            last: 0,
            retention,
            active_ms: 0,
            base: 0,
            events: VecDeque::new(),
            dedup: None,
        }
    }

    /// The offset of the oldest kept event; one more than `last` if there is none.
    pub(crate) fn low(&self) -> u64 {
        self.last + 1 - self.events.len() as u64
    }

    pub(crate) fn entry(&self, offset: u64) -> Option<&Entry> {
        self.events.get(usize::try_from(offset.checked_sub(self.low())?).ok()?)
    }

    pub(crate) fn state(&self) -> State<'_> {
        State {
            channel: &self.name,
            epoch: self.epoch,
            last: self.last,
            low: self.low(),
            given_up: self.low(),
            at_ms: self.active_ms,
            retention: self.retention,
        }
    }

    fn push(&mut self, entry: Entry) {
        if self.events.len() == self.events.capacity() {
            // A quarter at a time: doubling would waste up to half of the index.
            self.events.reserve_exact((self.events.len() / 4).max(2));
        }
        self.events.push_back(entry);
    }

    fn cost(&self) -> u64 {
        let rows = self.dedup.as_ref().map_or(0, |d| d.producers.len() + d.keys.len()) as u64;
        CHANNEL_COST + self.name.len() as u64 + rows * (DEDUP_COST + self.name.len() as u64)
    }
}

/// All channels.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_name: HashMap<Arc<str>, u32>,
    slots: Vec<Option<Channel>>,
    free: Vec<u32>,
    /// While a log is replayed: events that do not (yet) join on to their channel's dense tail.
    aside: HashMap<u32, BTreeMap<u64, Entry>>,
    /// Bytes of the log that kept events take.
    event_bytes: u64,
    /// About what channels and dedup records would take.
    other_bytes: u64,
    scratch: String,
}

impl Index {
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Channel> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn channel(&self, name: &str) -> Option<&Channel> {
        self.get(self.find(name)?)
    }

    /// One more than the greatest slot.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.slots.iter().flatten()
    }

    pub(crate) fn live_bytes(&self) -> u64 {
        self.event_bytes + self.other_bytes
    }

    fn ensure(&mut self, name: &str, epoch: Epoch, retention: Retention) -> u32 {
        if let Some(slot) = self.find(name) {
            return slot;
        }
        let channel = Channel::new(name, epoch, retention);
        self.other_bytes += channel.cost();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.by_name.insert(channel.name.clone(), slot);
        self.slots[slot as usize] = Some(channel);
        slot
    }

    /// Forgets a channel wholly.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(channel) = self.slots.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        self.other_bytes -= channel.cost();
        self.event_bytes -= channel.events.iter().map(|e| u64::from(e.len)).sum::<u64>();
        self.by_name.remove(&channel.name);
        self.aside.remove(&slot);
        self.free.push(slot);
    }

    /// Takes in an append, as it is committed or as it is found in the log. `copied`: it was moved
    /// by compaction, so newer ones of its channel may have come before. Returns the slot.
    pub(crate) fn apply(&mut self, row: &Row<'_>, at: Loc, copied: bool) -> u32 {
        if row.offset == u64::from(row.event.is_some()) && !copied {
            // The first append of a channel. If there is one of that name, it was forgotten.
            if let Some(old) = self.find(row.channel)
                && self.get(old).is_some_and(|c| c.epoch != row.epoch)
            {
                self.remove(old);
            }
        }
        let slot = self.ensure(row.channel, row.epoch, row.retention);
        let Some(channel) = self.slots[slot as usize].as_mut() else { return slot };
        channel.epoch = row.epoch;
        channel.retention = row.retention;
        channel.active_ms = channel.active_ms.max(row.at_ms);
        if row.event.is_some() {
            let entry = Entry::new(at, row.at_ms);
            self.event_bytes += u64::from(entry.len);
            self.place(slot, row.offset, entry);
        }
        let Some(channel) = self.slots[slot as usize].as_mut() else { return slot };
        if row.offset > channel.last {
            // Dedup records alone, and their event expired or was copied to behind them: then what
            // is older joins on again.
            let low = channel.low();
            let aside = self.aside.entry(slot).or_default();
            aside.extend((low..).zip(channel.events.drain(..)));
            channel.last = row.offset;
        }
        if row.offset == channel.last {
            channel.base = at.segment;
        }
        self.remember(slot, row, copied);
        slot
    }

    fn place(&mut self, slot: u32, offset: u64, entry: Entry) {
        let Some(channel) = self.slots[slot as usize].as_mut() else { return };
        let mut freed = 0;
        if offset == channel.last + 1 {
            channel.push(entry);
            channel.last = offset;
        } else if offset > channel.last {
            // A hole: what is older joins on again only if the log fills it in later.
            let low = channel.low();
            let aside = self.aside.entry(slot).or_default();
            aside.extend((low..).zip(channel.events.drain(..)));
            channel.push(entry);
            channel.last = offset;
        } else if offset >= channel.low() {
            let at = (offset - channel.low()) as usize;
            freed = u64::from(channel.events[at].len);
            channel.events[at] = entry;
        } else if let Some(old) = self.aside.entry(slot).or_default().insert(offset, entry) {
            freed = u64::from(old.len);
        }
        self.event_bytes -= freed;
    }

    fn remember(&mut self, slot: u32, row: &Row<'_>, copied: bool) {
        if row.producer.is_none() && row.key.is_none() {
            return;
        }
        let Some(channel) = self.slots[slot as usize].as_mut() else { return };
        let before = channel.cost();
        let dedup = channel.dedup.get_or_insert_default();
        if let Some(p) = row.producer {
            Joined::write(p.who, &mut self.scratch);
            let new = ProducerRow { seq: p.seq, offset: p.offset.unwrap_or(0), at_ms: row.at_ms };
            match dedup.producers.get_mut(self.scratch.as_str()) {
                Some(old) if copied && old.seq > new.seq => {}
                Some(old) => *old = new,
                None => {
                    dedup.producers.insert(Joined(self.scratch.as_str().into()), new);
                }
            }
        }
        if let Some(key) = row.key {
            Joined::write(key, &mut self.scratch);
            let new = KeyRow { offset: row.offset, at_ms: row.at_ms };
            match dedup.keys.get_mut(self.scratch.as_str()) {
                Some(old) if copied && old.offset > new.offset => {}
                Some(old) => *old = new,
                None => {
                    dedup.keys.insert(Joined(self.scratch.as_str().into()), new);
                }
            }
        }
        self.other_bytes += channel.cost() - before;
    }

    /// Takes in what a channel is from here on.
    pub(crate) fn apply_state(&mut self, state: &State<'_>, segment: u32) {
        let slot = self.ensure(state.channel, state.epoch, state.retention);
        let Some(channel) = self.slots[slot as usize].as_mut() else { return };
        channel.epoch = state.epoch;
        channel.retention = state.retention;
        channel.active_ms = channel.active_ms.max(state.at_ms);
        channel.base = segment;
        let mut gone = 0;
        while channel.last > state.last && !channel.events.is_empty() {
            gone += channel.events.pop_back().map_or(0, |e| u64::from(e.len));
            channel.last -= 1;
        }
        if channel.last < state.last {
            let low = channel.low();
            let aside = self.aside.entry(slot).or_default();
            aside.extend((low..).zip(channel.events.drain(..)));
        }
        channel.last = state.last;
        while channel.low() < state.low && !channel.events.is_empty() {
            gone += channel.events.pop_front().map_or(0, |e| u64::from(e.len));
        }
        if let Some(aside) = self.aside.get_mut(&slot) {
            aside.retain(|&offset, e| {
                let keep = (state.low..=state.last).contains(&offset);
                gone += if keep { 0 } else { u64::from(e.len) };
                keep
            });
        }
        self.event_bytes -= gone;
        self.forget_after(slot, state.last);
    }

    pub(crate) fn set_epoch(&mut self, name: &str, epoch: Epoch, segment: u32) {
        let slot = self.find(name).unwrap_or(u32::MAX);
        if let Some(channel) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
            channel.epoch = epoch;
            channel.base = segment;
        }
    }

    /// The newest word on what a channel is was written to this segment.
    pub(crate) fn set_base(&mut self, slot: u32, segment: u32) {
        if let Some(channel) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
            channel.base = segment;
        }
    }

    /// Dedup records of events that are lost at the end of a channel go too: their offsets will be
    /// given again, and publishing them again is what brings them back.
    fn forget_after(&mut self, slot: u32, last: u64) {
        let Some(channel) = self.slots[slot as usize].as_mut() else { return };
        let before = channel.cost();
        if let Some(dedup) = &mut channel.dedup {
            dedup.producers.retain(|_, p| p.offset <= last);
            dedup.keys.retain(|_, k| k.offset <= last);
        }
        self.other_bytes -= before - channel.cost();
    }

    /// Gives every channel another epoch.
    pub(crate) fn renew_all(&mut self, seed: u64) {
        for channel in self.slots.iter_mut().flatten() {
            channel.epoch = next_epoch(seed, hash(&channel.name), channel.epoch);
        }
    }

    /// After a replay: events that join on to a dense tail become part of it, others are dropped.
    pub(crate) fn settle(&mut self) {
        for (slot, mut aside) in std::mem::take(&mut self.aside) {
            let Some(channel) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            while let Some(entry) = aside.remove(&(channel.low() - 1)) {
                channel.events.push_front(entry);
            }
            self.event_bytes -= aside.values().map(|e| u64::from(e.len)).sum::<u64>();
        }
    }

    /// Drops the events that retention no longer keeps.
    pub(crate) fn trim(&mut self, slot: u32, now_ms: u64) {
        let Some(channel) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        let Retention { size, ttl_ms, .. } = channel.retention;
        let old = |e: &Entry| e.at_ms().saturating_add(ttl_ms) < now_ms;
        while channel.events.len() > size as usize || channel.events.front().is_some_and(old) {
            let entry = channel.events.pop_front();
            self.event_bytes -= entry.map_or(0, |e| u64::from(e.len));
        }
        if channel.events.len() < channel.events.capacity() / 2 {
            channel.events.shrink_to(channel.events.len() + 2);
        }
    }

    /// Drops the dedup records that are older than the window.
    pub(crate) fn trim_dedup(&mut self, slot: u32, now_ms: u64) {
        let Some(channel) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        let before = channel.cost();
        let window = channel.retention.dedup_ms;
        if let Some(dedup) = &mut channel.dedup {
            dedup.producers.retain(|_, p| p.at_ms.saturating_add(window) >= now_ms);
            dedup.keys.retain(|_, k| k.at_ms.saturating_add(window) >= now_ms);
            if dedup.producers.is_empty() && dedup.keys.is_empty() {
                channel.dedup = None;
            }
        }
        self.other_bytes -= before - channel.cost();
    }

    /// The row without what is no longer the newest dedup record of its producer or key, or is
    /// older than the window. For rows without an event `None` means: nothing left to keep.
    pub(crate) fn residue<'a>(&mut self, slot: u32, row: &Row<'a>, now: u64) -> Option<Row<'a>> {
        let channel = self.slots.get(slot as usize)?.as_ref()?;
        let dedup = channel.dedup.as_ref()?;
        let fresh = row.at_ms.saturating_add(channel.retention.dedup_ms) >= now;
        let mut left = Row { event: None, ..*row };
        left.producer = row.producer.filter(|p| {
            Joined::write(p.who, &mut self.scratch);
            let newest = dedup.producers.get(self.scratch.as_str());
            fresh && newest.is_some_and(|n| n.seq == p.seq && n.at_ms == row.at_ms)
        });
        left.key = row.key.filter(|k| {
            Joined::write(*k, &mut self.scratch);
            let newest = dedup.keys.get(self.scratch.as_str());
            fresh && newest.is_some_and(|n| n.offset == row.offset && n.at_ms == row.at_ms)
        });
        (left.producer.is_some() || left.key.is_some()).then_some(left)
    }
}
