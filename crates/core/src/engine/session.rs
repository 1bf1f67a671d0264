//! A session on the shard that owns its connection.

use std::sync::Arc;

use smallvec::SmallVec;

use super::document::Editing;
use super::resuming::Claim;
use super::types::{Subscribe, TopicKey};
use crate::identity::Identity;

/// Subscriptions of one session that may have a page under way at once: together they stay well
/// below the backlog at which a consumer is too slow.
pub(super) const PAGES_UNDER_WAY: usize = 2;

/// One client's connection. Ten thousand of these are idle: every byte counts.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) serial: u32,
    /// Whether the client has been told `welcome`, or has gone without.
    pub(crate) open: bool,
    /// The client has a ticket, with which another connection can take its place.
    pub(crate) ticket: bool,
    /// It has said another session's ticket, and the registry may take it for that one.
    pub(crate) claims: bool,
    /// It is counted among its user's sessions.
    pub(crate) greeted: bool,
    /// It never moves to another shard.
    pub(crate) stays: bool,
    /// The driver was told to stop reading.
    pub(crate) paused: bool,
    /// The meter knows of it.
    pub(crate) counted: bool,
    /// The client was told that its token expires.
    pub(crate) warned: bool,
    /// The backend is asked whether it may begin.
    pub(crate) knocks: bool,
    /// Its public id.
    pub(crate) id: u64,
    /// Who it is; `None` before the first command.
    pub(crate) identity: Option<Identity>,
    /// Tells what the backend was shown when it let the session in; 0: it was not asked.
    pub(crate) mark: u64,
    /// When it was opened: monotonic milliseconds.
    pub(crate) opened_ms: u64,
    pub(crate) subscriptions: SmallVec<[Subscription; 1]>,
    /// Its `hello`, while what its ticket names is asked for.
    pub(crate) claim: Option<Box<Claim>>,
    /// The channels that it has entered. Boxed: most have entered none.
    #[expect(clippy::box_collection, reason = "8 bytes instead of 24 in every idle session")]
    pub(crate) entered: Option<Box<Vec<Arc<str>>>>,
    /// What it has to do with documents. Boxed: most have none.
    pub(crate) editing: Option<Box<Editing>>,
    pub(crate) next_nonce: u16,
    /// Commands without an answer.
    pub(crate) in_flight: u16,
    /// Refused frames in a row.
    pub(crate) bad_frames: u16,
    /// Commands in a row that came too soon.
    pub(crate) rate_refusals: u16,
}

/// A session's subscription to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) topic: TopicKey,
    /// Tells two subscriptions to one channel apart, of which one is ending.
    pub(crate) nonce: u16,
    pub(crate) presence: bool,
    pub(crate) stage: Stage,
}

/// How far a subscription has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The backend is asked this.
    Asked(u64),
    /// The home has not answered.
    Joining,
    /// The home has not answered, and the client has unsubscribed already with this command.
    Leaving(u64),
    /// The home has not answered, and a new token does not allow it any more.
    Revoked,
    /// The home owes the next page.
    Waiting,
    /// A page is being written; the next one begins behind this offset.
    Page(u64),
    /// It stands at this place among the topic's subscribers.
    Live(u32),
}

impl Stage {
    /// Where it stands among the topic's subscribers.
    pub(crate) fn place(self) -> Option<u32> {
        match self {
            Stage::Live(place) => Some(place),
            _ => None,
        }
    }
}

impl Session {
    /// It has no serial yet.
    pub(crate) fn new(id: u64, opened_ms: u64) -> Self {
        Self {
            serial: 0,
            open: false,
            ticket: false,
            claims: false,
            greeted: false,
            claim: None,
            stays: false,
            paused: false,
            counted: false,
            warned: false,
            knocks: false,
            mark: 0,
            id,
            identity: None,
            opened_ms,
            subscriptions: SmallVec::new(),
            entered: None,
            editing: None,
            next_nonce: 0,
            in_flight: 0,
            bad_frames: 0,
            rate_refusals: 0,
        }
    }

    /// Who the user is on a channel: an editor's documents can have tokens of their own.
    pub(crate) fn identity_for(&self, channel: &str) -> Option<&Identity> {
        let shown = self.editing.as_ref().and_then(|editing| editing.identity(channel));
        shown.or(self.identity.as_ref())
    }

    /// Whether nothing ties it to its shard.
    pub(crate) fn is_free(&self) -> bool {
        let idle = self.entered.is_none() && self.in_flight == 0;
        !self.stays && self.subscriptions.is_empty() && idle
    }

    /// Notes a subscription that goes to the channel's home now, and fills in what its home has to
    /// know of the session.
    pub(crate) fn begin_subscription(&mut self, topic: TopicKey, wish: Subscribe) -> Subscribe {
        let nonce = self.next_nonce;
        self.next_nonce = nonce.wrapping_add(1);
        let wait = self.pages_under_way() >= PAGES_UNDER_WAY;
        let (presence, stage) = (wish.presence, Stage::Joining);
        self.subscriptions.push(Subscription { topic, nonce, presence, stage });
        Subscribe { nonce, wait, ..wish }
    }

    /// The subscription to a channel that is not ending.
    pub(crate) fn subscription(&self, topic: TopicKey) -> Option<&Subscription> {
        self.subscriptions
            .iter()
            .find(|sub| sub.topic == topic && !matches!(sub.stage, Stage::Leaving(_)))
    }

    /// Subscriptions to which the home owes a page.
    pub(crate) fn pages_under_way(&self) -> usize {
        let still = |stage| matches!(stage, Stage::Asked(_) | Stage::Page(_) | Stage::Live(_));
        self.subscriptions.iter().filter(|sub| !still(sub.stage)).count()
    }

    pub(crate) fn by_nonce(&mut self, topic: TopicKey, nonce: u16) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|sub| sub.topic == topic && sub.nonce == nonce)
    }

    /// Whether it had not been noted before.
    pub(crate) fn note_entered(&mut self, channel: &Arc<str>) -> bool {
        let entered = self.entered.get_or_insert_default();
        let new = !entered.contains(channel);
        if new {
            entered.push(channel.clone());
        }
        new
    }

    /// Whether it had been noted.
    pub(crate) fn note_left(&mut self, channel: &str) -> bool {
        let Some(entered) = &mut self.entered else { return false };
        let Some(index) = entered.iter().position(|name| **name == *channel) else {
            return false;
        };
        entered.swap_remove(index);
        if entered.is_empty() {
            self.entered = None;
        }
        true
    }
}
