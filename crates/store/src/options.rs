//! How a log is opened.

use tidings_core::store::{FORGET_AFTER_MS, Level};

/// How a log is opened. `Options::new(seed)` has the defaults of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// A segment is closed when the next batch would make it longer than this many bytes.
    /// At most 1 GiB. Default: 64 MiB.
    pub segment_bytes: u32,
    /// [`Level::Fsync`]: every commit is synced before it is acknowledged. [`Level::Os`] (and
    /// [`Level::Memory`], which a log cannot go below, is treated like it): a commit is handed to
    /// the operating system, and the driver calls [`crate::LogStore::sync`] now and then.
    pub level: Level,
    /// Where new epochs come from: random, and another one each time a log is opened.
    pub seed: u64,
    /// Identifies the run of the operating system (see [`crate::boot_id`]). It tells `kill -9`
    /// from a power failure, which matters at [`Level::Os`] only; `None` is taken for "another".
    pub boot_id: Option<u64>,
    /// A channel without events and without dedup records is forgotten wholly, epoch and last
    /// offset too, when nothing happened in it for this many milliseconds. Default, and no less
    /// outside of tests: [`FORGET_AFTER_MS`].
    pub forget_after_ms: u64,
    /// About how many bytes of the log one step of upkeep reads. Default: 1 MiB.
    pub step_bytes: u32,
}

impl Options {
    /// The defaults of a server, at [`Level::Fsync`].
    #[must_use]
    pub fn new(seed: u64) -> Options {
        Options {
            segment_bytes: 64 << 20,
            level: Level::Fsync,
            seed,
            boot_id: None,
            forget_after_ms: FORGET_AFTER_MS,
            step_bytes: 1 << 20,
        }
    }

    /// What is reached before a commit is acknowledged: never less than [`Level::Os`].
    pub(crate) fn reached(&self) -> Level {
        self.level.max(Level::Os)
    }
}
