//! Decoding what a client sends.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::change::{Amend, Write};
use crate::{
    Browser, DocumentAwareness, DocumentMerge, DocumentSync, DocumentVersions, Mark, MarkAs, Text,
};

/// A command of a client.
#[derive(Debug)]
pub struct Command<'a> {
    /// Picked by the client; its answer carries it.
    pub id: u64,
    /// What to do.
    pub body: CommandBody<'a>,
}

/// A position that a client names: `{epoch, offset}`.
#[derive(Debug, Deserialize)]
pub struct Since<'a> {
    /// The epoch as the server wrote it.
    #[serde(borrow)]
    pub epoch: Text<'a>,
    /// The offset of the last event that the client has.
    pub offset: u64,
}

/// What a command asks for; see `docs/protocol.md` for each.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub enum CommandBody<'a> {
    Awareness(DocumentAwareness<'a>),
    Cursors,
    /// `edit`, `delete` or `react`.
    Amend(Amend<'a>),
    Enter {
        channel: Text<'a>,
        data: Option<&'a RawValue>,
    },
    Follow {
        topic: Text<'a>,
    },
    Get {
        channel: Text<'a>,
        key: Option<Text<'a>>,
        after: Option<Text<'a>>,
        limit: Option<u64>,
    },
    Hello {
        token: Option<Text<'a>>,
        client: Option<Text<'a>>,
        session: Option<Text<'a>>,
        attempt: Option<u64>,
    },
    History {
        channel: Text<'a>,
        before: Option<u64>,
        after: Option<u64>,
        limit: Option<u64>,
    },
    Inbox(InboxQuery<'a>),
    Leave {
        channel: Text<'a>,
    },
    Mark(Mark<'a>),
    Merge(DocumentMerge<'a>),
    Patch(Write<'a>),
    Ping,
    Presence {
        channel: Text<'a>,
    },
    Publish {
        channel: Text<'a>,
        data: &'a RawValue,
        event: Option<Text<'a>>,
        key: Option<Text<'a>>,
        producer: Option<(Text<'a>, u64)>,
        ephemeral: bool,
        echo: bool,
    },
    PushSubscribe(Browser<'a>),
    PushUnsubscribe {
        endpoint: Text<'a>,
    },
    Read {
        channel: Text<'a>,
        offset: u64,
        producer: Option<(Text<'a>, u64)>,
    },
    Refresh {
        token: Text<'a>,
    },
    Remove(Write<'a>),
    Set(Write<'a>),
    Subscribe {
        channel: Text<'a>,
        since: Option<Since<'a>>,
        rewind: Option<u64>,
        presence: bool,
    },
    Sync(DocumentSync<'a>),
    Unfollow {
        topic: Text<'a>,
    },
    Unread {
        channel: Text<'a>,
    },
    Unsubscribe {
        channel: Text<'a>,
    },
    Update {
        channel: Text<'a>,
        data: Option<&'a RawValue>,
    },
    /// `versions`, `save_version`, `name_version` or `restore_version`.
    Versions(DocumentVersions<'a>),
}

/// Which items of an inbox are asked for.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct InboxQuery<'a> {
    pub before: Option<u64>,
    pub limit: Option<u64>,
    pub topic: Option<Text<'a>>,
    pub subject: Option<Text<'a>>,
    pub unread: bool,
    pub archived: bool,
    pub group: bool,
}

/// A frame that is not a command, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The command's id, if it could be read.
    pub id: Option<u64>,
    /// What is wrong, for the developer who sent it.
    pub message: String,
}

/// The largest `id`: what JavaScript can count to.
pub(crate) const MAX_ID: u64 = (1 << 53) - 1;

/// Every field that any command has. One pass over the frame fills it, and nothing is copied.
#[derive(Deserialize)]
pub(crate) struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Option<Text<'a>>,
    pub(crate) id: Option<u64>,
    #[serde(borrow)]
    pub(crate) channel: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) event: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) key: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) producer: Option<Text<'a>>,
    pub(crate) seq: Option<u64>,
    pub(crate) ephemeral: Option<bool>,
    pub(crate) echo: Option<bool>,
    #[serde(borrow)]
    pub(crate) since: Option<Since<'a>>,
    pub(crate) rewind: Option<u64>,
    pub(crate) presence: Option<bool>,
    pub(crate) before: Option<u64>,
    /// An offset of `history`, a key of `get`.
    #[serde(borrow)]
    pub(crate) after: Option<&'a RawValue>,
    pub(crate) limit: Option<u64>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) patch: Option<&'a RawValue>,
    pub(crate) offset: Option<u64>,
    #[serde(borrow)]
    pub(crate) reaction: Option<Text<'a>>,
    pub(crate) remove: Option<bool>,
    pub(crate) if_version: Option<u64>,
    pub(crate) ttl: Option<u64>,
    pub(crate) ids: Option<Vec<u64>>,
    pub(crate) upto: Option<u64>,
    #[serde(rename = "as")]
    pub(crate) how: Option<MarkAs>,
    #[serde(borrow)]
    pub(crate) topic: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) subject: Option<Text<'a>>,
    pub(crate) unread: Option<bool>,
    pub(crate) archived: Option<bool>,
    pub(crate) group: Option<bool>,
    #[serde(borrow)]
    pub(crate) subscription: Option<Browser<'a>>,
    #[serde(borrow)]
    pub(crate) endpoint: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) token: Option<Text<'a>>,
    /// A name in `hello`, a number in `awareness`.
    #[serde(borrow)]
    pub(crate) client: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) session: Option<Text<'a>>,
    pub(crate) attempt: Option<u64>,
    #[serde(borrow)]
    pub(crate) epoch: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) vector: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) update: Option<Text<'a>>,
    pub(crate) more: Option<bool>,
    pub(crate) clock: Option<u64>,
    pub(crate) version: Option<u64>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) state: Option<&'a RawValue>,
}

/// Any JSON value: a `null` is one too, where serde would take it for nothing.
pub(crate) fn present<'de, D>(from: D) -> Result<Option<&'de RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Deserialize::deserialize(from).map(Some)
}

/// Decodes one frame.
///
/// # Errors
/// The message names the field; the id is found even when another field is wrong.
pub fn decode(frame: &str) -> Result<Command<'_>, DecodeError> {
    let fields: Fields<'_> = serde_json::from_str(frame)
        .map_err(|e| DecodeError { id: find_id(frame), message: describe(&e) })?;
    let id = fields.id;
    let fail = |message: String| DecodeError { id, message };
    let id = id.ok_or_else(|| fail("missing field `id`".into()))?;
    if id > MAX_ID {
        return Err(fail(format!("`id` is at most {MAX_ID}")));
    }
    let body = fields.into_body().map_err(fail)?;
    Ok(Command { id, body })
}

impl<'a> Fields<'a> {
    fn into_body(self) -> Result<CommandBody<'a>, String> {
        use CommandBody as B;
        let kind = self.kind.as_deref().ok_or("missing field `type`")?;
        let no_channel = || "missing field `channel`".to_owned();
        Ok(match kind {
            "cursors" | "follow" | "inbox" | "mark" | "push_subscribe" | "push_unsubscribe"
            | "read" | "unfollow" | "unread" => return self.into_inbox(),
            "awareness" | "merge" | "sync" => return self.into_document(),
            "name_version" | "restore_version" | "save_version" | "versions" => {
                return self.into_versions();
            }
            "delete" | "edit" | "patch" | "react" | "remove" | "set" => {
                return self.into_change();
            }
            "enter" => B::Enter { channel: self.channel.ok_or_else(no_channel)?, data: self.data },
            "get" => B::Get {
                channel: self.channel.ok_or_else(no_channel)?,
                key: self.key,
                after: read("after", self.after)?,
                limit: self.limit,
            },
            "hello" => B::Hello {
                token: self.token,
                client: read("client", self.client)?,
                session: self.session,
                attempt: self.attempt,
            },
            "history" => B::History {
                channel: self.channel.ok_or_else(no_channel)?,
                before: self.before,
                after: read("after", self.after)?,
                limit: self.limit,
            },
            "leave" => B::Leave { channel: self.channel.ok_or_else(no_channel)? },
            "ping" => B::Ping,
            "presence" => B::Presence { channel: self.channel.ok_or_else(no_channel)? },
            "publish" => B::Publish {
                channel: self.channel.ok_or_else(no_channel)?,
                data: self.data.ok_or("missing field `data`")?,
                event: self.event,
                key: self.key,
                producer: pair(self.producer, self.seq)?,
                ephemeral: self.ephemeral.unwrap_or(false),
                echo: self.echo.unwrap_or(true),
            },
            "refresh" => B::Refresh { token: self.token.ok_or("missing field `token`")? },
            "subscribe" => B::Subscribe {
                channel: self.channel.ok_or_else(no_channel)?,
                since: self.since,
                rewind: self.rewind,
                presence: self.presence.unwrap_or(false),
            },
            "unsubscribe" => B::Unsubscribe { channel: self.channel.ok_or_else(no_channel)? },
            "update" => {
                B::Update { channel: self.channel.ok_or_else(no_channel)?, data: self.data }
            }
            other => {
                let shown: String = other.chars().take(40).collect();
                return Err(format!("unknown type {shown:?}"));
            }
        })
    }
}

/// A field whose kind depends on the command.
pub(crate) fn read<'a, T: Deserialize<'a>>(
    field: &str,
    value: Option<&'a RawValue>,
) -> Result<Option<T>, String> {
    let read = |raw: &'a RawValue| {
        serde_json::from_str(raw.get()).map_err(|e| format!("`{field}`: {}", describe(&e)))
    };
    value.map(read).transpose()
}

pub(crate) fn pair<'a>(
    name: Option<Text<'a>>,
    seq: Option<u64>,
) -> Result<Option<(Text<'a>, u64)>, String> {
    match (name, seq) {
        (Some(name), Some(seq)) if seq >= 1 => Ok(Some((name, seq))),
        (Some(_), Some(_)) => Err("`seq` starts at 1".into()),
        (None, None) => Ok(None),
        (Some(_), None) => Err("`producer` needs `seq`".into()),
        (None, Some(_)) => Err("`seq` needs `producer`".into()),
    }
}

/// The id of a frame whose other fields may be wrong.
fn find_id(frame: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct OnlyId {
        id: u64,
    }
    serde_json::from_str::<OnlyId>(frame).ok().map(|only| only.id)
}

/// serde's message, without a position where it would only confuse.
fn describe(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => {
            let text = error.to_string();
            text.split(" at line ").next().unwrap_or(&text).to_owned()
        }
        _ => format!("not JSON: {error}"),
    }
}

/// Whether JSON is nested deeper than `max`: what a receiver's parser might not survive.
///
/// The text must be valid JSON. Short texts cannot be deep, so most are not read at all.
pub fn depth_exceeds(json: &str, max: usize) -> bool {
    if json.len() <= max.saturating_mul(2) {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(frame: &str) -> (Option<u64>, String) {
        let error = decode(frame).unwrap_err();
        (error.id, error.message)
    }

    #[test]
    fn a_publish_is_decoded_without_copying() {
        let frame = r#"{"type":"publish","id":7,"channel":"chat:a","data":{"n":1e400},"x":1}"#;
        let Command { id: 7, body: CommandBody::Publish { channel, data, echo: true, .. } } =
            decode(frame).unwrap()
        else {
            panic!("not a publish")
        };
        assert!(matches!(channel.0, std::borrow::Cow::Borrowed("chat:a")));
        assert_eq!(data.get(), r#"{"n":1e400}"#);
    }

    #[test]
    fn null_is_data_like_any_other() {
        let frame = r#"{"type":"publish","id":7,"channel":"chat:a","data":null}"#;
        let CommandBody::Publish { data, .. } = decode(frame).unwrap().body else {
            panic!("not a publish")
        };
        assert_eq!(data.get(), "null");
    }

    #[test]
    fn what_is_wrong_is_named_and_the_id_is_found() {
        assert_eq!(message("{").0, None);
        assert!(message("{").1.starts_with("not JSON"));
        assert_eq!(message("[]").0, None);
        assert_eq!(message(r#"{"id":3}"#), (Some(3), "missing field `type`".into()));
        assert_eq!(message(r#"{"type":"ping"}"#), (None, "missing field `id`".into()));
        assert_eq!(
            message(r#"{"type":"dance","id":4}"#),
            (Some(4), "unknown type \"dance\"".into())
        );
        assert_eq!(
            message(r#"{"type":"publish","id":5,"channel":"chat:a"}"#),
            (Some(5), "missing field `data`".into())
        );
        let (id, text) = message(r#"{"type":"publish","id":5,"channel":9,"data":1}"#);
        assert_eq!(id, Some(5));
        assert!(text.contains("expected a string"), "{text}");
        let (_, text) = message(r#"{"type":"publish","id":5,"channel":"a:b","data":1,"seq":0}"#);
        assert!(text.contains("seq"), "{text}");
    }

    #[test]
    fn nested_brackets_are_counted_outside_of_strings() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(depth_exceeds(&deep, 64));
        assert!(!depth_exceeds(&format!("[\"{}\"]", "[".repeat(10_000)), 64));
        assert!(!depth_exceeds(&format!("[\"\\\"{}\"]", "[".repeat(10_000)), 64));
        assert!(!depth_exceeds(&format!("[{}1]", "[1],".repeat(10_000)), 64));
    }

    #[test]
    fn ten_thousand_brackets_in_an_unknown_field_do_not_overflow_the_stack() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(decode(&format!(r#"{{"type":"ping","id":1,"x":{deep}}}"#)).is_ok());
        assert!(decode(&format!(r#"{{"type":{deep},"id":1}}"#)).is_err());
    }
}
