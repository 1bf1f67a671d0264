//! Encoding what a server sends.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::amend::Amended;
use crate::document::{AwarenessView, base64};
use crate::{
    CloseCode, CursorView, Epoch, ErrorCode, Hidden, Level, MarkAs, Timestamp, VersionView,
};

/// `{epoch, offset}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The channel's epoch.
    pub epoch: Epoch,
    /// An offset in it.
    pub offset: u64,
}

/// An event, as subscribers get it and as it is stored.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Event<'a> {
    pub channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    pub timestamp: Timestamp,
    pub user: &'a str,
    #[serde(serialize_with = "hex")]
    pub session: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    pub data: &'a RawValue,
}

/// A change of one key, as subscribers get it and as it is stored.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Change<'a> {
    pub channel: &'a str,
    pub offset: u64,
    pub timestamp: Timestamp,
    pub user: &'a str,
    pub key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    pub version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
}

/// A key and what it holds.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Held<'a> {
    pub key: &'a str,
    pub value: &'a RawValue,
    pub version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A member of a channel, as others see it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct MemberView<'a> {
    pub user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub last_seen: Timestamp,
}

/// The limits that a client must know.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct WelcomeLimits {
    pub frame: usize,
    pub channels: usize,
    pub in_flight: usize,
}

/// Every frame that a server sends; see `docs/protocol.md` for each.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub enum Frame<'a> {
    Access {
        channel: &'a str,
        write: bool,
        awareness: bool,
    },
    Awareness {
        channel: &'a str,
        states: &'a [AwarenessView<'a>],
    },
    Bye {
        code: u16,
        reason: &'a str,
        reconnect: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    Cursor {
        channel: &'a str,
        offset: u64,
        timestamp: Timestamp,
        of: &'a str,
        epoch: Epoch,
        upto: u64,
    },
    Cursors {
        id: u64,
        cursors: &'a [CursorView<'a>],
    },
    Deleted(Amended<'a>),
    Document {
        channel: &'a str,
        offset: u64,
        user: &'a str,
        #[serde(serialize_with = "base64")]
        update: &'a [u8],
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    Edited(Amended<'a>),
    Entered {
        id: u64,
        channel: &'a str,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        code: ErrorCode,
        message: &'a str,
        retryable: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expected: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    Event(Event<'a>),
    Expired {
        channel: &'a str,
        offset: u64,
        timestamp: Timestamp,
        ids: &'a [u64],
        unread: u64,
        unseen: u64,
    },
    Expiring {
        expires_in: u64,
    },
    Followed {
        id: u64,
        topic: &'a str,
    },
    Followers {
        id: u64,
        topic: &'a str,
        users: &'a [&'a str],
        more: bool,
    },
    Gap {
        channel: &'a str,
        reason: &'a str,
        from: Position,
        to: Position,
    },
    Hidden(Hidden<'a>),
    History {
        id: u64,
        channel: &'a str,
        #[serde(flatten)]
        position: Position,
        events: &'a [&'a RawValue],
        more: bool,
    },
    Inbox {
        id: u64,
        channel: &'a str,
        #[serde(flatten)]
        position: Position,
        #[serde(skip_serializing_if = "Option::is_none")]
        items: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        groups: Option<&'a RawValue>,
        more: bool,
        unread: u64,
        unseen: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        push_key: Option<&'a str>,
    },
    Left {
        id: u64,
        channel: &'a str,
    },
    Mark {
        channel: &'a str,
        offset: u64,
        timestamp: Timestamp,
        #[serde(rename = "as")]
        how: MarkAs,
        #[serde(skip_serializing_if = "Option::is_none")]
        ids: Option<&'a [u64]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        upto: Option<u64>,
        unread: u64,
        unseen: u64,
    },
    Marked {
        id: u64,
        #[serde(flatten)]
        position: Position,
        unread: u64,
        unseen: u64,
        duplicate: bool,
    },
    Members {
        id: u64,
        channel: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        members: Option<&'a [MemberView<'a>]>,
        count: usize,
        departed: &'a [MemberView<'a>],
    },
    Merged {
        id: u64,
        channel: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    Noted {
        id: u64,
    },
    Notification {
        channel: &'a str,
        offset: u64,
        timestamp: Timestamp,
        item: &'a RawValue,
        unread: u64,
        unseen: u64,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        dropped: &'a [u64],
    },
    Notified {
        id: u64,
        duplicate: bool,
    },
    Pong {
        id: u64,
    },
    Presence {
        channel: &'a str,
        action: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<MemberView<'a>>,
        count: usize,
    },
    Published {
        id: u64,
        channel: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<Epoch>,
        #[serde(skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
        level: Level,
        duplicate: bool,
    },
    PushSubscribed {
        id: u64,
    },
    PushUnsubscribed {
        id: u64,
    },
    Read {
        id: u64,
        channel: &'a str,
        offset: u64,
    },
    Reacted(Amended<'a>),
    Refreshed {
        id: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in: Option<u64>,
    },
    Reset {
        channel: &'a str,
        epoch: Epoch,
    },
    Snapshot {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        channel: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<Epoch>,
        offset: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        first: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        more: bool,
        entries: &'a [Held<'a>],
    },
    State(Change<'a>),
    Subscribed {
        id: u64,
        channel: &'a str,
        #[serde(flatten)]
        position: Position,
        recovered: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        conflated: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        members: Option<&'a [MemberView<'a>]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<usize>,
    },
    Synced {
        id: u64,
        channel: &'a str,
        epoch: Epoch,
        #[serde(serialize_with = "base64")]
        update: &'a [u8],
        #[serde(serialize_with = "base64")]
        vector: &'a [u8],
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    Unfollowed {
        id: u64,
        topic: &'a str,
    },
    Unread {
        id: u64,
        channel: &'a str,
        read: u64,
        offset: u64,
        count: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<u64>,
    },
    Unsubscribed {
        id: u64,
        channel: &'a str,
    },
    Updated {
        id: u64,
        channel: &'a str,
    },
    Values {
        channel: &'a str,
        offset: u64,
        version: u64,
        #[serde(serialize_with = "map")]
        values: &'a [(&'a str, &'a RawValue)],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        removed: &'a [&'a str],
    },
    Version {
        id: u64,
        channel: &'a str,
        #[serde(flatten)]
        version: VersionView<'a>,
    },
    Versions {
        id: u64,
        channel: &'a str,
        versions: &'a [VersionView<'a>],
        more: bool,
        changed: bool,
        authors: &'a [&'a str],
    },
    Welcome {
        id: u64,
        session: &'a str,
        user: &'a str,
        resumed: bool,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        entered: &'a [&'a str],
        heartbeat: u64,
        dedup_window: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in: Option<u64>,
        limits: WelcomeLimits,
    },
    Written {
        id: u64,
        channel: &'a str,
        key: &'a str,
        epoch: Epoch,
        #[serde(skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
        level: Level,
        duplicate: bool,
    },
}

impl<'a> Frame<'a> {
    /// The `bye` that goes in front of every close.
    pub fn bye(code: CloseCode, retry_after: Option<u64>) -> Frame<'a> {
        Frame::Bye {
            code: code.code(),
            reason: code.reason(),
            reconnect: code.reconnect(),
            retry_after,
        }
    }

    /// The JSON.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        // invariant: writing to a Vec cannot fail, and no map here has a key that is not a string.
        #[expect(clippy::expect_used, reason = "see the invariant")]
        serde_json::to_writer(&mut out, self).expect("a frame is always JSON");
        out.into()
    }
}

/// Pairs as one object: a key is in it once.
fn map<S: serde::Serializer>(
    pairs: &&[(&str, &RawValue)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

pub(crate) fn hex<S: serde::Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:016x}"))
}
