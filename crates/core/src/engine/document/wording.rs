//! The same message in each dialect.

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::yjs::sync::{self, Sync};
use tidings_proto::yjs::{hocuspocus, split};

use super::Dialect;
use crate::engine::types::Raw;
use crate::limits::DOCUMENT_PIECE;

/// What editors are told about a document.
#[derive(Clone, Copy)]
pub(super) enum Word<'a> {
    Awareness(&'a [u8]),
    Sync(Sync<'a>),
}

/// A message to an editor. Those who speak JSON are told by frames.
pub(super) fn say(dialect: Dialect, document: &str, word: Word<'_>) -> Bytes {
    match (dialect, word) {
        (Dialect::Json, _) => Bytes::new(),
        (Dialect::Yjs, Word::Awareness(update)) => sync::awareness(update).into(),
        (Dialect::Yjs, Word::Sync(Sync::Step1(vector))) => sync::step1(vector).into(),
        (Dialect::Yjs, Word::Sync(Sync::Step2(update))) => sync::step2(update).into(),
        (Dialect::Yjs, Word::Sync(Sync::Update(update))) => sync::update(update).into(),
        (Dialect::Hocuspocus, Word::Awareness(update)) => {
            hocuspocus::encode(document, hocuspocus::Message::Awareness(update)).into()
        }
        (Dialect::Hocuspocus, Word::Sync(sync)) => {
            hocuspocus::encode(document, hocuspocus::Message::Sync(sync)).into()
        }
    }
}

/// The same for all editors.
pub(super) fn raw(document: &str, word: Word<'_>) -> Arc<Raw> {
    let yjs = say(Dialect::Yjs, document, word);
    let hocuspocus = say(Dialect::Hocuspocus, document, word);
    Arc::new(Raw { yjs, hocuspocus })
}

/// A piece of what somebody lacks. With the last one editors know that they have all.
pub(super) fn piece(dialect: Dialect, document: &str, update: &[u8], more: bool) -> Bytes {
    let sync = if more { Sync::Update(update) } else { Sync::Step2(update) };
    say(dialect, document, Word::Sync(sync))
}

/// A whole document as several updates that are valid by themselves, none much longer than a piece:
/// for who has nothing of it. What somebody else lacks is not to be cut: applied one after the
/// other its parts could do more than all of it does at once.
pub(super) fn pieces(document: &Bytes) -> Vec<Bytes> {
    if document.len() <= DOCUMENT_PIECE {
        return vec![document.clone()];
    }
    split(document, DOCUMENT_PIECE).into_iter().map(Bytes::from).collect()
}

/// The bytes of an update in parts that fit into frames; one, if it is short.
pub(super) fn parts(update: &Bytes) -> Vec<Bytes> {
    let starts = (0..update.len().max(1)).step_by(DOCUMENT_PIECE);
    starts.map(|at| update.slice(at..update.len().min(at + DOCUMENT_PIECE))).collect()
}
