//! Looking on: what a driver that traces has to know.

use std::sync::Arc;

use super::Engine;
use super::session::{Session, Stage};
use super::types::{SessionKey, TopicKey};

impl Engine {
    /// From now on what goes to the subscribers of these channels is told by
    /// [`Effect::Told`](super::Effect::Told), of those whose home is here.
    pub fn watch(&mut self, channels: Vec<Arc<str>>) {
        self.out.watched = channels;
    }

    /// A session's public id, and its user once that is known; also of the one that ended last: it
    /// may have by what it said, and its frames are still to be sent.
    pub fn who(&self, key: SessionKey) -> Option<(u64, Option<Arc<str>>)> {
        let here = self.sessions.get(key.slot as usize).filter(|s| s.serial == key.serial);
        if let Some(session) = here {
            return Some((session.id, session.identity.as_ref().map(|who| who.user.clone())));
        }
        let gone = self.gone.as_ref().filter(|(gone, ..)| *gone == key);
        gone.map(|(_, id, user)| (*id, user.clone()))
    }

    /// Takes a session out, and remembers who it was.
    pub(super) fn take_out(&mut self, key: SessionKey) -> Session {
        let session = self.sessions.remove(key.slot as usize);
        let user = session.identity.as_ref().map(|who| who.user.clone());
        self.gone = Some((key, session.id, user));
        session
    }

    /// All sessions of this shard, as [`who`](Self::who) tells of each.
    pub fn everybody(&self) -> impl Iterator<Item = (SessionKey, u64, Option<&Arc<str>>)> {
        self.sessions.iter().map(|(slot, session)| {
            let slot = u32::try_from(slot).unwrap_or(u32::MAX);
            let user = session.identity.as_ref().map(|who| &who.user);
            (SessionKey { slot, serial: session.serial }, session.id, user)
        })
    }

    /// Whether a session is among the first `upto` of
    /// [`subscribers`](Self::subscribers), and then whether it asked for presence.
    pub fn hears(&self, key: SessionKey, topic: TopicKey, upto: usize) -> Option<bool> {
        let session = self.sessions.get(key.slot as usize)?;
        let subs = session.subscriptions.iter().filter(|_| session.serial == key.serial);
        let live = |stage| matches!(stage, Stage::Live(place) if (place as usize) < upto);
        let mut found = subs.filter(|sub| sub.topic == topic && live(sub.stage));
        found.next().map(|sub| sub.presence)
    }
}
