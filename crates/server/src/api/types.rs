//! What the API takes and gives. The comments are its documentation: see `openapi.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tidings_core::policy::Kind;

use super::problem::Problem;

/// An event to publish.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishBody {
    /// The channel.
    #[schemars(example = "chat:lobby", length(min = 1, max = 255))]
    pub(super) channel: String,
    /// What subscribers get: any JSON.
    #[schemars(with = "Value")]
    pub(super) data: Box<RawValue>,
    /// A name inside the channel, at most 64 bytes.
    #[serde(default)]
    pub(super) event: Option<String>,
    /// Makes it idempotent: a second publish with the same key, within the channel's dedup window,
    /// is the same event.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// The user that the event is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
    /// Fanned out, never stored.
    #[serde(default)]
    pub(super) ephemeral: bool,
}

/// Other data for an event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditBody {
    /// The channel.
    #[schemars(example = "chat:lobby", length(min = 1, max = 255))]
    pub(super) channel: String,
    /// The event's offset.
    pub(super) offset: u64,
    /// What it says from now on: any JSON.
    #[schemars(with = "Value")]
    pub(super) data: Box<RawValue>,
    /// A second change with the same key, within the channel's dedup window, is the same change.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
}

/// An event that shall go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteBody {
    /// The channel.
    #[schemars(example = "chat:lobby", length(min = 1, max = 255))]
    pub(super) channel: String,
    /// The event's offset.
    pub(super) offset: u64,
    /// A second change with the same key, within the channel's dedup window, is the same change.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
}

/// A reaction to an event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReactBody {
    /// The channel.
    #[schemars(example = "chat:lobby", length(min = 1, max = 255))]
    pub(super) channel: String,
    /// The event's offset.
    pub(super) offset: u64,
    /// The reaction, 1 to 64 bytes.
    #[schemars(example = "👍", length(min = 1))]
    pub(super) reaction: String,
    /// Take it back.
    #[serde(default)]
    pub(super) remove: bool,
    /// A second change with the same key, within the channel's dedup window, is the same change.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// The user who reacts, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
}

/// An event to publish to many channels.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BroadcastBody {
    /// The channels.
    #[schemars(length(min = 1, max = 1000))]
    pub(super) channels: Vec<String>,
    /// What subscribers get: any JSON.
    #[schemars(with = "Value")]
    pub(super) data: Box<RawValue>,
    /// A name inside the channel, at most 64 bytes.
    #[serde(default)]
    pub(super) event: Option<String>,
    /// Makes it idempotent: a second publish with the same key, within the channel's dedup window,
    /// is the same event.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// The user that the event is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
    /// Fanned out, never stored.
    #[serde(default)]
    pub(super) ephemeral: bool,
}

/// An event is as safe as its channel asks for.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Published {
    /// The channel's epoch; none for an ephemeral event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    /// The event's offset in its channel; none for an ephemeral event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// How safe it is: `fsync`, `os` or `memory`.
    level: String,
    /// It had been published before: nothing was done.
    #[serde(default)]
    duplicate: bool,
}

/// What became of an event in each channel, in their order.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Broadcast {
    pub(super) results: Vec<BroadcastResult>,
}

/// What became of it in one channel: one of `published` and `error`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BroadcastResult {
    pub(super) channel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<Published>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Problem>,
}

/// A page of a channel's history, the oldest event first.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct History {
    /// Each as subscribers get it.
    #[schemars(with = "Vec<Value>")]
    events: Vec<Box<RawValue>>,
    /// There is more in the direction that was asked for.
    more: bool,
}

/// Who is present.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Members {
    /// Not there if there are so many that the namespace tells counts alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Value>>")]
    members: Option<Vec<Box<RawValue>>>,
    /// How many users.
    count: usize,
}

/// A value for a key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetBody {
    /// The channel.
    #[schemars(example = "board:main", length(min = 1, max = 255))]
    pub(super) channel: String,
    /// The key, 1 to 128 bytes.
    #[schemars(length(min = 1, max = 128))]
    pub(super) key: String,
    /// What it shall hold: any JSON.
    #[schemars(with = "Value")]
    pub(super) value: Box<RawValue>,
    /// Only if the key has not changed since it had this version; 0: only if it is absent.
    #[serde(default)]
    pub(super) if_version: Option<u64>,
    /// The key is removed so many milliseconds later, unless it is written again.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000_000_u64))]
    pub(super) ttl: Option<u64>,
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
    /// A second write with the same one, within the channel's dedup window, is the same write.
    #[serde(default)]
    pub(super) idempotency_key: Option<String>,
}

/// A change of a part of a value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchBody {
    /// The channel.
    #[schemars(example = "board:main", length(min = 1, max = 255))]
    pub(super) channel: String,
    /// The key, 1 to 128 bytes.
    #[schemars(length(min = 1, max = 128))]
    pub(super) key: String,
    /// The merge patch: in an object, `null` removes a member.
    #[schemars(with = "Value")]
    pub(super) patch: Box<RawValue>,
    /// Only if the key has not changed since it had this version; 0: only if it is absent.
    #[serde(default)]
    pub(super) if_version: Option<u64>,
    /// The key is removed so many milliseconds later, unless it is written again.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000_000_u64))]
    pub(super) ttl: Option<u64>,
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
    /// A second write with the same one, within the channel's dedup window, is the same write.
    #[serde(default)]
    pub(super) idempotency_key: Option<String>,
}

/// A key that shall go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveBody {
    /// The channel.
    #[schemars(example = "board:main", length(min = 1, max = 255))]
    pub(super) channel: String,
    /// The key, 1 to 128 bytes.
    #[schemars(length(min = 1, max = 128))]
    pub(super) key: String,
    /// Only if the key has not changed since it had this version; 0: only if it is absent.
    #[serde(default)]
    pub(super) if_version: Option<u64>,
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
    /// A second write with the same one, within the channel's dedup window, is the same write.
    #[serde(default)]
    pub(super) idempotency_key: Option<String>,
}

/// The write is as safe as its channel asks for.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Written {
    /// The channel's epoch.
    epoch: String,
    /// The change's offset in its channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// The key's version: `if_version` of a write that shall follow this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// How safe it is: `fsync`, `os` or `memory`.
    level: String,
    /// It had been written before: nothing was done.
    #[serde(default)]
    duplicate: bool,
}

/// What keys hold, all as of one offset.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Held {
    /// The channel's epoch.
    epoch: String,
    /// The offset of its newest change.
    offset: u64,
    /// By the order of keys: `key`, `value`, `version`, and `expires_at` if it goes by itself.
    #[schemars(with = "Vec<Value>")]
    entries: Vec<Box<RawValue>>,
    /// There are more: ask with the last key as `after`.
    #[serde(default)]
    more: bool,
}

/// A channel that is in memory.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Channel {
    pub(super) channel: String,
    /// Its epoch.
    pub(super) epoch: String,
    /// The offset of its newest event.
    pub(super) offset: u64,
    /// Events in its history.
    pub(super) events: usize,
    /// Users who are present in it.
    pub(super) members: usize,
    /// Sessions that are subscribed to it.
    pub(super) subscriptions: usize,
}

/// Channels, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Channels {
    pub(super) channels: Vec<Channel>,
    /// Ask for more with this as `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// Users who are connected, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Users {
    pub(super) users: Vec<User>,
    /// Ask for more with this as `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// A user who is connected.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct User {
    pub(super) user: String,
    /// How many sessions.
    pub(super) sessions: usize,
}

/// A user's sessions, the oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Connections {
    pub(super) connections: Vec<Connection>,
    /// There are more than are shown.
    pub(super) more: bool,
}

/// A session that is connected.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Connection {
    /// Its public id, as events have it.
    pub(super) session: String,
    /// `websocket`, `sse`, `poll` or `eventsource`.
    pub(super) transport: &'static str,
    /// How long it has been connected, in seconds.
    pub(super) connected_seconds: u64,
    /// When its token expires, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_expires_ms: Option<u64>,
    /// What it is subscribed to.
    pub(super) channels: Vec<String>,
    /// Where it is present.
    pub(super) entered: Vec<String>,
}

/// Whose connections to end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DisconnectBody {
    /// All sessions of this user.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
    /// The session with this id.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9a-fA-F]{16}$"))]
    pub(super) session: Option<String>,
    /// The clients may come back at once, as new sessions. Otherwise they stop (close code 4410),
    /// but nothing keeps them from connecting anew: see `revoke`.
    #[serde(default)]
    pub(super) reconnect: bool,
}

/// How many sessions were ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Disconnected {
    pub(super) sessions: usize,
}

/// Whose subscriptions to end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnsubscribeBody {
    /// Those of this user.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
    /// Those of the session with this id.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9a-fA-F]{16}$"))]
    pub(super) session: Option<String>,
    /// A channel, or a prefix that ends in `*`.
    #[schemars(example = "chat:lobby", length(min = 1, max = 255))]
    pub(super) channel: String,
}

/// How many subscriptions were ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Unsubscribed {
    pub(super) subscriptions: usize,
}

/// What is revoked: at least one of `user`, `session`, `token` and `channel`; of these only `user`
/// and `channel` can stand together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeBody {
    /// Tokens of this user that were issued until now, and the sessions that they opened.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
    /// The session with this id: it ends and cannot be resumed.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9a-fA-F]{16}$"))]
    pub(super) session: Option<String>,
    /// The token with this `jti`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) token: Option<String>,
    /// Rights to this channel, or to all that begin with what stands in front of a `*`: of the
    /// user's tokens that were issued until now, or of everybody's.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) channel: Option<String>,
    /// How long it is remembered, in seconds: longer than such tokens live. 30 days if not given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub(super) ttl: Option<u64>,
}

/// It is in force, on this server also after a restart.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Revoked {
    /// How many sessions were ended.
    pub(super) sessions: usize,
    /// Until when it is remembered, in milliseconds since 1970.
    pub(super) until_ms: u64,
}

/// A ticket for a client that can say who it is only in its URL: a plain `EventSource`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketBody {
    /// The user.
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: String,
    /// What the ticket allows beyond what namespaces allow everybody: channels, or prefixes that
    /// end in `*`, each with some of `subscribe`, `history`, `presence` and `publish`.
    #[serde(default)]
    pub(super) channels: BTreeMap<String, Vec<Action>>,
    /// For how long it lets in, in seconds. 60 if not given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 300))]
    pub(super) ttl: Option<u64>,
}

/// What can be allowed on a channel.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    History,
    Presence,
    Publish,
    Subscribe,
}

/// Put it into the URL: `/events?channel=...&ticket=...`
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Ticket {
    pub(super) ticket: String,
    /// For how long it lets in, in seconds.
    pub(super) expires_in: u64,
}

/// What the server is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Info {
    pub(super) version: &'static str,
    /// HTTP and WebSocket connections.
    pub(super) connections: usize,
    /// Sessions, whatever they speak.
    pub(super) sessions: usize,
    /// Channels in memory.
    pub(super) channels: usize,
    /// What the channels of each namespace are.
    #[schemars(extend("additionalProperties" = {
        "enum": ["document", "events", "inbox", "state"]
    }))]
    pub(super) kinds: BTreeMap<String, Kind>,
}
