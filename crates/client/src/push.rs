//! What comes out of a subscription, and what is read.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::amend::{Amendment, Reactions};
use crate::{Error, Frame, Position};

/// What a [`Subscription`](crate::Subscription) tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Push {
    /// The server has taken the subscription: at its start, and after each lost connection.
    Subscribed(Subscribed),
    /// An event.
    Event(Event),
    /// An event was changed.
    Amended(Amendment),
    /// Events are missing here.
    Gap(Gap),
    /// Somebody came, went or changed; only with
    /// [`Subscribe::presence`](crate::Subscribe::presence).
    Presence(Change),
}

impl Push {
    /// The event, if it is one.
    pub fn into_event(self) -> Option<Event> {
        match self {
            Push::Event(event) => Some(event),
            Push::Subscribed(_) | Push::Amended(_) | Push::Gap(_) | Push::Presence(_) => None,
        }
    }

    /// The frame as it came.
    pub fn frame(&self) -> &Frame {
        match self {
            Push::Subscribed(subscribed) => &subscribed.frame,
            Push::Event(event) => &event.frame,
            Push::Amended(amendment) => amendment.frame(),
            Push::Gap(gap) => &gap.frame,
            Push::Presence(change) => &change.frame,
        }
    }
}

/// The server has taken a subscription.
#[derive(Clone, Debug)]
pub struct Subscribed {
    /// Where the channel was then.
    pub position: Position,
    /// Everything behind the position that was asked for follows.
    pub recovered: bool,
    /// Who is here; only with presence, and not where they are too many to be listed.
    pub members: Vec<Member>,
    frame: Frame,
}

/// An event of a channel.
#[derive(Clone)]
pub struct Event {
    /// `None`: ephemeral.
    pub position: Option<Position>,
    /// It is older than the subscription: it was missed or asked for.
    pub replayed: bool,
    /// Who published it.
    pub user: String,
    /// From which session: its public part.
    pub session: String,
    /// The event's name inside the channel.
    pub name: Option<String>,
    /// The publisher's own key.
    pub key: Option<String>,
    /// When, RFC 3339.
    pub timestamp: String,
    /// When it was edited last, RFC 3339.
    pub edited: Option<String>,
    /// It was deleted: its data is `null`.
    pub deleted: bool,
    frame: Frame,
    data: Range<usize>,
}

impl Event {
    pub(crate) fn new(frame: Frame, epoch: &str, replayed: bool) -> Self {
        let fields = frame.decode();
        let owned = |text: Option<tidings_proto::Text<'_>>| text.map(|text| text.to_string());
        let position = fields.offset.filter(|_| !fields.ephemeral);
        let data = fields.data.map_or(0..0, |data| {
            // `data` is a part of the frame's text.
            let start = data.get().as_ptr().addr() - frame.text().as_ptr().addr();
            start..start + data.get().len()
        });
        Self {
            position: position.map(|offset| Position { epoch: epoch.to_owned(), offset }),
            replayed,
            user: owned(fields.user).unwrap_or_default(),
            session: owned(fields.session).unwrap_or_default(),
            name: owned(fields.event),
            key: owned(fields.key),
            timestamp: owned(fields.timestamp).unwrap_or_default(),
            edited: owned(fields.edited),
            deleted: fields.deleted,
            data,
            frame,
        }
    }

    /// Its data: JSON, as it was published.
    pub fn data(&self) -> &str {
        self.frame.text().get(self.data.clone()).filter(|data| !data.is_empty()).unwrap_or("null")
    }

    /// Its data, decoded.
    ///
    /// # Errors
    /// When the data is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.data()).map_err(|error| Error::Json(error.to_string()))
    }

    /// Who reacts to it, as of when the frame was written.
    pub fn reactions(&self) -> Reactions {
        let fields = self.frame.decode();
        let reactions = fields.reactions.and_then(|raw| serde_json::from_str(raw.get()).ok());
        reactions.unwrap_or_default()
    }

    /// The frame as it came.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Event");
        f.field("position", &self.position).field("user", &self.user).field("name", &self.name);
        f.field("data", &self.data()).finish_non_exhaustive()
    }
}

/// Everything after `from` up to and including `to` is missing; what follows is complete.
#[derive(Clone, Debug)]
pub struct Gap {
    /// The last event that was told.
    pub from: Option<Position>,
    /// Where it goes on.
    pub to: Position,
    /// `expired`, `new_epoch`, `too_far`.
    pub reason: String,
    frame: Frame,
}

impl Gap {
    pub(crate) fn new(frame: Frame) -> Option<Self> {
        let value = frame.value();
        let position = |name: &str| Position::deserialize(&value[name]).ok();
        let reason = value["reason"].as_str().unwrap_or_default().to_owned();
        Some(Self { from: position("from"), to: position("to")?, reason, frame })
    }
}

/// Somebody came, went or changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// `enter`, `update`, `leave`, or `count` where members are too many to be listed.
    pub action: String,
    /// Who; `None` for a `count`.
    pub member: Option<Member>,
    /// How many are here now.
    pub count: u64,
    frame: Frame,
}

impl Change {
    pub(crate) fn new(frame: Frame) -> Self {
        let fields = frame.decode();
        let action = fields.action.map(|action| action.to_string()).unwrap_or_default();
        let member = fields.member.and_then(|member| serde_json::from_str(member.get()).ok());
        Self { action, member, count: fields.count.unwrap_or_default(), frame }
    }
}

/// A user who is present.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Member {
    /// Who.
    pub user: String,
    /// In how many sessions.
    #[serde(default)]
    pub sessions: u64,
    /// What they entered with.
    #[serde(default)]
    pub data: Value,
    /// When they entered, RFC 3339.
    #[serde(default)]
    pub since: String,
    /// When a session of theirs last did something here.
    #[serde(default)]
    pub last_seen: String,
}

/// Who is in a channel: the answer to [`Channel::presence`](crate::Channel::presence).
#[derive(Clone, Debug)]
pub struct Members {
    /// All of them; none where they are too many to be listed.
    pub members: Vec<Member>,
    /// How many.
    pub count: u64,
    frame: Frame,
}

impl Members {
    pub(crate) fn new(frame: Frame) -> Self {
        let count = frame.decode().count.unwrap_or_default();
        Self { members: members(&frame), count, frame }
    }

    /// The frame as it came; who left lately stands there, too.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

fn members(frame: &Frame) -> Vec<Member> {
    let fields = frame.decode();
    let members = fields.members.iter().flatten();
    members.filter_map(|member| serde_json::from_str(member.get()).ok()).collect()
}

impl Subscribed {
    pub(crate) fn new(frame: Frame, position: Position) -> Self {
        let recovered = frame.decode().recovered;
        Self { position, recovered, members: members(&frame), frame }
    }
}

/// A page of a channel's history.
#[derive(Clone, Debug)]
pub struct Page {
    /// Oldest first.
    pub events: Vec<Event>,
    /// There is more in the direction that was asked for.
    pub more: bool,
    /// The channel's newest event.
    pub position: Position,
    frame: Frame,
}

impl Page {
    pub(crate) fn new(frame: Frame) -> Result<Self, Error> {
        let wrong = || Error::Protocol("a page of history without a position".into());
        let position = frame.position().ok_or_else(wrong)?;
        let fields = frame.decode();
        let events = fields.events.iter().flatten().map(|event| {
            let frame = Frame::new(event.get().to_owned())?;
            Ok(Event::new(frame, &position.epoch, true))
        });
        let events = events.collect::<Result<_, Error>>()?;
        Ok(Self { events, more: fields.more.unwrap_or(false), position, frame })
    }

    /// The frame as it came.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}
