//! The format on disk, version 1. All numbers are little endian.
//!
//! A log is a chain of segments, files `seg-<number, 8 hex digits>.log`:
//!
//! ```text
//! segment: header (64 bytes) twice, then batches
//!   header: "TDNGSEG1", id u32, prev u32, prev_end u32, flags u32, base_lsn u64, salt u64,
//!           boot u64, first u32, zero u32, crc u32, zero u32
//!     prev, prev_end: the segment before and how many of its bytes count; files between are void
//!     first: the oldest segment that is still part of the log
//! batch:  header (40 bytes), records, table of contents (itself a record), one byte 0xfe
//!   header: FE 54 42 F5, lsn u64, len u32 (of all after the header), count u32 (of records),
//!           first u32, at_ms u64, zero u32, crc u32
//! record: header (40 bytes), payload
//!   header: FD F7, kind u8, flags u8, lsn u32 (low half), index in batch u32, payload length u32,
//!           channel hash u64, offset u64, payload crc u32, crc u32
//! table:  rows of hash u64, least offset u64, greatest offset u64, count u32 | special << 31
//! ```
//!
//! Checksums of headers also cover the log's salt, the segment's number and the place in the file:
//! a block that a disk wrote to the wrong place, or left from another life, is never taken for one
//! that belongs there. The first byte of batches and records occurs in no UTF-8 text, so
//! no event can look like one. A batch starts and ends with a byte that is not zero, so a sector of
//! the disk that was never written shows as a run of zeros.

use crate::wire::Reader;

pub(crate) const SEGMENT_HEADER: u32 = 128;
pub(crate) const BATCH_HEADER: u32 = 40;
pub(crate) const RECORD_HEADER: u32 = 40;
pub(crate) const TRAILER: u8 = 0xfe;
pub(crate) const SECTOR: u32 = 512;
const SEGMENT_MAGIC: &[u8; 8] = b"TDNGSEG1";
const BATCH_MAGIC: [u8; 4] = [0xfe, b'T', b'B', 0xf5];
const RECORD_MAGIC: [u8; 2] = [0xfd, 0xf7];
const COPY: usize = 64;

/// An event with its dedup records.
pub(crate) const EVENT: u8 = 1;
/// Dedup records without an event.
pub(crate) const DEDUP: u8 = 2;
/// A [`crate::wire::State`].
pub(crate) const STATE: u8 = 3;
/// Every channel known so far has another epoch, derived from the seed in the payload.
pub(crate) const RENEW_ALL: u8 = 4;
/// Damage that lies before this place was dealt with: the keys (u64 each) of what was damaged. What
/// is not in the list broke later, wherever it lies.
pub(crate) const HANDLED: u8 = 5;
/// The table of contents: the last record of a batch.
pub(crate) const TOC: u8 = 6;

/// The last record of its batch.
pub(crate) const LAST: u8 = 1;
/// Moved here by compaction.
pub(crate) const COPIED: u8 = 2;
/// A [`STATE`] that came with a new epoch, because of damage that lies before it. It stands for the
/// losses that it names, not for all that may yet happen to what it kept.
pub(crate) const RENEWED: u8 = 4;

/// [`SegmentHeader::flags`]: written at level `Fsync`.
pub(crate) const FSYNC: u32 = 1;
/// [`SegmentHeader::flags`]: a sync failed before: what precedes may not be on the disk.
pub(crate) const SUSPECT: u32 = 2;

pub(crate) fn segment_name(id: u32) -> String {
    format!("seg-{id:08x}.log")
}

pub(crate) fn segment_id(name: &str) -> Option<u32> {
    let hex = name.strip_prefix("seg-")?.strip_suffix(".log")?;
    if hex.len() != 8 {
        return None;
    }
    u32::from_str_radix(hex, 16).ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) id: u32,
    pub(crate) prev: u32,
    pub(crate) prev_end: u32,
    pub(crate) flags: u32,
    pub(crate) base_lsn: u64,
    pub(crate) salt: u64,
    pub(crate) boot: u64,
    pub(crate) first: u32,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER as usize] {
        let mut one = Vec::with_capacity(COPY);
        one.extend_from_slice(SEGMENT_MAGIC);
        for n in [self.id, self.prev, self.prev_end, self.flags] {
            one.extend_from_slice(&n.to_le_bytes());
        }
        for n in [self.base_lsn, self.salt, self.boot] {
            one.extend_from_slice(&n.to_le_bytes());
        }
        one.extend_from_slice(&u64::from(self.first).to_le_bytes());
        one.extend_from_slice(&crc32c::crc32c(&one).to_le_bytes());
        let mut both = [0; SEGMENT_HEADER as usize];
        both[..one.len()].copy_from_slice(&one);
        both[COPY..COPY + one.len()].copy_from_slice(&one);
        both
    }

    /// Either copy will do: one flipped bit must not cost a segment.
    pub(crate) fn decode(bytes: &[u8], id: u32) -> Option<SegmentHeader> {
        let one = |at: usize| Self::decode_one(bytes.get(at..at + COPY)?);
        [one(0), one(COPY)].into_iter().flatten().find(|h| h.id == id)
    }

    fn decode_one(bytes: &[u8]) -> Option<SegmentHeader> {
        let crc = u32::from_le_bytes(bytes.get(56..60)?.try_into().ok()?);
        if &bytes[..8] != SEGMENT_MAGIC || crc32c::crc32c(&bytes[..56]) != crc {
            return None;
        }
        let mut r = Reader(&bytes[8..56]);
        Some(SegmentHeader {
            id: r.u32()?,
            prev: r.u32()?,
            prev_end: r.u32()?,
            flags: r.u32()?,
            base_lsn: r.u64()?,
            salt: r.u64()?,
            boot: r.u64()?,
            first: r.u32()?,
        })
    }
}

/// What checksums are bound to besides the bytes: the log and the segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(u32);

impl Place {
    pub(crate) fn new(salt: u64, segment: u32) -> Place {
        Place(crc32c::crc32c_append(segment, &salt.to_le_bytes()))
    }

    fn crc(self, pos: u32, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &pos.to_le_bytes()), bytes)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchHeader {
    pub(crate) lsn: u64,
    /// Bytes after the header.
    pub(crate) len: u32,
    /// Records, the table of contents among them.
    pub(crate) count: u32,
    pub(crate) first: u32,
    pub(crate) at_ms: u64,
}

impl BatchHeader {
    pub(crate) fn write(&self, place: Place, pos: u32, into: &mut [u8]) {
        into[0..4].copy_from_slice(&BATCH_MAGIC);
        into[4..12].copy_from_slice(&self.lsn.to_le_bytes());
        into[12..16].copy_from_slice(&self.len.to_le_bytes());
        into[16..20].copy_from_slice(&self.count.to_le_bytes());
        into[20..24].copy_from_slice(&self.first.to_le_bytes());
        into[24..32].copy_from_slice(&self.at_ms.to_le_bytes());
        into[32..36].fill(0);
        let crc = place.crc(pos, &into[..36]);
        into[36..40].copy_from_slice(&crc.to_le_bytes());
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHeader {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) lsn: u32,
    pub(crate) index: u32,
    pub(crate) len: u32,
    pub(crate) hash: u64,
    pub(crate) offset: u64,
    pub(crate) crc: u32,
}

impl RecordHeader {
    pub(crate) fn write(&self, place: Place, pos: u32, into: &mut [u8]) {
        into[0..2].copy_from_slice(&RECORD_MAGIC);
        into[2] = self.kind;
        into[3] = self.flags;
        into[4..8].copy_from_slice(&self.lsn.to_le_bytes());
        into[8..12].copy_from_slice(&self.index.to_le_bytes());
        into[12..16].copy_from_slice(&self.len.to_le_bytes());
        into[16..24].copy_from_slice(&self.hash.to_le_bytes());
        into[24..32].copy_from_slice(&self.offset.to_le_bytes());
        into[32..36].copy_from_slice(&self.crc.to_le_bytes());
        let crc = place.crc(pos, &into[..36]);
        into[36..40].copy_from_slice(&crc.to_le_bytes());
    }

    /// Neither an event nor a table: its loss may not be judged by offsets.
    pub(crate) fn special(&self) -> bool {
        self.kind != EVENT
    }
}

/// A record that passed both of its checksums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) head: RecordHeader,
    pub(crate) pos: u32,
    pub(crate) payload: &'a [u8],
}

impl Record<'_> {
    /// Its length in the log, header included.
    pub(crate) fn len(&self) -> u32 {
        RECORD_HEADER + self.head.len
    }
}

/// A batch that passed all of its checksums.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) head: BatchHeader,
    pub(crate) records: Vec<Record<'a>>,
    pub(crate) end: u32,
}

/// A row of a table of contents: the records of one channel in one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TocRow {
    pub(crate) hash: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) count: u32,
    pub(crate) special: bool,
}

impl TocRow {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hash.to_le_bytes());
        out.extend_from_slice(&self.min.to_le_bytes());
        out.extend_from_slice(&self.max.to_le_bytes());
        out.extend_from_slice(&(self.count | u32::from(self.special) << 31).to_le_bytes());
    }

    pub(crate) fn decode_all(payload: &[u8]) -> Vec<TocRow> {
        let mut r = Reader(payload);
        std::iter::from_fn(|| {
            let (hash, min, max, count) = (r.u64()?, r.u64()?, r.u64()?, r.u32()?);
            let special = count >> 31 == 1;
            Some(TocRow { hash, min, max, count: count & !(1 << 31), special })
        })
        .collect()
    }
}

/// Some bytes of a segment and where in it they start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) place: Place,
    pub(crate) base: u32,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Window<'a> {
    pub(crate) fn end(&self) -> u32 {
        self.base + self.bytes.len() as u32
    }

    pub(crate) fn get(&self, pos: u32, len: u32) -> Option<&'a [u8]> {
        let at = pos.checked_sub(self.base)? as usize;
        self.bytes.get(at..at.checked_add(len as usize)?)
    }

    pub(crate) fn batch_header(&self, pos: u32) -> Option<BatchHeader> {
        let bytes = self.get(pos, BATCH_HEADER)?;
        let crc = u32::from_le_bytes(bytes[36..40].try_into().ok()?);
        if bytes[..4] != BATCH_MAGIC || self.place.crc(pos, &bytes[..36]) != crc {
            return None;
        }
        let mut r = Reader(&bytes[4..]);
        Some(BatchHeader {
            lsn: r.u64()?,
            len: r.u32()?,
            count: r.u32()?,
            first: r.u32()?,
            at_ms: r.u64()?,
        })
    }

    pub(crate) fn record_header(&self, pos: u32) -> Option<RecordHeader> {
        let bytes = self.get(pos, RECORD_HEADER)?;
        let crc = u32::from_le_bytes(bytes[36..40].try_into().ok()?);
        if bytes[..2] != RECORD_MAGIC || self.place.crc(pos, &bytes[..36]) != crc {
            return None;
        }
        let mut r = Reader(&bytes[2..]);
        Some(RecordHeader {
            kind: r.u8()?,
            flags: r.u8()?,
            lsn: r.u32()?,
            index: r.u32()?,
            len: r.u32()?,
            hash: r.u64()?,
            offset: r.u64()?,
            crc: r.u32()?,
        })
    }

    /// The record at `pos` if both checksums hold.
    pub(crate) fn record(&self, pos: u32) -> Option<Record<'a>> {
        let head = self.record_header(pos)?;
        let payload = self.get(pos.checked_add(RECORD_HEADER)?, head.len)?;
        (crc32c::crc32c(payload) == head.crc).then_some(Record { head, pos, payload })
    }

    /// The batch at `pos` if every checksum holds.
    pub(crate) fn batch(&self, pos: u32) -> Option<Batch<'a>> {
        let head = self.batch_header(pos)?;
        let end = pos.checked_add(BATCH_HEADER)?.checked_add(head.len)?;
        if end > self.end() {
            return None;
        }
        let mut records = Vec::with_capacity(head.count as usize);
        let mut at = pos + BATCH_HEADER;
        for index in 0..head.count {
            let record = self.record(at)?;
            if record.head.index != index || record.head.lsn != head.lsn as u32 {
                return None;
            }
            at += record.len();
            records.push(record);
        }
        (at + 1 == end && self.get(at, 1)? == [TRAILER]).then_some(Batch { head, records, end })
    }

    /// The first place from `pos` on where a batch starts.
    pub(crate) fn find_batch(&self, pos: u32) -> Option<u32> {
        (pos..self.end()).find(|&at| self.batch_header(at).is_some())
    }

    /// Whether a sector that holds part of `from..to` reads as never written: all zeros.
    pub(crate) fn has_hole(&self, from: u32, to: u32) -> bool {
        let mut at = from;
        while at < to {
            let next = (at / SECTOR + 1) * SECTOR;
            let piece = self.get(at, next.min(self.end()).saturating_sub(at)).unwrap_or_default();
            if piece.iter().all(|&b| b == 0) {
                return true;
            }
            at = next;
        }
        false
    }
}
