//! Reads what is left of a damaged stretch of a segment, and says what is missing.

use std::collections::BTreeMap;

use crate::frame::{LAST, RECORD_HEADER, Record, RecordHeader, TOC, TocRow, Window};
use crate::wire::{State, mix};

/// Something acknowledged that cannot be read any more.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    pub(crate) segment: u32,
    pub(crate) what: Lost,
    pub(crate) why: String,
    /// From [`key`]: what [`crate::frame::HANDLED`] calls it by.
    pub(crate) key: u64,
}

impl Damage {
    /// The channel with this hash got a new epoch while it was served, because events could not be
    /// read. Takes out what that epoch stands for; `false` if nothing is left.
    ///
    /// What was still there then is not taken out: an event that was kept, or the dedup records of
    /// one that had expired, are gone because of something that happened later.
    pub(crate) fn outlives(&mut self, channel: u64, state: &State<'_>) -> bool {
        let Lost::Of { hash, min, max, special, .. } = &mut self.what else { return true };
        if *hash != channel || *special {
            return true;
        }
        if *min >= state.given_up {
            *min = state.low.max(*min);
        }
        *max = state.last.min(*max);
        min <= max
    }
}

/// Names a damaged place as it is now. If more of it breaks its checksum changes, and so its key:
/// then it is judged again.
pub(crate) fn key(segment: u32, from: u64, to: u64, crc: u32) -> u64 {
    mix(mix(mix(u64::from(segment) << 32 | u64::from(crc)) ^ from) ^ to)
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Lost {
    /// It cannot be told whose records.
    Anything,
    /// Records of one channel, with offsets in `min..=max`.
    Of {
        hash: u64,
        min: u64,
        max: u64,
        /// When they were written, where that is known.
        at_ms: Option<u64>,
        /// More than events may be among them.
        special: bool,
    },
}

/// What a damaged stretch still holds.
#[derive(Debug, Default)]
pub(crate) struct Salvage<'a> {
    pub(crate) good: Vec<Record<'a>>,
    pub(crate) lost: Vec<Lost>,
    /// The number of the last batch that left a trace.
    pub(crate) last_lsn: Option<u64>,
}

/// The batches that a stretch must hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    /// The number of the first one.
    pub(crate) from: u64,
    /// The number after the last one; `None` when nothing readable follows.
    pub(crate) to: Option<u64>,
    /// When the batch was written and how many records it has, if its header can be read.
    pub(crate) header: Option<(u64, u32)>,
}

#[derive(Default)]
struct Group<'a> {
    heads: BTreeMap<u32, RecordHeader>,
    toc: Option<Vec<TocRow>>,
    good: Vec<Record<'a>>,
    bad: Vec<RecordHeader>,
}

/// Reads all records in `from..to` of `window` that can be read.
pub(crate) fn salvage<'a>(window: &Window<'a>, from: u32, to: u32, expect: Expect) -> Salvage<'a> {
    let mut groups = BTreeMap::<u64, Group<'a>>::new();
    let mut at = from;
    while at < to {
        let Some(head) = window.record_header(at) else {
            at += 1;
            continue;
        };
        // Records know the low half of their batch's number.
        let lsn = expect.from + u64::from(head.lsn.wrapping_sub(expect.from as u32));
        let group = groups.entry(lsn).or_default();
        group.heads.insert(head.index, head);
        match window.record(at) {
            Some(record) if head.kind == TOC => {
                group.toc = Some(TocRow::decode_all(record.payload))
            }
            Some(record) => group.good.push(record),
            None => group.bad.push(head),
        }
        // A header that passed its checksum has the right length, whatever the payload is.
        at = at.saturating_add(RECORD_HEADER).saturating_add(head.len);
    }
    let seen = groups.keys().next_back().copied();
    let to_lsn = expect.to.unwrap_or_else(|| seen.unwrap_or(0).max(expect.from) + 1);
    let mut out = Salvage { last_lsn: seen, ..Salvage::default() };
    // A stretch can hold few batches; more missing ones than that are reported as one.
    if to_lsn.saturating_sub(expect.from) > groups.len() as u64 {
        out.lost.push(Lost::Anything);
    }
    for (_, group) in groups {
        group.judge(expect.header, &mut out);
    }
    out
}

impl<'a> Group<'a> {
    fn judge(self, header: Option<(u64, u32)>, out: &mut Salvage<'a>) {
        let at_ms = header.map(|(at, _)| at);
        for head in self.bad.iter().filter(|h| h.kind != TOC) {
            out.lost.push(if head.hash == 0 {
                Lost::Anything
            } else {
                Lost::Of {
                    hash: head.hash,
                    min: head.offset,
                    max: head.offset,
                    at_ms,
                    special: head.special(),
                }
            });
        }
        if let Some(rows) = &self.toc {
            for row in rows {
                let of = |h: &&RecordHeader| h.hash == row.hash && h.kind != TOC;
                if (self.heads.values().filter(of).count() as u32) < row.count {
                    out.lost.push(if row.hash == 0 { Lost::Anything } else { row.lost(at_ms) });
                }
            }
        } else if !self.all_heads(header.map(|(_, count)| count)) {
            out.lost.push(Lost::Anything);
        }
        out.good.extend(self.good);
    }

    /// Whether the header of every record but the table of contents was found.
    fn all_heads(&self, count: Option<u32>) -> bool {
        let last = self.heads.values().find(|h| h.flags & LAST != 0).map(|h| h.index);
        let Some(records) = last.or(count.map(|c| c.saturating_sub(1))) else { return false };
        (0..records).all(|index| self.heads.contains_key(&index))
    }
}

impl TocRow {
    fn lost(&self, at_ms: Option<u64>) -> Lost {
        let TocRow { hash, min, max, special, .. } = *self;
        Lost::Of { hash, min, max, at_ms, special }
    }
}
