//! What the backend is sent (docs/hooks.md).

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tidings_core::engine::{About, Draft, Occasion};

use super::Shown;

/// The body of a call.
#[derive(Serialize)]
#[serde(tag = "hook", rename_all = "lowercase")]
enum Question<'a> {
    Connect {
        occasion: &'static str,
        session: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<&'a str>,
        anonymous: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<&'a str>,
        transport: &'static str,
        headers: serde_json::Map<String, serde_json::Value>,
    },
    Publish {
        session: String,
        user: &'a str,
        anonymous: bool,
        channel: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        event: Option<&'a str>,
        data: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        producer: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        ephemeral: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        write: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        state_key: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reaction: Option<&'a str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        remove: bool,
    },
    Subscribe {
        session: String,
        user: &'a str,
        anonymous: bool,
        channel: &'a str,
    },
}

fn reaction_of(draft: &Draft) -> Option<&(Box<str>, bool)> {
    draft.change.as_ref()?.reaction.as_ref()
}

/// The JSON of a question. `shown`: headers of the connection's request.
pub(super) fn encode(about: &About, transport: &'static str, shown: Option<&Shown>) -> Bytes {
    let hex = |session: &u64| format!("{session:016x}");
    let question = match about {
        About::Connect { occasion, session, user, anonymous, token } => Question::Connect {
            occasion: match occasion {
                Occasion::Hello => "hello",
                Occasion::Refresh => "refresh",
                Occasion::Resume => "resume",
            },
            session: hex(session),
            user: user.as_deref(),
            anonymous: *anonymous,
            token: token.as_deref(),
            transport,
            headers: shown.map(Shown::json).unwrap_or_default(),
        },
        About::Publish(draft) => Question::Publish {
            session: hex(&draft.session),
            user: &draft.user,
            anonymous: draft.anonymous,
            channel: &draft.channel,
            event: draft.event.as_deref(),
            data: &draft.data,
            key: draft.key.as_deref(),
            producer: draft.producer.as_ref().map(|(name, _)| &**name),
            seq: draft.producer.as_ref().map(|(_, seq)| *seq),
            ephemeral: draft.ephemeral,
            write: draft.write.as_ref().map(|(verb, _)| *verb),
            state_key: draft.write.as_ref().map(|(_, key)| &**key),
            change: draft.change.as_ref().map(|change| change.what),
            target: draft.change.as_ref().map(|change| change.target),
            reaction: reaction_of(draft).map(|(reaction, _)| &**reaction),
            remove: reaction_of(draft).is_some_and(|(_, remove)| *remove),
        },
        About::Subscribe { user, anonymous, session, channel } => {
            Question::Subscribe { session: hex(session), user, anonymous: *anonymous, channel }
        }
    };
    // Strings and numbers alone: this cannot fail.
    serde_json::to_vec(&question).unwrap_or_default().into()
}
