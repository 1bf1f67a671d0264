//! The server is being stopped: sessions are told one after the other, each when what it has asked
//! for is answered. Who has not been told yet goes on.

use std::rc::{Rc, Weak};

use tidings_proto::CloseCode;

use super::Shard;
use super::connection::Connection;

/// So many milliseconds a session suffice to spread their return: a node with few of them need not
/// take long.
const MS_PER_SESSION: u64 = 20;

/// Clients that come back all at once are spread over this time at least, in milliseconds.
const SPREAD_MS: u64 = 2000;

/// How a node ends. Times are monotonic milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) began_ms: u64,
    /// Good-byes are said over this time.
    pub(crate) period_ms: u64,
    /// Who is still there then is left.
    pub(crate) until_ms: u64,
}

impl Plan {
    /// A node with so many sessions ends within `window_ms`.
    pub(crate) fn new(now_ms: u64, window_ms: u64, sessions: usize) -> Self {
        // The last to be told have to answer, and the log has to be closed.
        let longest = window_ms / 4 * 3;
        let rest = (window_ms / 20).min(500);
        Self {
            began_ms: now_ms,
            period_ms: longest.min(MS_PER_SESSION.saturating_mul(sessions as u64)),
            until_ms: now_ms + window_ms - rest,
        }
    }

    /// All are told now.
    pub(crate) fn at_once(now_ms: u64, window_ms: u64) -> Self {
        Self { period_ms: 0, ..Self::new(now_ms, window_ms, 0) }
    }

    /// How many of `all` should have been told.
    fn told_by(&self, now_ms: u64, all: usize) -> usize {
        let gone_ms = now_ms.saturating_sub(self.began_ms);
        if gone_ms >= self.period_ms {
            return all;
        }
        usize::try_from(all as u64 * gone_ms / self.period_ms).unwrap_or(all)
    }

    /// When to come back, from now: behind the last good-bye, when another server may be there, and
    /// spread like the good-byes. `chance` is any number.
    fn return_ms(&self, now_ms: u64, chance: u32) -> u64 {
        let left_ms = (self.began_ms + self.period_ms).saturating_sub(now_ms);
        left_ms + u64::from(chance) % self.period_ms.max(SPREAD_MS)
    }
}

/// How far a shard has come with it.
#[derive(Debug)]
pub(super) struct Drain {
    plan: Plan,
    /// How many there were.
    all: usize,
    /// In the order of chance, the next at the end. Weak: they may leave by themselves, or move.
    waiting: Vec<Weak<Connection>>,
}

impl Shard {
    /// The server is being stopped.
    pub(super) fn drain(&self, plan: Plan) {
        let mut waiting: Vec<_> =
            self.connections.borrow().iter().map(|(_, c)| Rc::downgrade(c)).collect();
        for place in (1..waiting.len()).rev() {
            waiting.swap(place, self.node.chance() as usize % (place + 1));
        }
        self.drain.replace(Some(Drain { plan, all: waiting.len(), waiting }));
        self.stopping.set(true);
        self.stop.notify_one();
        self.say_goodbyes();
    }

    /// Tells those whose turn it is.
    pub(crate) fn say_goodbyes(&self) {
        let now_ms = self.node.clock.now().mono_ms;
        let due = match &mut *self.drain.borrow_mut() {
            Some(Drain { plan, all, waiting }) => {
                let left = *all - plan.told_by(now_ms, *all);
                waiting.split_off(left.min(waiting.len()))
            }
            None => return,
        };
        for connection in due.iter().filter_map(Weak::upgrade) {
            self.say_goodbye(&connection);
        }
    }

    /// Tells one session, once it has its answers.
    pub(super) fn say_goodbye(&self, connection: &Rc<Connection>) {
        let Some(key) = connection.session.get() else { return };
        let retry = Some(self.return_ms());
        let now = self.node.clock.now();
        self.engine.borrow_mut().farewell(now, key, CloseCode::Draining, retry);
        self.carry_out();
    }

    /// When a client that is told now shall come back.
    pub(super) fn return_ms(&self) -> u64 {
        let now_ms = self.node.clock.now().mono_ms;
        match &*self.drain.borrow() {
            Some(drain) => drain.plan.return_ms(now_ms, self.node.chance()),
            None => self.node.spread_ms(),
        }
    }

    /// Whether the time is up.
    pub(crate) fn is_over(&self) -> bool {
        let now_ms = self.node.clock.now().mono_ms;
        self.drain.borrow().as_ref().is_some_and(|drain| now_ms >= drain.plan.until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goodbyes_and_returns_are_spread_and_end_in_time() {
        let plan = Plan::new(1000, 10_000, 100_000);
        assert_eq!((plan.period_ms, plan.until_ms), (7500, 10_500));
        assert_eq!(
            [1000, 4750, 8500, 9000].map(|now| plan.told_by(now, 1000)),
            [0, 500, 1000, 1000]
        );
        for chance in [0, 1, 7499, 7500, u32::MAX] {
            let (early, late) = (plan.return_ms(1000, chance), plan.return_ms(8500, chance));
            assert!((7500..15_000).contains(&early), "not before the last is told: {early}");
            assert!(late < 7500, "{late}");
        }
    }

    #[test]
    fn a_node_with_few_sessions_is_quick() {
        assert_eq!(Plan::new(0, 10_000, 3).period_ms, 60);
        assert_eq!(Plan::at_once(0, 5000).period_ms, 0);
        assert_eq!(Plan::at_once(0, 5000).told_by(0, 7), 7);
        assert_eq!(Plan::new(0, 0, 7).told_by(0, 7), 7);
    }
}
