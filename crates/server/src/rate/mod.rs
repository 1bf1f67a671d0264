//! Rate limits: how fast an address opens sessions and a user sends commands, and how many sessions
//! each may have. Counted once for all shards; nothing is counted of what is not limited.

mod address;
mod counts;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use tidings_core::Meter;
use tidings_core::engine::{CommandKind, Now};

use crate::config::{Config, Rate};
pub(crate) use address::{Proxies, key_of};
pub(crate) use counts::Counts;

/// The time that the limiter was told last: reading a clock for each command would cost more than
/// the limit.
#[derive(Clone, Debug, Default)]
struct Told(Arc<AtomicU64>);

impl Clock for Told {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

/// One limit, for each of many keys.
struct Limiter {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, Told, NoOpMiddleware<Nanos>>,
    told: Told,
}

impl Limiter {
    fn new(rate: Rate) -> Self {
        let period = Duration::from_secs(u64::from(rate.seconds)) / rate.count.get();
        // invariant: the shortest period is a second by 2^32: not zero.
        let quota = Quota::with_period(period.max(Duration::from_nanos(1)));
        let quota = quota.unwrap_or(Quota::per_second(NonZeroU32::MAX)).allow_burst(rate.burst);
        let told = Told::default();
        Self { limiter: RateLimiter::new(quota, DashMapStateStore::default(), told.clone()), told }
    }

    /// Counts one; else after how many milliseconds it may be.
    fn check(&self, key: u64, now_ms: u64) -> Result<(), u64> {
        self.told.0.fetch_max(now_ms.saturating_mul(1_000_000), Ordering::Relaxed);
        self.limiter.check_key(&key).map_err(|until| {
            let wait = until.earliest_possible().duration_since(self.told.now());
            u64::try_from(Duration::from(wait).as_millis()).unwrap_or(u64::MAX).saturating_add(1)
        })
    }
}

/// The limits in force.
pub(crate) struct Rates {
    hasher: RandomState,
    sessions: Option<Limiter>,
    commands: Option<Limiter>,
    command: Vec<(CommandKind, Limiter)>,
    /// Sessions of users.
    users: Arc<Counts>,
    sessions_per_user: usize,
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

impl Rates {
    /// The limits of a configuration. `users` outlives changes of it.
    pub(crate) fn new(config: &Config, users: Arc<Counts>) -> Self {
        let kinds = config.rate.command.each().into_iter();
        Self {
            hasher: RandomState::new(),
            sessions: config.rate.sessions.map(Limiter::new),
            commands: config.rate.commands.map(Limiter::new),
            command: kinds.map(|(kind, rate)| (kind, Limiter::new(rate))).collect(),
            users,
            sessions_per_user: config.limits.sessions_per_user,
        }
    }

    /// Whether an engine has to ask.
    pub(crate) fn concern_users(&self) -> bool {
        self.commands.is_some() || !self.command.is_empty() || self.sessions_per_user > 0
    }

    /// An address opens a session; else after how many milliseconds it may.
    pub(crate) fn open(&self, address: u64, now_ms: u64) -> Result<(), u64> {
        self.sessions.as_ref().map_or(Ok(()), |limiter| limiter.check(address, now_ms))
    }

    /// Forgets who has not asked for long enough that it makes no difference.
    pub(crate) fn forget(&self) {
        let kinds = self.command.iter().map(|(_, limiter)| limiter);
        for limiter in kinds.chain(&self.sessions).chain(&self.commands) {
            limiter.limiter.retain_recent();
            limiter.limiter.shrink_to_fit();
        }
    }
}

impl Meter for Rates {
    fn command(&self, now: Now, user: &str, kind: CommandKind) -> Result<(), u64> {
        let key = self.hasher.hash_one(user);
        let kind = match kind {
            CommandKind::Delete | CommandKind::Edit | CommandKind::React => CommandKind::Publish,
            kind => kind,
        };
        if let Some((_, limiter)) = self.command.iter().find(|(limited, _)| *limited == kind) {
            limiter.check(key, now.mono_ms)?;
        }
        self.commands.as_ref().map_or(Ok(()), |limiter| limiter.check(key, now.mono_ms))
    }

    fn begins(&self, user: &str) -> bool {
        self.users.begin(self.users.key(user), self.sessions_per_user)
    }

    fn ends(&self, user: &str) {
        self.users.end(self.users.key(user));
    }
}

#[cfg(test)]
mod tests;
