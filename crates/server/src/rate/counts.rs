//! How many sessions each user or address has now.

use std::hash::{BuildHasher, RandomState};

use dashmap::DashMap;

/// Counts by key, of all shards.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    hasher: RandomState,
    now: DashMap<u64, u32>,
}

impl Counts {
    /// What a name is counted under: the names themselves are not kept.
    pub(crate) fn key(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }

    /// One more, unless there are `max` already; 0: as many as come.
    pub(crate) fn begin(&self, key: u64, max: usize) -> bool {
        let mut count = self.now.entry(key).or_insert(0);
        let room = max == 0 || usize::try_from(*count).is_ok_and(|count| count < max);
        *count += u32::from(room);
        room
    }

    /// One less.
    pub(crate) fn end(&self, key: u64) {
        if let Some(mut count) = self.now.get_mut(&key) {
            *count = count.saturating_sub(1);
        }
        self.now.remove_if(&key, |_, count| *count == 0);
    }
}
