//! What the protocol has, as data: for tools and pages that offer it to people. One table for each
//! kind of thing; tests compare them with what is decoded and with the document.

use serde_json::{Map, Value, json};

use crate::document_catalogue as document;
use crate::inbox_catalogue as inbox;
use crate::{CloseCode, ErrorCode};

/// A command of a client.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// Its `type`.
    pub kind: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Its fields, beside `type` and `id`.
    pub fields: &'static [FieldSpec],
    /// Whole commands, as JSON.
    pub examples: &'static [&'static str],
}

/// A field of a command.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether the command is nothing without it.
    pub required: bool,
    /// What it means.
    pub about: &'static str,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Any JSON.
    Any,
    /// What a mark says.
    As,
    /// Bytes: a string of base64.
    Base64,
    /// `true` or `false`.
    Boolean,
    /// A browser's subscription to pushes.
    Browser,
    /// A whole number, at least this.
    Count(u64),
    /// Numbers of notifications, one at least.
    Ids,
    /// `{epoch, offset}`.
    Position,
    /// A string.
    Text,
}

pub(crate) const fn must(name: &'static str, kind: FieldKind, about: &'static str) -> FieldSpec {
    FieldSpec { name, kind, required: true, about }
}

pub(crate) const fn may(name: &'static str, kind: FieldKind, about: &'static str) -> FieldSpec {
    FieldSpec { name, kind, required: false, about }
}

pub(crate) const CHANNEL: FieldSpec =
    must("channel", FieldKind::Text, "The channel: `namespace:name`");

const MEMBER: FieldSpec = may("data", FieldKind::Any, "What others see of the member");

const KEY: FieldSpec = must("key", FieldKind::Text, "The key, 1 to 128 bytes");

const IF_VERSION: FieldSpec = may(
    "if_version",
    FieldKind::Count(0),
    "Only if the key has not changed since; 0: only if it is absent",
);

const TTL: FieldSpec = may(
    "ttl",
    FieldKind::Count(1),
    "Removes the key so many milliseconds later, if nobody sets it",
);

const TARGET: FieldSpec = must("offset", FieldKind::Count(0), "The event's offset");

const CHANGE_KEY: FieldSpec =
    may("key", FieldKind::Text, "A second change with the same key is the same change");

const PRODUCER: FieldSpec =
    may("producer", FieldKind::Text, "Who counts its writes with `seq`: exactly once");

const SEQ: FieldSpec =
    may("seq", FieldKind::Count(1), "The producer's number of this write: 1, 2, 3 …");

/// Every command, in the order in which the document explains them.
pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        kind: "hello",
        summary: "Opens the session; the first command, or left out where anonymous users may",
        fields: &[
            may("token", FieldKind::Text, "A JWT that says who the user is"),
            may("client", FieldKind::Text, "What the client is called"),
            may("session", FieldKind::Text, "The ticket of the session that shall go on"),
            may(
                "attempt",
                FieldKind::Count(1),
                "Which try with this ticket it is: larger each time",
            ),
        ],
        examples: &[
            r#"{"type":"hello","id":1}"#,
            r#"{"type":"hello","id":1,"token":"eyJhbGciOiJIUzI1NiJ9.e30.c2ln","client":"app/1"}"#,
        ],
    },
    CommandSpec {
        kind: "subscribe",
        summary: "Asks for the events of a channel from now on, or from where the client stands",
        fields: &[
            CHANNEL,
            may("since", FieldKind::Position, "The last event that the client has"),
            may("rewind", FieldKind::Count(0), "How many of the newest events come first"),
            may("presence", FieldKind::Boolean, "Also who is present, and changes of it"),
        ],
        examples: &[
            r#"{"type":"subscribe","id":2,"channel":"chat:lobby"}"#,
            r#"{"type":"subscribe","id":2,"channel":"chat:lobby","rewind":20,"presence":true}"#,
            r#"{"type":"subscribe","id":2,"channel":"chat:lobby","since":{"epoch":"01f3a9c2d47be511","offset":41}}"#,
        ],
    },
    CommandSpec {
        kind: "unsubscribe",
        summary: "Ends a subscription; nothing of the channel comes behind the answer",
        fields: &[CHANNEL],
        examples: &[r#"{"type":"unsubscribe","id":3,"channel":"chat:lobby"}"#],
    },
    CommandSpec {
        kind: "publish",
        summary: "Publishes an event; answered when it is stored",
        fields: &[
            CHANNEL,
            must("data", FieldKind::Any, "What subscribers get: any JSON"),
            may("event", FieldKind::Text, "A name inside the channel"),
            may("key", FieldKind::Text, "A second publish with the same key is the same event"),
            may("producer", FieldKind::Text, "Who counts its events with `seq`: exactly once"),
            may("seq", FieldKind::Count(1), "The producer's number of this event: 1, 2, 3 …"),
            may("ephemeral", FieldKind::Boolean, "Fanned out, never stored"),
            may("echo", FieldKind::Boolean, "`false` spares the publishing session; else `true`"),
        ],
        examples: &[
            r#"{"type":"publish","id":4,"channel":"chat:lobby","data":{"text":"Hello"}}"#,
            r#"{"type":"publish","id":4,"channel":"chat:lobby","event":"paid","data":17,"key":"order-17"}"#,
            r#"{"type":"publish","id":4,"channel":"chat:lobby","data":null,"producer":"p-7f31","seq":1}"#,
            r#"{"type":"publish","id":4,"channel":"chat:lobby","event":"typing","data":{},"ephemeral":true,"echo":false}"#,
        ],
    },
    CommandSpec {
        kind: "edit",
        summary: "Gives an event of one's own other data; answered when that is stored",
        fields: &[
            CHANNEL,
            TARGET,
            must("data", FieldKind::Any, "What the event says from now on: any JSON"),
            CHANGE_KEY,
            PRODUCER,
            SEQ,
        ],
        examples: &[
            r#"{"type":"edit","id":16,"channel":"chat:lobby","offset":44,"data":{"text":"Hi!"}}"#,
        ],
    },
    CommandSpec {
        kind: "delete",
        summary: "Deletes an event of one's own: what it said is given to nobody again",
        fields: &[CHANNEL, TARGET, CHANGE_KEY, PRODUCER, SEQ],
        examples: &[r#"{"type":"delete","id":17,"channel":"chat:lobby","offset":44}"#],
    },
    CommandSpec {
        kind: "react",
        summary: "Reacts to an event, or takes that back",
        fields: &[
            CHANNEL,
            TARGET,
            must("reaction", FieldKind::Text, "The reaction, 1 to 64 bytes"),
            may("remove", FieldKind::Boolean, "Take it back"),
            CHANGE_KEY,
            PRODUCER,
            SEQ,
        ],
        examples: &[
            r#"{"type":"react","id":18,"channel":"chat:lobby","offset":44,"reaction":"👍"}"#,
            r#"{"type":"react","id":18,"channel":"chat:lobby","offset":44,"reaction":"👍","remove":true}"#,
        ],
    },
    CommandSpec {
        kind: "history",
        summary: "Reads a page of a channel's history, oldest first; the newest if nothing else is said",
        fields: &[
            CHANNEL,
            may("before", FieldKind::Count(0), "The events just in front of this offset"),
            may("after", FieldKind::Count(0), "The events behind it; not together with `before`"),
            may("limit", FieldKind::Count(0), "How many events at most"),
        ],
        examples: &[
            r#"{"type":"history","id":5,"channel":"chat:lobby","limit":20}"#,
            r#"{"type":"history","id":5,"channel":"chat:lobby","before":44}"#,
        ],
    },
    CommandSpec {
        kind: "set",
        summary: "Gives a key of a state channel its value; answered when it is stored",
        fields: &[
            CHANNEL,
            KEY,
            must("value", FieldKind::Any, "Any JSON, `null` too"),
            IF_VERSION,
            TTL,
            PRODUCER,
            SEQ,
        ],
        examples: &[
            r#"{"type":"set","id":12,"channel":"board:main","key":"title","value":"Plan"}"#,
            r#"{"type":"set","id":12,"channel":"board:main","key":"lock","value":"ada","if_version":0,"ttl":30000}"#,
        ],
    },
    CommandSpec {
        kind: "patch",
        summary: "Changes parts of a key's value: JSON Merge Patch (RFC 7396)",
        fields: &[
            CHANNEL,
            KEY,
            must("patch", FieldKind::Any, "The merge patch: `null` removes a member"),
            IF_VERSION,
            TTL,
            PRODUCER,
            SEQ,
        ],
        examples: &[
            r#"{"type":"patch","id":13,"channel":"board:main","key":"card-7","patch":{"done":1}}"#,
        ],
    },
    CommandSpec {
        kind: "remove",
        summary: "Removes a key of a state channel",
        fields: &[CHANNEL, KEY, IF_VERSION, PRODUCER, SEQ],
        examples: &[r#"{"type":"remove","id":14,"channel":"board:main","key":"card-7"}"#],
    },
    CommandSpec {
        kind: "get",
        summary: "Reads a key of a state channel, or a page of all of them by their order",
        fields: &[
            CHANNEL,
            may("key", FieldKind::Text, "This key alone"),
            may("after", FieldKind::Text, "The keys that follow this one"),
            may("limit", FieldKind::Count(1), "How many keys at most"),
        ],
        examples: &[
            r#"{"type":"get","id":15,"channel":"board:main","key":"card-7"}"#,
            r#"{"type":"get","id":15,"channel":"board:main","after":"card-7","limit":100}"#,
        ],
    },
    CommandSpec {
        kind: "presence",
        summary: "Asks who is present in a channel",
        fields: &[CHANNEL],
        examples: &[r#"{"type":"presence","id":6,"channel":"chat:lobby"}"#],
    },
    CommandSpec {
        kind: "enter",
        summary: "Makes the session's user a member of a channel",
        fields: &[CHANNEL, MEMBER],
        examples: &[r#"{"type":"enter","id":7,"channel":"chat:lobby","data":{"name":"Ada"}}"#],
    },
    CommandSpec {
        kind: "update",
        summary: "Changes what others see of the member",
        fields: &[CHANNEL, MEMBER],
        examples: &[r#"{"type":"update","id":8,"channel":"chat:lobby","data":{"mood":"busy"}}"#],
    },
    CommandSpec {
        kind: "leave",
        summary: "Ends the user's presence in a channel, as far as this session made it",
        fields: &[CHANNEL],
        examples: &[r#"{"type":"leave","id":9,"channel":"chat:lobby"}"#],
    },
    document::SYNC,
    document::MERGE,
    document::AWARENESS,
    document::VERSIONS,
    document::SAVE_VERSION,
    document::NAME_VERSION,
    document::RESTORE_VERSION,
    inbox::INBOX,
    inbox::MARK,
    inbox::READ,
    inbox::UNREAD,
    inbox::CURSORS,
    inbox::FOLLOW,
    inbox::UNFOLLOW,
    inbox::PUSH_SUBSCRIBE,
    inbox::PUSH_UNSUBSCRIBE,
    CommandSpec {
        kind: "refresh",
        summary: "Hands in a new token of the same user; subscriptions stay",
        fields: &[must("token", FieldKind::Text, "The new JWT")],
        examples: &[r#"{"type":"refresh","id":10,"token":"eyJhbGciOiJIUzI1NiJ9.e30.c2ln"}"#],
    },
    CommandSpec {
        kind: "ping",
        summary: "Asks for an answer: is the line alive?",
        fields: &[],
        examples: &[r#"{"type":"ping","id":11}"#],
    },
];

/// Every frame that a server sends, and when.
pub const FRAMES: &[(&str, &str)] = &[
    ("access", "What the user may do with a document: write it, be seen in it"),
    ("awareness", "What is to be seen of others who have a document open"),
    ("bye", "The server closes the session, and whether to come back"),
    ("cursor", "The user has read further in a channel"),
    ("cursors", "How far the user has read in channels"),
    ("deleted", "An event was deleted"),
    ("document", "Somebody has changed a document"),
    ("edited", "An event says something else now"),
    ("entered", "The user is present in the channel now"),
    ("error", "A command was refused, or a subscription ended"),
    ("event", "An event of a channel"),
    ("expired", "Notifications are over"),
    ("expiring", "The session's token expires soon"),
    ("followed", "The user follows a topic now"),
    ("gap", "Events of a channel are missing"),
    ("hidden", "What stands at this offset is told nobody, or nobody any more"),
    ("history", "A page of a channel's history"),
    ("inbox", "A page of the user's inbox"),
    ("left", "The user is not present in the channel any more"),
    ("mark", "The user has seen, read or put away notifications"),
    ("marked", "A mark is stored"),
    ("members", "Who is present in a channel"),
    ("merged", "A change of a document is stored"),
    ("noted", "Others are shown what the client said of itself"),
    ("notification", "A notification for the user"),
    ("pong", "The answer to a ping"),
    ("presence", "Somebody entered, changed or left; or only how many there are"),
    ("published", "An event is as safe as `level` says"),
    ("push_subscribed", "A browser gets pushes"),
    ("push_unsubscribed", "A browser gets no pushes any more"),
    ("read", "How far the user has read in a channel"),
    ("reacted", "Somebody reacts to an event, or does not any more"),
    ("refreshed", "The new token was taken"),
    ("reset", "A document was reset: what the client has of it counts no more"),
    ("snapshot", "Keys of a state channel and what they hold, as of an offset"),
    ("state", "A key of a state channel has changed"),
    ("subscribed", "A subscription begins, and where"),
    ("synced", "What the client did not have of a document"),
    ("unfollowed", "The user does not follow a topic any more"),
    ("unread", "What the user has not read in a channel"),
    ("unsubscribed", "A subscription has ended"),
    ("updated", "What others see of the member was changed"),
    ("values", "The newest values of keys that have changed, for a client that falls behind"),
    ("version", "A version of a document, as it is kept now"),
    ("versions", "A document's versions"),
    ("welcome", "The session is open"),
    ("written", "A write is as safe as `level` says"),
];

impl CommandSpec {
    /// Its JSON Schema (2020-12). Names and sizes are not in it: the server's limits and namespaces
    /// decide about those.
    pub fn schema(&self) -> Value {
        let mut properties = Map::new();
        properties.insert("type".into(), json!({ "const": self.kind }));
        let id = json!({
            "type": "integer",
            "minimum": 0,
            "maximum": crate::decode::MAX_ID,
            "description": "Picked by the client; the answer carries it",
        });
        properties.insert("id".into(), id);
        let mut required = vec!["type", "id"];
        for field in self.fields {
            let mut schema = field.kind.schema();
            schema["description"] = field.about.into();
            properties.insert(field.name.into(), schema);
            required.extend(field.required.then_some(field.name));
        }
        let mut schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.kind,
            "description": self.summary,
            "type": "object",
            "properties": properties,
            "required": required,
        });
        if self.fields.iter().any(|field| field.name == "seq") {
            schema["dependentRequired"] = json!({ "producer": ["seq"], "seq": ["producer"] });
        }
        schema
    }
}

impl FieldKind {
    fn schema(self) -> Value {
        match self {
            FieldKind::Any => json!({}),
            FieldKind::As => json!({ "enum": crate::MarkAs::ALL }),
            FieldKind::Base64 => json!({ "type": "string", "contentEncoding": "base64" }),
            FieldKind::Browser => json!({
                "type": "object",
                "properties": {
                    "endpoint": { "type": "string" },
                    "keys": {
                        "type": "object",
                        "properties": {
                            "p256dh": { "type": "string" },
                            "auth": { "type": "string" },
                        },
                        "required": ["p256dh", "auth"],
                    },
                },
                "required": ["endpoint", "keys"],
            }),
            FieldKind::Boolean => json!({ "type": "boolean" }),
            FieldKind::Count(least) => json!({ "type": "integer", "minimum": least }),
            FieldKind::Ids => json!({
                "type": "array",
                "items": { "type": "integer", "minimum": 0 },
                "minItems": 1,
                "maxItems": 1000,
            }),
            FieldKind::Position => json!({
                "type": "object",
                "properties": {
                    "epoch": { "type": "string" },
                    "offset": { "type": "integer", "minimum": 0 },
                },
                "required": ["epoch", "offset"],
            }),
            FieldKind::Text => json!({ "type": "string" }),
        }
    }
}

/// All of it as one JSON document.
pub fn catalogue() -> Value {
    let commands = COMMANDS.iter().map(|command| {
        let parse = |text: &&str| serde_json::from_str::<Value>(text).unwrap_or_default();
        json!({
            "type": command.kind,
            "summary": command.summary,
            "schema": command.schema(),
            "examples": command.examples.iter().map(parse).collect::<Vec<_>>(),
        })
    });
    let frames = FRAMES.iter().map(|(kind, summary)| json!({ "type": kind, "summary": summary }));
    let errors = ErrorCode::ALL.iter().map(|code| {
        json!({
            "code": code.as_str(),
            "summary": code.summary(),
            "retryable": code.retryable(),
        })
    });
    let closes = CloseCode::ALL.iter().map(|code| {
        json!({
            "code": code.code(),
            "reason": code.reason(),
            "summary": code.summary(),
            "reconnect": code.reconnect(),
        })
    });
    json!({
        "commands": commands.collect::<Vec<_>>(),
        "frames": frames.collect::<Vec<_>>(),
        "errors": errors.collect::<Vec<_>>(),
        "closes": closes.collect::<Vec<_>>(),
    })
}
