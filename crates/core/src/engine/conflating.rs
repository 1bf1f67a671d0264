//! Subscribers that cannot keep up with a channel of live data that conflates. They are sent the
//! newest value of each key when they can take it, one key after the other, and never an old one.
//!
//! A shard keeps what has changed since the one who is furthest behind, each key once: that is
//! bounded by the keys of the channel, however many are behind and however far. Of each of those it
//! knows one number for each frame of a round through the keys. Whether somebody keeps up is the
//! driver's to find out ([`Engine::lag`]); it is also the driver who knows when all that was sent
//! has arrived ([`Engine::received`]), not when it has been written: below a socket there is room
//! for many seconds of a slow link.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use tidings_proto::{CloseCode, Frame};

use super::Engine;
use super::session::Stage;
use super::types::{Changed, Delivery, Effect, Now, SessionKey, TopicKey};

/// What a key takes in a frame, beside its name and value.
const PER_KEY: usize = 4;

/// What has changed on a topic, for those who are behind.
#[derive(Debug, Default)]
pub(super) struct Newest {
    by_key: BTreeMap<Arc<str>, Arc<Changed>>,
    behind: HashMap<SessionKey, Behind>,
    /// The newest change that was told here.
    last: u64,
    /// That was of an epoch that is over, and of the new one nothing was told yet.
    is_over: bool,
}

/// How far somebody is who is behind. All keys are told in turn, by their names and round and
/// round: in the order of their changes the ones that change faster than a round takes would come
/// by chance.
#[derive(Debug)]
struct Behind {
    /// Behind this key it goes on; `None`: at the first one.
    at: Option<Arc<str>>,
    /// One round, from `at` on: up to which key (`None`: the last one there is), and the offset up
    /// to which nothing is missing of these.
    round: VecDeque<(Option<Arc<str>>, u64)>,
}

impl Behind {
    fn since(offset: u64) -> Self {
        Self { at: None, round: VecDeque::from([(None, offset)]) }
    }

    /// Up to which offset nothing is missing of any key.
    fn offset(&self) -> u64 {
        self.round.iter().map(|(_, offset)| *offset).min().unwrap_or(0)
    }

    /// The next changes that are missing, as many as `room` has bytes for, and one in any case.
    /// They are taken for told, as of `last`.
    fn next<'a>(
        &mut self,
        by_key: &'a BTreeMap<Arc<str>, Arc<Changed>>,
        last: u64,
        mut room: usize,
    ) -> Vec<&'a Arc<Changed>> {
        let mut told = Vec::new();
        for _ in 0..self.round.len() {
            let Some((end, until)) = self.round.front().cloned() else { break };
            let from = self.at.clone();
            let range = (
                from.as_ref().map_or(Unbounded, Excluded),
                end.as_ref().map_or(Unbounded, Included),
            );
            let mut passed = None;
            for (name, changed) in by_key.range::<Arc<str>, _>(range) {
                if changed.offset > until {
                    let bytes = changed.value.as_ref().map_or(0, |value| value.get().len());
                    let size = name.len() + bytes + PER_KEY;
                    if size > room && !told.is_empty() {
                        if let Some(name) = passed {
                            self.pass(Some(Arc::clone(name)), last);
                        }
                        return told;
                    }
                    room = room.saturating_sub(size);
                    told.push(changed);
                }
                passed = Some(name);
            }
            self.round.pop_front();
            self.pass(end, last);
        }
        told
    }

    /// Nothing is missing up to `key`, as of `offset`.
    fn pass(&mut self, key: Option<Arc<str>>, offset: u64) {
        match self.round.back_mut() {
            // It goes on where that one ends, unless that was the last key.
            Some((end, until)) if *until == offset && end.is_some() => end.clone_from(&key),
            _ => self.round.push_back((key.clone(), offset)),
        }
        self.at = key;
    }
}

impl Newest {
    fn note(&mut self, changed: &Arc<Changed>) {
        (self.last, self.is_over) = (self.last.max(changed.offset), false);
        if self.behind.is_empty() {
            return;
        }
        if self.by_key.get(&changed.key).is_none_or(|known| known.offset < changed.offset) {
            self.by_key.insert(changed.key.clone(), changed.clone());
        }
    }

    /// Drops what nobody is missing.
    fn tidy(&mut self) {
        match self.behind.values().map(Behind::offset).min() {
            Some(upto) => self.by_key.retain(|_, changed| changed.offset > upto),
            None => self.by_key = BTreeMap::new(),
        }
    }

    /// The next frame for somebody, if anything is missing there.
    fn frame(&mut self, channel: &str, key: SessionKey, budget: usize) -> Option<Bytes> {
        let Self { by_key, behind, last, .. } = self;
        let behind = behind.get_mut(&key)?;
        let told = behind.next(by_key, *last, budget);
        if behind.offset() == *last {
            *behind = Behind::since(*last);
        }
        let version = told.iter().map(|changed| changed.version).max()?;
        let (mut values, mut removed) = (Vec::new(), Vec::new());
        for changed in told {
            match &changed.value {
                Some(value) => values.push((&*changed.key, &**value)),
                None => removed.push(&*changed.key),
            }
        }
        let (offset, values, removed) = (behind.offset(), &*values, &*removed);
        Some(Frame::Values { channel, offset, version, values, removed }.encode())
    }

    /// Whether nothing that was told here is missing there.
    fn is_whole(&self, key: SessionKey) -> bool {
        self.behind.get(&key).is_none_or(|behind| behind.offset() >= self.last)
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
            if newest.is_over {
                continue;
            }
            newest.behind.entry(key).or_insert_with(|| Behind::since(last));
            self.topics.hold_back(topic, place, true);
        }
        self.probe(key);
    }

    /// All that was sent to a session has arrived: an [`Effect::Probe`] is done. It may be sent
    /// some `budget` bytes now; `quick`: the way there is free, so that it can keep up again.
    pub fn received(&mut self, now: Now, key: SessionKey, budget: usize, quick: bool) {
        self.probing.remove(&key);
        let mut texts = SmallVec::<[Bytes; 1]>::new();
        for (topic, place) in self.live_topics(key) {
            if self.readers.contains_key(&(key, topic)) {
                continue;
            }
            let Some((newest, channel)) = self.topics.newest_and_channel(topic) else { continue };
            if !newest.behind.contains_key(&key) {
                continue;
            }
            if let Some(text) = newest.frame(channel, key, budget) {
                self.out.counters.conflated += 1;
                texts.push(text);
            }
            if quick && newest.is_whole(key) {
                newest.behind.remove(&key);
                self.topics.hold_back(topic, place, false);
            }
        }
        // The next ones go while the last of these is on its way, and have not to wait until an
        // answer is back.
        if let Some(last) = texts.pop() {
            let send = |text| Effect::Send { session: key, text };
            self.out.effects.extend(texts.into_iter().map(send));
            let _ = self.probing.insert(key);
            self.out.effects.push(Effect::SendProbing { session: key, text: last });
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
        (newest.last, newest.is_over) = (newest.last.max(offset), false);
        newest.behind.insert(key, Behind::since(offset));
        tail.iter().for_each(|changed| newest.note(changed));
    }

    /// What is told to a topic. Whoever is behind and waits for nothing is looked after.
    pub(super) fn note_changes(&mut self, topic: TopicKey, batch: &[Delivery]) {
        let Some(newest) = self.topics.newest_mut(topic) else { return };
        // All that was known is wrong: who is behind comes back and begins anew.
        let anew = batch.iter().any(|delivery| delivery.kept && delivery.changed.is_none());
        if anew {
            (newest.by_key, newest.last, newest.is_over) = (BTreeMap::new(), 0, true);
        }
        batch.iter().filter_map(|delivery| delivery.changed.as_ref()).for_each(|c| newest.note(c));
        if newest.behind.is_empty() {
            return;
        }
        let behind: Vec<_> = newest.behind.keys().copied().collect();
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
            if newest.by_key.len() > most.saturating_mul(2) {
                over.extend(newest.behind.keys().copied());
            }
        }
        for key in over {
            self.end_session(key, CloseCode::SlowConsumer, None);
        }
    }
}
