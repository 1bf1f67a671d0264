//! Which shard a session lives on.
//!
//! The system spreads connections over shards before anything is known of them. A room of ten then
//! has five members on each of two shards, and every event in it wakes both: with small rooms that
//! costs more than the sending itself. So a session whose first channel lives elsewhere, and has
//! no subscriber here, moves there before it subscribes. A large channel still has subscribers on
//! every shard, because a shard that has more than its share takes no more of them ([`Crowd`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Engine;
use super::session::Session;
use super::types::{Effect, Now, SessionKey, ShardId, Subscribe};

/// A shard may have so many sessions more than a quarter above its share: rooms are not equal.
const SLACK: usize = 64;

/// How many sessions each shard of a node has; shared by their engines.
#[derive(Debug)]
pub struct Crowd(Box<[AtomicUsize]>);

impl Crowd {
    /// Of a node with so many shards.
    pub fn new(shards: u16) -> Self {
        Self((0..shards).map(|_| AtomicUsize::new(0)).collect())
    }

    /// Sessions on a shard.
    pub fn sessions(&self, shard: ShardId) -> usize {
        self.0.get(usize::from(shard.0)).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Whether a shard takes sessions of others: it has not much more than its share.
    pub fn has_room(&self, shard: ShardId) -> bool {
        let all: usize = self.0.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        let share = all / self.0.len().max(1);
        self.sessions(shard) <= share + share / 4 + SLACK
    }

    pub(super) fn enters(&self, shard: ShardId) {
        if let Some(count) = self.0.get(usize::from(shard.0)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn leaves(&self, shard: ShardId) {
        if let Some(count) = self.0.get(usize::from(shard.0)) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A session on its way to another shard, and the subscription that it moves for. Its rights to it
/// have been checked.
#[derive(Debug)]
pub struct Traveller {
    session: Session,
    id: u64,
    channel: Arc<str>,
    subscribe: Subscribe,
}

impl Engine {
    /// A session has come from another shard: its [`Effect::Move`] was carried out.
    pub fn arrive(&mut self, now: Now, traveller: Traveller) -> SessionKey {
        let Traveller { mut session, id, channel, subscribe } = traveller;
        session.greeted = false;
        let key = self.insert(session);
        self.greet(key);
        self.register(key);
        // It may have been revoked while it was on its way.
        if !self.end_revoked(key) {
            self.attach(key, id, channel, subscribe);
            // The rules may have changed while it was on its way.
            self.hold_to_policy(key);
            self.open_all_asked(now, key);
        }
        self.settle(now);
        key
    }

    /// A session is tied to this shard by its driver: it never moves.
    pub fn stay(&mut self, key: SessionKey) {
        if let Some(session) = self.session(key) {
            session.stays = true;
        }
    }

    /// Gives a session a slot and a key.
    pub(super) fn insert(&mut self, session: Session) -> SessionKey {
        self.serials = self.serials.wrapping_add(1);
        let serial = self.serials;
        let slot = self.sessions.insert(Session { serial, ..session });
        self.config.crowd.enters(self.config.shard);
        SessionKey { slot: u32::try_from(slot).unwrap_or(u32::MAX), serial }
    }

    /// Subscribes, here or where the session moves to for it.
    pub(super) fn place(
        &mut self,
        key: SessionKey,
        id: u64,
        channel: Arc<str>,
        subscribe: Subscribe,
    ) {
        let home = self.home_of(&channel);
        if !self.should_move(key, &channel, home) {
            self.attach(key, id, channel, subscribe);
            return;
        }
        let session = self.take_out(key);
        self.desks.forget(key);
        self.config.crowd.leaves(self.config.shard);
        if let Some(who) = session.identity.as_ref().filter(|_| session.greeted) {
            self.part_with(&who.user);
        }
        let traveller = Box::new(Traveller { session, id, channel, subscribe });
        self.out.effects.push(Effect::Move { session: key, to: home, traveller });
    }

    fn should_move(&mut self, key: SessionKey, channel: &str, home: ShardId) -> bool {
        let elsewhere = home != self.config.shard && self.topics.find(channel).is_none();
        elsewhere
            && self.session(key).is_some_and(|session| session.is_free())
            && self.config.crowd.has_room(home)
    }
}
