//! Inboxes: what is asked of them, and by whom.
//!
//! `commands.rs` is the side of sessions, `service.rs` that of the HTTP API and of pushes,
//! `home.rs` the inbox's home. `reading.rs` is about read cursors, for which an inbox and another
//! channel have to talk, and `following.rs` about the topics that users follow.

mod commands;
mod following;
mod home;
mod reading;
mod service;

use std::sync::Arc;

use serde_json::value::RawValue;
use tidings_proto::{Epoch, MarkAs};

pub use service::{Inquiry, Notify};

use super::counters::CommandKind;
use super::types::ShardId;
use crate::channel::inbox::{Marked, Query};
use crate::push::PushSubscription;
use crate::store::Scoped;

/// Who counts a command, and its number.
pub(super) type Producer = Option<(Scoped, u64)>;

/// What is asked of a channel that is about inboxes. One that is no inbox is asked for the last
/// two, and a topic for the first two.
#[derive(Debug)]
pub(crate) enum Ask {
    Follow {
        user: Arc<str>,
        on: bool,
    },
    Followers {
        after: Option<Box<str>>,
        limit: usize,
    },
    Cursor {
        of: Arc<str>,
        epoch: Epoch,
        offset: u64,
        producer: Producer,
    },
    Cursors,
    /// The push service knows it no more. Nobody waits for an answer.
    DropPush(Box<str>),
    List(Query),
    Mark {
        how: MarkAs,
        which: Marked,
        producer: Producer,
    },
    Notify(Box<Note>),
    /// Whether this item is to be pushed.
    Push {
        ticket: u64,
        item: u64,
    },
    PushSubscribe(PushSubscription),
    PushUnsubscribe(Box<str>),
    /// Where the cursor is: this channel's home, there, wants to count behind it.
    Unread {
        of: Arc<str>,
        home: ShardId,
    },
    /// The user of this inbox, whose home is there, has read so far.
    ReadUpto {
        inbox: Arc<str>,
        home: ShardId,
        offset: u64,
        producer: Producer,
    },
    /// How much the user of this inbox, whose home is there, has not read.
    Count {
        inbox: Arc<str>,
        home: ShardId,
        /// `None`: the inbox has not been asked yet. Else its answer, if it has one.
        cursor: Option<Option<(Epoch, u64)>>,
    },
}

/// A notification on its way.
#[derive(Debug)]
pub(crate) struct Note {
    pub(super) topic: Box<str>,
    pub(super) subject: Option<Box<str>>,
    pub(super) data: Box<RawValue>,
    pub(super) ttl_ms: Option<u64>,
    /// Who caused it.
    pub(super) from: Option<Arc<str>>,
    pub(super) key: Option<Scoped>,
}

impl Ask {
    /// The command that it answers.
    pub(super) fn kind(&self) -> Option<CommandKind> {
        Some(match self {
            Ask::Follow { on: true, .. } => CommandKind::Follow,
            Ask::Follow { .. } => CommandKind::Unfollow,
            Ask::Followers { .. } => CommandKind::Followers,
            Ask::Cursor { .. } | Ask::ReadUpto { .. } => CommandKind::Read,
            Ask::Cursors => CommandKind::Cursors,
            Ask::List(_) => CommandKind::Inbox,
            Ask::Mark { .. } => CommandKind::Mark,
            Ask::Notify(_) => CommandKind::Notify,
            Ask::PushSubscribe(_) => CommandKind::PushSubscribe,
            Ask::PushUnsubscribe(_) => CommandKind::PushUnsubscribe,
            Ask::Unread { .. } | Ask::Count { .. } => CommandKind::Unread,
            Ask::DropPush(_) | Ask::Push { .. } => return None,
        })
    }
}

/// The user whose inbox a channel is.
pub(super) fn user_of(channel: &str) -> &str {
    channel.split_once(':').map_or("", |(_, user)| user)
}
