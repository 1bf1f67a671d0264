//! Every operation of the API, once: the router and the OpenAPI document are made of this table and
//! of that of documents.

use hyper::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::document_endpoints::DOCUMENT_ENDPOINTS;
use super::inbox_types::{
    Cursors, FollowBody, Followed, Followers, Inbox, MarkBody, Marked, Notified, NotifyBody,
};
use super::trace::SECONDS_MAX;
use super::types::{
    Broadcast, BroadcastBody, Channel, Channels, Connections, DeleteBody, DisconnectBody,
    Disconnected, EditBody, Held, History, Info, Members, PatchBody, PublishBody, Published,
    ReactBody, RemoveBody, RevokeBody, Revoked, SetBody, Ticket, TicketBody, UnsubscribeBody,
    Unsubscribed, Users, Written,
};
use crate::config::Scope;
use crate::metrics::Stats;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Broadcast,
    Channel,
    Channels,
    Connections,
    Cursors,
    Disconnect,
    Document,
    DocumentCopy,
    DocumentPatch,
    DocumentReset,
    DocumentText,
    DocumentUpdate,
    DocumentVersion,
    DocumentVersionCompare,
    DocumentVersionDelete,
    DocumentVersionName,
    DocumentVersionRestore,
    DocumentVersionSave,
    DocumentVersions,
    Follow,
    Followers,
    Delete,
    Edit,
    History,
    Inbox,
    Info,
    Mark,
    Notify,
    Presence,
    Publish,
    React,
    Revoke,
    State,
    StatePatch,
    StateRemove,
    StateSet,
    Stats,
    Ticket,
    Trace,
    Unsubscribe,
    Users,
}

/// A parameter of the path or the query.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A part of the path.
    Path,
    /// The same, as this one.
    PathAs(&'static str),
    /// A number in the path, from 1.
    PathNumber,
    /// A text of the query.
    Text,
    /// One of these words in the query.
    OneOf(&'static [&'static str]),
    /// A whole number of the query, at least this and at most that.
    Number(u64, u64),
}

/// One operation.
pub(super) struct Endpoint {
    pub(super) operation: Operation,
    pub(super) id: &'static str,
    pub(super) method: Method,
    /// Behind `/api/v1`.
    pub(super) path: &'static str,
    pub(super) scope: Scope,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<MakeSchema>,
    pub(super) answer: Said,
    /// Statuses of errors, beside those that every request can have.
    pub(super) errors: &'static [u16],
}

/// What an answer is.
#[derive(Clone, Copy)]
pub(super) enum Said {
    /// JSON of this schema.
    Json(MakeSchema),
    /// Server-Sent Events, as long as somebody listens.
    Events(&'static str),
}

pub(super) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const CHANNEL: Parameter =
    Parameter { name: "channel", about: "The channel, percent-encoded", kind: Kind::Path };

const USER: Parameter =
    Parameter { name: "user", about: "The user, percent-encoded", kind: Kind::Path };

/// The largest number that JavaScript counts exactly.
pub(super) const MANY: u64 = (1 << 53) - 1;

const HISTORY: [Parameter; 4] = [
    CHANNEL,
    Parameter {
        name: "before",
        about: "Events in front of this offset, the newest of them",
        kind: Kind::Number(0, MANY),
    },
    Parameter {
        name: "after",
        about: "Events behind this offset, the oldest of them; not together with `before`",
        kind: Kind::Number(0, MANY),
    },
    Parameter { name: "limit", about: "How many events at most", kind: Kind::Number(1, 100) },
];

const STATE: [Parameter; 4] = [
    Parameter { name: "channel", about: "The channel", kind: Kind::Text },
    Parameter { name: "key", about: "This key alone", kind: Kind::Text },
    Parameter { name: "after", about: "Only keys that follow this one", kind: Kind::Text },
    Parameter { name: "limit", about: "How many keys at most", kind: Kind::Number(1, 1000) },
];

const LIST: [Parameter; 3] = [
    Parameter { name: "prefix", about: "Only names that begin so", kind: Kind::Text },
    Parameter { name: "after", about: "Only names that follow this one", kind: Kind::Text },
    Parameter { name: "limit", about: "How many of them at most", kind: Kind::Number(1, 1000) },
];

const USERS: [Parameter; 4] = [
    LIST[0],
    LIST[1],
    LIST[2],
    Parameter {
        name: "channel",
        about: "Only users who are subscribed to this channel, and how many of their sessions are",
        kind: Kind::Text,
    },
];

const WHOSE: Parameter = Parameter { name: "user", about: "Whose", kind: Kind::Text };

const INBOX: [Parameter; 8] = [
    WHOSE,
    Parameter {
        name: "before",
        about: "Only what is older than this notification",
        kind: Kind::Number(0, MANY),
    },
    Parameter { name: "limit", about: "How many at most", kind: Kind::Number(1, 100) },
    Parameter { name: "topic", about: "Only what is of this topic", kind: Kind::Text },
    Parameter { name: "subject", about: "Only what is about this subject", kind: Kind::Text },
    Parameter { name: "unread", about: "`true`: only what was not read", kind: Kind::Text },
    Parameter { name: "archived", about: "`true`: what was put away", kind: Kind::Text },
    Parameter { name: "group", about: "`true`: by subject", kind: Kind::Text },
];

const FOLLOWERS: [Parameter; 3] = [
    Parameter { name: "topic", about: "The topic", kind: Kind::Text },
    Parameter { name: "after", about: "Only names that follow this one", kind: Kind::Text },
    Parameter { name: "limit", about: "How many of them at most", kind: Kind::Number(1, 1000) },
];

const TRACE: [Parameter; 4] = [
    Parameter { name: "channel", about: "What is said about this channel", kind: Kind::Text },
    Parameter { name: "user", about: "Or all that this user's sessions do", kind: Kind::Text },
    Parameter { name: "session", about: "Or all that this session does", kind: Kind::Text },
    Parameter {
        name: "seconds",
        about: "When it ends by itself",
        kind: Kind::Number(1, SECONDS_MAX),
    },
];

pub(super) const fn post(
    operation: Operation,
    (id, path, scope): (&'static str, &'static str, Scope),
    summary: &'static str,
    (body, answer): (MakeSchema, MakeSchema),
    errors: &'static [u16],
) -> Endpoint {
    let answer = Said::Json(answer);
    let (method, parameters, body) = (Method::POST, &[] as &[Parameter], Some(body));
    Endpoint { operation, id, method, path, scope, summary, parameters, body, answer, errors }
}

pub(super) const fn get(
    operation: Operation,
    (id, path, scope): (&'static str, &'static str, Scope),
    summary: &'static str,
    parameters: &'static [Parameter],
    answer: MakeSchema,
    errors: &'static [u16],
) -> Endpoint {
    let (method, body, answer) = (Method::GET, None, Said::Json(answer));
    Endpoint { operation, id, method, path, scope, summary, parameters, body, answer, errors }
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Endpoint> {
    ENDPOINTS.iter().chain(&DOCUMENT_ENDPOINTS)
}

/// But for those of documents.
static ENDPOINTS: [Endpoint; 28] = [
    post(
        Operation::Publish,
        ("publish", "/publish", Scope::Publish),
        "Publish an event to a channel",
        (schema::<PublishBody>, schema::<Published>),
        &[404, 409, 413, 422, 429, 503],
    ),
    post(
        Operation::Broadcast,
        ("broadcast", "/broadcast", Scope::Publish),
        "Publish an event to many channels; each succeeds or fails alone",
        (schema::<BroadcastBody>, schema::<Broadcast>),
        &[413],
    ),
    post(
        Operation::Notify,
        ("notify", "/notify", Scope::Notify),
        "Notify a user, many, or those who follow a topic; answered when all of it is stored",
        (schema::<NotifyBody>, schema::<Notified>),
        &[413],
    ),
    get(
        Operation::Inbox,
        ("getInbox", "/inbox", Scope::Inbox),
        "Read a page of a user's inbox, the newest notification first",
        &INBOX,
        schema::<Inbox>,
        &[503],
    ),
    post(
        Operation::Mark,
        ("mark", "/inbox/mark", Scope::Notify),
        "Mark notifications of a user, as if the user had",
        (schema::<MarkBody>, schema::<Marked>),
        &[413, 503],
    ),
    get(
        Operation::Cursors,
        ("getCursors", "/cursors", Scope::Inbox),
        "See how far a user has read in channels",
        &[WHOSE],
        schema::<Cursors>,
        &[503],
    ),
    get(
        Operation::Followers,
        ("listFollowers", "/followers", Scope::Inbox),
        "List those who follow a topic, by name",
        &FOLLOWERS,
        schema::<Followers>,
        &[503],
    ),
    post(
        Operation::Follow,
        ("changeFollowers", "/followers", Scope::Notify),
        "Have users follow a topic, or follow it no more",
        (schema::<FollowBody>, schema::<Followed>),
        &[413, 429, 503],
    ),
    post(
        Operation::Edit,
        ("edit", "/edit", Scope::Publish),
        "Give an event that is in history other data, whoever published it",
        (schema::<EditBody>, schema::<Published>),
        &[404, 409, 413, 422, 429, 503],
    ),
    post(
        Operation::Delete,
        ("delete", "/delete", Scope::Publish),
        "Delete an event that is in history, whoever published it",
        (schema::<DeleteBody>, schema::<Published>),
        &[404, 409, 413, 429, 503],
    ),
    post(
        Operation::React,
        ("react", "/react", Scope::Publish),
        "React to an event that is in history, or take that back, in a user's name",
        (schema::<ReactBody>, schema::<Published>),
        &[404, 409, 413, 429, 503],
    ),
    get(
        Operation::Channels,
        ("listChannels", "/channels", Scope::Channels),
        "List the channels in memory: those that somebody uses or has used lately",
        &LIST,
        schema::<Channels>,
        &[],
    ),
    get(
        Operation::Channel,
        ("getChannel", "/channels/{channel}", Scope::Channels),
        "Look at a channel in memory",
        &[CHANNEL],
        schema::<Channel>,
        &[404],
    ),
    get(
        Operation::History,
        ("getHistory", "/channels/{channel}/history", Scope::History),
        "Read a page of a channel's history; without `before` and `after` the newest events",
        &HISTORY,
        schema::<History>,
        &[404, 503],
    ),
    get(
        Operation::State,
        ("getState", "/state", Scope::History),
        "Read what the keys of a channel of live data hold, by their order",
        &STATE,
        schema::<Held>,
        &[404, 413, 503],
    ),
    post(
        Operation::StateSet,
        ("setState", "/state/set", Scope::Publish),
        "Give a key of a channel of live data its value",
        (schema::<SetBody>, schema::<Written>),
        &[404, 409, 413, 422, 429, 503],
    ),
    post(
        Operation::StatePatch,
        ("patchState", "/state/patch", Scope::Publish),
        "Change parts of a key's value: JSON Merge Patch (RFC 7396)",
        (schema::<PatchBody>, schema::<Written>),
        &[404, 409, 413, 422, 429, 503],
    ),
    post(
        Operation::StateRemove,
        ("removeState", "/state/remove", Scope::Publish),
        "Remove a key of a channel of live data",
        (schema::<RemoveBody>, schema::<Written>),
        &[404, 409, 413, 422, 429, 503],
    ),
    get(
        Operation::Presence,
        ("getPresence", "/channels/{channel}/presence", Scope::Presence),
        "See who is present in a channel",
        &[CHANNEL],
        schema::<Members>,
        &[404, 503],
    ),
    get(
        Operation::Users,
        ("listUsers", "/users", Scope::Users),
        "List the users who are connected",
        &USERS,
        schema::<Users>,
        &[],
    ),
    get(
        Operation::Connections,
        ("listConnections", "/users/{user}/connections", Scope::Users),
        "List a user's sessions",
        &[USER],
        schema::<Connections>,
        &[],
    ),
    post(
        Operation::Disconnect,
        ("disconnect", "/disconnect", Scope::Manage),
        "End the sessions of a user, or one session",
        (schema::<DisconnectBody>, schema::<Disconnected>),
        &[413],
    ),
    post(
        Operation::Unsubscribe,
        ("unsubscribe", "/unsubscribe", Scope::Manage),
        "End subscriptions of a user or a session",
        (schema::<UnsubscribeBody>, schema::<Unsubscribed>),
        &[413],
    ),
    post(
        Operation::Revoke,
        ("revoke", "/revoke", Scope::Manage),
        "Take rights back: of a user, a session, a token, or to channels; at once and after a restart",
        (schema::<RevokeBody>, schema::<Revoked>),
        &[413, 429, 503],
    ),
    post(
        Operation::Ticket,
        ("createTicket", "/tickets", Scope::Tickets),
        "Make a ticket for a client that can say who it is only in its URL",
        (schema::<TicketBody>, schema::<Ticket>),
        &[413],
    ),
    get(
        Operation::Info,
        ("getInfo", "/info", Scope::Channels),
        "What the server is and how much it has to do",
        &[],
        schema::<Info>,
        &[],
    ),
    get(
        Operation::Stats,
        ("getStats", "/stats", Scope::Stats),
        "What the server holds, and what it has counted since it was started",
        &[],
        schema::<Stats>,
        &[503],
    ),
    Endpoint {
        operation: Operation::Trace,
        id: "trace",
        method: Method::GET,
        path: "/trace",
        scope: Scope::Trace,
        summary: "Follow what is said and sent, as it happens; give one of `channel`, `user`, `session`",
        parameters: &TRACE,
        body: None,
        answer: Said::Events("Each `data:` is a JSON object with `at` and `kind`"),
        errors: &[429],
    },
];
