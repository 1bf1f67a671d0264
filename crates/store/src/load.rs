//! Reads a channel back, checking every record again.

use std::io;

use bytes::Bytes;
use tidings_core::store::{KeyRecord, Loaded, ProducerRecord, StoreError, StoredEvent};

use crate::error::store_error;
use crate::frame::{EVENT, Place, Window};
use crate::fs::{Fs, FsFile};
use crate::index::{Channel, Entry};
use crate::log::LogStore;
use crate::wire::{Row, State, hash, next_epoch};

/// What is read at once at most.
const READ_AHEAD: u32 = 256 << 10;

/// Bytes of others between two records that are read along: less work than another call.
const GAP: u32 = 4 << 10;

impl<F: Fs> LogStore<F> {
    pub(crate) fn load_channel(
        &mut self,
        now_ms: u64,
        name: &str,
    ) -> Result<Option<Loaded>, StoreError> {
        let Some(slot) = self.index.find(name) else { return Ok(None) };
        self.index.trim(slot, now_ms);
        self.index.trim_dedup(slot, now_ms);
        let mut events = self.read_events(slot)?;
        if events.iter().any(Option::is_none) {
            self.renew(slot, now_ms, &events.iter().map(Option::is_some).collect::<Vec<_>>())?;
            // The newest unbroken stretch is what `renew` kept.
            let end = events.iter().rposition(Option::is_some).map_or(0, |i| i + 1);
            events.truncate(end);
            let start = events.iter().rposition(Option::is_none).map_or(0, |i| i + 1);
            events.drain(..start);
        }
        let Some(channel) = self.index.get(slot) else { return Ok(None) };
        let mut loaded = Loaded {
            epoch: channel.epoch,
            last_offset: channel.last,
            events: events.into_iter().flatten().collect(),
            producers: Vec::new(),
            keys: Vec::new(),
        };
        add_dedup(channel, &mut loaded);
        Ok(Some(loaded))
    }

    /// All kept events of a channel; `None` for those that cannot be read any more.
    fn read_events(&mut self, slot: u32) -> Result<Vec<Option<StoredEvent>>, StoreError> {
        let Some(channel) = self.index.get(slot) else { return Ok(Vec::new()) };
        let name = channel.name.clone();
        let low = channel.low();
        let entries: Vec<Entry> = channel.events.iter().copied().collect();
        let mut out = Vec::with_capacity(entries.len());
        let mut ahead = Ahead { segment: 0, pos: 0, bytes: Bytes::new() };
        for (at, (offset, entry)) in (low..).zip(&entries).enumerate() {
            if !ahead.has(entry) {
                let (segment, pos) = (entry.segment, entry.pos);
                let len = span(&entries[at..]);
                let read = self.read(segment, pos, len);
                let bytes = read.map_err(|e| store_error("cannot read the log", &e))?;
                ahead = Ahead { segment, pos, bytes: bytes.into() };
            }
            out.push(self.decode(entry, &ahead.of(entry), &name, offset));
        }
        Ok(out)
    }

    /// The event is a piece of `bytes`, and no copy: most of a fold's are looked at once.
    fn decode(&self, at: &Entry, bytes: &Bytes, name: &str, offset: u64) -> Option<StoredEvent> {
        let place = Place::new(self.salt, at.segment);
        let record = Window { place, base: at.pos, bytes }.record(at.pos)?;
        let row = Row::decode(record.payload, record.head.offset)?;
        if record.head.kind != EVENT || row.offset != offset || row.channel != name {
            return None;
        }
        Some(StoredEvent {
            offset,
            at_ms: row.at_ms,
            event: bytes.slice_ref(row.event?),
            producer: row.producer.map(|p| (p.who.into(), p.seq)),
        })
    }

    /// Reads up to `len` bytes of a segment.
    pub(crate) fn read(&mut self, segment: u32, pos: u32, len: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        let got = self.file(segment)?.map_or(Ok(0), |f| f.read_at(u64::from(pos), &mut bytes))?;
        bytes.truncate(got);
        Ok(bytes)
    }

    /// Gives a channel another epoch, durably, because some of its kept events cannot be read:
    /// `good` says which can. Keeps the newest unbroken stretch of them.
    pub(crate) fn renew(&mut self, slot: u32, now: u64, good: &[bool]) -> Result<(), StoreError> {
        let Some(channel) = self.index.get(slot) else { return Ok(()) };
        let mut state = channel.state();
        let first = state.low;
        if let Some(end) = good.iter().rposition(|&g| g) {
            let start = good[..end].iter().rposition(|&g| !g).map_or(0, |i| i + 1);
            (state.low, state.last) = (first + start as u64, first + end as u64);
        } else {
            state.low = state.last + 1;
        }
        state.given_up = first;
        state.epoch = next_epoch(self.options.seed, hash(state.channel), state.epoch);
        let name = channel.name.clone();
        let state = State { channel: &name, ..state };
        self.builder.clear();
        self.builder.push_state(&state, true);
        let (segment, _) = self.write(now, true)?;
        self.index.apply_state(&state, segment);
        Ok(())
    }
}

/// A piece of a segment with more than one record of a channel: one call instead of many.
struct Ahead {
    segment: u32,
    pos: u32,
    bytes: Bytes,
}

impl Ahead {
    fn has(&self, entry: &Entry) -> bool {
        let end = u64::from(self.pos) + self.bytes.len() as u64;
        self.segment == entry.segment
            && self.pos <= entry.pos
            && u64::from(entry.pos) + u64::from(entry.len) <= end
    }

    /// What is there of a record: less of it at the end of a segment that is cut off.
    fn of(&self, entry: &Entry) -> Bytes {
        let start = self.bytes.len().min(entry.pos.saturating_sub(self.pos) as usize);
        let end = self.bytes.len().min(start + entry.len as usize);
        self.bytes.slice(start..end)
    }
}

/// How much to read for the first of these, with those behind it that are not far.
fn span(entries: &[Entry]) -> u32 {
    let Some((first, rest)) = entries.split_first() else { return 0 };
    let mut end = first.pos.saturating_add(first.len);
    for next in rest {
        let next_end = next.pos.saturating_add(next.len);
        let near = next.segment == first.segment && next.pos >= end && next.pos - end <= GAP;
        if !near || next_end - first.pos > READ_AHEAD {
            break;
        }
        end = next_end;
    }
    end - first.pos
}

fn add_dedup(channel: &Channel, loaded: &mut Loaded) {
    let Some(dedup) = &channel.dedup else { return };
    loaded.producers.extend(dedup.producers.iter().map(|(who, p)| ProducerRecord {
        producer: who.split(),
        seq: p.seq,
        offset: (p.offset != 0).then_some(p.offset),
        at_ms: p.at_ms,
    }));
    loaded.keys.extend(dedup.keys.iter().map(|(key, k)| KeyRecord {
        key: key.split(),
        offset: k.offset,
        at_ms: k.at_ms,
    }));
    loaded.producers.sort_unstable_by(|a, b| a.producer.cmp(&b.producer));
    loaded.keys.sort_unstable_by(|a, b| (a.offset, &a.key).cmp(&(b.offset, &b.key)));
}
