//! The commands of inboxes, as data.

use crate::catalogue::{CHANNEL, CommandSpec, FieldKind, FieldSpec, may, must};

const TOPIC: FieldSpec = must("topic", FieldKind::Text, "The topic, 1 to 64 bytes");
const PRODUCER: FieldSpec =
    may("producer", FieldKind::Text, "Who counts its commands with `seq`: exactly once");
const SEQ: FieldSpec = may("seq", FieldKind::Count(1), "The producer's number of this command");

pub(crate) const INBOX: CommandSpec = CommandSpec {
    kind: "inbox",
    summary: "Reads a page of the user's own inbox, the newest notification first",
    fields: &[
        may("before", FieldKind::Count(0), "Only what is older than this notification"),
        may("limit", FieldKind::Count(0), "How many at most"),
        may("topic", FieldKind::Text, "Only what is of this topic"),
        may("subject", FieldKind::Text, "Only what is about this subject"),
        may("unread", FieldKind::Boolean, "Only what has not been read"),
        may("archived", FieldKind::Boolean, "What was put away, instead of what was not"),
        may("group", FieldKind::Boolean, "By subject: each once, with its newest notification"),
    ],
    examples: &[
        r#"{"type":"inbox","id":30,"limit":20}"#,
        r#"{"type":"inbox","id":31,"unread":true,"group":true}"#,
    ],
};

pub(crate) const MARK: CommandSpec = CommandSpec {
    kind: "mark",
    summary: "Says that notifications have been seen, read, not read, or put away",
    fields: &[
        must("as", FieldKind::As, "`seen`, `read`, `unread` or `archived`"),
        may("ids", FieldKind::Ids, "These; or `upto`"),
        may("upto", FieldKind::Count(0), "All up to this one; or `ids`"),
        PRODUCER,
        SEQ,
    ],
    examples: &[
        r#"{"type":"mark","id":32,"as":"read","ids":[17]}"#,
        r#"{"type":"mark","id":33,"as":"seen","upto":17,"producer":"p-7f31","seq":2}"#,
    ],
};

pub(crate) const READ: CommandSpec = CommandSpec {
    kind: "read",
    summary: "Says how far the user has read in a channel",
    fields: &[
        CHANNEL,
        must("offset", FieldKind::Count(0), "The last event that was read"),
        PRODUCER,
        SEQ,
    ],
    examples: &[r#"{"type":"read","id":34,"channel":"chat:lobby","offset":44}"#],
};

pub(crate) const UNREAD: CommandSpec = CommandSpec {
    kind: "unread",
    summary: "Asks how many events of others are behind the user's cursor in a channel",
    fields: &[CHANNEL],
    examples: &[r#"{"type":"unread","id":35,"channel":"chat:lobby"}"#],
};

pub(crate) const CURSORS: CommandSpec = CommandSpec {
    kind: "cursors",
    summary: "Asks how far the user has read, in all channels",
    fields: &[],
    examples: &[r#"{"type":"cursors","id":36}"#],
};

pub(crate) const FOLLOW: CommandSpec = CommandSpec {
    kind: "follow",
    summary: "Follows a topic: its notifications reach the user",
    fields: &[TOPIC],
    examples: &[r#"{"type":"follow","id":37,"topic":"news"}"#],
};

pub(crate) const UNFOLLOW: CommandSpec = CommandSpec {
    kind: "unfollow",
    summary: "Follows a topic no more",
    fields: &[TOPIC],
    examples: &[r#"{"type":"unfollow","id":38,"topic":"news"}"#],
};

pub(crate) const PUSH_SUBSCRIBE: CommandSpec = CommandSpec {
    kind: "push_subscribe",
    summary: "Has notifications pushed to a browser while the user is away",
    fields: &[must(
        "subscription",
        FieldKind::Browser,
        "What `PushManager.subscribe` gave: `endpoint` and `keys`",
    )],
    examples: &[
        r#"{"type":"push_subscribe","id":39,"subscription":{"endpoint":"https://push.example/f3a1","keys":{"p256dh":"BNc1","auth":"tBHI"}}}"#,
    ],
};

pub(crate) const PUSH_UNSUBSCRIBE: CommandSpec = CommandSpec {
    kind: "push_unsubscribe",
    summary: "Ends pushes to a browser",
    fields: &[must("endpoint", FieldKind::Text, "Of the subscription")],
    examples: &[r#"{"type":"push_unsubscribe","id":40,"endpoint":"https://push.example/f3a1"}"#],
};
