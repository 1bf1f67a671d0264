//! Builds the bytes of one batch.

use crate::frame::{
    BATCH_HEADER, BatchHeader, COPIED, DEDUP, EVENT, HANDLED, LAST, Place, RECORD_HEADER,
    RENEW_ALL, RENEWED, RecordHeader, SEGMENT_HEADER, STATE, SegmentHeader, TOC, TRAILER, TocRow,
};
use crate::wire::{Row, State, hash};

/// Where the first record starts in the buffer: room is left for a segment's header, so that
/// the first batch of a segment goes out in the same write as the header.
const START: usize = (SEGMENT_HEADER + BATCH_HEADER) as usize;

#[derive(Debug)]
struct Piece {
    at: u32,
    head: RecordHeader,
}

/// A batch being built. The buffer is kept from one batch to the next.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    buf: Vec<u8>,
    pieces: Vec<Piece>,
    toc: Vec<TocRow>,
}

/// What a batch says in its header beside its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) lsn: u64,
    pub(crate) first: u32,
    pub(crate) at_ms: u64,
}

impl BatchBuilder {
    pub(crate) fn new() -> BatchBuilder {
        BatchBuilder { buf: vec![0; START], pieces: Vec::new(), toc: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        // One huge batch must not hold its memory for ever.
        if self.buf.capacity() > 8 << 20 {
            self.buf = Vec::new();
        }
        self.buf.clear();
        self.buf.resize(START, 0);
        self.pieces.clear();
        self.toc.clear();
    }

    pub(crate) fn push_row(&mut self, row: &Row<'_>, copied: bool) {
        let kind = if row.event.is_some() { EVENT } else { DEDUP };
        let flags = if copied { COPIED } else { 0 };
        self.push(kind, flags, hash(row.channel), row.offset, |out| row.encode(out));
    }

    pub(crate) fn push_state(&mut self, state: &State<'_>, renewed: bool) {
        let flags = if renewed { RENEWED } else { COPIED };
        self.push(STATE, flags, hash(state.channel), state.last, |out| state.encode(out));
    }

    pub(crate) fn push_renew_all(&mut self, seed: u64) {
        self.push(RENEW_ALL, 0, 0, 0, |out| out.extend_from_slice(&seed.to_le_bytes()));
    }

    pub(crate) fn push_handled(&mut self, keys: &[u64]) {
        self.push(HANDLED, 0, 0, 0, |out| out.extend(keys.iter().flat_map(|k| k.to_le_bytes())));
    }

    fn push(
        &mut self,
        kind: u8,
        flags: u8,
        hash: u64,
        offset: u64,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        let at = self.buf.len();
        let body = at + RECORD_HEADER as usize;
        self.buf.resize(body, 0);
        payload(&mut self.buf);
        let head = RecordHeader {
            kind,
            flags,
            lsn: 0,
            index: self.pieces.len() as u32,
            len: (self.buf.len() - body) as u32,
            hash,
            offset,
            crc: crc32c::crc32c(&self.buf[body..]),
        };
        let special = head.special();
        self.pieces.push(Piece { at: at as u32, head });
        if kind != TOC {
            self.toc.push(TocRow { hash, min: offset, max: offset, count: 1, special });
        }
    }

    /// Closes the batch: the table of contents and the trailer. Returns its length in bytes.
    pub(crate) fn close(&mut self) -> usize {
        self.toc.sort_unstable_by_key(|row| row.hash);
        self.toc.dedup_by(|row, kept| {
            let same = row.hash == kept.hash;
            if same {
                kept.min = kept.min.min(row.min);
                kept.max = kept.max.max(row.max);
                kept.count += row.count;
                kept.special |= row.special;
            }
            same
        });
        let rows = std::mem::take(&mut self.toc);
        self.push(TOC, LAST, 0, 0, |out| rows.iter().for_each(|row| row.encode(out)));
        self.toc = rows;
        self.buf.push(TRAILER);
        self.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.buf.len() - SEGMENT_HEADER as usize
    }

    /// Fills in the headers for a batch that starts at `base` and returns the bytes to write; with
    /// `segment` they start with its header (and `base` is right behind it).
    pub(crate) fn finish(
        &mut self,
        place: Place,
        base: u32,
        stamp: Stamp,
        segment: Option<&SegmentHeader>,
    ) -> &[u8] {
        for piece in &mut self.pieces {
            piece.head.lsn = stamp.lsn as u32;
            let pos = piece.at - SEGMENT_HEADER + base;
            piece.head.write(place, pos, &mut self.buf[piece.at as usize..]);
        }
        let head = BatchHeader {
            lsn: stamp.lsn,
            len: (self.buf.len() - START) as u32,
            count: self.pieces.len() as u32,
            first: stamp.first,
            at_ms: stamp.at_ms,
        };
        let start = SEGMENT_HEADER as usize;
        head.write(place, base, &mut self.buf[start..]);
        match segment {
            None => &self.buf[start..],
            Some(header) => {
                self.buf[..start].copy_from_slice(&header.encode());
                &self.buf
            }
        }
    }

    /// Place from the start of the batch, and length, of each record but the table of contents.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let records = self.pieces.len().saturating_sub(1);
        let place = |p: &Piece| (p.at - SEGMENT_HEADER, RECORD_HEADER + p.head.len);
        self.pieces[..records].iter().map(place)
    }
}
