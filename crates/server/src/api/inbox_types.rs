//! What the API takes and gives about inboxes, beside `types.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tidings_proto::MarkAs;

/// A notification, for one of `user`, `users` and `topic_followers`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NotifyBody {
    /// This user.
    #[serde(default)]
    #[schemars(length(min = 1, max = 249))]
    pub(super) user: Option<String>,
    /// Each of these users.
    #[serde(default)]
    #[schemars(length(min = 1, max = 10_000))]
    pub(super) users: Option<Vec<String>>,
    /// All who follow this topic now.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(super) topic_followers: Option<String>,
    /// What kind of thing it is about, at most 64 bytes.
    #[schemars(example = &"comment", length(min = 1))]
    pub(super) topic: String,
    /// Which one, for grouping, at most 128 bytes.
    #[serde(default)]
    #[schemars(example = &"doc:42")]
    pub(super) subject: Option<String>,
    /// What it says: any JSON.
    #[schemars(with = "Value")]
    pub(super) data: Box<RawValue>,
    /// Makes it idempotent: whoever has one with the same key, within `inbox.dedup_window`, gets
    /// no second one.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// Milliseconds after which it is gone.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000_000_u64))]
    pub(super) ttl: Option<u64>,
    /// The user who caused it.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user_from: Option<String>,
}

/// What became of a notification. It is stored for all but those in `failed`: for these the same
/// request with the same `key` can be made again.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Notified {
    /// How many users have it now who had not.
    pub(super) notified: u64,
    /// How many had it before.
    pub(super) duplicates: u64,
    /// Who has it not, and why. At most 10,000 of them are named.
    pub(super) failed: Vec<NotNotified>,
}

/// A user who was not notified.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct NotNotified {
    pub(super) user: String,
    /// As an error has it: `unavailable`, `bad_request` ...
    pub(super) code: &'static str,
}

/// The engine's answer for one user.
#[derive(Debug, Deserialize)]
pub(super) struct NotifiedOne {
    pub(super) duplicate: bool,
}

/// A page of an inbox.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Inbox {
    epoch: String,
    /// What it is as of.
    offset: u64,
    /// Each as its user gets it; not with `group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Value>>")]
    items: Option<Vec<Box<RawValue>>>,
    /// With `group`: each subject with its newest notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Value>>")]
    groups: Option<Vec<Box<RawValue>>>,
    /// There are older ones.
    more: bool,
    /// Neither read nor archived, in the whole inbox.
    unread: u64,
    /// Neither seen nor archived, in the whole inbox.
    unseen: u64,
}

/// What a user has done with notifications: with `ids`, or with all up to `upto`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MarkBody {
    /// Whose.
    #[schemars(length(min = 1, max = 249))]
    pub(super) user: String,
    /// `seen`, `read`, `unread` or `archived`.
    #[serde(rename = "as")]
    #[schemars(with = "String")]
    pub(super) how: MarkAs,
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    pub(super) ids: Option<Vec<u64>>,
    #[serde(default)]
    pub(super) upto: Option<u64>,
}

/// The mark is stored.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Marked {
    epoch: String,
    /// What the counts are as of.
    offset: u64,
    unread: u64,
    unseen: u64,
}

/// How far a user has read.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Cursors {
    cursors: Vec<Cursor>,
}

/// How far a user has read in a channel.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Cursor {
    channel: String,
    epoch: String,
    offset: u64,
}

/// Users who follow a topic, by name.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Followers {
    pub(super) users: Vec<String>,
    /// There are more behind the last one.
    pub(super) more: bool,
}

/// Who follows a topic from now on, and who does not.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowBody {
    #[schemars(length(min = 1))]
    pub(super) topic: String,
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub(super) add: Vec<String>,
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub(super) remove: Vec<String>,
}

/// It is stored.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Followed {
    /// How many follow the topic who are named in `add`.
    pub(super) added: usize,
    /// How many do not who are named in `remove`.
    pub(super) removed: usize,
}
