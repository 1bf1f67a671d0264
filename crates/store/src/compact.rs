//! Upkeep in bounded steps: expiry, forgetting idle channels, and giving space back.
//!
//! Space comes back from the oldest segment only. What it holds that is still needed (kept
//! events, dedup records inside their window, the newest word on a channel's epoch and last
//! offset) is written again at the head and synced; then a batch is written and synced whose
//! header says that the log now starts one segment later; then the file goes. A crash in between
//! leaves copies, which replay takes for what they are.
//!
//! Why the oldest and not the emptiest: records of a channel stay in the order in which they were
//! written, so that a change of epoch is never forgotten while older records remain. The price is
//! bounded: it starts only when the log is more than twice as long as what it holds, so
//! that on average a byte is moved at most once for each byte appended.

use std::collections::HashSet;

use tidings_core::store::StoreError;

use crate::frame::{BATCH_HEADER, DEDUP, EVENT, Place, Record, SEGMENT_HEADER, STATE, Window};
use crate::fs::Fs;
use crate::index::Loc;
use crate::log::LogStore;
use crate::wire::{ProducerRef, Row, State};

/// Channels looked at in one step.
const SWEEP: u32 = 512;
/// Between two rounds through all channels.
const ROUND_MS: u64 = 10_000;
/// Between two writes of the mark.
const MARK_MS: u64 = 5_000;

/// Dedup records that are written at once after damage.
const ROWS_AT_ONCE: usize = 500;

/// How far upkeep is.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    sweep: u32,
    next_round_ms: u64,
    next_mark_ms: u64,
    moving: Option<Moving>,
}

/// A segment that is being emptied.
#[derive(Clone, Debug)]
struct Moving {
    segment: u32,
    /// How far it was read.
    pos: u32,
    /// Something in it cannot be read.
    damaged: bool,
}

/// A record that was written again.
enum Moved<'a> {
    Row(Row<'a>),
    State(u32),
}

impl<F: Fs> LogStore<F> {
    pub(crate) fn upkeep(&mut self, now: u64) -> Result<bool, StoreError> {
        // A clock that was set back must not stop upkeep until it has caught up.
        self.upkeep.next_round_ms = self.upkeep.next_round_ms.min(now + ROUND_MS);
        self.upkeep.next_mark_ms = self.upkeep.next_mark_ms.min(now + MARK_MS);
        let mut more = self.sweep(now);
        if self.upkeep.next_mark_ms <= now && self.mark_is_stale() {
            self.upkeep.next_mark_ms = now + MARK_MS;
            self.write_mark(false)?;
        }
        if self.upkeep.moving.is_none() {
            self.upkeep.moving = self.worth_moving();
        }
        if let Some(moving) = self.upkeep.moving.clone() {
            self.upkeep.moving = self.move_some(now, moving)?;
            more |= self.upkeep.moving.is_some() || self.worth_moving().is_some();
        }
        Ok(more)
    }

    /// Expiry and forgetting for some channels; `true` if the round is not finished.
    fn sweep(&mut self, now: u64) -> bool {
        if self.upkeep.sweep == 0 && now < self.upkeep.next_round_ms {
            return false;
        }
        let to = self.index.slots().min(self.upkeep.sweep.saturating_add(SWEEP));
        for slot in self.upkeep.sweep..to {
            self.index.trim(slot, now);
            self.index.trim_dedup(slot, now);
            let idle = self.index.get(slot).is_some_and(|c| {
                let until = c.active_ms.saturating_add(self.options.forget_after_ms);
                c.events.is_empty() && c.dedup.is_none() && until < now
            });
            if idle {
                self.index.remove(slot);
            }
        }
        let done = to == self.index.slots();
        self.upkeep.sweep = if done { 0 } else { to };
        if done {
            self.upkeep.next_round_ms = now + ROUND_MS;
        }
        !done
    }

    fn worth_moving(&self) -> Option<Moving> {
        let (&segment, _) = self.sealed.first_key_value()?;
        let slack = u64::from(self.options.segment_bytes);
        let worth = self.sealed_bytes() > 2 * self.index.live_bytes() + slack;
        worth.then_some(Moving { segment, pos: SEGMENT_HEADER, damaged: false })
    }

    /// Moves what is needed out of the next part of a segment. `None`: it is empty and gone.
    fn move_some(&mut self, now: u64, mut m: Moving) -> Result<Option<Moving>, StoreError> {
        let Some(end) = self.end_of(m.segment) else { return Ok(None) };
        if m.pos < end {
            let len = self.options.step_bytes.max(BATCH_HEADER).min(end - m.pos);
            let mut bytes = self.read_part(m.segment, m.pos, len)?;
            let place = Place::new(self.salt, m.segment);
            let window = Window { place, base: m.pos, bytes: &bytes };
            let first = window.batch_header(m.pos).map(|h| BATCH_HEADER.saturating_add(h.len));
            if let Some(whole) = first.filter(|&whole| whole > len) {
                bytes = self.read_part(m.segment, m.pos, whole.min(end - m.pos))?;
            }
            let window = Window { place, base: m.pos, bytes: &bytes };
            let (to, damaged) = self.move_window(now, &window, end)?;
            m.pos = to;
            m.damaged |= damaged;
            return Ok(Some(m));
        }
        if m.damaged {
            self.move_from_memory(now, m.segment)?;
        }
        self.sync()?;
        let before = self.first;
        let next = self.sealed.range(m.segment + 1..).next().map(|(&id, _)| id);
        self.first = next.unwrap_or_else(|| self.head_or_next());
        self.builder.clear();
        if let Err(e) = self.write(now, true) {
            self.first = before;
            return Err(e);
        }
        self.drop_segment(m.segment);
        Ok(None)
    }

    fn read_part(&mut self, segment: u32, pos: u32, len: u32) -> Result<Vec<u8>, StoreError> {
        self.read(segment, pos, len)
            .map_err(|e| crate::error::store_error("cannot read the log", &e))
    }

    /// Moves what is needed of the whole batches in the window. Returns where the next step goes
    /// on, and whether anything could not be read.
    fn move_window(
        &mut self,
        now: u64,
        window: &Window<'_>,
        end: u32,
    ) -> Result<(u32, bool), StoreError> {
        let mut pos = window.base;
        let mut records = Vec::new();
        while let Some(batch) = window.batch(pos) {
            records.extend(batch.records);
            pos = batch.end;
        }
        if pos > window.base {
            self.move_records(now, window, &records)?;
            return Ok((pos, false));
        }
        // Not one batch: damage. Take every record that can be read, up to the next batch.
        let whole = self.read_part(self.moving_segment(), pos, end - pos)?;
        let rest = Window { bytes: &whole, ..*window };
        let next = rest.find_batch(pos + 1).unwrap_or(end);
        while pos < next {
            match rest.record(pos) {
                Some(record) => {
                    pos += record.len();
                    records.push(record);
                }
                None => pos += 1,
            }
        }
        self.move_records(now, window, &records)?;
        Ok((next.max(pos), true))
    }

    fn moving_segment(&self) -> u32 {
        self.upkeep.moving.as_ref().map_or(0, |m| m.segment)
    }

    fn move_records(
        &mut self,
        now: u64,
        window: &Window<'_>,
        records: &[Record<'_>],
    ) -> Result<(), StoreError> {
        let segment = self.moving_segment();
        self.builder.clear();
        let mut moved = Vec::new();
        let mut stated = HashSet::new();
        for record in records {
            debug_assert!(record.pos >= window.base);
            let slot = match record.head.kind {
                EVENT | DEDUP => {
                    let Some(row) = Row::decode(record.payload, record.head.offset) else {
                        continue;
                    };
                    let Some(slot) = self.index.find(row.channel) else { continue };
                    if let Some(row) = self.still_needed(now, slot, row, segment, record.pos) {
                        self.builder.push_row(&row, true);
                        moved.push(Moved::Row(row));
                        // An event that is the newest also tells epoch and last offset.
                        let last = self.index.get(slot).is_some_and(|c| c.last == row.offset);
                        if last {
                            stated.insert(slot);
                        }
                    }
                    slot
                }
                STATE => {
                    let state = State::decode(record.payload, record.head.offset);
                    let slot = state.and_then(|s| self.index.find(s.channel));
                    let Some(slot) = slot else { continue };
                    slot
                }
                _ => continue,
            };
            self.state_too(slot, segment, &mut stated, &mut moved);
        }
        self.write_moved(now, &moved)
    }

    /// The row as it must be kept, with its channel's epoch and retention of today.
    fn still_needed<'a>(
        &mut self,
        now: u64,
        slot: u32,
        row: Row<'a>,
        segment: u32,
        pos: u32,
    ) -> Option<Row<'a>> {
        let channel = self.index.get(slot)?;
        let (epoch, retention) = (channel.epoch, channel.retention);
        let row = Row { epoch, retention, ..row };
        if row.event.is_some() && channel.entry(row.offset).is_some_and(|e| e.is_at(segment, pos)) {
            return Some(row);
        }
        self.index.residue(slot, &row, now)
    }

    /// Writes down what a channel is, if the segment holds the newest word on it.
    fn state_too(
        &mut self,
        slot: u32,
        segment: u32,
        stated: &mut HashSet<u32>,
        moved: &mut Vec<Moved<'_>>,
    ) {
        let Some(channel) = self.index.get(slot) else { return };
        if channel.base == segment && stated.insert(slot) {
            self.builder.push_state(&channel.state(), false);
            moved.push(Moved::State(slot));
        }
    }

    fn write_moved(&mut self, now: u64, moved: &[Moved<'_>]) -> Result<(), StoreError> {
        if moved.is_empty() {
            return Ok(());
        }
        let (segment, base) = self.write(now, false)?;
        for (moved, (at, len)) in moved.iter().zip(self.builder.places()) {
            let at = Loc { segment, pos: base + at, len };
            match moved {
                Moved::Row(row) => {
                    self.index.apply(row, at, true);
                }
                Moved::State(slot) => self.index.set_base(*slot, segment),
            }
        }
        Ok(())
    }

    /// After damage in a segment that is to go: channels with events that are still in it lost
    /// them and get a new epoch; other channels that only it told about are written down, and so
    /// are all dedup records, of which the newest may have been in what cannot be read.
    fn move_from_memory(&mut self, now: u64, segment: u32) -> Result<(), StoreError> {
        for slot in 0..self.index.slots() {
            let Some(channel) = self.index.get(slot) else { continue };
            let good: Vec<bool> = channel.events.iter().map(|e| e.segment != segment).collect();
            if good.contains(&false) {
                self.renew(slot, now, &good)?;
            } else if channel.base == segment {
                self.builder.clear();
                self.builder.push_state(&channel.state(), false);
                self.write_moved(now, &[Moved::State(slot)])?;
            }
            self.write_dedup(now, slot)?;
        }
        Ok(())
    }

    /// Writes a channel's dedup records as memory has them.
    fn write_dedup(&mut self, now: u64, slot: u32) -> Result<(), StoreError> {
        let Some(channel) = self.index.get(slot) else { return Ok(()) };
        let Some(dedup) = &channel.dedup else { return Ok(()) };
        let (name, epoch, retention) = (channel.name.clone(), channel.epoch, channel.retention);
        let producers: Vec<_> = dedup.producers.iter().map(|(who, p)| (who.split(), *p)).collect();
        let keys: Vec<_> = dedup.keys.iter().map(|(key, k)| (key.split(), *k)).collect();
        let bare = |offset, at_ms| {
            let (producer, key, event) = (None, None, None);
            Row { channel: &name, epoch, offset, at_ms, retention, producer, key, event }
        };
        let producers = producers.iter().map(|(who, p)| {
            let offset = (p.offset != 0).then_some(p.offset);
            let producer = Some(ProducerRef { who: who.into(), seq: p.seq, offset });
            Row { producer, ..bare(p.offset, p.at_ms) }
        });
        let keys =
            keys.iter().map(|(key, k)| Row { key: Some(key.into()), ..bare(k.offset, k.at_ms) });
        let rows: Vec<_> = producers.chain(keys).collect();
        for rows in rows.chunks(ROWS_AT_ONCE) {
            self.builder.clear();
            rows.iter().for_each(|row| self.builder.push_row(row, true));
            let moved: Vec<_> = rows.iter().map(|row| Moved::Row(*row)).collect();
            self.write_moved(now, &moved)?;
        }
        Ok(())
    }
}
