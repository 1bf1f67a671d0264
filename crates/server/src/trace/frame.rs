//! Frames as a trace shows them: without secrets, on one line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tidings_proto::Text;

/// What stands for a secret.
const HIDDEN: &str = "\"…\"";

/// What a trace has to know of a frame, of either side.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(crate) kind: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) id: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) channel: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) ephemeral: bool,
}

/// What an `error` frame says.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal<'a> {
    #[serde(borrow)]
    pub(crate) code: Text<'a>,
    #[serde(borrow)]
    pub(crate) message: Text<'a>,
}

impl<'a> Head<'a> {
    /// Of a frame that may be none.
    pub(crate) fn of(text: &'a str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    pub(crate) fn is_about(&self, channel: &str) -> bool {
        self.channel.as_deref() == Some(channel)
    }
}

/// The fields of an object, in their order.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, &RawValue>()? {
                    fields.push((name.0, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A frame of a client, without tokens, tickets and where its browser is told. `None`: it is no
/// JSON object, and cannot be told from a secret.
pub(crate) fn from_client(text: &str) -> Option<Box<RawValue>> {
    show(text, |name| matches!(name, "token" | "session" | "subscription" | "endpoint"))
}

/// A frame of the server. The `session` of a `welcome` is the ticket; an event's is no secret.
pub(crate) fn from_server(text: &str, head: &Head<'_>) -> Option<Box<RawValue>> {
    let welcome = head.is("welcome");
    show(text, |name| welcome && name == "session")
}

fn show(text: &str, is_secret: impl Fn(&str) -> bool) -> Option<Box<RawValue>> {
    let Fields(fields) = serde_json::from_str(text).ok()?;
    let mut out = String::with_capacity(text.len());
    for (name, value) in fields {
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&serde_json::to_string(&name).ok()?);
        out.push(':');
        let hidden = is_secret(&name) && value.get() != "null";
        out.push_str(if hidden { HIDDEN } else { value.get() });
    }
    out.push_str(if out.is_empty() { "{}" } else { "}" });
    // In JSON a line break is white space between tokens; in a stream of events it ends the line.
    if out.contains(['\n', '\r']) {
        out = out.replace(['\n', '\r'], " ");
    }
    RawValue::from_string(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        from_client(text).map(|raw| raw.get().to_owned())
    }

    #[test]
    fn a_frame_is_shown_as_it_was_written_but_for_its_secrets() {
        for (text, expected) in [
            (r#"{"z":1e400,"a":{"token":"data"}}"#, r#"{"z":1e400,"a":{"token":"data"}}"#),
            (
                r#"{ "type":"hello","token":"ey" , "id":1}"#,
                r#"{"type":"hello","token":"…","id":1}"#,
            ),
            (
                r#"{"type":"push_subscribe","id":2,"subscription":{"endpoint":"https://a/b"}}"#,
                r#"{"type":"push_subscribe","id":2,"subscription":"…"}"#,
            ),
            (
                r#"{"type":"push_unsubscribe","id":3,"endpoint":"https://a/b"}"#,
                r#"{"type":"push_unsubscribe","id":3,"endpoint":"…"}"#,
            ),
            (r#"{"to\u006ben":"ey"}"#, r#"{"token":"…"}"#),
            (r#"{"token":{"a":"ey"},"token":"ey"}"#, r#"{"token":"…","token":"…"}"#),
            (r#"{"session":"3f.1.x","token":null}"#, r#"{"session":"…","token":null}"#),
            ("{\"data\":[1,\r\n2]}", r#"{"data":[1,  2]}"#),
            ("{}", "{}"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        for odd in ["", "ey", "[\"ey\"]", "{\"token\":\"ey\"", "{\"token\":\"ey\"} x"] {
            assert_eq!(shown(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_welcome_hides_the_ticket_and_an_event_shows_whose_it_is() {
        let show = |text: &'static str| {
            from_server(text, &Head::of(text)).map(|raw| raw.get().to_owned()).unwrap()
        };
        let welcome = r#"{"type":"welcome","id":1,"session":"3f.1.x","user":"ada"}"#;
        assert_eq!(show(welcome), r#"{"type":"welcome","id":1,"session":"…","user":"ada"}"#);
        let event = r#"{"type":"event","channel":"a:b","session":"3f","data":{"session":"x"}}"#;
        assert_eq!(show(event), event);
    }
}
