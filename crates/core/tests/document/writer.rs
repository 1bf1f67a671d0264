//! Somebody who writes: a Yjs document of their own.

use std::cell::RefCell;

use tidings_proto::yjs::fit;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update};

pub(crate) struct Writer {
    pub(crate) doc: Doc,
    /// Updates that came before others that they need. Yjs keeps them by itself; yrs does too, and
    /// makes something else of them.
    waiting: RefCell<Vec<Vec<u8>>>,
}

impl Writer {
    pub(crate) fn new(client: u64) -> Self {
        let mut options = Options::with_guid_and_client_id("".into(), yrs::ClientID::new(client));
        options.offset_kind = OffsetKind::Utf16;
        Self { doc: Doc::with_options(options), waiting: RefCell::default() }
    }

    /// Inserts; the update.
    pub(crate) fn write(&self, at: u32, words: &str) -> Vec<u8> {
        let text = self.doc.get_or_insert_text("t");
        let mut txn = self.doc.transact_mut();
        text.insert(&mut txn, at, words);
        txn.encode_update_v1()
    }

    /// Writes behind all there is.
    pub(crate) fn add(&self, words: &str) -> Vec<u8> {
        let end = self.text().encode_utf16().count();
        self.write(u32::try_from(end).unwrap(), words)
    }

    pub(crate) fn cut(&self, at: u32, len: u32) -> Vec<u8> {
        let text = self.doc.get_or_insert_text("t");
        let mut txn = self.doc.transact_mut();
        text.remove_range(&mut txn, at, len);
        txn.encode_update_v1()
    }

    pub(crate) fn text(&self) -> String {
        let text = self.doc.get_or_insert_text("t");
        text.get_string(&self.doc.transact())
    }

    pub(crate) fn take(&self, update: &[u8]) {
        self.waiting.borrow_mut().push(update.to_vec());
        while let Some(update) = self.next_to_take() {
            let update = Update::decode_v1(&update).unwrap();
            self.doc.transact_mut().apply_update(update).unwrap();
        }
    }

    fn next_to_take(&self) -> Option<Vec<u8>> {
        let vector = self.doc.transact().state_vector();
        let known = |client| vector.get(&yrs::ClientID::new(client));
        let mut waiting = self.waiting.borrow_mut();
        let ready = waiting.iter().position(|it| fit(it, known).unwrap().lacking.is_empty())?;
        Some(waiting.remove(ready))
    }

    pub(crate) fn vector(&self) -> Vec<u8> {
        self.doc.transact().state_vector().encode_v1()
    }

    /// What somebody lacks who has this vector.
    pub(crate) fn since(&self, vector: &[u8]) -> Vec<u8> {
        let vector = StateVector::decode_v1(vector).unwrap();
        self.doc.transact().encode_state_as_update_v1(&vector)
    }

    pub(crate) fn all(&self) -> Vec<u8> {
        self.since(&[0])
    }
}
