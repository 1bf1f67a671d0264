//! Reads a log from its first batch to its last and rebuilds the index, noting all damage.
//!
//! What counts as torn, and not as damage: the place is at the end of the last segment, no valid
//! batch follows, the mark does not say that the batch was on the disk, and bytes are missing: the
//! file ends (or is zeros from there on) before the batch does, or a whole sector of the batch
//! reads as zeros. Such a batch was never acknowledged. (At level `Os`, while the machine was not
//! restarted, a write can only be cut short: a zero sector is damage then.) Everything else that
//! fails a checksum is damage.

use std::collections::{BTreeMap, HashSet};
use std::io;

use tidings_core::store::Epoch;

use crate::frame::{
    BATCH_HEADER, Batch, COPIED, DEDUP, EVENT, FSYNC, HANDLED, Place, RENEW_ALL, RENEWED, Record,
    SEGMENT_HEADER, STATE, SUSPECT, SegmentHeader, TOC, Window, segment_id, segment_name,
};
use crate::fs::{Fs, read_upto};
use crate::index::{Index, Loc};
use crate::mark::Mark;
use crate::salvage::{Damage, Expect, Lost, key, salvage};
use crate::wire::{Reader, Row, State};

/// A log as it was found.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) index: Index,
    /// The segments that make up the log and how many bytes of each count.
    pub(crate) chain: BTreeMap<u32, u32>,
    /// Files that are no part of it.
    pub(crate) void: Vec<u32>,
    /// The oldest segment that the log still needs.
    pub(crate) first: u32,
    /// The greatest segment number in use.
    pub(crate) max_id: u32,
    /// The number that the next batch must have.
    pub(crate) next_lsn: u64,
    pub(crate) salt: Option<u64>,
    /// The header of the last segment.
    pub(crate) last: Option<SegmentHeader>,
    pub(crate) torn_bytes: u64,
    /// Damage that no later record deals with.
    pub(crate) damage: Vec<Damage>,
    /// Damaged places at which nothing was lost.
    pub(crate) notes: Vec<String>,
    /// A sync failed, and epochs were not renewed since.
    pub(crate) suspect: bool,
    zeros_tear: bool,
    marked_lsn: u64,
}

struct Segment<'a> {
    id: u32,
    window: Window<'a>,
    /// Nothing follows: its end may be torn.
    last: bool,
    /// The number of the first batch of the next segment.
    next_base: Option<u64>,
}

impl Replay {
    pub(crate) fn run<F: Fs>(fs: &F, boot: u64, mark: Option<Mark>) -> io::Result<Replay> {
        let mut replay = Replay { next_lsn: 1, ..Replay::default() };
        let headers = replay.chain(fs)?;
        let mark = mark.filter(|m| replay.salt.is_none_or(|salt| salt == m.salt));
        replay.marked_lsn = mark.map_or(0, |m| m.lsn);
        replay.last = headers.values().rev().find_map(|h| *h);
        let level = replay.last.map_or(FSYNC, |h| h.flags & FSYNC);
        replay.zeros_tear = level == FSYNC || replay.last.is_some_and(|h| h.boot != boot);
        let mut bytes = Vec::new();
        let ids: Vec<u32> = headers.keys().copied().collect();
        for (i, &id) in ids.iter().enumerate() {
            let before = i.checked_sub(1).map(|i| ids[i]);
            replay.header(id, before, headers[&id].as_ref());
            let next = ids.get(i + 1).and_then(|n| headers[n]);
            let end = next.filter(|n| n.prev == id).map(|n| n.prev_end);
            let file = fs.open(&segment_name(id))?;
            read_upto(&file, u64::from(end.unwrap_or(u32::MAX)), &mut bytes)?;
            let place = Place::new(replay.salt.unwrap_or(0), id);
            let last = i + 1 == ids.len();
            if end.is_none() {
                // Room that was made ahead, or a write that never got there: as if it were missing.
                // A batch does not end with a zero.
                strip_zeros(&mut bytes);
            }
            let window = Window { place, base: 0, bytes: &bytes };
            let next_base = next.map(|n| n.base_lsn);
            replay.segment(&Segment { id, window, last, next_base });
            if let Some(end) = end.filter(|&end| window.end() < end) {
                let why = format!("{} is {} bytes short", segment_name(id), end - window.end());
                let key = key(id, u64::from(window.end()), u64::from(end), 0);
                replay.lost(id, Lost::Anything, key, why);
            }
        }
        if replay.next_lsn <= replay.marked_lsn {
            let (is, was) = (replay.next_lsn - 1, replay.marked_lsn);
            let why = format!("the log ends at batch {is}; batch {was} had been on the disk");
            // Next time a segment follows that starts behind the gap: the same damage.
            replay.lost(u32::MAX, Lost::Anything, gap_key(is + 1, was + 1), why);
            replay.next_lsn = was + 1;
        }
        let first = replay.first;
        replay.damage.retain(|d| d.segment >= first);
        Ok(replay)
    }

    /// Finds the files that make up the log, and reads their headers.
    fn chain<F: Fs>(&mut self, fs: &F) -> io::Result<BTreeMap<u32, Option<SegmentHeader>>> {
        let mut headers = BTreeMap::new();
        let mut bytes = Vec::new();
        for id in fs.list()?.iter().filter_map(|name| segment_id(name)) {
            read_upto(&fs.open(&segment_name(id))?, u64::from(SEGMENT_HEADER), &mut bytes)?;
            headers.insert(id, SegmentHeader::decode(&bytes, id));
            self.max_id = self.max_id.max(id);
        }
        self.salt = headers.values().flatten().map(|h| h.salt).next();
        let salt = self.salt;
        for header in headers.values_mut() {
            *header = header.filter(|h| Some(h.salt) == salt);
        }
        // A file whose very first write was torn: nothing in it was ever acknowledged.
        while let Some((&id, None)) = headers.last_key_value() {
            read_upto(&fs.open(&segment_name(id))?, u64::from(u32::MAX), &mut bytes)?;
            strip_zeros(&mut bytes);
            let place = Place::new(salt.unwrap_or(0), id);
            let window = Window { place, base: 0, bytes: &bytes };
            let torn = window.end() < SEGMENT_HEADER || window.has_hole(0, SEGMENT_HEADER);
            if !torn || window.find_batch(0).is_some() {
                break;
            }
            headers.remove(&id);
            self.void.push(id);
        }
        let skipped: Vec<_> = headers.values().flatten().map(|h| (h.prev, h.id)).collect();
        for (prev, id) in skipped {
            let between = headers.range(prev + 1..id).map(|(&id, _)| id).collect::<Vec<_>>();
            headers.retain(|id, _| !between.contains(id));
            self.void.extend(between);
        }
        Ok(headers)
    }

    fn header(&mut self, id: u32, before: Option<u32>, header: Option<&SegmentHeader>) {
        let Some(h) = header else {
            self.notes.push(format!("the header of {} is damaged", segment_name(id)));
            return;
        };
        self.first = self.first.max(h.first);
        self.suspect |= h.flags & SUSPECT != 0;
        if before.is_none() {
            self.next_lsn = h.base_lsn;
        }
        if before.unwrap_or(0) != h.prev && h.prev != 0 {
            // Whether the log still needed it is known at the end.
            let key = key(h.prev, u64::from(before.unwrap_or(0)), u64::from(id), 0);
            self.lost(h.prev, Lost::Anything, key, format!("{} is missing", segment_name(h.prev)));
        } else if h.base_lsn > self.next_lsn {
            self.gap(id, h.base_lsn);
        }
        self.next_lsn = self.next_lsn.max(h.base_lsn);
    }

    fn lost(&mut self, segment: u32, what: Lost, key: u64, why: String) {
        self.damage.push(Damage { segment, what, why, key });
    }

    /// The next batch has this number, which is too great.
    fn gap(&mut self, segment: u32, to: u64) {
        let from = self.next_lsn;
        let why = format!("batches from {from} up to {to} are missing");
        self.lost(segment, Lost::Anything, gap_key(from, to), why);
    }

    fn segment(&mut self, segment: &Segment<'_>) {
        let window = &segment.window;
        let mut pos = SEGMENT_HEADER;
        while pos < window.end() {
            if let Some(batch) = window.batch(pos) {
                self.batch(segment.id, &batch);
                pos = batch.end;
            } else if segment.last && self.is_torn(window, pos) {
                self.torn_bytes = u64::from(window.end() - pos);
                self.chain.insert(segment.id, pos);
                return;
            } else {
                pos = self.damaged(segment, pos);
            }
        }
        self.chain.insert(segment.id, window.end());
    }

    fn is_torn(&self, window: &Window<'_>, pos: u32) -> bool {
        if self.next_lsn <= self.marked_lsn || window.find_batch(pos + 1).is_some() {
            return false;
        }
        let head_end = pos.saturating_add(BATCH_HEADER);
        let to = window.batch_header(pos).map_or(head_end, |h| head_end.saturating_add(h.len));
        // A batch does not start with zeros: nothing was written here, or its first sector is lost.
        let blank = window.get(pos, BATCH_HEADER).is_some_and(|b| b.iter().all(|&b| b == 0));
        to > window.end() || self.zeros_tear && (blank || window.has_hole(pos, to))
    }

    /// Takes what it can from a damaged stretch; returns where to go on.
    fn damaged(&mut self, segment: &Segment<'_>, pos: u32) -> u32 {
        let window = &segment.window;
        let (to, expect) = if let Some(h) = window.batch_header(pos) {
            let to = (pos + BATCH_HEADER).saturating_add(h.len).min(window.end());
            (to, Expect { from: h.lsn, to: Some(h.lsn + 1), header: Some((h.at_ms, h.count)) })
        } else {
            let next = window.find_batch(pos + 1);
            let lsn = next.and_then(|at| window.batch_header(at)).map(|h| h.lsn);
            let to = lsn.or(segment.next_base);
            let from = self.next_lsn;
            (next.unwrap_or(window.end()), Expect { from, to, header: None })
        };
        let found = salvage(window, pos, to, expect);
        let place = format!("{} is damaged in bytes {pos}..{to}", segment_name(segment.id));
        if found.lost.is_empty() {
            self.notes.push(format!("{place}; nothing was lost"));
        }
        for record in &found.good {
            self.record(segment.id, record);
        }
        let crc = crc32c::crc32c(window.get(pos, to - pos).unwrap_or_default());
        let key = key(segment.id, u64::from(pos), u64::from(to), crc);
        for lost in found.lost {
            self.lost(segment.id, lost, key, place.clone());
        }
        let seen = expect.to.or(found.last_lsn.map(|l| l + 1)).unwrap_or(expect.from + 1);
        self.next_lsn = self.next_lsn.max(seen);
        to
    }

    fn batch(&mut self, segment: u32, batch: &Batch<'_>) {
        let lsn = batch.head.lsn;
        if lsn > self.next_lsn {
            self.gap(segment, lsn);
        }
        self.next_lsn = lsn + 1;
        self.first = self.first.max(batch.head.first);
        for record in &batch.records {
            self.record(segment, record);
        }
    }

    fn record(&mut self, segment: u32, record: &Record<'_>) {
        let head = &record.head;
        let at = Loc { segment, pos: record.pos, len: record.len() };
        let known = match head.kind {
            EVENT | DEDUP => Row::decode(record.payload, head.offset).map(|row| {
                let first = u64::from(row.event.is_some());
                if head.flags & COPIED == 0 && row.offset == first && self.is_new(&row) {
                    // Another life of the channel: what was lost of the one before is not missed.
                    let of =
                        |d: &Damage| matches!(d.what, Lost::Of { hash, .. } if hash == head.hash);
                    self.damage.retain(|d| !of(d));
                }
                self.index.apply(&row, at, head.flags & COPIED != 0);
            }),
            STATE => State::decode(record.payload, head.offset).map(|state| {
                if head.flags & RENEWED != 0 {
                    self.damage.retain_mut(|d| d.outlives(head.hash, &state));
                }
                self.index.apply_state(&state, segment);
            }),
            RENEW_ALL => Reader(record.payload).u64().map(|seed| {
                self.index.renew_all(seed);
                self.suspect = false;
            }),
            HANDLED => {
                // Only what was seen then: anything may have broken since, and be older than this.
                let mut r = Reader(record.payload);
                let keys: HashSet<u64> = std::iter::from_fn(|| r.u64()).collect();
                self.damage.retain(|d| !keys.contains(&d.key));
                Some(())
            }
            TOC => Some(()),
            _ => None,
        };
        if known.is_none() {
            let why = format!("{} has an unknown record at {}", segment_name(segment), at.pos);
            let key = key(segment, u64::from(at.pos), 0, head.crc);
            self.lost(segment, Lost::Anything, key, why);
        }
    }

    fn is_new(&self, row: &Row<'_>) -> bool {
        let old: Option<Epoch> = self.index.channel(row.channel).map(|c| c.epoch);
        old.is_none_or(|epoch| epoch != row.epoch)
    }
}

/// Names batches that are missing without a trace: no segment is number 0.
fn gap_key(from: u64, to: u64) -> u64 {
    key(0, from, to, 0)
}

fn strip_zeros(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1));
}
