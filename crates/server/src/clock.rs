//! The one place that reads the clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tidings_core::engine::Now;

/// The clocks of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_wall_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), started_wall_ms: wall_ms() }
    }

    pub(crate) fn now(&self) -> Now {
        let mono_us = self.mono_us();
        Now { mono_ms: mono_us / 1000, mono_us, wall_ms: wall_ms() }
    }

    /// When the process started: milliseconds since 1970.
    pub(crate) fn started_wall_ms(&self) -> u64 {
        self.started_wall_ms
    }

    /// Microseconds of a clock that never goes back.
    pub(crate) fn mono_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The wall clock at the start and the time since then: for ages, which a clock that is set
    /// must not change. The store has to have the same one as the engines.
    pub(crate) fn steady_ms(&self) -> u64 {
        self.started_wall_ms + self.mono_us() / 1000
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
