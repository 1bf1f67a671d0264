//! Live data: the keys of a channel and what they hold, folded from its log.
//!
//! There are two layers. What is stored is in `keys`; subscribers and readers see that. What is at
//! the store lies over it in `ahead`: the next write is checked against it, so that of two who
//! compare and set at once one is told no, whichever is stored first.

mod patch;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidings_proto::{Text, Timestamp};

pub(crate) use patch::{diff, merge};
pub(crate) use snapshot::Snapshot;

use crate::policy::StatePolicy;
use crate::reject::Reject;

/// What a key takes beside its name and its value, in memory and in pages.
const PER_KEY: usize = 64;

/// What a key holds.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Arc<RawValue>,
    /// The offset of the change that set it, unless the log has had other offsets since.
    pub(crate) version: u64,
    /// When it goes by itself: milliseconds of the steady clock.
    pub(crate) expires_ms: Option<u64>,
}

/// A write that is at the store.
#[derive(Debug)]
struct Ahead {
    offset: u64,
    key: Arc<str>,
    /// `None`: it removes the key.
    entry: Option<Entry>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct State {
    keys: BTreeMap<Arc<str>, Entry>,
    /// Of the names and values of `keys`.
    stored_bytes: usize,
    /// The newest version given.
    newest: u64,
    /// Keys that go by themselves, the next one first.
    due: BTreeSet<(u64, Arc<str>)>,
    /// Oldest first.
    ahead: VecDeque<Ahead>,
    /// The newest write of each key in `ahead`, and how many it has there.
    latest: HashMap<Arc<str>, (Option<Entry>, usize)>,
    /// How much there will be when all of `ahead` is stored.
    keys_ahead: usize,
    bytes_ahead: usize,
    snapshot: Option<Arc<Snapshot>>,
    /// Bytes of all changes so far.
    logged: usize,
}

/// A page of a checkpoint.
#[derive(Serialize, Deserialize)]
struct Page<'a> {
    newest: u64,
    #[serde(borrow)]
    keys: Vec<(Text<'a>, u64, Option<u64>, &'a RawValue)>,
}

/// What a logged change says.
#[derive(Deserialize)]
struct Logged<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    patch: Option<&'a RawValue>,
    version: u64,
    #[serde(borrow)]
    expires_at: Option<Text<'a>>,
}

/// Any JSON value: a `null` is one too.
fn present<'de, D>(from: D) -> Result<Option<&'de RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Deserialize::deserialize(from).map(Some)
}

impl State {
    /// What a key holds as of the newest write, stored or not.
    pub(crate) fn latest(&self, key: &str) -> Option<&Entry> {
        match self.latest.get(key) {
            Some((entry, _)) => entry.as_ref(),
            None => self.keys.get(key),
        }
    }

    /// What a key holds.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.keys.get(key)
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys behind `after`, by their order.
    pub(crate) fn range(&self, after: Option<&str>) -> impl Iterator<Item = (&str, &Entry)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.keys.range::<str, _>((from, Bound::Unbounded)).map(|(key, entry)| (&**key, entry))
    }

    /// Whether a key may be written by somebody who has seen it as of this version; 0: never.
    pub(crate) fn compare(&self, key: &str, if_version: Option<u64>) -> Result<(), Reject> {
        let version = self.latest(key).map_or(0, |entry| entry.version);
        match if_version {
            None => Ok(()),
            Some(0) if version == 0 => Ok(()),
            // What was removed has changed too.
            Some(seen) if seen > 0 && version > 0 && version <= seen => Ok(()),
            Some(_) => Err(Reject::conflict(version)),
        }
    }

    /// Whether there is room for this under a key.
    pub(crate) fn room(
        &self,
        key: &str,
        value: &RawValue,
        rules: &StatePolicy,
    ) -> Result<(), Reject> {
        let before = self.latest(key);
        if before.is_none() && self.keys_ahead >= rules.keys {
            return Err(Reject::limit("too many keys in the channel", "keys", rules.keys));
        }
        let freed = before.map_or(0, |entry| size(key, entry));
        let bytes = self.bytes_ahead - freed + key.len() + value.get().len();
        if bytes > rules.bytes && bytes > self.bytes_ahead {
            return Err(Reject::limit("too much in the channel", "bytes", rules.bytes));
        }
        Ok(())
    }

    /// The version that the change with this offset gives.
    pub(crate) fn next_version(&self, offset: u64) -> u64 {
        offset.max(self.newest + 1)
    }

    /// A write goes to the store.
    pub(crate) fn assign(
        &mut self,
        offset: u64,
        version: u64,
        key: Arc<str>,
        entry: Option<Entry>,
    ) {
        self.newest = self.newest.max(version);
        let freed = self.latest(&key).map(|before| size(&key, before));
        self.keys_ahead =
            self.keys_ahead + usize::from(entry.is_some()) - usize::from(freed.is_some());
        self.bytes_ahead =
            self.bytes_ahead + entry.as_ref().map_or(0, |new| size(&key, new)) - freed.unwrap_or(0);
        let latest = self.latest.entry(key.clone()).or_insert((None, 0));
        *latest = (entry.clone(), latest.1 + 1);
        self.ahead.push_back(Ahead { offset, key, entry });
    }

    /// The change with this offset is stored.
    pub(crate) fn commit(&mut self, offset: u64, event: &[u8]) {
        self.logged = self.logged.wrapping_add(event.len());
        let Some(Ahead { key, entry, .. }) =
            self.ahead.pop_front_if(|oldest| oldest.offset == offset)
        else {
            // Nobody has assigned it here.
            return self.replay(event);
        };
        if let Some((_, waiting)) = self.latest.get_mut(&key) {
            *waiting -= 1;
            if *waiting == 0 {
                self.latest.remove(&key);
            }
        }
        self.put(key, entry);
    }

    /// Nothing of what was assigned and is not stored will be. Its versions are not given again:
    /// somebody may have been told of them.
    pub(crate) fn revert(&mut self) {
        self.ahead.clear();
        self.latest.clear();
        (self.keys_ahead, self.bytes_ahead) = (self.keys.len(), self.stored_bytes);
    }

    /// Begins again, with nothing.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn put(&mut self, key: Arc<str>, entry: Option<Entry>) {
        let due = entry.as_ref().and_then(|new| new.expires_ms);
        let added = entry.as_ref().map_or(0, |new| size(&key, new));
        let before = match entry {
            Some(entry) => self.keys.insert(key.clone(), entry),
            None => self.keys.remove(&key),
        };
        let freed = before.as_ref().map_or(0, |old| size(&key, old));
        self.stored_bytes = self.stored_bytes + added - freed;
        if let Some(at_ms) = before.and_then(|old| old.expires_ms) {
            self.due.remove(&(at_ms, key.clone()));
        }
        if let Some(at_ms) = due {
            self.due.insert((at_ms, key));
        }
    }

    /// Takes in a change that was logged.
    pub(crate) fn replay(&mut self, event: &[u8]) {
        // invariant: only changes are in the log, as they were encoded.
        let Ok(Logged { key, value, patch, version, expires_at }) = serde_json::from_slice(event)
        else {
            return;
        };
        self.newest = self.newest.max(version);
        let value: Option<Arc<RawValue>> = match (value, patch) {
            (Some(value), _) => Some(value.to_owned().into()),
            (None, Some(patch)) => {
                let before = self.keys.get(&*key).map(|entry| &*entry.value);
                Some(merge(before, patch).into())
            }
            (None, None) => None,
        };
        let expires = expires_at.and_then(|at| at.parse::<Timestamp>().ok());
        let expires_ms = expires.map(|Timestamp(at_ms)| at_ms);
        let key = self.keys.get_key_value(&*key).map_or_else(|| (&*key).into(), |(k, _)| k.clone());
        self.put(key, value.map(|value| Entry { value, version, expires_ms }));
        if self.ahead.is_empty() {
            self.revert();
        }
    }

    /// All of it, for [`take_page`](Self::take_page).
    pub(crate) fn pages(&self, max: usize) -> Vec<Bytes> {
        let (mut pages, mut keys, mut room) = (Vec::new(), Vec::new(), max);
        let page = |keys: &mut Vec<_>| {
            let page = Page { newest: self.newest, keys: std::mem::take(keys) };
            // invariant: numbers, texts and JSON are JSON.
            Bytes::from(serde_json::to_vec(&page).unwrap_or_default())
        };
        for (key, entry) in &self.keys {
            let size = size(key, entry) + PER_KEY;
            if size > room && !keys.is_empty() {
                pages.push(page(&mut keys));
                room = max;
            }
            room = room.saturating_sub(size);
            keys.push((Text::from(&**key), entry.version, entry.expires_ms, &*entry.value));
        }
        pages.push(page(&mut keys));
        pages
    }

    /// Takes a page back in.
    pub(crate) fn take_page(&mut self, page: &[u8]) {
        // invariant: the store gives nothing back that is damaged.
        let Ok(Page { newest, keys }) = serde_json::from_slice(page) else { return };
        self.newest = self.newest.max(newest);
        for (key, version, expires_ms, value) in keys {
            let entry = Entry { value: value.to_owned().into(), version, expires_ms };
            self.put((&*key).into(), Some(entry));
        }
        self.revert();
    }

    /// About how many bytes its pages have.
    pub(crate) fn bytes(&self) -> usize {
        self.stored_bytes + self.keys.len() * PER_KEY
    }

    /// When the next key goes by itself.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(at_ms, _)| *at_ms)
    }

    /// Keys whose time is over at `steady_ms` and that nobody writes to now, at most `max`.
    pub(crate) fn expired(&self, steady_ms: u64, max: usize) -> Vec<Arc<str>> {
        let over = self.due.iter().take_while(|(at_ms, _)| *at_ms <= steady_ms);
        let free = over.filter(|(_, key)| !self.latest.contains_key(key));
        free.take(max).map(|(_, key)| key.clone()).collect()
    }
}

fn size(key: &str, entry: &Entry) -> usize {
    key.len() + entry.value.get().len()
}
