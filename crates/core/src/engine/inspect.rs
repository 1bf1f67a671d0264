//! What an operator sees and does: channels, sessions, and ending them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidings_proto::{CloseCode, Position};

use super::Engine;
use super::session::{Session, Subscription};
use super::types::{Now, SessionKey};
use crate::identity::{Identity, fits};

/// What is said of a subscription that an operator ends.
const UNSUBSCRIBED: &str = "the server has ended this subscription";

/// A channel that is in memory at its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Its name.
    pub name: Arc<str>,
    /// Its epoch and the offset of its newest event.
    pub position: Position,
    /// Events in its history.
    pub events: usize,
    /// Users who are present in it.
    pub members: usize,
}

/// A session on this shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its key.
    pub key: SessionKey,
    /// Its public id.
    pub id: u64,
    /// Who it belongs to.
    pub identity: Identity,
    /// When it began: monotonic milliseconds.
    pub opened_ms: u64,
    /// What it is subscribed to.
    pub channels: Vec<Arc<str>>,
    /// Where it is present.
    pub entered: Vec<Arc<str>>,
}

/// Which sessions are meant: all that fit everything given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// Those of this user.
    pub user: Option<Box<str>>,
    /// The one with this id.
    pub session: Option<u64>,
}

impl Whom {
    fn is(&self, id: u64, who: &Identity) -> bool {
        self.user.as_deref().is_none_or(|user| *user == *who.user)
            && self.session.is_none_or(|session| session == id)
    }
}

impl Engine {
    /// Channels in memory whose name begins with `prefix` and follows `after`, by name, at most
    /// `most`.
    pub fn channels(&self, prefix: &str, after: Option<&str>, most: usize) -> Vec<ChannelInfo> {
        let wanted = |name: &str| {
            !name.starts_with('\0')
                && name.starts_with(prefix)
                && after.is_none_or(|after| name > after)
        };
        let mut names: Vec<&str> = self.homes.names().filter(|name| wanted(name)).collect();
        if names.len() > most {
            names.select_nth_unstable(most);
            names.truncate(most);
        }
        names.sort_unstable();
        names.into_iter().filter_map(|name| self.channel(name)).collect()
    }

    /// A channel in memory, if its home is here.
    pub fn channel(&self, name: &str) -> Option<ChannelInfo> {
        let home = &self.homes.slab[self.homes.find(name)?];
        let channel = &home.channel;
        Some(ChannelInfo {
            name: channel.name.clone(),
            position: channel.position(),
            events: channel.history.len(),
            members: channel.presence.as_ref().map_or(0, |presence| presence.count()),
        })
    }

    /// How many sessions of this shard are subscribed to a channel.
    pub fn subscriptions(&self, channel: &str) -> usize {
        self.topics.find(channel).map_or(0, |topic| self.topics.holders(topic))
    }

    /// Sessions of this shard, at most `most`.
    pub fn sessions_of(&self, whom: &Whom, most: usize) -> Vec<SessionInfo> {
        let found = self.keys_of(whom).into_iter().take(most);
        found.filter_map(|key| self.session_info(key)).collect()
    }

    fn session_info(&self, key: SessionKey) -> Option<SessionInfo> {
        let session = self.sessions.get(key.slot as usize)?;
        let subs = session.subscriptions.iter();
        Some(SessionInfo {
            key,
            id: session.id,
            identity: session.identity.clone()?,
            opened_ms: session.opened_ms,
            channels: subs.map(|sub| self.topics.channel(sub.topic).clone()).collect(),
            entered: session.entered.as_deref().cloned().unwrap_or_default(),
        })
    }

    /// Users of this shard's sessions whose name begins with `prefix` and follows `after`, by name,
    /// at most `most`, and how many sessions each has here.
    /// With `channel`: those sessions that are subscribed to it.
    pub fn users(
        &self,
        (prefix, channel): (&str, Option<&str>),
        after: Option<&str>,
        most: usize,
    ) -> Vec<(Arc<str>, usize)> {
        let topic = channel.map(|channel| self.topics.find(channel));
        let is_there = |session: &Session| match topic {
            Some(topic) => session.subscriptions.iter().any(|sub| Some(sub.topic) == topic),
            None => true,
        };
        let mut found: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        let sessions = self.sessions.iter().filter(|(_, session)| is_there(session));
        let users = sessions.filter_map(|(_, session)| session.identity.as_ref());
        let wanted = |name: &str| name.starts_with(prefix) && after.is_none_or(|at| name > at);
        for user in users.map(|who| &who.user).filter(|user| wanted(user)) {
            *found.entry(user).or_default() += 1;
            // One that is dropped stays behind `most` others, however many more are looked at.
            if found.len() > most {
                found.pop_last();
            }
        }
        found.into_iter().map(|(user, sessions)| (user.clone(), sessions)).collect()
    }

    /// Sessions that are somebody's, and fit.
    pub(super) fn keys_of(&self, whom: &Whom) -> Vec<SessionKey> {
        let mut found = Vec::new();
        for (slot, session) in &self.sessions {
            if session.identity.as_ref().is_some_and(|who| whom.is(session.id, who)) {
                let slot = u32::try_from(slot).unwrap_or(u32::MAX);
                found.push(SessionKey { slot, serial: session.serial });
            }
        }
        found
    }

    /// Ends sessions, lost ones too. How many were connected.
    pub fn disconnect(&mut self, now: Now, whom: &Whom, code: CloseCode) -> usize {
        self.forget_lost(|id, who| whom.is(id, who));
        let keys = self.keys_of(whom);
        for key in &keys {
            self.dismiss_for_good(*key, code);
        }
        self.settle(now);
        keys.len()
    }

    /// Ends subscriptions to channels of a pattern, and presence in them. How many subscriptions.
    pub fn unsubscribe_all(&mut self, now: Now, whom: &Whom, pattern: &str) -> usize {
        let mut count = 0;
        for key in self.keys_of(whom) {
            let Some(session) = self.sessions.get(key.slot as usize) else { continue };
            let ours = |sub: &&Subscription| fits(pattern, self.topics.channel(sub.topic));
            let subs: Vec<_> = session.subscriptions.iter().filter(ours).copied().collect();
            let entered = session.entered.as_deref().into_iter().flatten();
            let left = entered.filter(|channel| fits(pattern, channel)).cloned().collect();
            count += subs.len();
            self.revoke_all(key, subs, UNSUBSCRIBED);
            self.leave_all(key, left);
        }
        self.settle(now);
        count
    }

    /// Something was revoked: ends what the authority does not let stand any more. How many
    /// sessions ended.
    pub fn enforce(&mut self, now: Now) -> usize {
        let authority = self.config.authority.clone();
        self.forget_lost(|id, who| !authority.stands(who, id, None));
        let mut ended = 0;
        for key in self.keys_of(&Whom::default()) {
            if self.end_revoked(key) {
                ended += 1;
            } else {
                self.revoke_disallowed(key);
            }
        }
        self.settle(now);
        ended
    }

    /// Ends a session whose user, token or self was revoked; whether that is so.
    pub(super) fn end_revoked(&mut self, key: SessionKey) -> bool {
        let authority = self.config.authority.clone();
        let revoked = self.session(key).is_some_and(|session| {
            let who = session.identity.as_ref();
            who.is_some_and(|who| !authority.stands(who, session.id, None))
        });
        if revoked {
            self.dismiss_for_good(key, CloseCode::Revoked);
        }
        revoked
    }

    /// Ends a session that nobody can resume.
    fn dismiss_for_good(&mut self, key: SessionKey, code: CloseCode) {
        if let Some(session) = self.session(key)
            && session.ticket
        {
            session.ticket = false;
            let id = session.id;
            self.unregister(id, key);
        }
        self.end_session(key, code, None);
    }
}
