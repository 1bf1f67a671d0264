//! Changes of events: edits, deletions and reactions.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::channel::{Answer, Published};
use crate::frame::{Ack, Position};
use crate::outbox::Draft;
use crate::{Channel, Error, Frame};

/// A change of an event to be made; `.await` makes it and waits until it is stored.
#[derive(Debug)]
#[must_use = "nothing happens until it is awaited"]
pub struct Amend {
    channel: Channel,
    body: Result<Value, Error>,
    /// JSON that is not looked at.
    data: Option<String>,
    age_max: Option<Duration>,
}

impl Amend {
    pub(crate) fn new(
        channel: &Channel,
        kind: &str,
        offset: u64,
        data: Option<Result<String, Error>>,
    ) -> Self {
        let body = json!({ "type": kind, "channel": channel.name(), "offset": offset });
        let (data, body) = match data.transpose() {
            Ok(data) => (data, Ok(body)),
            Err(error) => (None, Err(error)),
        };
        Self { channel: channel.clone(), body, data, age_max: None }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Ok(body) = &mut self.body {
            body[name] = value.into();
        }
        self
    }

    /// A key of the program's own: a second change with the same one is not made again.
    pub fn key(self, key: impl Into<String>) -> Self {
        self.with("key", key.into())
    }

    /// Waits for a connection for so long at most; see
    /// [`OutboxLimits::age`](crate::OutboxLimits::age).
    pub fn max_age(mut self, age: Duration) -> Self {
        self.age_max = Some(age);
        self
    }

    /// Puts it into the outbox, behind what was published before, and does not wait until it is
    /// stored.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn queue(self) -> Result<Published, Error> {
        let Self { channel, body, data, age_max } = self;
        let body = body?;
        let keyed = body.get("key").is_some();
        let mut frame = body.to_string();
        if let Some(data) = data {
            frame = format!(r#"{{"data":{data},{}"#, &frame[1..]);
        }
        channel.put(Draft { channel: channel.name().to_owned(), frame, keyed, age_max }, true).await
    }
}

impl IntoFuture for Amend {
    type Output = Result<Ack, Error>;
    type IntoFuture = Answer<Ack>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.queue().await?.await })
    }
}

/// An event was changed.
#[derive(Clone, Debug)]
pub struct Amendment {
    /// Where the change stands in the channel.
    pub position: Position,
    /// It is older than the subscription: the event shows it already if it came behind it.
    pub replayed: bool,
    /// The offset of the event.
    pub target: u64,
    /// Who changed it.
    pub user: String,
    /// The key that was given.
    pub key: Option<String>,
    /// When, RFC 3339.
    pub timestamp: String,
    /// How.
    pub how: Amended,
    frame: Frame,
}

/// How an event was changed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Amended {
    /// Its data is another now.
    Edited(Value),
    /// It is gone.
    Deleted,
    /// Somebody reacts to it.
    Reacted {
        /// How.
        reaction: String,
        /// Not any more.
        removed: bool,
        /// How many users react so now.
        count: u64,
    },
}

impl Amendment {
    pub(crate) fn new(frame: Frame, epoch: &str, replayed: bool) -> Option<Self> {
        let fields = frame.decode();
        let owned = |text: Option<tidings_proto::Text<'_>>| text.map(|text| text.to_string());
        let how = match frame.kind() {
            "edited" => Amended::Edited(serde_json::from_str(fields.data?.get()).ok()?),
            "deleted" => Amended::Deleted,
            "reacted" => Amended::Reacted {
                reaction: owned(fields.reaction)?,
                removed: fields.removed.is_some_and(|removed| removed.get() == "true"),
                count: fields.count.unwrap_or_default(),
            },
            _ => return None,
        };
        let position = Position { epoch: epoch.to_owned(), offset: fields.offset? };
        Some(Self {
            position,
            replayed,
            target: fields.target?,
            user: owned(fields.user).unwrap_or_default(),
            key: owned(fields.key),
            timestamp: owned(fields.timestamp).unwrap_or_default(),
            how,
            frame,
        })
    }

    /// The frame as it came.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// The reactions to an event, each as it was sent.
pub type Reactions = BTreeMap<String, Reaction>;

/// Who reacts in one way.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reaction {
    /// How many users.
    pub count: u64,
    /// The first of them.
    pub users: Vec<String>,
}
