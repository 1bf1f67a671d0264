//! A publish on its way into a channel.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::engine::{Address, Changed, CommandKind};
use crate::reject::Reject;
use crate::store::Scoped;

/// A publish, as a session's shard sends it to the channel's home.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) user: Arc<str>,
    /// The session's public id.
    pub(crate) session: u64,
    /// The data, or why it was refused for good: then only the number is used up.
    pub(crate) data: Result<Box<RawValue>, Reject>,
    pub(crate) event: Option<Box<str>>,
    /// It changes a key; `data` is the value or the patch.
    pub(crate) write: Option<Box<Wish>>,
    pub(crate) key: Option<Scoped>,
    pub(crate) producer: Option<(Scoped, u64)>,
    pub(crate) ephemeral: bool,
    pub(crate) echo: bool,
    /// When it came: monotonic microseconds.
    pub(crate) began_us: u64,
}

/// What is to be done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Patch,
    Remove,
    Set,
}

/// A change of a key that is asked for.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) key: Arc<str>,
    pub(crate) verb: Verb,
    /// Only if it has not changed since.
    pub(crate) if_version: Option<u64>,
    pub(crate) ttl_ms: Option<u64>,
}

impl Verb {
    pub(crate) fn kind(self) -> CommandKind {
        match self {
            Verb::Patch => CommandKind::Patch,
            Verb::Remove => CommandKind::Remove,
            Verb::Set => CommandKind::Set,
        }
    }
}

impl Publish {
    /// The command that it came as.
    pub(crate) fn kind(&self) -> CommandKind {
        self.write.as_ref().map_or(CommandKind::Publish, |wish| wish.verb.kind())
    }

    /// Somebody has put other things in its place, which have been checked.
    pub(crate) fn rewrite(&mut self, data: Option<Box<RawValue>>, event: Option<Box<str>>) {
        if let Some(data) = data {
            self.data = Ok(data);
        }
        if event.is_some() {
            self.event = event;
        }
    }

    /// It is refused for good: only its number is used up.
    pub(crate) fn refuse(&mut self, why: Reject) {
        self.data = Err(why);
        self.key = None;
    }
}

/// Who waits for the outcome of an append.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) at: Address,
    pub(crate) id: u64,
    pub(crate) kind: CommandKind,
    pub(crate) duplicate: bool,
    /// When its publish came: monotonic microseconds.
    pub(crate) began_us: u64,
}

/// Why a publish is no event although it uses its number up.
#[derive(Debug)]
pub(crate) enum UsedUp {
    /// Its key was used before: it is answered with what that got. A write says to which key.
    Known(Scoped, Option<Arc<str>>),
    /// It was refused for good.
    Refused(Reject),
}

/// An append that is at the store.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) offset: u64,
    pub(crate) at_ms: u64,
    /// `Err` for a publish that only uses its number up.
    pub(crate) event: Result<Bytes, UsedUp>,
    pub(crate) producer: Option<(Scoped, u64)>,
    pub(crate) key: Option<Scoped>,
    /// The session that does not want to see its own event.
    pub(crate) except: Option<Address>,
    /// The key that it changes.
    pub(crate) changed: Option<Arc<Changed>>,
    pub(crate) waiters: SmallVec<[Waiter; 1]>,
}
