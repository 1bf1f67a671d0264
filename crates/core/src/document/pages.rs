//! A document as pages of a checkpoint.
//!
//! All pages together: `[version][length of the rest, 8 bytes][epoch, 8 bytes][versions, as
//! JSON][buried clients][updates that wait][update]`, cut wherever a page is full.

use bytes::Bytes;
use tidings_proto::yjs::{EMPTY_UPDATE, Reader, put_bytes, put_var_uint};

use super::open::Open;
use super::versions::Versions;
use super::{Body, Broken, Document, length};
use crate::limits::{AUTHORS_NAMED, BURIED_CLIENTS};
use crate::store::Epoch;

const VERSION: u8 = 2;

/// The version and the length of the rest.
const HEAD: usize = 1 + 8;

impl Document {
    /// All of it in pages of at most `max` bytes; so it is measured, too.
    ///
    /// # Errors
    /// yrs has failed on it: nothing may take the place of what is stored.
    pub fn pages(&mut self, max: usize) -> Result<Vec<Bytes>, Broken> {
        let state = self.encode()?;
        let mut rest = Vec::new();
        rest.extend(self.epoch.0.to_le_bytes());
        put_bytes(&mut rest, &serde_json::to_vec(&self.versions).unwrap_or_default());
        put_var_uint(&mut rest, self.buried.len() as u64);
        self.buried.iter().for_each(|client| put_var_uint(&mut rest, *client));
        let waiting = self.waiting();
        put_var_uint(&mut rest, waiting.len() as u64);
        waiting.iter().for_each(|update| put_bytes(&mut rest, update));
        let mut whole = Vec::with_capacity(HEAD + rest.len() + state.len());
        whole.push(VERSION);
        whole.extend(((rest.len() + state.len()) as u64).to_le_bytes());
        whole.extend(&rest);
        whole.extend(&state);
        let whole = Bytes::from(whole);
        let starts = (0..whole.len()).step_by(max.max(1));
        Ok(starts.map(|at| whole.slice(at..whole.len().min(at + max))).collect())
    }

    /// Takes a page back in, in their order. With the last one it is what it was; before, nothing.
    pub fn take_page(&mut self, page: &[u8]) {
        self.loading.extend_from_slice(page);
        let Some((head, rest)) = self.loading.split_first_chunk::<HEAD>() else { return };
        let length = u64::from_le_bytes(*head.last_chunk().expect("a head has more than 8 bytes"));
        if matches!(head[0], 1..=VERSION) && length > rest.len() as u64 {
            return;
        }
        let version = head[0];
        let whole = Bytes::from(std::mem::take(&mut self.loading)).slice(HEAD..);
        let read = (whole.len() as u64 == length).then(|| self.read(version, &whole)).flatten();
        if read.is_none() {
            self.skipped += 1;
        }
    }

    fn read(&mut self, version: u8, whole: &Bytes) -> Option<()> {
        let (epoch, rest) = whole.split_first_chunk()?;
        self.epoch = Epoch(u64::from_le_bytes(*epoch));
        let mut reader = Reader::new(rest);
        self.versions = match version {
            1 => without_versions(&mut reader)?,
            VERSION => {
                let versions = serde_json::from_slice(reader.bytes().ok()?);
                // Without them it is still the document.
                self.skipped += u64::from(versions.is_err());
                versions.unwrap_or_default()
            }
            _ => return None,
        };
        self.buried.clear();
        for _ in 0..bounded(&mut reader, BURIED_CLIENTS)? {
            self.buried.push(reader.var_uint().ok()?);
        }
        let mut waiting = Vec::new();
        for _ in 0..bounded(&mut reader, whole.len())? {
            waiting.push(whole.slice_ref(reader.bytes().ok()?));
        }
        let state = whole.slice_ref(reader.rest());
        (self.measured, self.grown) = (state.len() + length(&waiting), 0);
        self.depth.stored = None;
        self.crowd = self.crowd.unknown();
        self.body = Body::blank();
        if state != EMPTY_UPDATE || !waiting.is_empty() {
            self.body = Body::Open(Open::decode(&state, &waiting).ok()?);
        }
        self.replayed = waiting;
        self.replayed.insert(0, state);
        Some(())
    }
}

fn bounded(reader: &mut Reader<'_>, max: usize) -> Option<u64> {
    reader.var_uint().ok().filter(|count| *count <= max as u64)
}

/// Before there were versions, those who had changed the document stood here.
fn without_versions(reader: &mut Reader<'_>) -> Option<Versions> {
    for _ in 0..bounded(reader, AUTHORS_NAMED)? {
        reader.string().ok()?;
    }
    Some(Versions::default())
}
