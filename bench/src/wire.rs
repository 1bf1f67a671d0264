//! What a loader says and what it understands: Tidings frames, and the few words of the floor.

use std::fmt::Write as _;

use memchr::memmem;
use serde::Deserialize;

/// The `id` of `hello`.
pub(crate) const HELLO: u64 = 1;
/// The `id` of `subscribe`.
pub(crate) const SUBSCRIBE: u64 = 2;
/// The `id` of the first publish; the next ones count up.
pub(crate) const PUBLISH: u64 = 10;

/// What a server sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    Event(Event),
    Welcome,
    Subscribed {
        epoch: String,
        offset: u64,
        recovered: bool,
    },
    Published {
        id: u64,
        offset: u64,
        level: String,
    },
    Refused {
        id: Option<u64>,
        reason: String,
    },
    /// A `gap` or a `bye`: what follows is not what the loader expects.
    Broken(String),
    Other,
}

/// What a loader looks at in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) offset: u64,
    /// When it was published, by the loader's clock.
    pub(crate) at_ns: u64,
    /// Its number in the run.
    pub(crate) number: u64,
}

#[derive(Deserialize)]
struct Raw<'a> {
    r#type: &'a str,
    id: Option<u64>,
    #[serde(default)]
    epoch: String,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    recovered: bool,
    #[serde(default)]
    level: String,
    #[serde(default)]
    code: serde_json::Value,
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
}

/// Reads frames; events by a search for two fields, the rest by a parser.
#[derive(Debug)]
pub(crate) struct Reader {
    offset: memmem::Finder<'static>,
    data: memmem::Finder<'static>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            offset: memmem::Finder::new(b"\"offset\":"),
            data: memmem::Finder::new(b"\"data\":{\"at\":"),
        }
    }

    pub(crate) fn read(&self, payload: &[u8]) -> Message {
        if payload.starts_with(b"{\"type\":\"event\"")
            && let Some(event) = self.event(payload)
        {
            return Message::Event(event);
        }
        let Ok(raw) = serde_json::from_slice::<Raw<'_>>(payload) else {
            return Message::Broken(format!("sent {:?}", String::from_utf8_lossy(payload)));
        };
        match raw.r#type {
            "welcome" => Message::Welcome,
            "subscribed" => Message::Subscribed {
                epoch: raw.epoch,
                offset: raw.offset,
                recovered: raw.recovered,
            },
            "published" => Message::Published {
                id: raw.id.unwrap_or_default(),
                offset: raw.offset,
                level: raw.level,
            },
            "error" => Message::Refused {
                id: raw.id,
                reason: format!("{}: {}", raw.code.as_str().unwrap_or("error"), raw.message),
            },
            "bye" => Message::Broken(format!("said bye: {} {}", raw.code, raw.reason)),
            "gap" => Message::Broken(format!("sent a gap: {}", raw.reason)),
            "event" => Message::Broken("sent an event of somebody else".to_owned()),
            _ => Message::Other,
        }
    }

    fn event(&self, payload: &[u8]) -> Option<Event> {
        let (offset, _) = number(&payload[self.offset.find(payload)? + 9..])?;
        let (at_ns, rest) = number(&payload[self.data.find(payload)? + 13..])?;
        let (number, _) = number(rest.strip_prefix(b",\"n\":")?)?;
        Some(Event { offset, at_ns, number })
    }
}

pub(crate) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let value = bytes[..end]
        .iter()
        .fold(0u64, |value, digit| value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    (end > 0).then_some((value, &bytes[end..]))
}

/// `hello`.
pub(crate) fn hello(out: &mut String, token: Option<&str>) {
    out.clear();
    let _ = write!(out, r#"{{"type":"hello","id":{HELLO},"client":"tidings-bench""#);
    if let Some(token) = token {
        let _ = write!(out, r#","token":"{token}""#);
    }
    out.push('}');
}

/// `subscribe`, from a position if there is one.
pub(crate) fn subscribe(out: &mut String, channel: &str, since: Option<(&str, u64)>) {
    out.clear();
    let _ = write!(out, r#"{{"type":"subscribe","id":{SUBSCRIBE},"channel":"{channel}""#);
    if let Some((epoch, offset)) = since {
        let _ = write!(out, r#","since":{{"epoch":"{epoch}","offset":{offset}}}"#);
    }
    out.push('}');
}

/// `publish`. The `data` of the loader: when, which, and letters up to the size that was asked for.
pub(crate) fn publish(out: &mut String, channel: &str, number: u64, at_ns: u64, pad: usize) {
    out.clear();
    let id = PUBLISH + number;
    let _ = write!(out, r#"{{"type":"publish","id":{id},"channel":"{channel}","data":"#);
    data(out, number, at_ns, pad);
    out.push('}');
}

/// `set`: a number as the value of a key with this number.
pub(crate) fn set(out: &mut String, channel: &str, number: u64, key: usize) {
    out.clear();
    let id = PUBLISH + number;
    let _ = write!(
        out,
        r#"{{"type":"set","id":{id},"channel":"{channel}","key":"S{key:03}","value":{number}}}"#
    );
}

fn data(out: &mut String, number: u64, at_ns: u64, pad: usize) {
    let _ = write!(out, r#"{{"at":{at_ns},"n":{number},"pad":""#);
    out.extend(std::iter::repeat_n('x', pad));
    out.push_str("\"}");
}

/// The floor's word for "I am of this room".
pub(crate) fn floor_join(out: &mut String, room: usize) {
    out.clear();
    let _ = write!(out, "room {room}");
}

/// The floor's publish: the room, then the frame's payload as the floor is to send it. It has the
/// fields of a Tidings event, so that both sides send the same bytes.
pub(crate) fn floor_publish(
    out: &mut String,
    room: usize,
    event: Event,
    channel: &str,
    pad: usize,
) {
    out.clear();
    let _ = write!(out, "{room} ");
    floor_event(out, event, channel, pad);
}

/// The event of [`floor_publish`].
pub(crate) fn floor_event(out: &mut String, event: Event, channel: &str, pad: usize) {
    let Event { offset, at_ns, number } = event;
    let _ = write!(out, r#"{{"type":"event","channel":"{channel}","offset":{offset},"#);
    out.push_str(r#""timestamp":"2026-05-01T12:00:00.123Z","user":"bench-0","#);
    out.push_str(r#""session":"3f9c2d10aa417be5","data":"#);
    data(out, number, at_ns, pad);
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floors_event_reads_like_one_of_tidings() {
        let mut text = String::new();
        let event = Event { offset: 44, at_ns: 1_234_567_890, number: 7 };
        floor_event(&mut text, event, "bench:a", 5);
        assert_eq!(Reader::new().read(text.as_bytes()), Message::Event(event));
        assert!(text.ends_with(r#","pad":"xxxxx"}}"#));
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn replies_are_understood() {
        let reader = Reader::new();
        let read = |text: &str| reader.read(text.as_bytes());
        assert_eq!(
            read(r#"{"type":"subscribed","id":2,"epoch":"e1","offset":43,"recovered":true}"#),
            Message::Subscribed { epoch: "e1".into(), offset: 43, recovered: true }
        );
        assert_eq!(
            read(r#"{"type":"published","id":12,"channel":"a:b","offset":4,"level":"fsync"}"#),
            Message::Published { id: 12, offset: 4, level: "fsync".into() }
        );
        assert_eq!(
            read(r#"{"type":"error","id":5,"code":"forbidden","message":"no","retryable":false}"#),
            Message::Refused { id: Some(5), reason: "forbidden: no".into() }
        );
        assert_eq!(
            read(r#"{"type":"bye","code":4503,"reason":"draining","reconnect":true}"#),
            Message::Broken("said bye: 4503 draining".into())
        );
        assert_eq!(read(r#"{"type":"pong","id":1}"#), Message::Other);
        assert!(matches!(read("room"), Message::Broken(_)));
    }

    #[test]
    fn commands_are_json() {
        let mut out = String::new();
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        hello(&mut out, Some("a.b.c"));
        assert_eq!(json(&out)["token"], "a.b.c");
        hello(&mut out, None);
        assert!(json(&out).get("token").is_none());
        subscribe(&mut out, "bench:x", Some(("e", 3)));
        assert_eq!(json(&out)["since"]["offset"], 3);
        publish(&mut out, "bench:x", 0, 9, 3);
        assert_eq!(json(&out)["data"]["pad"], "xxx");
        assert_eq!(json(&out)["id"], 10);
    }
}
