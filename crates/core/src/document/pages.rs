//! A document as pages of a checkpoint.
//!
//! All pages together: `[version][length of the rest, 8 bytes][epoch, 8 bytes][authors][buried clients]
//! [update]`, cut wherever a page is full.

use bytes::{BufMut, Bytes, BytesMut};

use super::bytes::{put_part, put_var, take_part, take_var};
use super::open::Open;
use super::{Body, Document, EMPTY};
use crate::limits::{AUTHORS_NAMED, BURIED_CLIENTS};
use crate::store::Epoch;

const VERSION: u8 = 1;

/// The version and the length of the rest.
const HEAD: usize = 1 + 8;

impl Document {
    /// All of it in pages of at most `max` bytes.
    pub fn pages(&self, max: usize) -> Vec<Bytes> {
        let mut rest = BytesMut::new();
        rest.put_u64_le(self.epoch.0);
        put_var(&mut rest, self.authors.len() as u64);
        for author in &self.authors {
            put_part(&mut rest, author.as_bytes());
        }
        put_var(&mut rest, self.buried.len() as u64);
        for client in &self.buried {
            put_var(&mut rest, *client);
        }
        let state = self.state();
        let mut whole = BytesMut::with_capacity(HEAD + rest.len() + state.len());
        whole.put_u8(VERSION);
        whole.put_u64_le((rest.len() + state.len()) as u64);
        whole.put_slice(&rest);
        whole.put_slice(&state);
        let whole = whole.freeze();
        let starts = (0..whole.len()).step_by(max.max(1));
        starts.map(|at| whole.slice(at..whole.len().min(at + max))).collect()
    }

    /// Takes a page back in, in their order. With the last one it is what it was; before, nothing.
    pub fn take_page(&mut self, page: &[u8]) {
        self.loading.extend_from_slice(page);
        let Some((head, rest)) = self.loading.split_first_chunk::<HEAD>() else { return };
        let length = u64::from_le_bytes(*head.last_chunk().expect("a head has more than 8 bytes"));
        if head[0] == VERSION && length > rest.len() as u64 {
            return;
        }
        let whole = Bytes::from(std::mem::take(&mut self.loading)).slice(HEAD..);
        let read = (whole.len() as u64 == length).then(|| self.read(&whole)).flatten();
        if read.is_none() {
            self.skipped += 1;
        }
    }

    fn read(&mut self, whole: &Bytes) -> Option<()> {
        let mut rest = &whole[..];
        let (epoch, behind) = rest.split_first_chunk()?;
        rest = behind;
        self.epoch = Epoch(u64::from_le_bytes(*epoch));
        self.authors.clear();
        for _ in 0..bounded(&mut rest, AUTHORS_NAMED)? {
            let author = std::str::from_utf8(take_part(&mut rest)?).ok()?;
            self.authors.insert(author.into());
        }
        self.buried.clear();
        for _ in 0..bounded(&mut rest, BURIED_CLIENTS)? {
            self.buried.push(take_var(&mut rest)?);
        }
        let state = whole.slice_ref(rest);
        self.measured = state.len().max(EMPTY.len());
        self.grown = 0;
        self.replayed = Vec::new();
        self.body = Body::blank();
        if state != EMPTY {
            self.body = Body::Open(Open::decode(&state).ok()?);
            self.replayed.push(state);
        }
        Some(())
    }
}

fn bounded(rest: &mut &[u8], max: usize) -> Option<u64> {
    take_var(rest).filter(|count| *count <= max as u64)
}
