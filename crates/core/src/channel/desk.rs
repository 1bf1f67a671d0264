//! What lies around a document at its home.

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::Epoch;

use super::aware::Aware;
use super::shelf::{Asker, Shelf};
use crate::document::{Prepared, Version};
use crate::engine::{Address, CommandKind, SERVICE};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) aware: Aware,
    /// All of it, encoded, until it changes: many come at once.
    pub(crate) whole: Option<Bytes>,
    /// What it counts for in the shard's memory of documents.
    pub(crate) weight: usize,
    /// It is on the agenda of those that may be put to rest.
    pub(crate) awake: bool,
    /// When it was last looked into: monotonic milliseconds.
    pub(crate) touched_ms: u64,
    /// When it may be measured again though little has come: monotonic milliseconds.
    pub(crate) measure_after_ms: u64,
    /// Bytes of updates that are at the store.
    pub(crate) pending: usize,
    /// A reset is at the store: what comes behind it would be about the document of before.
    pub(crate) resetting: bool,
    /// Clients as which backends write, with a change at the store.
    pub(crate) scribes: Vec<u64>,
    /// What is being done about its versions.
    pub(crate) shelf: Shelf,
}

impl Desk {
    /// Whether the document cannot leave memory now.
    pub(crate) fn is_busy(&self) -> bool {
        !self.aware.is_empty() || self.shelf.is_busy()
    }
}

/// A record of a document that is at the store.
#[derive(Debug)]
pub(crate) struct Merging {
    pub(crate) origin: Origin,
    pub(crate) user: Arc<str>,
    /// The client as which a backend has made it.
    pub(crate) scribe: Option<u64>,
    pub(crate) what: Change,
}

impl Merging {
    /// Whether it may be stored a little later, with others. A backend may be waiting to write the
    /// next one.
    pub(crate) fn may_wait(&self) -> bool {
        let by_backend = self.origin.from.session == SERVICE;
        matches!(self.what, Change::Update(_)) && !self.origin.job && !by_backend
    }
}

/// Who is told what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) from: Address,
    pub(crate) id: u64,
    /// An editor is told otherwise.
    pub(crate) editor: bool,
    /// It belongs to what the shelf does now, which knows who waits.
    pub(crate) job: bool,
    /// Not all of it had a place: whoever sent it is told so when the rest is stored.
    pub(crate) lost: bool,
    /// What was asked for.
    pub(crate) kind: CommandKind,
    /// When it came: monotonic microseconds.
    pub(crate) began_us: u64,
}

impl Origin {
    /// Of what somebody has asked for, by no editor.
    pub(crate) fn of(Asker { from, id, kind }: Asker, began_us: u64) -> Self {
        Self { from, id, editor: false, job: false, lost: false, kind, began_us }
    }
}

/// What it changes.
#[derive(Debug)]
pub(crate) enum Change {
    Update(Prepared),
    Reset {
        epoch: Epoch,
        versions: bool,
    },
    /// A version was taken.
    Version(Box<Version>),
    /// One has another name.
    NameVersion {
        number: u64,
        name: Option<Box<str>>,
    },
    /// One goes. `asked`: somebody waits for that.
    DeleteVersion {
        number: u64,
        asked: bool,
    },
    /// What a deleted one held is gone.
    ForgetVersion(u64),
}
