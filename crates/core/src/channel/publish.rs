//! A publish on its way into a channel.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use smallvec::SmallVec;
use tidings_proto::ErrorCode;

use super::Merging;
use crate::engine::{Address, Changed, CommandKind};
use crate::identity::Action;
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
    /// It changes an event; `data` is what that says then.
    pub(crate) amend: Option<Box<Amend>>,
    pub(crate) key: Option<Scoped>,
    pub(crate) producer: Option<(Scoped, u64)>,
    pub(crate) ephemeral: bool,
    pub(crate) echo: bool,
    /// When it came: monotonic microseconds.
    pub(crate) began_us: u64,
}

/// A change of an event that is asked for.
#[derive(Debug)]
pub(crate) struct Amend {
    /// The event's offset.
    pub(crate) target: u64,
    /// Who changes it.
    pub(crate) user: Arc<str>,
    pub(crate) how: How,
    /// What allows it: who moderates may change what others have said.
    pub(crate) right: Action,
    /// How many users react so then.
    pub(crate) count: usize,
}

/// How an event is changed.
#[derive(Debug)]
pub(crate) enum How {
    Delete,
    Edit,
    React { reaction: Box<str>, remove: bool },
}

impl Amend {
    fn kind(&self) -> CommandKind {
        match self.how {
            How::Delete => CommandKind::Delete,
            How::Edit => CommandKind::Edit,
            How::React { .. } => CommandKind::React,
        }
    }
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
        match (&self.write, &self.amend) {
            (Some(wish), _) => wish.verb.kind(),
            (None, Some(amend)) => amend.kind(),
            (None, None) => CommandKind::Publish,
        }
    }

    /// The right that it needs.
    pub(crate) fn right(&self) -> Action {
        self.amend.as_ref().map_or(Action::Publish, |amend| amend.right)
    }

    /// Whether a refusal at the channel's home leaves its number to the next one: it says nothing
    /// of what was sent, but of the event that it is about.
    pub(crate) fn keeps_number(&self, why: &Reject) -> bool {
        let passing = matches!(why.code, ErrorCode::Forbidden | ErrorCode::NotFound);
        why.code.retryable() || (self.amend.is_some() && passing)
    }

    /// Whether it says something: to delete and to react is done without.
    pub(crate) fn has_data(&self) -> bool {
        let edits = self.amend.as_ref().is_none_or(|amend| matches!(amend.how, How::Edit));
        edits && self.write.as_ref().is_none_or(|wish| wish.verb != Verb::Remove)
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
    /// What it is told; `None`: what publishers are told.
    pub(crate) answer: Option<Bytes>,
}

/// Why a publish is no event although it uses its number up.
#[derive(Debug)]
pub(crate) enum UsedUp {
    /// Its key was used before: it is answered with what that got. A write says to which key.
    Known(Scoped, Option<Arc<str>>),
    /// There is nothing to be done.
    Nothing,
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
    /// The change of an event that it is.
    pub(crate) amend: Option<Box<Amend>>,
    /// The change of a document that it is; who asked for it is there.
    pub(crate) merge: Option<Box<Merging>>,
    pub(crate) waiters: SmallVec<[Waiter; 1]>,
}
