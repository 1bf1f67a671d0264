//! What users and the server say about an inbox.

use serde::{Deserialize, Serialize};

use crate::decode::{CommandBody, Fields, InboxQuery, pair};
use crate::{Epoch, Text};

/// What a user has done with items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkAs {
    /// Put away: neither unread nor unseen from now on.
    Archived,
    /// Read, and seen with that.
    Read,
    /// Shown.
    Seen,
    /// Not read, though seen.
    Unread,
}

impl MarkAs {
    /// All of them.
    pub const ALL: [MarkAs; 4] = [MarkAs::Archived, MarkAs::Read, MarkAs::Seen, MarkAs::Unread];
}

/// A mark: of these items, or of all up to one.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Mark<'a> {
    pub how: MarkAs,
    pub ids: Option<Vec<u64>>,
    pub upto: Option<u64>,
    pub producer: Option<(Text<'a>, u64)>,
}

/// A browser's subscription to pushes, as its `toJSON` says it.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Browser<'a> {
    #[serde(borrow)]
    pub endpoint: Text<'a>,
    #[serde(borrow)]
    pub keys: BrowserKeys<'a>,
}

/// See [`Browser`].
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct BrowserKeys<'a> {
    #[serde(borrow)]
    pub p256dh: Text<'a>,
    #[serde(borrow)]
    pub auth: Text<'a>,
}

/// How far a user has read in a channel.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct CursorView<'a> {
    pub channel: &'a str,
    pub epoch: Epoch,
    pub offset: u64,
}

/// An event that says nothing, so that offsets stay dense. What is stored of it says what it is.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Hidden<'a> {
    pub channel: &'a str,
    pub offset: u64,
    /// Never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret<'a>>,
}

/// What a hidden event does.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret<'a> {
    /// Somebody follows a topic.
    Follow(&'a str),
    /// A browser gets pushes: its endpoint, its key, and what both know beside it.
    PushSubscribe(&'a str, &'a str, &'a str),
    /// It gets none any more.
    PushUnsubscribe(&'a str),
    /// Somebody does not follow a topic any more.
    Unfollow(&'a str),
}

impl<'a> Fields<'a> {
    /// What a user asks of their own inbox.
    pub(crate) fn into_inbox(self) -> Result<CommandBody<'a>, String> {
        use CommandBody as B;
        let missing = |field: &str| format!("missing field `{field}`");
        let topic = |topic: Option<Text<'a>>| topic.ok_or_else(|| missing("topic"));
        let channel = |channel: Option<Text<'a>>| channel.ok_or_else(|| missing("channel"));
        Ok(match self.kind.as_deref().unwrap_or_default() {
            "cursors" => B::Cursors,
            "follow" => B::Follow { topic: topic(self.topic)? },
            "inbox" => B::Inbox(InboxQuery {
                before: self.before,
                limit: self.limit,
                topic: self.topic,
                subject: self.subject,
                unread: self.unread.unwrap_or(false),
                archived: self.archived.unwrap_or(false),
                group: self.group.unwrap_or(false),
            }),
            "mark" => B::Mark(Mark {
                how: self.how.ok_or_else(|| missing("as"))?,
                ids: self.ids,
                upto: self.upto,
                producer: pair(self.producer, self.seq)?,
            }),
            "push_subscribe" => {
                B::PushSubscribe(self.subscription.ok_or_else(|| missing("subscription"))?)
            }
            "push_unsubscribe" => {
                B::PushUnsubscribe { endpoint: self.endpoint.ok_or_else(|| missing("endpoint"))? }
            }
            "read" => B::Read {
                channel: channel(self.channel)?,
                offset: self.offset.ok_or_else(|| missing("offset"))?,
                producer: pair(self.producer, self.seq)?,
            },
            "unfollow" => B::Unfollow { topic: topic(self.topic)? },
            _ => B::Unread { channel: channel(self.channel)? },
        })
    }
}
