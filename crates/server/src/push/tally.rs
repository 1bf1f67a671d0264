//! What is counted of pushes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::metrics::{DROPPED, Dropped};

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is tried again.
    Failed,
    /// The subscription is over.
    Gone,
    /// It is not tried again.
    Refused,
    Sent,
}

/// Their names, in the order of [`Told`].
const TOLD: [&str; 4] = ["failed", "gone", "refused", "sent"];

/// Why there was no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spared {
    Present,
    Unwanted,
}

/// Their names, in the order of [`Spared`].
const SPARED: [&str; 2] = ["present", "unwanted"];

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    told: [AtomicU64; TOLD.len()],
    spared: [AtomicU64; SPARED.len()],
    dropped: [AtomicU64; DROPPED.len()],
}

fn named<const N: usize>(
    names: [&'static str; N],
    counts: &[AtomicU64; N],
) -> [(&'static str, u64); N] {
    std::array::from_fn(|at| (names[at], counts[at].load(Relaxed)))
}

impl Tally {
    pub(super) fn told(&self, told: Told) {
        self.told[told as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn spared(&self, why: Spared) {
        self.spared[why as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn dropped(&self, why: Dropped, items: u64) {
        self.dropped[why as usize].fetch_add(items, Relaxed);
    }

    pub(crate) fn calls(&self) -> [(&'static str, u64); TOLD.len()] {
        named(TOLD, &self.told)
    }

    pub(crate) fn not_called(&self) -> [(&'static str, u64); SPARED.len()] {
        named(SPARED, &self.spared)
    }

    pub(crate) fn lost(&self) -> [(&'static str, u64); DROPPED.len()] {
        named(DROPPED, &self.dropped)
    }
}
