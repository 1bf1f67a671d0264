//! Live data at its home: writes that are compared and set, what a key holds, snapshots for those
//! who join, and keys that go by themselves.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;
use tidings_proto::{Change, ErrorCode, Frame, Held, Timestamp};

use super::Engine;
use super::counters::CommandKind;
use super::home::Scene;
use super::types::{Address, Changed, Delivery, Now};
use crate::channel::state::{Entry, Snapshot, State, diff, merge};
use crate::channel::{Fold, Pending, Publish, Verb, Wish};
use crate::policy::Overflow;
use crate::reject::Reject;

/// Keys of one channel that go in one tick: the others go in the next.
const EXPIRED_PER_TICK: usize = 1024;

/// When what could not be stored is tried again, in milliseconds.
const AGAIN_MS: u64 = 1000;

/// What a write comes to.
#[derive(Debug)]
pub(super) struct Planned {
    key: Arc<str>,
    entry: Option<Entry>,
    version: u64,
    /// Says the same as the entry's value, in fewer bytes.
    patch: Option<Box<RawValue>>,
    expired: bool,
}

impl Planned {
    pub(super) fn changed(&self, offset: u64) -> Arc<Changed> {
        let value = self.entry.as_ref().map(|entry| entry.value.clone());
        Arc::new(Changed { offset, version: self.version, key: self.key.clone(), value })
    }
}

impl Engine {
    /// Removes keys whose time is over.
    pub(super) fn expire_keys(&mut self, now: Now) {
        let steady_ms = self.steady_ms(now);
        let is_due = |due: Option<&(u64, Arc<str>)>| due.is_some_and(|due| due.0 <= steady_ms);
        while is_due(self.homes.agenda.expiries.first()) {
            let Some((_, channel)) = self.homes.agenda.expiries.pop_first() else { break };
            let Some(index) = self.homes.find(&channel) else { continue };
            if self.homes.slab[index].waiting.is_none() {
                self.scene(index, now).expire_keys();
            }
        }
    }
}

impl Scene<'_> {
    pub(super) fn state(&mut self) -> Option<&mut State> {
        match &mut self.channel.fold {
            Fold::State(state) => Some(state),
            _ => None,
        }
    }

    /// What a write comes to, as of all that were assigned before; `None`: it is no write.
    pub(super) fn plan(&mut self, publish: &Publish) -> Result<Option<Planned>, Reject> {
        let (Some(wish), Ok(data)) = (&publish.write, &publish.data) else { return Ok(None) };
        let (offset, steady_ms) = (self.channel.assigned + 1, self.steady_ms);
        let (namespace, limits) = (self.channel.namespace.clone(), self.limits);
        let Some(state) = self.state() else {
            return Err(Reject::bad_request("the channel has events, not keys"));
        };
        let Wish { key, verb, if_version, ttl_ms } = &**wish;
        state.compare(key, *if_version)?;
        let version = state.next_version(offset);
        let before = state.latest(key).map(|entry| entry.value.clone());
        let value = match verb {
            Verb::Remove => None,
            Verb::Set => Some(data.clone()),
            Verb::Patch => {
                let merged = merge(before.as_deref(), data);
                if merged.get().len() > limits.data {
                    return Err(Reject::too_large("what the patch makes", "data", limits.data));
                }
                namespace.check(merged.get())?;
                Some(merged)
            }
        };
        let mut patch = None;
        if let Some(value) = &value {
            state.room(key, value, &namespace.policy.state)?;
            // Who skips changes has not what a patch is made to.
            let whole = namespace.policy.state.overflow == Overflow::Conflate;
            let before = before.as_deref().filter(|_| !whole);
            patch = before.and_then(|before| diff(before, value));
        }
        let expires_ms = ttl_ms.map(|ttl| steady_ms + ttl);
        let entry = value.map(|value| Entry { value: value.into(), version, expires_ms });
        Ok(Some(Planned { key: key.clone(), entry, version, patch, expired: false }))
    }

    /// The change, as subscribers get it and as it is stored.
    pub(super) fn encode_change(&self, planned: &Planned, user: &str, offset: u64) -> Bytes {
        let entry = planned.entry.as_ref();
        let whole = entry.filter(|_| planned.patch.is_none());
        Frame::State(Change {
            channel: &self.channel.name,
            offset,
            timestamp: Timestamp(self.now.wall_ms),
            user,
            key: &planned.key,
            value: whole.map(|entry| &*entry.value),
            patch: planned.patch.as_deref(),
            removed: entry.is_none(),
            version: planned.version,
            expires_at: entry.and_then(|entry| entry.expires_ms).map(Timestamp),
            expired: planned.expired,
        })
        .encode()
    }

    /// It goes to the store.
    pub(super) fn assign_write(&mut self, planned: Planned, offset: u64) {
        let Planned { key, entry, version, .. } = planned;
        if let Some(state) = self.state() {
            state.assign(offset, version, key, entry);
        }
    }

    /// A write whose number was used up comes again: it is refused as it was.
    pub(super) fn refused_write(&mut self, wish: &Wish) -> Option<Reject> {
        wish.if_version?;
        let version = self.state()?.latest(&wish.key).map_or(0, |entry| entry.version);
        Some(Reject::conflict(version))
    }

    /// Sees to it that the next key to go by itself does.
    pub(super) fn arm_expiry(&mut self) {
        let Some(due_ms) = self.state().and_then(|state| state.next_due()) else { return };
        self.wake_at(due_ms);
    }

    fn wake_at(&mut self, at_ms: u64) {
        let name = self.channel.name.clone();
        let armed = &mut self.channel.armed_ms;
        if armed.is_some_and(|armed| armed <= at_ms && armed > self.steady_ms) {
            return;
        }
        if let Some(armed) = armed.replace(at_ms) {
            self.agenda.expiries.remove(&(armed, name.clone()));
        }
        self.agenda.expiries.insert((at_ms, name));
    }

    fn expire_keys(&mut self) {
        self.channel.armed_ms = None;
        let (steady_ms, failing) = (self.steady_ms, self.channel.failing);
        let Some(state) = self.state() else { return };
        let over = state.expired(steady_ms, EXPIRED_PER_TICK);
        for key in over.into_iter().filter(|_| !failing) {
            let offset = self.channel.assigned + 1;
            let version = self.state().map_or(offset, |state| state.next_version(offset));
            let planned = Planned { key, entry: None, version, patch: None, expired: true };
            let text = self.encode_change(&planned, "", offset);
            let changed = planned.changed(offset);
            self.assign_write(planned, offset);
            self.channel.assigned = offset;
            self.append_pending(Pending {
                offset,
                at_ms: steady_ms,
                event: Ok(text),
                producer: None,
                key: None,
                except: None,
                changed: Some(changed),
                amend: None,
                merge: None,
                waiters: SmallVec::new(),
            });
        }
        // Those that are at the store, or could not be stored, are looked at again.
        if let Some(due_ms) = self.state().and_then(|state| state.next_due()) {
            self.wake_at(due_ms.max(steady_ms + AGAIN_MS));
        }
    }

    /// A key, or a page of them.
    pub(super) fn get(
        &mut self,
        from: Address,
        id: u64,
        key: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) {
        let mut room = self.limits.page_bytes;
        let Fold::State(state) = &self.channel.fold else {
            let reject = Reject::bad_request("the channel has events, not keys");
            return self.out.refuse(CommandKind::Get, from, (id, &self.channel.name), &reject);
        };
        let held = |(key, entry)| hold(key, entry);
        let (mut entries, mut more) = (Vec::new(), false);
        match key {
            Some(key) => entries.extend(state.get(key).map(|entry| hold(key, entry))),
            None => {
                for next in state.range(after).map(held) {
                    let size = next.key.len() + next.value.get().len() + 96;
                    if entries.len() >= limit || (size > room && !entries.is_empty()) {
                        more = true;
                        break;
                    }
                    room = room.saturating_sub(size);
                    entries.push(next);
                }
            }
        }
        let frame = Frame::Snapshot {
            id: Some(id),
            channel: &self.channel.name,
            epoch: Some(self.channel.epoch),
            offset: self.channel.last,
            first: key.is_none() && after.is_none(),
            more,
            entries: &entries,
        };
        self.out.reply(CommandKind::Get, from, frame.encode());
    }

    /// What somebody is told first who has nothing yet; `None`: the channel has no keys.
    pub(super) fn snapshot(&mut self) -> Option<Arc<Snapshot>> {
        let (last, name) = (self.channel.last, self.channel.name.clone());
        let history = &self.channel.history;
        let Fold::State(state) = &mut self.channel.fold else { return None };
        Some(state.snapshot(&name, last, |offset| history.reaches_back_to(offset, last)))
    }

    /// Whether who falls behind here skips values that are old.
    pub(super) fn is_conflated(&self) -> bool {
        let overflow = self.channel.namespace.policy.state.overflow;
        matches!(self.channel.fold, Fold::State(_)) && overflow == Overflow::Conflate
    }

    /// What has changed since `start`, or since the snapshot, each key as it is now.
    ///
    /// Who comes back is told no value that lies between what they have and what there is: `values`
    /// has told them newer ones of some keys than their position says.
    pub(super) fn tail(&mut self, start: u64, is_snapshot: bool) -> Vec<Arc<Changed>> {
        #[derive(Deserialize)]
        struct Change<'a> {
            offset: u64,
            #[serde(borrow)]
            key: Cow<'a, str>,
            version: u64,
        }
        let Fold::State(state) = &self.channel.fold else { return Vec::new() };
        if is_snapshot {
            return state.tail().to_vec();
        }
        let missed = self.channel.history.page_after(start, usize::MAX, usize::MAX);
        let mut newest = BTreeMap::new();
        for event in &missed.events {
            // invariant: the engine wrote it.
            let Ok(change) = serde_json::from_slice::<Change<'_>>(event) else { continue };
            newest.insert(change.key, (change.offset, change.version));
        }
        let changed = newest.into_iter().map(|(key, (offset, version))| {
            let value = state.get(&key).map(|entry| entry.value.clone());
            Arc::new(Changed { offset, version, key: key.into(), value })
        });
        changed.collect()
    }

    /// All that anybody knows of it is wrong.
    pub(super) fn tell_anew(&mut self) {
        let Some(snapshot) = self.snapshot() else { return };
        for text in &snapshot.pages {
            let delivery = Delivery::kept(text.clone(), None);
            self.deliver(delivery);
        }
    }
}

fn hold<'a>(key: &'a str, entry: &'a Entry) -> Held<'a> {
    Held {
        key,
        value: &entry.value,
        version: entry.version,
        expires_at: entry.expires_ms.map(Timestamp),
    }
}

/// What is said to who publishes where there are keys, or writes where there are events.
pub(super) fn wrong_kind(is_state: bool) -> Reject {
    Reject::new(
        ErrorCode::BadRequest,
        if is_state {
            "the channel has keys: `set`, `patch` or `remove` them"
        } else {
            "the channel has no keys: its namespace is not of kind `state`"
        },
    )
}
