//! Frames of the server, and what is read out of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidings_proto::ServerFrame;

use crate::error::{Closed, Error, Refusal};
use crate::machine::is_terminal;

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    text: String,
    kind: String,
    id: Option<u64>,
}

impl FromStr for Frame {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text.to_owned())
    }
}

impl Frame {
    pub(crate) fn new(text: String) -> Result<Self, Error> {
        let frame = ServerFrame::decode(&text).map_err(|e| Error::Protocol(e.to_string()))?;
        let (kind, id) = (frame.kind.to_string(), frame.id);
        Ok(Self { text, kind, id })
    }

    /// Its JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its `type`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The command that it answers.
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// Its fields.
    pub fn decode(&self) -> ServerFrame<'_> {
        // invariant: `new` has decoded the same text.
        ServerFrame::decode(&self.text).expect("a frame decodes twice")
    }

    /// Its fields as JSON.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// What an `error` frame says.
    pub fn refusal(&self) -> Option<Refusal> {
        if self.kind != "error" {
            return None;
        }
        let frame = self.decode();
        let text = |text: Option<tidings_proto::Text<'_>>| text.map(|text| text.to_string());
        Some(Refusal {
            code: frame
                .code
                .and_then(|code| serde_json::from_str(code.get()).ok())
                .unwrap_or_default(),
            message: text(frame.message).unwrap_or_default(),
            retryable: frame.retryable,
            retry_after: frame.retry_after.map(Duration::from_millis),
            expected: frame.expected,
            path: text(frame.path),
        })
    }

    /// What a `bye` frame says.
    pub(crate) fn closed(&self) -> Option<Closed> {
        if self.kind != "bye" {
            return None;
        }
        let frame = self.decode();
        let code = frame.code.and_then(|code| code.get().parse().ok()).unwrap_or(1005);
        Some(Closed {
            code,
            reason: frame.reason.map(|reason| reason.to_string()).unwrap_or_default(),
            reconnect: frame.reconnect.unwrap_or(!is_terminal(code)),
            retry_after: frame.retry_after.map(Duration::from_millis),
        })
    }

    /// The position in a reply.
    pub(crate) fn position(&self) -> Option<Position> {
        let frame = self.decode();
        let epoch = frame.epoch?.to_string();
        Some(Position { epoch, offset: frame.offset? })
    }

    /// What a `published` says.
    pub(crate) fn ack(&self) -> Ack {
        let frame = self.decode();
        Ack {
            position: self.position(),
            level: frame.level.map(|level| level.to_string()).unwrap_or_default(),
            duplicate: frame.duplicate,
        }
    }
}

/// A place in a channel: that of its event with this offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Changes only when history was lost.
    pub epoch: String,
    /// The first event has 1, and each one more than the one before.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

/// The server has taken a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Where it is stored; `None` for an ephemeral event, and for one that has left history since.
    pub position: Option<Position>,
    /// How safely: `memory`, `os` (survives `kill -9`) or `fsync` (survives a power failure).
    pub level: String,
    /// It was stored by an earlier attempt.
    pub duplicate: bool,
}

/// What the server said first.
#[derive(Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The session's secret, for [`Options::session`](crate::Options::session) of another process.
    pub session: String,
    /// Who the user is.
    pub user: String,
    /// Whether an earlier session goes on, presence included.
    pub resumed: bool,
    /// The longest silence of a living connection.
    pub heartbeat: Duration,
    /// How long the server remembers what was published.
    pub dedup_window: Duration,
    /// When the token ends, from then.
    pub expires_in: Option<Duration>,
    /// What the server allows.
    pub limits: Limits,
}

/// What a server allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes of one message.
    pub frame: usize,
    /// Subscriptions of a session.
    pub channels: usize,
    /// Commands without an answer.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: 65_536, channels: 128, in_flight: 64 }
    }
}

impl Welcome {
    pub(crate) fn of(frame: &Frame) -> Self {
        let frame = frame.decode();
        let limits = frame.limits.and_then(|limits| serde_json::from_str(limits.get()).ok());
        Self {
            session: frame.session.map(|session| session.to_string()).unwrap_or_default(),
            user: frame.user.map(|user| user.to_string()).unwrap_or_default(),
            resumed: frame.resumed.unwrap_or(false),
            heartbeat: Duration::from_millis(frame.heartbeat.unwrap_or(25_000)),
            dedup_window: Duration::from_millis(frame.dedup_window.unwrap_or(0)),
            expires_in: frame.expires_in.map(Duration::from_millis),
            limits: limits.unwrap_or_default(),
        }
    }

    /// The part of the session that others see on its events.
    pub fn public_session(&self) -> &str {
        self.session.split('.').next().unwrap_or_default()
    }
}

/// Without the session's secret.
impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, resumed, heartbeat, .. } = self;
        let mut f = f.debug_struct("Welcome");
        f.field("user", user).field("resumed", resumed).field("heartbeat", heartbeat);
        f.finish_non_exhaustive()
    }
}
