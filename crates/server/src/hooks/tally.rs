//! What is counted of hooks. It lasts as long as the process: a changed configuration makes new
//! hooks, and counters never go back.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::Kind;
use crate::metrics::{COMMIT_MICROS, Histogram};

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Allowed,
    Denied,
    /// No answer, or none that can be used.
    Failed,
    /// The queue was full.
    Full,
    /// The backend was left alone.
    Skipped,
    TimedOut,
}

/// Their names, in the order of [`Outcome`].
pub(crate) const OUTCOMES: [&str; 6] =
    ["allowed", "denied", "failed", "full", "skipped", "timed_out"];

/// Of one kind of hook.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    outcomes: [AtomicU64; OUTCOMES.len()],
    /// How long calls took, in microseconds.
    pub(crate) took: Histogram,
    under_way: AtomicUsize,
    waiting: AtomicUsize,
    open: AtomicBool,
}

impl Tally {
    pub(super) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn took(&self, time: Duration) {
        self.took.note(&COMMIT_MICROS, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn under_way(&self, more: bool) {
        if more {
            self.under_way.fetch_add(1, Relaxed);
        } else {
            self.under_way.fetch_sub(1, Relaxed);
        }
    }

    pub(super) fn waiting(&self, count: usize) {
        self.waiting.store(count, Relaxed);
    }

    pub(super) fn opened(&self, open: bool) {
        self.open.store(open, Relaxed);
    }

    /// Questions by what came of them.
    pub(crate) fn outcomes(&self) -> [u64; OUTCOMES.len()] {
        self.outcomes.each_ref().map(|count| count.load(Relaxed))
    }

    /// Calls under way, questions that wait, and whether the backend is left alone.
    pub(crate) fn now(&self) -> (usize, usize, bool) {
        (self.under_way.load(Relaxed), self.waiting.load(Relaxed), self.open.load(Relaxed))
    }
}

/// Of all kinds.
#[derive(Debug, Default)]
pub(crate) struct Tallies([Tally; 3]);

impl Tallies {
    pub(super) fn of(&self, kind: Kind) -> &Tally {
        &self.0[kind as usize]
    }

    /// In the order of [`super::KINDS`].
    pub(crate) fn all(&self) -> &[Tally; 3] {
        &self.0
    }
}
