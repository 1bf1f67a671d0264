//! Traces: what sessions send and get, told to an operator as it happens.
//!
//! Each shard has a tap for each trace (`shard/taps.rs`), which looks at what is read and queued
//! there. A tap writes [`Line`]s into the trace's [`Feed`], a queue with a bound that all shards
//! share, and the body of the viewer's request ([`body`]) takes them out. When the viewer goes, its
//! taps go.

pub(crate) mod body;
mod feed;
pub(crate) mod frame;

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

pub(crate) use feed::Feed;

/// What is traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Commands about this channel, their answers, and what its subscribers are sent.
    Channel(Arc<str>),
    /// All that the session with this id sends and gets.
    Session(u64),
    /// All that sessions of this user send and get.
    User(Arc<str>),
}

impl Target {
    /// Whether a session is meant as a whole.
    pub(crate) fn is(&self, id: u64, user: Option<&Arc<str>>) -> bool {
        match self {
            Target::Channel(_) => false,
            Target::Session(wanted) => *wanted == id,
            Target::User(wanted) => user == Some(wanted),
        }
    }

    pub(crate) fn channel(&self) -> Option<&Arc<str>> {
        match self {
            Target::Channel(channel) => Some(channel),
            Target::Session(_) | Target::User(_) => None,
        }
    }
}

/// Whose frame it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) id: u64,
    /// As it stands in lines.
    pub(crate) session: Box<str>,
    /// `None`: it has not said, or its token has not been believed.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) transport: &'static str,
}

impl Who {
    pub(crate) fn new(id: u64, user: Option<Arc<str>>, transport: &'static str) -> Self {
        Self { id, session: format!("{id:016x}").into(), user, transport }
    }
}

/// One thing that happened.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Line<'a> {
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transport: Option<&'static str>,
    /// Of an error or a close.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Code<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
    /// The type of the command that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<&'a str>,
    /// As on the wire, without its secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) frame: Option<&'a RawValue>,
    /// Bytes of a frame that is not JSON: what it says may be a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<usize>,
    /// Lines that were dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
}

/// The code of an error or of a close.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Code<'a> {
    Close(u16),
    Error(&'a str),
}

impl<'a> Line<'a> {
    /// About nobody yet.
    pub(crate) fn new(at: u64, kind: &'static str) -> Self {
        Self { at, kind, ..Self::default() }
    }

    /// About a session, if it is known.
    pub(crate) fn of(self, who: Option<&'a Who>) -> Self {
        let Some(who) = who else { return self };
        let user = who.user.as_deref();
        Self { session: Some(&who.session), user, transport: Some(who.transport), ..self }
    }

    /// As the viewer gets it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = b"data: ".to_vec();
        // Writing to a vector does not fail, and there is no key here that is not a string.
        let _ = serde_json::to_writer(&mut out, self);
        out.extend_from_slice(b"\n\n");
        out
    }
}
