//! Changes of events: edits, deletions, reactions; and what an event looks like after them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Text, Timestamp};

/// A change of an event, as subscribers get it and as it is stored.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Amended<'a> {
    pub channel: &'a str,
    pub offset: u64,
    pub timestamp: Timestamp,
    pub user: &'a str,
    #[serde(serialize_with = "crate::encode::hex")]
    pub session: u64,
    pub target: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaction: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
}

/// What a frame in a channel's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logged {
    /// An event.
    Event,
    /// An event has other data now.
    Edited,
    /// An event is deleted.
    Deleted,
    /// Somebody reacts to an event, or does not any more.
    Reacted,
    /// Something else.
    Other,
}

impl Logged {
    /// Sees what a frame of the server is by how it begins: logs are long, and few of their frames
    /// have to be read.
    pub fn of(frame: &[u8]) -> Self {
        let kinds = [
            (&br#"{"type":"event","#[..], Self::Event),
            (br#"{"type":"reacted","#, Self::Reacted),
            (br#"{"type":"edited","#, Self::Edited),
            (br#"{"type":"deleted","#, Self::Deleted),
        ];
        kinds.into_iter().find(|(start, _)| frame.starts_with(start)).map_or(Self::Other, |k| k.1)
    }
}

/// Where `user` stands at the earliest: behind a type, a channel, an offset and a timestamp.
const USER_AT: usize = 80;

/// Whose a frame of the log is: the name as it stands in the JSON. Empty if it says none.
pub fn author(frame: &[u8]) -> &[u8] {
    const FIELD: &[u8] = br#","user":""#;
    // In a string its quotes would be escaped, so it is no other place.
    let rest = frame.get(USER_AT..).unwrap_or_default();
    let at = rest.windows(FIELD.len()).position(|bytes| bytes == FIELD);
    let name = at.map_or(&[][..], |at| &rest[at + FIELD.len()..]);
    let mut escaped = false;
    let end = name.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    &name[..end.unwrap_or(0)]
}

/// A change of an event, read from the log.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Amendment<'a> {
    #[serde(borrow)]
    pub timestamp: Text<'a>,
    #[serde(borrow)]
    pub user: Text<'a>,
    pub target: u64,
    #[serde(borrow)]
    pub reaction: Option<Text<'a>>,
    #[serde(default)]
    pub removed: bool,
    #[serde(borrow, default, deserialize_with = "crate::decode::present")]
    pub data: Option<&'a RawValue>,
}

impl<'a> Amendment<'a> {
    /// Reads one; `None`: it is none.
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(frame).ok()
    }
}

/// What an event says from now on.
#[derive(Clone, Copy, Debug)]
pub enum Says<'a> {
    /// What it has said.
    TheSame,
    /// This, since then.
    New(&'a RawValue, &'a str),
    /// Nothing.
    Nothing,
}

/// How often an event has a reaction, and of whom, as far as they are named.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Reaction<'a> {
    #[serde(skip)]
    pub name: &'a str,
    pub count: usize,
    pub users: Vec<&'a str>,
}

/// An event that was changed: the `event` frame of its newest version. `None`: it is no event.
pub fn renew(event: &[u8], says: Says<'_>, reactions: &[Reaction<'_>]) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Old<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
        #[serde(borrow)]
        edited: Option<Text<'a>>,
    }
    #[derive(Serialize)]
    struct Behind<'a> {
        data: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        edited: Option<&'a str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        deleted: bool,
        #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "by_name")]
        reactions: &'a [Reaction<'a>],
    }
    let old: Old<'_> = serde_json::from_slice(event).ok()?;
    let (data, edited) = match says {
        Says::TheSame => (old.data, old.edited.as_deref()),
        Says::New(data, at) => (data, Some(at)),
        Says::Nothing => (RawValue::NULL, None),
    };
    let deleted = matches!(says, Says::Nothing);
    let reactions = if deleted { &[] } else { reactions };
    let behind = serde_json::to_vec(&Behind { data, edited, deleted, reactions }).ok()?;
    // What stands in front of `data` stays as it is, and all that changes stands behind it.
    let data_at = old.data.get().as_ptr().addr() - event.as_ptr().addr();
    let head = event[..data_at].strip_suffix(br#""data":"#)?;
    Some([head, &behind[1..]].concat().into())
}

/// What stands in the place of a change that says something nobody is to read any more: its offset
/// alone, so that offsets stay dense. `None`: it is no change.
pub fn hide(change: &[u8]) -> Option<Bytes> {
    #[derive(Deserialize, Serialize)]
    #[serde(tag = "type")]
    enum Place<'a> {
        #[serde(rename = "hidden", alias = "edited")]
        Hidden {
            #[serde(borrow)]
            channel: Text<'a>,
            offset: u64,
        },
    }
    let place: Place<'_> = serde_json::from_slice(change).ok()?;
    serde_json::to_vec(&place).ok().map(Into::into)
}

fn by_name<S: serde::Serializer>(all: &&[Reaction<'_>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(all.iter().map(|one| (one.name, one)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Frame};

    fn event(channel: &str, user: &str, data: &str) -> Bytes {
        let data: Box<RawValue> = serde_json::from_str(data).unwrap();
        Frame::Event(Event {
            channel,
            offset: Some(1),
            ephemeral: false,
            timestamp: Timestamp(0),
            user,
            session: 1,
            event: None,
            key: Some("k"),
            data: &data,
        })
        .encode()
    }

    #[test]
    fn whose_it_is_is_found_without_reading_it() {
        let odd = r#"he said \",\"user\":\"eve"#;
        for channel in ["a:b", r#"a:","user":"eve"#, r"a:\"] {
            for user in ["ada", "", odd, r"back\", "ünïcode\u{7}"] {
                let frame = event(channel, user, r#"{"user":"eve","x":",\"user\":\"eve\""}"#);
                let quoted = serde_json::to_vec(user).unwrap();
                assert_eq!(author(&frame), &quoted[1..quoted.len() - 1], "{user} in {channel}");
                assert_eq!(Logged::of(&frame), Logged::Event);
            }
        }
        assert_eq!(author(b""), b"");
        assert_eq!(author(&[b'x'; 200]), b"");
    }

    #[test]
    fn a_new_version_keeps_all_but_what_changes() {
        let first = event("a:b", "ada", r#"{"data":1,"deep":{"data":2}}"#);
        let raw: Box<RawValue> = serde_json::from_str(r#"["new"]"#).unwrap();
        let second = renew(&first, Says::New(&raw, "then"), &[]).unwrap();
        let reactions = [Reaction { name: "\"👍", count: 2, users: vec!["ada", "b\"ob"] }];
        let third = renew(&second, Says::TheSame, &reactions).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&third).unwrap();
        assert_eq!((&value["data"][0], &value["edited"]), (&"new".into(), &"then".into()));
        assert_eq!(value["reactions"]["\"👍"]["count"], 2);
        assert_eq!(value["reactions"]["\"👍"]["users"][1], "b\"ob");
        assert_eq!((&value["user"], &value["key"]), (&"ada".into(), &"k".into()));
        let last = renew(&third, Says::Nothing, &reactions).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&last).unwrap();
        assert!(value["data"].is_null() && value["deleted"] == true);
        assert!(value.get("reactions").is_none() && value.get("edited").is_none());
        assert_eq!(value["offset"], 1);
        assert!(renew(b"{}", Says::Nothing, &[]).is_none());
    }

    #[test]
    fn a_hidden_change_has_its_offset_alone() {
        let edited =
            br#"{"type":"edited","channel":"a:\"b","offset":7,"user":"ada","target":1,"data":"secret"}"#;
        let hidden = br#"{"type":"hidden","channel":"a:\"b","offset":7}"#;
        assert_eq!(&hide(edited).unwrap()[..], hidden);
        assert!(hide(br#"{"type":"event","channel":"a:b","offset":7}"#).is_none());
    }
}
