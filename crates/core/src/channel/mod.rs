//! A channel at its home: the one place that gives its offsets.

pub(crate) mod aware;
mod checkpoint;
mod dedup;
mod desk;
mod fold;
mod history;
pub(crate) mod inbox;
mod presence;
mod publish;
pub(crate) mod shelf;
pub(crate) mod state;
mod tally;
pub(crate) mod topic;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use tidings_proto::Position;

pub(crate) use checkpoint::{Checkpoints, companion, owner};
pub(crate) use dedup::{Dedup, Seen};
pub(crate) use desk::{Change as DocumentChange, Desk, Merging, Origin};
pub(crate) use fold::Fold;
pub(crate) use history::History;
pub(crate) use presence::{Change, Entry, Presence};
pub(crate) use publish::{Amend, How, Pending, Publish, UsedUp, Verb, Waiter, Wish};

use crate::engine::{Delivery, ShardId};
use crate::limits::VERSION_AWAITED_MS;
use crate::policy::Namespace;
use crate::rng::mix;
use crate::store::{Epoch, Level, Loaded, Retention};

/// A channel, loaded.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: Arc<str>,
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) epoch: Epoch,
    /// The offset of the newest event that is stored.
    pub(crate) last: u64,
    /// The newest offset given, also to events that the store has not confirmed.
    pub(crate) assigned: u64,
    pub(crate) history: History,
    pub(crate) dedup: Dedup,
    /// What it is beyond its events.
    pub(crate) fold: Fold,
    /// How that is kept, if it has to be.
    pub(crate) checkpoints: Option<Box<Checkpoints>>,
    /// At the store, oldest first.
    pub(crate) pending: VecDeque<Pending>,
    /// How many of them are changes of events.
    pub(crate) amends: usize,
    /// An append failed and others are still under way: nothing new until they have come back.
    pub(crate) failing: bool,
    /// The store's history of it is another than ours: it has to be read again.
    pub(crate) estranged: bool,
    /// Committed in this turn of the loop, to be sent out together at its end.
    pub(crate) outgoing: Vec<Delivery>,
    /// Which shards have subscriptions.
    pub(crate) shards: SmallVec<[ShardId; 4]>,
    pub(crate) presence: Option<Box<Presence>>,
    /// Around a document.
    pub(crate) desk: Option<Box<Desk>>,
    /// The level that the store reached last: what a duplicate is told.
    pub(crate) level: Level,
    /// When the next of its keys is looked at that go by themselves: steady milliseconds.
    pub(crate) armed_ms: Option<u64>,
    /// When it was last used: monotonic milliseconds.
    pub(crate) used_ms: u64,
}

impl Channel {
    pub(crate) fn new(name: Arc<str>, namespace: Arc<Namespace>, epoch: Epoch) -> Self {
        let fold = Fold::of(namespace.policy.kind);
        let desk = matches!(fold, Fold::Document(_)).then(Box::default);
        let is_kept = namespace.policy.history.durable && fold.is_kept();
        Self {
            name,
            namespace,
            epoch,
            last: 0,
            assigned: 0,
            history: History::default(),
            dedup: Dedup::default(),
            fold,
            checkpoints: is_kept.then(|| Box::new(Checkpoints::new(epoch))),
            pending: VecDeque::new(),
            amends: 0,
            failing: false,
            estranged: false,
            outgoing: Vec::new(),
            shards: SmallVec::new(),
            presence: None,
            desk,
            level: Level::Os,
            armed_ms: None,
            used_ms: 0,
        }
    }

    /// Takes over what the store has kept; `None`: nothing.
    pub(crate) fn restore(&mut self, loaded: Option<Loaded>) {
        let Some(loaded) = loaded else {
            if self.last > 0 {
                // All of it was lost under a running server.
                self.epoch = Epoch(mix(self.epoch.0));
                (self.last, self.assigned) = (0, 0);
                self.history = History::default();
                self.dedup = Dedup::default();
            }
            return;
        };
        self.epoch = loaded.epoch;
        self.last = loaded.last_offset;
        self.assigned = loaded.last_offset;
        let position = self.position();
        if let Some(checkpoints) = &mut self.checkpoints {
            let behind = checkpoints.replays_behind(position);
            for event in loaded.events.iter().filter(|event| event.offset > behind) {
                self.fold.replay(event.offset, event.at_ms, &event.event);
                checkpoints.noted(event.event.len());
            }
        }
        let mut events = loaded.events;
        let size = self.namespace.policy.history.size as usize;
        if self.checkpoints.is_some() && size > 0 {
            // The others were there for the fold.
            events.drain(..events.len().saturating_sub(size));
        }
        if self.desk.is_some() {
            // Nobody reads the updates of a document: they are in it.
            events.clear();
        }
        // A store may hand out pieces of what it read: those that stay are copied, or one small
        // event would keep all of that in memory.
        for event in &mut events {
            event.event = Bytes::copy_from_slice(&self.fold.told(&event.event));
        }
        self.history = History::restore(events);
        self.dedup = Dedup::restore(loaded.producers, loaded.keys);
    }

    /// How long the store has to keep the log, as of its next event.
    pub(crate) fn retention(&self, offset: u64) -> Retention {
        let mut rules = self.namespace.policy.history.retention();
        // The store counts changes of events too, which push no events out.
        let changes = u32::try_from(self.history.changes() + self.amends).unwrap_or(u32::MAX);
        if rules.size > 0 {
            rules.size = rules.size.saturating_add(changes);
        }
        let kept = self.checkpoints.as_ref();
        kept.map_or(rules, |checkpoints| checkpoints.retention(rules, offset))
    }

    pub(crate) fn position(&self) -> Position {
        Position { epoch: self.epoch, offset: self.last }
    }

    /// Whether the shard had no subscriptions before.
    pub(crate) fn attach(&mut self, shard: ShardId) -> bool {
        let new = !self.shards.contains(&shard);
        if new {
            self.shards.push(shard);
        }
        new
    }

    /// Whether the shard had subscriptions.
    pub(crate) fn detach(&mut self, shard: ShardId) -> bool {
        let before = self.shards.len();
        self.shards.retain(|at| *at != shard);
        self.shards.len() < before
    }

    /// Drops the events that have expired at `steady_ms`.
    pub(crate) fn expire_history(&mut self, steady_ms: u64) {
        let history = &self.namespace.policy.history;
        // Whoever reads a snapshot of a fold finds behind it what has changed meanwhile.
        let kept = if self.shards.is_empty() { 0 } else { self.fold.log_bytes() };
        self.history.trim(steady_ms, (history.size, kept), history.ttl.ms);
    }

    /// Drops all that has expired at `steady_ms`.
    pub(crate) fn expire(&mut self, steady_ms: u64) {
        self.expire_history(steady_ms);
        let window_ms = self.namespace.policy.history.dedup_window.ms;
        self.dedup.expire(steady_ms, window_ms);
        self.fold.tidy(self.shards.is_empty());
    }

    /// Whether it becomes a version before long. Else it does so when it is read the next time.
    pub(crate) fn awaits_version(&self) -> bool {
        let is_soon = self.namespace.policy.versions.quiet.ms <= VERSION_AWAITED_MS;
        is_soon && self.desk.as_ref().is_some_and(|desk| desk.shelf.armed.is_some())
    }

    /// Whether nothing would be lost by forgetting it (a durable one is read again from the store).
    pub(crate) fn can_unload(&self, now_mono_ms: u64, idle_ms: u64) -> bool {
        let policy = &self.namespace.policy.history;
        let unused = self.shards.is_empty()
            && self.pending.is_empty()
            && self.checkpoints.as_ref().is_none_or(|checkpoints| !checkpoints.is_writing())
            && self.outgoing.is_empty()
            && (policy.durable || self.fold.is_empty())
            && self.presence.as_ref().is_none_or(|presence| presence.is_empty())
            && self.desk.as_ref().is_none_or(|desk| !desk.is_busy());
        // A channel in memory takes its epoch with it, so it stays for as long as a client could
        // want to recover. The epoch of one that never had an event is derived: see `Homes`.
        let idle = if policy.durable || (self.assigned == 0 && self.dedup.is_empty()) {
            idle_ms
        } else {
            idle_ms.max(policy.ttl.ms).max(policy.dedup_window.ms)
        };
        unused && now_mono_ms.saturating_sub(self.used_ms) >= idle
    }
}
