//! The port to the store: what the engine asks of it, and what it gets back.
//!
//! A store keeps, for each channel, its *epoch*, its events in one dense order of offsets, and the
//! records that make publishing exactly-once. The engine never touches a disk: it emits
//! [`Append`]s and receives the outcome; a driver (or the simulation) carries them to something
//! that implements [`Store`].
//!
//! # The contract
//!
//! 1. **Atomic.** An append becomes durable together with its producer and key records, or not at
//!    all.
//! 2. **Dense.** An append whose offset is not exactly one more than the last one stored for its
//!    channel and epoch is refused with [`StoreError::OutOfOrder`] and changes nothing. The first
//!    append of a channel names the epoch and starts at offset 1.
//! 3. **Durable before `Ok`.** [`Store::commit`] returns `Ok(level)` for an append only after it
//!    has reached that level. All appends of one call share one sync.
//! 4. **Never wrong.** A stored record that fails its checksum is never returned. If
//!    acknowledged history was lost, the channel has another epoch afterwards: decided while
//!    opening, or by the `load` that finds it.
//! 5. **Forgets only by rule.** Events leave by the channel's [`Retention`]; dedup records stay
//!    for the dedup window even when their event has gone; a channel's epoch and last offset stay
//!    when all its events have expired.

use std::sync::Arc;

use bytes::Bytes;
pub use tidings_proto::{Epoch, Level};

/// A store may forget a channel wholly, epoch and last offset too, that has no events and no dedup
/// records and in which nothing has happened for this many milliseconds: 30 days. Not earlier: the
/// epochs of channels that have nothing stored are derived anew in each such period.
pub const FORGET_AFTER_MS: u64 = 30 * 24 * 3600 * 1000;

/// How long a channel's events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The newest this many events are kept.
    pub size: u32,
    /// Events older than this many milliseconds are dropped.
    pub ttl_ms: u64,
    /// Dedup records are kept for this many milliseconds after their publish.
    pub dedup_ms: u64,
}

/// A name that belongs to one user: two users' equal producer names or keys never meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scoped {
    /// The user; empty for anonymous publishers, who share one scope.
    pub user: Box<str>,
    /// The producer's name or the caller's key.
    pub name: Box<str>,
}

/// One append: an event and its dedup records, or a dedup record alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// The channel.
    pub channel: Arc<str>,
    /// The channel's epoch.
    pub epoch: Epoch,
    /// The event's offset; for `event: None` the channel's last offset, unchanged.
    pub offset: u64,
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    /// The event as it is sent to subscribers (JSON). `None`: a refused publish that only
    /// consumes its sequence number.
    pub event: Option<Bytes>,
    /// Producer and sequence number of the publish.
    pub producer: Option<(Scoped, u64)>,
    /// The caller's own idempotency key.
    pub key: Option<Scoped>,
    /// The channel's retention as of now; the newest one given is the one in force.
    pub retention: Retention,
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its offset.
    pub offset: u64,
    /// When it was published: milliseconds since 1970.
    pub at_ms: u64,
    /// The JSON that subscribers get. It may be a piece of something longer: copy what is kept.
    pub event: Bytes,
    /// Who published it under which number.
    pub producer: Option<(Scoped, u64)>,
}

/// The last publish of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerRecord {
    /// Who.
    pub producer: Scoped,
    /// Its last sequence number.
    pub seq: u64,
    /// The offset that it got; `None` when the number was consumed by a refusal.
    pub offset: Option<u64>,
    /// When: milliseconds since 1970.
    pub at_ms: u64,
}

/// A caller's key that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub key: Scoped,
    /// The offset that its event got.
    pub offset: u64,
    /// When: milliseconds since 1970.
    pub at_ms: u64,
}

/// All that is kept of one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Its epoch.
    pub epoch: Epoch,
    /// The offset of its newest event ever; 0 when it never had one.
    pub last_offset: u64,
    /// What is left of its history: dense, oldest first, ending at `last_offset` unless expired.
    pub events: Vec<StoredEvent>,
    /// One record a producer, within the dedup window.
    pub producers: Vec<ProducerRecord>,
    /// Keys within the dedup window.
    pub keys: Vec<KeyRecord>,
}

/// Why the store could not do as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The append does not continue the channel (see the contract, 2): an earlier one failed.
    OutOfOrder,
    /// The disk is full. Nothing was written; it may be tried again.
    Full,
    /// The disk failed. The text is for the log.
    Io(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::OutOfOrder => f.write_str("the append does not continue the channel"),
            StoreError::Full => f.write_str("the disk is full"),
            StoreError::Io(what) => write!(f, "the disk failed: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// What a store can do. See the module's contract.
pub trait Store {
    /// Appends in order and makes them durable together; one outcome for each. `now_ms` is the
    /// wall clock.
    fn commit(&mut self, now_ms: u64, batch: &[Append]) -> Vec<Result<Level, StoreError>>;

    /// All that is kept of a channel, or `None` if nothing was ever stored under that name.
    /// Expired events are left out.
    fn load(&mut self, now_ms: u64, channel: &str) -> Result<Option<Loaded>, StoreError>;

    /// Does a bounded piece of upkeep (dropping what expired, compaction); `true` if there is more.
    fn maintain(&mut self, now_ms: u64) -> Result<bool, StoreError>;
}
