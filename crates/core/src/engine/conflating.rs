//! Subscribers that cannot keep up with a channel of live data that conflates. They are sent the
//! newest value of each key when they can take it, the oldest change first, and never an old one.
//!
//! A shard keeps what has changed since the one who is furthest behind, each key once: that is
//! bounded by the keys of the channel, however many are behind and however far. Of each of those it
//! knows one number. Whether somebody keeps up is the driver's to find out ([`Engine::lag`]); it is
//! also the driver who knows when all that was sent has arrived ([`Engine::received`]), not
//! when it has been written: below a socket there is room for many seconds of a slow link.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::{CloseCode, Frame};

use super::Engine;
use super::session::Stage;
use super::types::{Changed, Delivery, Effect, Now, SessionKey, TopicKey};

/// What a key takes in a frame, beside its name and value.
const PER_KEY: usize = 4;

/// What has changed on a topic, for those who are behind.
#[derive(Debug, Default)]
pub(super) struct Newest {
    by_offset: BTreeMap<u64, Arc<Changed>>,
    by_key: HashMap<Arc<str>, u64>,
    /// Who is behind, and up to which offset nothing is missing there.
    behind: HashMap<SessionKey, u64>,
    /// The newest change that was told here.
    last: u64,
}

impl Newest {
    fn note(&mut self, changed: &Arc<Changed>) {
        self.last = self.last.max(changed.offset);
        if self.behind.is_empty() {
            return;
        }
        let known = self.by_key.entry(changed.key.clone()).or_insert(0);
        if *known < changed.offset {
            self.by_offset.remove(known);
            *known = changed.offset;
            self.by_offset.insert(changed.offset, changed.clone());
        }
    }

    /// Drops what nobody is missing.
    fn tidy(&mut self) {
        let Some(upto) = self.behind.values().min() else {
            (self.by_offset, self.by_key) = (BTreeMap::new(), HashMap::new());
            return;
        };
        let upto = *upto;
        while let Some(oldest) = self.by_offset.first_entry().filter(|oldest| *oldest.key() <= upto)
        {
            self.by_key.remove(&oldest.remove().key);
        }
    }

    /// The next frame for somebody who has all up to `cursor`; how far that reaches.
    fn frame(&self, channel: &str, cursor: u64, budget: usize) -> Option<(Bytes, u64)> {
        let (mut values, mut removed, mut room, mut end) = (vec![], vec![], budget, cursor);
        for (offset, changed) in self.by_offset.range(cursor + 1..) {
            let bytes = changed.value.as_ref().map_or(0, |value| value.get().len());
            let size = changed.key.len() + bytes + PER_KEY;
            if size > room && end > cursor {
                break;
            }
            room = room.saturating_sub(size);
            end = *offset;
            match &changed.value {
                Some(value) => values.push((&*changed.key, &**value)),
                None => removed.push(&*changed.key),
            }
        }
        let frame = Frame::Values { channel, offset: end, values: &values, removed: &removed };
        (end > cursor).then(|| (frame.encode(), end))
    }
}

impl Engine {
    /// Whether subscribers of a topic that cannot keep up may skip values.
    pub fn conflates(&self, topic: TopicKey) -> bool {
        self.topics.newest(topic).is_some()
    }

    /// A session does not keep up: from here on it gets the newest values when it can take them.
    /// Call it between two calls' effects, not within.
    pub fn lag(&mut self, key: SessionKey) {
        for (topic, place) in self.live_topics(key) {
            let Some(newest) = self.topics.newest_mut(topic) else { continue };
            let last = newest.last;
            newest.behind.entry(key).or_insert(last);
            self.topics.hold_back(topic, place, true);
        }
        self.probe(key);
    }

    /// All that was sent to a session has arrived: an [`Effect::Probe`] is done. It may be sent
    /// some `budget` bytes now; `quick`: the way there is free, so that it can keep up again.
    pub fn received(&mut self, now: Now, key: SessionKey, budget: usize, quick: bool) {
        self.probing.remove(&key);
        let mut is_behind = false;
        for (topic, place) in self.live_topics(key) {
            if self.readers.contains_key(&(key, topic)) {
                continue;
            }
            let Some((newest, channel)) = self.topics.newest_and_channel(topic) else { continue };
            let Some(cursor) = newest.behind.get(&key).copied() else { continue };
            let sent = newest.frame(channel, cursor, budget);
            let end = sent.as_ref().map_or(cursor, |(_, end)| *end);
            if let Some((text, _)) = sent {
                self.out.counters.conflated += 1;
                self.out.effects.push(Effect::Send { session: key, text });
                is_behind = true;
            }
            if quick && newest.last <= end {
                newest.behind.remove(&key);
                self.topics.hold_back(topic, place, false);
            } else {
                newest.behind.insert(key, end);
            }
        }
        if is_behind {
            self.probe(key);
        }
        self.settle(now);
    }

    /// Live subscriptions of a session, and where they stand among the subscribers.
    fn live_topics(&mut self, key: SessionKey) -> Vec<(TopicKey, u32)> {
        let Some(session) = self.session(key) else { return Vec::new() };
        let live = |sub: &super::session::Subscription| match sub.stage {
            Stage::Live(place) => Some((sub.topic, place)),
            _ => None,
        };
        session.subscriptions.iter().filter_map(live).collect()
    }

    /// Asks the driver when all has arrived.
    pub(super) fn probe(&mut self, key: SessionKey) {
        if self.probing.insert(key) {
            self.out.effects.push(Effect::Probe { session: key });
        }
    }

    /// A subscription begins with a snapshot as of `offset`, and what has changed since.
    pub(super) fn begin_behind(
        &mut self,
        key: SessionKey,
        topic: TopicKey,
        offset: u64,
        tail: &[Arc<Changed>],
    ) {
        let newest = self.topics.conflate(topic);
        newest.behind.insert(key, offset);
        tail.iter().for_each(|changed| newest.note(changed));
    }

    /// What is told to a topic. Whoever is behind and waits for nothing is looked after.
    pub(super) fn note_changes(&mut self, topic: TopicKey, batch: &[Delivery]) {
        let Some(newest) = self.topics.newest_mut(topic) else { return };
        batch.iter().filter_map(|delivery| delivery.changed.as_ref()).for_each(|c| newest.note(c));
        if newest.behind.is_empty() {
            return;
        }
        let behind: Vec<_> = newest.behind.keys().copied().collect();
        // All that was known is wrong: they come back and begin anew.
        let anew = batch.iter().any(|delivery| delivery.kept && delivery.changed.is_none());
        for key in behind {
            if anew {
                self.end_session(key, CloseCode::SlowConsumer, None);
            } else if !self.readers.contains_key(&(key, topic)) {
                self.probe(key);
            }
        }
    }

    /// A subscription has ended.
    pub(super) fn forget_behind(&mut self, key: SessionKey, topic: TopicKey) {
        if let Some(newest) = self.topics.newest_mut(topic) {
            newest.behind.remove(&key);
        }
    }

    /// What nobody is missing goes. Keys that come and go for ever while somebody takes nothing
    /// would be without a bound: then that one has to begin anew.
    pub(super) fn tick_conflating(&mut self) {
        let policy = self.config.policy.clone();
        let mut over = Vec::new();
        for (channel, newest) in self.topics.all_newest() {
            newest.tidy();
            let most = policy.namespace_of(channel).map_or(0, |at| at.policy.state.keys);
            if newest.by_offset.len() > most.saturating_mul(2) {
                over.extend(newest.behind.keys().copied());
            }
        }
        for key in over {
            self.end_session(key, CloseCode::SlowConsumer, None);
        }
    }
}
