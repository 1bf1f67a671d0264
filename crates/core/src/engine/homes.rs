//! The channels whose home is on this shard, and what is due for them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use slab::Slab;

use super::types::Request;
use crate::channel::Channel;
use crate::policy::Namespace;
use crate::rng::mix;
use crate::store::Epoch;

/// A channel at home.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) channel: Channel,
    /// Requests that came before the channel was read from the store; `None` when it is there.
    pub(super) waiting: Option<Vec<Request>>,
}

/// When a held place ends (monotonic milliseconds), the channel and the user.
pub(super) type Departure = (u64, Arc<str>, Arc<str>);

/// Work that is due for channels.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// Channels with something to send at the end of the turn.
    pub(super) dirty: Vec<usize>,
    /// Held places in presence, the next to end on top.
    pub(super) departures: BinaryHeap<Reverse<Departure>>,
    /// When channels have keys that go by themselves (steady milliseconds): one entry each.
    pub(super) expiries: BTreeSet<(u64, Arc<str>)>,
    /// Documents with awareness that changed; told together when the driver wakes the engine.
    pub(super) seen: Vec<Arc<str>>,
    /// When it does: monotonic milliseconds.
    pub(super) wake_ms: Option<u64>,
    /// Documents where somebody is seen, who goes when nothing is heard of them.
    pub(super) aware: Vec<Arc<str>>,
    /// What the documents of this shard take, about, in bytes.
    pub(super) documents: usize,
    /// Documents that become a version by themselves (steady milliseconds): one entry each.
    pub(super) versions: BTreeSet<(u64, Arc<str>)>,
    /// Counts what is made elsewhere for versions.
    pub(super) tickets: u64,
    /// Those that may be put to rest.
    pub(super) awake: Vec<Arc<str>>,
    /// Documents that may leave are not looked for before this (monotonic milliseconds).
    pub(super) evict_after_ms: u64,
    /// Channels whose count of members changed while counts alone are told.
    pub(super) counting: Vec<Arc<str>>,
    /// Counts are not told again before this (monotonic milliseconds).
    pub(super) count_after_ms: u64,
}

/// All channels of this shard.
#[derive(Debug, Default)]
pub(super) struct Homes {
    by_name: HashMap<Arc<str>, usize>,
    pub(super) slab: Slab<Home>,
    pub(super) agenda: Agenda,
    /// How many of them are documents.
    documents: usize,
    /// Where the next sweep goes on.
    cursor: usize,
    /// Raised when a channel in memory that had events is dropped: channels made later must not
    /// get an epoch that was used before.
    generation: u64,
}

impl Homes {
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Of them those that are documents.
    pub(super) fn documents(&self) -> usize {
        self.documents
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }

    pub(super) fn find(&self, channel: &str) -> Option<usize> {
        self.by_name.get(channel).copied()
    }

    /// The epoch of a channel that has nothing stored. Derived, not random, so that it is the same
    /// when the channel has left memory and comes back without ever having had an event.
    pub(super) fn first_epoch(&self, channel: &str, durable: bool, seeds: (u64, u64)) -> Epoch {
        let mut hasher = DefaultHasher::new();
        channel.hash(&mut hasher);
        let salt = if durable { mix(seeds.0) } else { mix(mix(seeds.1) ^ self.generation) };
        Epoch(mix(hasher.finish() ^ salt))
    }

    pub(super) fn insert(
        &mut self,
        name: &Arc<str>,
        namespace: Arc<Namespace>,
        epoch: Epoch,
    ) -> usize {
        let waiting = namespace.policy.history.durable.then(Vec::new);
        let channel = Channel::new(name.clone(), namespace, epoch);
        self.documents += usize::from(channel.desk.is_some());
        let index = self.slab.insert(Home { channel, waiting });
        self.by_name.insert(name.clone(), index);
        index
    }

    pub(super) fn remove(&mut self, index: usize) -> Home {
        let home = self.slab.remove(index);
        self.by_name.remove(&home.channel.name);
        let channel = &home.channel;
        if let Some(desk) = &channel.desk {
            self.documents -= 1;
            self.agenda.documents = self.agenda.documents.saturating_sub(desk.weight);
            if let Some(due_ms) = desk.shelf.armed {
                self.agenda.versions.remove(&(due_ms, channel.name.clone()));
            }
        }
        if !channel.namespace.policy.history.durable && channel.assigned > 0 {
            self.generation += 1;
        }
        home
    }

    /// The next channels to look at, at most `max` of them.
    pub(super) fn sweep(&mut self, max: usize) -> Vec<usize> {
        let end = self.slab.capacity();
        let mut found = Vec::new();
        for _ in 0..max.min(end) {
            if self.cursor >= end {
                self.cursor = 0;
            }
            if self.slab.contains(self.cursor) {
                found.push(self.cursor);
            }
            self.cursor += 1;
        }
        found
    }
}
