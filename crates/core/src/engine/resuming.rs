//! Sessions that come back: within a window a lost session's user, rights and presence wait for it.
//!
//! A session's *registry* is a shard, by its id. It knows where each session lives and what lost
//! ones leave behind. A `hello` with a ticket claims that: from the registry, or from the shard
//! that still believes in the old connection, which ends then. Until the answer is there the
//! driver reads nothing more from the new one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tidings_proto::CloseCode;

use super::Engine;
use super::types::{Address, Effect, Message, Now, RequestBody, SessionKey, ShardId};
use crate::identity::Identity;

/// What a lost session leaves behind for the one that takes its place.
#[derive(Debug)]
pub struct Legacy {
    pub(crate) from: Address,
    pub(crate) identity: Identity,
    /// See [`Session::mark`](super::session::Session).
    pub(crate) mark: u64,
    /// The channels that it has entered.
    pub(crate) entered: Vec<Arc<str>>,
}

/// A `hello` that waits for what its ticket names.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) id: u64,
    /// The id that the session had before it said another's ticket.
    own: u64,
    pub(crate) token: Option<Box<str>>,
}

#[derive(Debug)]
struct Entry {
    /// The newest attempt of its client, as far as it counts them. A `hello` of an older one was
    /// given up by the client and is late: it takes nobody's place.
    attempt: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Live(Address),
    Lost { legacy: Box<Legacy>, until_ms: u64 },
}

/// What a shard knows of the sessions whose registry it is.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: HashMap<u64, Entry>,
    /// Lost ones that wait, by when their time is up.
    lost: BTreeSet<(u64, u64)>,
}

impl Registry {
    /// How many wait.
    pub(crate) fn lost(&self) -> usize {
        self.lost.len()
    }

    /// A session lives here.
    fn register(&mut self, id: u64, at: Address) {
        self.put(id, Place::Live(at));
    }

    fn put(&mut self, id: u64, place: Place) {
        let before = self.take(id);
        let attempt = before.map_or(0, |entry| entry.attempt);
        if let Place::Lost { until_ms, .. } = place {
            self.lost.insert((until_ms, id));
        }
        self.entries.insert(id, Entry { attempt, place });
    }

    fn take(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        if let Place::Lost { until_ms, .. } = entry.place {
            self.lost.remove(&(until_ms, id));
        }
        Some(entry)
    }

    /// Whether a client's later attempt was here before this one. 0: it does not count them.
    fn is_late(&mut self, id: u64, attempt: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&id).filter(|_| attempt > 0) else { return false };
        let late = attempt < entry.attempt;
        entry.attempt = entry.attempt.max(attempt);
        late
    }

    /// Takes what a session has left behind, for the one that lives on as it.
    fn hand_over(
        &mut self,
        now_ms: u64,
        id: u64,
        attempt: u64,
        to: Address,
    ) -> Option<Box<Legacy>> {
        let before = self.take(id);
        let attempt = before.as_ref().map_or(attempt, |entry| entry.attempt.max(attempt));
        self.entries.insert(id, Entry { attempt, place: Place::Live(to) });
        match before.map(|entry| entry.place) {
            Some(Place::Lost { legacy, until_ms }) if until_ms > now_ms => Some(legacy),
            _ => None,
        }
    }

    /// A session has ended, and leaves something behind or not.
    fn close(&mut self, id: u64, at: Address, legacy: Option<Box<Legacy>>, until_ms: u64) {
        let lives = |entry: &Entry| matches!(entry.place, Place::Live(known) if known == at);
        if !self.entries.get(&id).is_some_and(lives) {
            return;
        }
        let Some(legacy) = legacy else {
            self.entries.remove(&id);
            return;
        };
        self.put(id, Place::Lost { legacy, until_ms });
    }

    /// Forgets those whose time is up, and the oldest above `max`.
    fn expire(&mut self, now_ms: u64, max: usize) {
        while let Some((until_ms, id)) = self.lost.first().copied()
            && (until_ms <= now_ms || self.lost.len() > max)
        {
            self.take(id);
        }
        if self.entries.capacity() > 1024 && self.entries.len() * 4 < self.entries.capacity() {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }
}

impl Engine {
    fn registry_of(&self, id: u64) -> ShardId {
        ShardId((id % u64::from(self.config.shards.max(1))) as u16)
    }

    fn address(&self, session: SessionKey) -> Address {
        Address { shard: self.config.shard, session }
    }

    /// A session that has a ticket lives here from now on.
    pub(super) fn register(&mut self, key: SessionKey) {
        let Some(id) = self.session(key).filter(|session| session.ticket).map(|s| s.id) else {
            return;
        };
        let at = self.address(key);
        self.out.post(self.registry_of(id), Message::Register { id, at });
    }

    /// Tells the registry that a session has ended.
    pub(super) fn deregister(&mut self, id: u64, at: Address, legacy: Option<Legacy>) {
        let legacy = legacy.map(Box::new);
        self.out.post(self.registry_of(id), Message::Ended { id, at, legacy });
    }

    /// `hello` with a good ticket: asks for what the session left behind.
    pub(super) fn claim(
        &mut self,
        key: SessionKey,
        hello: u64,
        (id, attempt): (u64, u64),
        token: Option<&str>,
    ) {
        let Some(session) = self.session(key) else { return };
        let own = std::mem::replace(&mut session.id, id);
        session.claim = Some(Box::new(Claim { id: hello, own, token: token.map(Into::into) }));
        session.claims = true;
        session.paused = true;
        self.out.effects.push(Effect::Pause { session: key });
        let to = self.address(key);
        self.out.post(self.registry_of(id), Message::Claim { id, attempt, to });
    }

    /// At the registry: somebody claims a session.
    pub(super) fn claimed(&mut self, now: Now, id: u64, attempt: u64, to: Address) {
        if self.registry.is_late(id, attempt) {
            self.out.post(to.shard, Message::Late { to: to.session });
            return;
        }
        if let Some(&Entry { place: Place::Live(at), .. }) = self.registry.entries.get(&id)
            && at != to
        {
            let session = at.session;
            self.out.post(at.shard, Message::Surrender { session, id, to });
            return;
        }
        self.give(now, id, attempt, to);
    }

    /// At the registry: hands over what there is.
    pub(super) fn give(&mut self, now: Now, id: u64, attempt: u64, to: Address) {
        let legacy = self.registry.hand_over(now.mono_ms, id, attempt, to);
        self.out.post(to.shard, Message::Given { id, to: to.session, legacy });
    }

    /// At the old session's shard: another connection takes its place.
    pub(super) fn surrender(&mut self, key: SessionKey, id: u64, to: Address) {
        let open = self.session(key).is_some_and(|session| session.open && session.id == id);
        if !open {
            // It has ended, which the registry is told in front of this.
            self.out.post(self.registry_of(id), Message::Gave { id, to });
            return;
        }
        let from = self.address(key);
        let legacy = self.sessions.get(key.slot as usize).and_then(|session| {
            let (identity, mark) = (session.identity.clone()?, session.mark);
            let entered = session.entered.as_deref().cloned().unwrap_or_default();
            Some(Box::new(Legacy { from, identity, mark, entered }))
        });
        self.end_session(key, CloseCode::Replaced, None);
        self.out.post(to.shard, Message::Given { id, to: to.session, legacy });
    }

    /// At the new session's shard: a later attempt of the same client has what its ticket named.
    /// It goes on as one that had none.
    pub(super) fn late(&mut self, now: Now, key: SessionKey) {
        let Some(session) = self.session(key) else { return };
        let Some(claim) = &session.claim else { return };
        session.id = claim.own;
        session.claims = false;
        let id = session.id;
        self.given(now, id, key, None);
    }

    /// At the new session's shard: what its ticket named is here, or there is nothing.
    pub(super) fn given(&mut self, now: Now, id: u64, key: SessionKey, legacy: Option<Legacy>) {
        let at = self.address(key);
        let Some(session) = self.session(key) else {
            // It has ended meanwhile: what was for it waits for the next.
            return self.deregister(id, at, legacy);
        };
        let Some(claim) = session.claim.take() else { return };
        if let Some(rule) = self.config.policy.hooks.connect {
            return self.given_to_knock(now, key, rule, *claim, legacy);
        }
        let Some(session) = self.session(key) else { return };
        let named = session.identity.take();
        let (identity, entered, from) = match legacy {
            Some(Legacy { from, identity, entered, .. }) => (Some(identity), entered, Some(from)),
            None => (None, Vec::new(), None),
        };
        let resumed = self.settle_identity(now, key, claim.token.as_deref(), named, identity);
        if self.session(key).is_none() {
            return;
        }
        if let (true, Some(old)) = (resumed, from) {
            self.come_back(key, old, entered);
            self.out.counters.resumed += 1;
        } else {
            self.out.counters.not_resumed += 1;
        }
        self.welcome(now, key, claim.id, resumed);
        self.read_on(key);
    }

    /// A session that has begun is read, unless it was to end.
    pub(super) fn read_on(&mut self, key: SessionKey) {
        if self.part_if_answered(key) {
            return;
        }
        if let Some(session) = self.session(key) {
            session.paused = false;
            self.out.effects.push(Effect::Resume { session: key });
        }
    }

    /// Whose session this is: a token's, if there is one; else that of the session it resumes.
    /// Whether that goes on. Without either the session ends.
    fn settle_identity(
        &mut self,
        now: Now,
        key: SessionKey,
        token: Option<&str>,
        named: Option<Identity>,
        old: Option<Identity>,
    ) -> bool {
        let alive = |who: &Identity| who.expires_at_ms.is_none_or(|at| at > now.wall_ms);
        let id = self.session(key).map_or(0, |session| session.id);
        let authority = self.config.authority.clone();
        let old = old.filter(|old| authority.stands(old, id, None));
        match (token, named, old) {
            (None, None, Some(old)) => {
                let expired = (!alive(&old)).then_some(CloseCode::TokenExpired);
                if let Some(code) = expired.or_else(|| self.unwelcome(&old)) {
                    self.end_session(key, code, None);
                    return false;
                }
                self.set_identity(key, old);
                true
            }
            (token, named, old) => {
                match named.filter(|_| token.is_none()) {
                    Some(named) => self.set_identity(key, named),
                    None if !self.authenticate(now, key, token) => return false,
                    None => {}
                }
                let user = self.session(key).and_then(|session| session.identity.as_ref());
                let same = |old: &Identity| user.is_some_and(|user| user.user == old.user);
                old.as_ref().is_some_and(same)
            }
        }
    }

    pub(super) fn set_identity(&mut self, key: SessionKey, identity: Identity) {
        if let Some(session) = self.session(key) {
            session.identity = Some(identity);
        }
    }

    /// Takes the old session's places.
    pub(super) fn come_back(&mut self, key: SessionKey, old: Address, entered: Vec<Arc<str>>) {
        let Some(session) = self.session(key) else { return };
        let Some(user) = session.identity.as_ref().map(|who| who.user.clone()) else { return };
        for channel in &entered {
            session.note_entered(channel);
        }
        for channel in entered {
            let body = RequestBody::Back { user: user.clone(), old };
            self.send_home(key, 0, channel, body);
        }
        // Rights may have changed with the token.
        self.leave_disallowed(key);
    }

    pub(super) fn registered(&mut self, id: u64, at: Address) {
        self.registry.register(id, at);
    }

    pub(super) fn session_ended(
        &mut self,
        now: Now,
        id: u64,
        at: Address,
        legacy: Option<Box<Legacy>>,
    ) {
        let until_ms = now.mono_ms + self.config.limits.session_window.ms;
        self.registry.close(id, at, legacy, until_ms);
    }

    /// Lost sessions that fit are not resumed.
    pub(super) fn forget_lost(&mut self, mut fit: impl FnMut(u64, &Identity) -> bool) {
        self.registry.entries.retain(|id, entry| match &entry.place {
            Place::Live(_) => true,
            Place::Lost { legacy, .. } => !fit(*id, &legacy.identity),
        });
    }

    /// The registry forgets a session that lives here.
    pub(super) fn unregister(&mut self, id: u64, key: SessionKey) {
        let at = self.address(key);
        self.deregister(id, at, None);
    }

    pub(super) fn tick_registry(&mut self, now: Now) {
        self.registry.expire(now.mono_ms, self.config.limits.lost_sessions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(slot: u32) -> Address {
        Address { shard: ShardId(0), session: SessionKey { slot, serial: 0 } }
    }

    fn lose(registry: &mut Registry, id: u64, until_ms: u64) {
        let identity = Identity {
            user: "ada".into(),
            anonymous: false,
            key: 0,
            expires_at_ms: None,
            issued_at_ms: 0,
            token: None,
            grants: None,
        };
        let from = at(id as u32);
        let legacy = Legacy { from, identity, mark: 0, entered: Vec::new() };
        registry.close(id, from, Some(Box::new(legacy)), until_ms);
    }

    /// Each loss of a session that came back was counted as one that waits: one bad link pushed
    /// the others out.
    #[test]
    fn a_session_that_comes_and_goes_pushes_no_other_out() {
        let mut registry = Registry::default();
        for id in [1, 2] {
            registry.register(id, at(id as u32));
        }
        lose(&mut registry, 1, 60_000);
        for moment in 0..5 {
            lose(&mut registry, 2, 60_001 + moment);
            registry.expire(moment, 2);
            assert_eq!(registry.lost(), 2);
            assert!(registry.hand_over(moment, 2, 0, at(2)).is_some());
        }
        assert_eq!(registry.lost(), 1);
        registry.expire(59_999, 2);
        assert!(registry.hand_over(59_999, 1, 0, at(3)).is_some(), "it waited all the time");
    }

    #[test]
    fn those_that_waited_longest_go_above_the_limit_and_all_when_their_time_is_up() {
        let mut registry = Registry::default();
        for id in 1..=4 {
            registry.register(id, at(id as u32));
            lose(&mut registry, id, 1000 + id);
        }
        registry.expire(0, 3);
        assert!(registry.hand_over(0, 1, 0, at(9)).is_none());
        assert!(registry.hand_over(0, 2, 0, at(9)).is_some());
        registry.expire(1004, 3);
        assert_eq!(registry.lost(), 0);
    }
}
