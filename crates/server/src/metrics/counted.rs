//! What is counted while the server runs: plain cells of each shard, relaxed atomics where one
//! thread writes and another reads. Nothing of it is shared by two writers, so counting costs an
//! addition.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tidings_core::engine::{Counters, Counts};
use tidings_proto::CloseCode;

use crate::shard::wire::Wire;

/// What `transport` says, in the order of [`transport`].
pub(super) const TRANSPORTS: [&str; 5] = ["editor", "eventsource", "polling", "sse", "websocket"];

fn transport(wire: Wire) -> usize {
    match wire {
        Wire::Editor | Wire::EditorCompressed => 0,
        Wire::Source => 1,
        Wire::Lines => 2,
        Wire::Events => 3,
        Wire::Compressed | Wire::WebSocket => 4,
    }
}

/// Why a connection got no session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    Busy,
    Origin,
    Rate,
    Request,
    Tls,
}

/// What `reason` says, in the order of [`Refusal`].
pub(super) const REFUSALS: [&str; 5] = ["busy", "origin", "rate", "request", "tls"];

/// How a session ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// The server closed it.
    Closed(CloseCode),
    /// The client said good-bye.
    Left,
    /// Its connection is gone.
    Lost,
}

/// Ends: the close codes, and two more.
const ENDS: usize = CloseCode::ALL.len() + 2;
pub(super) const LEFT: usize = CloseCode::ALL.len();
pub(super) const LOST: usize = LEFT + 1;

/// What a shard counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    connections: [Cell<u64>; TRANSPORTS.len()],
    opened: [Cell<u64>; TRANSPORTS.len()],
    ended: [Cell<u64>; ENDS],
    refused: [Cell<u64>; REFUSALS.len()],
    delivered: Cell<u64>,
    bytes_out: Cell<u64>,
    published: Histogram,
}

fn add(cell: &Cell<u64>, count: u64) {
    cell.set(cell.get().wrapping_add(count));
}

impl Tally {
    pub(crate) fn connected(&self, wire: Wire) {
        add(&self.connections[transport(wire)], 1);
    }

    pub(crate) fn disconnected(&self, wire: Wire) {
        let cell = &self.connections[transport(wire)];
        cell.set(cell.get().saturating_sub(1));
    }

    pub(crate) fn opened(&self, wire: Wire) {
        add(&self.opened[transport(wire)], 1);
    }

    pub(crate) fn ended(&self, how: End) {
        add(
            &self.ended[match how {
                End::Closed(code) => code as usize,
                End::Left => LEFT,
                End::Lost => LOST,
            }],
            1,
        );
    }

    pub(crate) fn refused(&self, why: Refusal) {
        add(&self.refused[why as usize], 1);
    }

    pub(crate) fn delivered(&self, count: u64) {
        add(&self.delivered, count);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        add(&self.bytes_out, bytes as u64);
    }

    /// A publish was answered after so many microseconds.
    pub(crate) fn published(&self, micros: u64) {
        self.published.note(&PUBLISH_MICROS, micros);
    }

    /// With what its engine has counted.
    pub(crate) fn sample(&self, counters: &Counters, counts: Counts) -> Sample {
        Sample {
            connections: self.connections.each_ref().map(Cell::get),
            opened: self.opened.each_ref().map(Cell::get),
            ended: self.ended.each_ref().map(Cell::get),
            refused: self.refused.each_ref().map(Cell::get),
            delivered: self.delivered.get(),
            bytes_out: self.bytes_out.get(),
            published: self.published.read(),
            engine: counters.clone(),
            counts,
        }
    }
}

/// What one shard had counted at some moment, or several together.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(super) connections: [u64; TRANSPORTS.len()],
    pub(super) opened: [u64; TRANSPORTS.len()],
    pub(super) ended: [u64; ENDS],
    pub(super) refused: [u64; REFUSALS.len()],
    pub(super) delivered: u64,
    pub(super) bytes_out: u64,
    pub(super) published: Reading,
    pub(super) engine: Counters,
    pub(super) counts: Counts,
}

impl Sample {
    pub(super) fn add(&mut self, other: &Sample) {
        fn each(mine: &mut [u64], theirs: &[u64]) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
        each(&mut self.connections, &other.connections);
        each(&mut self.opened, &other.opened);
        each(&mut self.ended, &other.ended);
        each(&mut self.refused, &other.refused);
        self.delivered += other.delivered;
        self.bytes_out += other.bytes_out;
        each(&mut self.published.counts, &other.published.counts);
        self.published.sum += other.published.sum;
        self.engine.add(&other.engine);
        self.counts.sessions += other.counts.sessions;
        self.counts.channels += other.counts.channels;
        self.counts.subscriptions += other.counts.subscriptions;
        self.counts.lost += other.counts.lost;
        self.counts.questions += other.counts.questions;
        self.counts.documents += other.counts.documents;
        self.counts.document_bytes += other.counts.document_bytes;
    }
}

/// Bounds of a histogram at most, without the infinite one.
pub(crate) const BOUNDS: usize = 14;

/// How often a value was at or below each of some bounds. One thread writes.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// By bound; behind the last one what is above all.
    counts: [AtomicU64; BOUNDS + 1],
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn note(&self, bounds: &[u64; BOUNDS], value: u64) {
        // With one writer there is nothing to lock.
        let add = |to: &AtomicU64, more| to.store(to.load(Relaxed).wrapping_add(more), Relaxed);
        let place = bounds.partition_point(|bound| *bound < value);
        add(&self.counts[place], 1);
        add(&self.sum, value);
    }

    pub(super) fn read(&self) -> Reading {
        let mut so_far = 0;
        let counts = self.counts.each_ref().map(|count| {
            so_far += count.load(Relaxed);
            so_far
        });
        Reading { counts, sum: self.sum.load(Relaxed) }
    }
}

/// What a histogram had counted at some moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Values up to and with each bound, the last one infinite.
    pub(super) counts: [u64; BOUNDS + 1],
    pub(super) sum: u64,
}

/// Microseconds: from a channel in memory to a disk in trouble.
pub(super) const PUBLISH_MICROS: [u64; BOUNDS] = [
    50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000,
];

/// Microseconds: from a fast disk's sync to one that is in trouble.
pub(crate) const COMMIT_MICROS: [u64; BOUNDS] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000,
];

/// Appends in a commit.
pub(super) const BATCHES: [u64; BOUNDS] =
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192];

/// What the storage thread counts.
#[derive(Debug, Default)]
pub(crate) struct StoreTally {
    pub(super) commit: Histogram,
    pub(super) batch: Histogram,
    pub(super) syncs: AtomicU64,
    pub(super) errors: AtomicU64,
    /// Events in memory of which no webhook hears: the disk cannot keep up.
    pub(super) unnoticed: AtomicU64,
}

impl StoreTally {
    pub(crate) fn committed(&self, appends: usize, took: std::time::Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit.note(&COMMIT_MICROS, micros);
        self.batch.note(&BATCHES, appends as u64);
    }

    pub(crate) fn unnoticed(&self) {
        self.unnoticed.fetch_add(1, Relaxed);
    }

    pub(crate) fn synced(&self) {
        self.syncs.fetch_add(1, Relaxed);
    }

    pub(crate) fn failed(&self, appends: usize) {
        self.errors.fetch_add(appends as u64, Relaxed);
    }
}

/// Why something is never told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dropped {
    /// The disk took nothing for too long.
    Disk,
    /// It was not taken in time.
    Expired,
    /// Too much waited.
    Full,
}

/// What `reason` says, in the order of [`Dropped`].
pub(crate) const DROPPED: [&str; 3] = ["disk", "expired", "full"];

/// What a webhook counts.
#[derive(Debug, Default)]
pub(crate) struct HookTally {
    pub(super) told: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) dropped: [AtomicU64; DROPPED.len()],
}

impl HookTally {
    pub(crate) fn told(&self, items: u64) {
        self.told.fetch_add(items, Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn dropped(&self, why: Dropped, items: u64) {
        self.dropped[why as usize].fetch_add(items, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_its_bound_and_all_above() {
        let histogram = Histogram::default();
        for value in [1, 2, 3, 8192, 9000] {
            histogram.note(&BATCHES, value);
        }
        let Reading { counts, sum } = histogram.read();
        assert_eq!(counts, [1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5]);
        assert_eq!(sum, 17_198);
    }
}
