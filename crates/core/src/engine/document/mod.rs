//! Documents that several edit at once: what is asked of them, and in which dialect.
//!
//! `commands.rs` is the side of sessions, with `uploads.rs` (updates in parts), `syncing.rs` (what
//! somebody lacks, piece by piece), `papers.rs` (what a session has open, and may do there),
//! `editor.rs` (connections that speak a protocol of Yjs instead of JSON), `hocuspocus.rs` and
//! `seats.rs` (those with many documents, and with several providers of one). `home.rs` and
//! `aware.rs` are a document's home, with `outcome.rs`; `service.rs` is what backends ask of it,
//! `refusals.rs` says why not, `versions.rs`, `shelving.rs` and `shelved.rs` are about what it held
//! before, `memory.rs` is about how much all of them take.

mod aware;
mod commands;
mod echoes;
mod editor;
mod hocuspocus;
mod home;
mod memory;
mod outcome;
mod papers;
mod refusals;
mod seats;
mod service;
mod shelved;
mod shelving;
mod syncing;
mod uploads;
mod versions;
mod wording;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::Epoch;

pub(super) use home::refuse;
pub(crate) use papers::{Editing, Opened};
pub use seats::SeatId;
pub(crate) use seats::Slip;
pub use service::Contribution;
pub use versions::VersionAsk;

use super::Engine;
use super::counters::CommandKind;
use super::types::{Address, Now, SessionKey, ShardId};
use crate::channel::aware::Told;
use crate::identity::Action;
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
    Aware {
        user: Arc<str>,
        told: Vec<Told>,
        editor: bool,
    },
    Merge(Merge),
    /// From now on it is another document, with nothing in it.
    Reset {
        user: Arc<str>,
        /// Its versions go as well.
        versions: bool,
    },
    /// The session is not to be seen any more. Nobody waits for an answer.
    Quit,
    /// All of it, for a backend, which may write as the client of this slot.
    Read {
        slot: u64,
    },
    /// All who are seen there, in this dialect; and what is stored, so that the editor sends what
    /// is not.
    Seen {
        dialect: Dialect,
        vector: bool,
    },
    /// What somebody lacks who has this vector.
    Sync {
        epoch: Option<Epoch>,
        vector: Vec<u8>,
        editor: bool,
        /// All of this version, instead.
        version: Option<u64>,
    },
    Version(VersionAsk),
}

/// In the place of a session, where there is none.
const NOBODY: Address =
    Address { shard: ShardId(0), session: SessionKey { slot: u32::MAX, serial: u32::MAX } };

/// A change on its way.
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) user: Arc<str>,
    /// Of the document that it is about, if its author says so.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) update: Bytes,
    pub(crate) editor: bool,
    /// Whether its user may change the document: who may not, and says only what everybody knows,
    /// is no offender. Editors do when they come.
    pub(crate) allowed: bool,
    /// When it came: monotonic microseconds.
    pub(crate) began_us: u64,
    pub(crate) terms: Terms,
}

/// What a backend's change depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// Only if nothing has changed since this offset.
    pub(crate) if_offset: Option<u64>,
    /// Only if this client has not written since: the change was made as it.
    pub(crate) scribe: Option<u64>,
    /// It may be as long as the document.
    pub(crate) whole: bool,
    /// It restores a version: who asked for it is told by that.
    pub(crate) job: bool,
}

impl Desks {
    /// A session is over.
    pub(super) fn forget(&mut self, key: SessionKey) {
        self.uploads.forget(key);
        self.syncs.forget(key);
        self.throttled.remove(&key);
        self.asked.retain(|(session, _), _| *session != key);
    }
}

impl Engine {
    /// What takes too long, and who has to hear something.
    pub(super) fn tick_documents(&mut self, now: Now) {
        self.tick_uploads(now);
        self.tick_syncs(now);
        self.tick_editors(now);
        self.tick_tokens(now);
        self.expire_awareness(now);
        self.take_versions(now);
        self.rest_documents(now);
    }
}

impl Ask {
    /// The rights that it needs.
    pub(super) fn rights(&self) -> &'static [Action] {
        match self {
            Ask::Aware { .. } => &[Action::Presence],
            Ask::Merge(_) | Ask::Reset { .. } => &[Action::Publish],
            Ask::Sync { version: Some(_), .. } => &[Action::History],
            Ask::Quit | Ask::Read { .. } | Ask::Seen { .. } | Ask::Sync { .. } => {
                &[Action::Subscribe]
            }
            Ask::Version(ask) => ask.rights(),
        }
    }

    /// The command that it answers.
    pub(super) fn kind(&self) -> Option<CommandKind> {
        match self {
            Ask::Aware { editor: true, .. } | Ask::Quit | Ask::Seen { .. } => None,
            Ask::Aware { .. } => Some(CommandKind::Awareness),
            Ask::Merge(_) | Ask::Reset { .. } => Some(CommandKind::Merge),
            Ask::Read { .. } | Ask::Sync { .. } => Some(CommandKind::Sync),
            Ask::Version(ask) => Some(ask.kind()),
        }
    }
}

/// What somebody lacks of a document, for the session's shard.
#[derive(Debug)]
pub struct Synced {
    pub(crate) to: SessionKey,
    pub(crate) id: u64,
    pub(crate) channel: Arc<str>,
    pub(crate) outcome: Result<Lacks, Reject>,
}

/// What brings somebody to `vector`.
#[derive(Debug)]
pub(crate) struct Lacks {
    pub(crate) epoch: Epoch,
    pub(crate) vector: Bytes,
    /// As of which offset.
    pub(crate) offset: u64,
    /// For an editor updates, each valid by itself; else parts of one, to be joined.
    pub(crate) pieces: Vec<Bytes>,
    /// Updates that wait for others, which have not come yet: not among the pieces.
    pub(crate) waiting: Vec<Bytes>,
}

/// The limit of what waits for others. An editor is asked for those then.
const ADRIFT: &str = "waiting";

/// What an editor has sent depends on something that has not come: it is asked for it.
#[derive(Debug)]
pub struct Adrift {
    pub(crate) to: SessionKey,
    pub(crate) seat: SeatId,
    pub(crate) channel: Arc<str>,
    /// What is stored.
    pub(crate) vector: Bytes,
}

/// What an editor's change came to.
#[derive(Debug)]
pub struct Edited {
    pub(crate) to: SessionKey,
    pub(crate) slip: Slip,
    pub(crate) channel: Arc<str>,
    pub(crate) outcome: Result<(), Reject>,
}

/// What a shard has under way for its sessions.
#[derive(Debug, Default)]
pub(super) struct Desks {
    uploads: Uploads,
    syncs: Syncs,
    heard: echoes::Heard,
    /// Editors that were too fast, and until when they are not read (monotonic milliseconds).
    throttled: HashMap<SessionKey, u64>,
    /// Editors that were asked for everything, and when (monotonic milliseconds).
    asked: HashMap<(SessionKey, SeatId), u64>,
    /// When those who would take silence for the end are told something again.
    alive_ms: u64,
}
