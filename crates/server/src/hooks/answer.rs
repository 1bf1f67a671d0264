//! What the backend answers. Whatever is not exactly as documented is no answer: nothing is granted
//! by mistake.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use tidings_core::engine::{Advice, Denial, Verdict};
use tidings_proto::{CloseCode, ErrorCode};

use super::Kind;
use crate::auth::{check_user, read_grants};

/// A message's characters: more are cut.
const MESSAGE_CHARS: usize = 500;

/// The end of the year 9999. A larger time is one in milliseconds.
const LAST_SECOND: u64 = 253_402_300_799;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectAnswer {
    allow: bool,
    code: Option<String>,
    message: Option<String>,
    user: Option<String>,
    channels: Option<Value>,
    expires_at: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishAnswer {
    allow: bool,
    code: Option<String>,
    message: Option<String>,
    #[serde(default, deserialize_with = "present")]
    data: Option<Box<RawValue>>,
    event: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeAnswer {
    allow: bool,
    code: Option<String>,
    message: Option<String>,
}

/// Any JSON value: a `null` is one too.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

/// Reads an answer.
///
/// # Errors
/// Why it is none. Nothing of what it says is in the reason: that ends up in logs.
pub(super) fn decode(kind: Kind, body: &[u8]) -> Result<Verdict, &'static str> {
    match kind {
        Kind::Connect => connect(body),
        Kind::Publish => {
            let PublishAnswer { allow, code, message, data, event } = parse(body)?;
            let advice = Advice { data, event: event.map(Into::into), ..Advice::default() };
            command(allow, code.as_deref(), message, advice)
        }
        Kind::Subscribe => {
            let SubscribeAnswer { allow, code, message } = parse(body)?;
            command(allow, code.as_deref(), message, Advice::default())
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, &'static str> {
    use serde_json::error::Category;
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => "its JSON has an unknown field, or one of the wrong type, or no `allow`",
        Category::Eof | Category::Io | Category::Syntax => "it is not JSON",
    })
}

fn connect(body: &[u8]) -> Result<Verdict, &'static str> {
    let ConnectAnswer { allow, code, message, user, channels, expires_at } = parse(body)?;
    if !allow {
        let (code, close) = match code.as_deref() {
            None | Some("forbidden") => (ErrorCode::Forbidden, CloseCode::Forbidden),
            Some("unauthorized") => (ErrorCode::Unauthorized, CloseCode::TokenRefused),
            Some("expired") => (ErrorCode::Unauthorized, CloseCode::TokenExpired),
            Some(_) => return Err("its `code` is not forbidden, unauthorized or expired"),
        };
        return Ok(Verdict::Deny(Denial { code, close, message: message.map(cut) }));
    }
    if let Some(user) = &user {
        check_user(user).map_err(|_| "its `user` cannot be a user's name")?;
    }
    let grants = channels.as_ref().map(read_grants).transpose();
    if expires_at.is_some_and(|at| at > LAST_SECOND) {
        return Err("its `expires_at` is behind the year 9999: it counts seconds");
    }
    Ok(Verdict::Allow(Advice {
        user: user.map(Into::into),
        grants: grants.map_err(|_| "its `channels` are not patterns with lists of actions")?,
        expires_at_ms: expires_at.map(|at| at * 1000),
        ..Advice::default()
    }))
}

fn command(
    allow: bool,
    code: Option<&str>,
    message: Option<String>,
    advice: Advice,
) -> Result<Verdict, &'static str> {
    if allow {
        return Ok(Verdict::Allow(advice));
    }
    let code = match code {
        None | Some("forbidden") => ErrorCode::Forbidden,
        Some("invalid_data") => ErrorCode::InvalidData,
        Some("not_found") => ErrorCode::NotFound,
        Some(_) => return Err("its `code` is not forbidden, invalid_data or not_found"),
    };
    let close = CloseCode::Forbidden;
    Ok(Verdict::Deny(Denial { code, close, message: message.map(cut) }))
}

fn cut(message: String) -> Box<str> {
    match message.char_indices().nth(MESSAGE_CHARS) {
        Some((at, _)) => format!("{}…", &message[..at]).into(),
        None => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_as_documented_is_no_answer() {
        let every = [
            "",
            "null",
            "[]",
            "true",
            "{}",
            r#"{"allow":1}"#,
            r#"{"allow":"true"}"#,
            r#"{"allow":true,"allow":true}"#,
            r#"{"allow":true}}"#,
            r#"{"allow":true,"x":1}"#,
            r#"{"allow":false,"code":"teapot"}"#,
            r#"{"allow":false,"message":5}"#,
            "\u{feff}{}",
        ];
        for kind in [Kind::Connect, Kind::Publish, Kind::Subscribe] {
            for body in every {
                assert!(decode(kind, body.as_bytes()).is_err(), "{kind:?} {body}");
            }
            assert!(decode(kind, b"{\"allow\":true,\"message\":\"\xff\"}").is_err());
            assert!(matches!(decode(kind, br#"{"allow":true}"#), Ok(Verdict::Allow(_))));
            assert!(matches!(decode(kind, br#"{"allow":false}"#), Ok(Verdict::Deny(_))));
        }
        for body in [
            r#"{"allow":true,"user":""}"#,
            r#"{"allow":true,"user":"anon-1"}"#,
            r#"{"allow":true,"user":"a\u0000b"}"#,
            r#"{"allow":true,"user":7}"#,
            r#"{"allow":true,"channels":["chat:a"]}"#,
            r#"{"allow":true,"channels":{"chat:a":["own"]}}"#,
            r#"{"allow":true,"channels":{"a*b":["publish"]}}"#,
            r#"{"allow":true,"expires_at":1777636800000}"#,
            r#"{"allow":true,"expires_at":-1}"#,
            r#"{"allow":true,"data":1}"#,
        ] {
            assert!(decode(Kind::Connect, body.as_bytes()).is_err(), "{body}");
        }
        let long = format!(r#"{{"allow":true,"user":"{}"}}"#, "x".repeat(256));
        assert!(decode(Kind::Connect, long.as_bytes()).is_err());
    }

    #[test]
    fn null_is_data_and_no_channels_are_no_rights() {
        let Ok(Verdict::Allow(advice)) = decode(Kind::Publish, br#"{"allow":true,"data":null}"#)
        else {
            panic!("allowed")
        };
        assert_eq!(advice.data.unwrap().get(), "null");
        let Ok(Verdict::Allow(advice)) = decode(Kind::Connect, br#"{"allow":true,"channels":{}}"#)
        else {
            panic!("allowed")
        };
        assert_eq!(advice.grants.unwrap().len(), 0);
    }

    #[test]
    fn a_long_message_is_cut() {
        let body = format!(r#"{{"allow":false,"message":"{}"}}"#, "ä".repeat(9000));
        let Ok(Verdict::Deny(denial)) = decode(Kind::Subscribe, body.as_bytes()) else {
            panic!("denied")
        };
        assert_eq!(denial.message.unwrap().chars().count(), MESSAGE_CHARS + 1);
    }
}
