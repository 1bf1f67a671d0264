//! Documents that several edit at once: what is asked of them, and in which dialect.
//!
//! `commands.rs` is the side of sessions, with `uploads.rs` (updates in parts), `syncing.rs` (what
//! somebody lacks, piece by piece), `papers.rs` (what a session has open, and may do there) and
//! `editor.rs` (connections that speak a protocol of Yjs instead of JSON). `home.rs` and `aware.rs`
//! are a document's home, `memory.rs` is about how much all of them take.

mod aware;
mod commands;
mod editor;
mod home;
mod papers;
mod syncing;
mod uploads;

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::Epoch;

pub(crate) use papers::{Editing, Opened};

use super::counters::CommandKind;
use super::types::SessionKey;
use crate::channel::aware::Told;
use crate::limits::DOCUMENT_PIECE;
use crate::reject::Reject;
use syncing::Syncs;
use uploads::Uploads;

/// What a session speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The frames of `docs/protocol.md`.
    #[default]
    Json,
    /// The messages of `y-websocket`: one document for each connection.
    Yjs,
    /// The messages of `@hocuspocus/provider`: each names its document.
    Hocuspocus,
}

/// A connection of an editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Editor {
    /// [`Dialect::Yjs`].
    Yjs {
        /// The document's channel.
        document: Arc<str>,
    },
    /// [`Dialect::Hocuspocus`].
    Hocuspocus,
}

/// What is asked of a document's home.
#[derive(Debug)]
pub(crate) enum Ask {
    /// What is to be seen of clients of the session. An editor waits for no answer.
    Aware { user: Arc<str>, told: Vec<Told>, editor: bool },
    Merge(Merge),
    /// The session is not to be seen any more. Nobody waits for an answer.
    Quit,
    /// All who are seen there, in this dialect.
    Seen { dialect: Dialect },
    /// What somebody lacks who has this vector.
    Sync { epoch: Option<Epoch>, vector: Vec<u8>, editor: bool },
}

/// A change on its way.
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) user: Arc<str>,
    /// Of the document that it is about, if its author says so.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) update: Bytes,
    pub(crate) editor: bool,
    /// When it came: monotonic microseconds.
    pub(crate) began_us: u64,
}

impl Ask {
    /// The command that it answers.
    pub(super) fn kind(&self) -> Option<CommandKind> {
        match self {
            Ask::Aware { editor: true, .. } | Ask::Quit | Ask::Seen { .. } => None,
            Ask::Aware { .. } => Some(CommandKind::Awareness),
            Ask::Merge(_) => Some(CommandKind::Merge),
            Ask::Sync { .. } => Some(CommandKind::Sync),
        }
    }
}

/// What somebody lacks of a document, for the session's shard.
#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) to: SessionKey,
    pub(crate) id: u64,
    pub(crate) channel: Arc<str>,
    pub(crate) outcome: Result<Lacks, Reject>,
}

/// Updates, each valid by itself, that bring somebody to `vector`.
#[derive(Debug)]
pub(crate) struct Lacks {
    pub(crate) epoch: Epoch,
    pub(crate) vector: Bytes,
    pub(crate) pieces: Arc<[Bytes]>,
}

/// What an editor's change came to.
#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) to: SessionKey,
    pub(crate) channel: Arc<str>,
    pub(crate) outcome: Result<(), Reject>,
}

/// What a shard has under way for its sessions.
#[derive(Debug, Default)]
pub(super) struct Desks {
    uploads: Uploads,
    syncs: Syncs,
}

/// An update as several that are valid by themselves, none much longer than a piece.
fn pieces(update: &Bytes) -> Vec<Bytes> {
    let _ = DOCUMENT_PIECE;
    vec![update.clone()]
}
