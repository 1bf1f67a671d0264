//! Which notifications wait for their push, and when each has its turn.
//!
//! A notification has its turn when its delay is over; then its user's shard is asked whether it is
//! still wanted, and it is sent to each browser. What could not be sent has another turn, later
//! each time, until its time is up. A browser that shall wait (`Retry-After`) waits in all
//! notifications; a push service that answers nothing is left alone by all, but for one call now
//! and then that finds out whether it is back.
//!
//! No clock and no I/O: time and chance are arguments.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The first wait after a failure, and the longest.
const WAIT_MS: u64 = 2000;
const WAIT_MAX_MS: u64 = 3_600_000;

/// What a push service may ask for with `Retry-After`.
const RETRY_AFTER_MAX_MS: u64 = 86_400_000;

/// When it is looked again whether a user who was there is still: by then a connection that is dead
/// has been found out.
const LOOK_AGAIN_MS: u64 = 60_000;

/// Failures in a row after which it is the push service, and not the browser.
const BREAK_AFTER: u32 = 5;

/// The longest that a push service is left alone.
const BREAK_MAX_MS: u64 = 60_000;

/// Browsers that shall wait, and push services that fail, of which we know. Of more we find out
/// each time.
const HELD_MAX: usize = 100_000;
const ORIGINS_MAX: usize = 1000;

/// Notifications of one user that have their turn at once, and when another one is looked at again.
const PER_USER: usize = 2;
const AFTER_OTHERS_MS: u64 = 1000;

/// How often those are looked for that need wait no more, when there are too many.
const SWEEP_EVERY_MS: u64 = 10_000;

/// What a queue may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) delay_ms: u64,
    pub(super) ttl_ms: u64,
    pub(super) timeout_ms: u64,
    pub(super) concurrency: usize,
    pub(super) items: usize,
}

/// A notification: whose, and its id.
pub(super) type Key = (Arc<str>, u64);

/// A notification that has its turn.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) key: Key,
    /// When its time is up.
    pub(super) expires_ms: u64,
    /// Browsers that have it already.
    pub(super) sent: Vec<u64>,
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Next {
    /// Must come back by [`done`](Queue::done).
    Turn(Turn),
    /// Nothing before this time; `None`: before something happens.
    Wait(Option<u64>),
}

/// How a turn went.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// There is nothing more to do.
    Over,
    /// Its user is there.
    Present,
    /// These have it; others are still to get it, not before a time.
    Again(Vec<u64>, u64),
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// The push service has answered, whatever it was.
    Answered,
    /// This browser shall wait for so many milliseconds.
    Held(u64),
    /// The push service does not answer, or says that it cannot; and maybe for how long.
    Failed(Option<u64>),
}

/// What happened to notifications without being pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Their time was up.
    pub(super) expired: u64,
    /// There were too many.
    pub(super) full: u64,
}

#[derive(Debug)]
struct Item {
    at_ms: u64,
    /// `None`: it has its turn.
    due_ms: Option<u64>,
    failures: u32,
    /// Its user was there when it was looked.
    was_present: bool,
    sent: Vec<u64>,
}

#[derive(Debug)]
struct Gate {
    failures: u32,
    not_before_ms: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    rules: Rules,
    items: HashMap<Key, Item>,
    due: BTreeSet<(u64, Key)>,
    flying: usize,
    /// The same by user: one whose browsers do not answer holds nobody else up.
    flying_for: HashMap<Arc<str>, usize>,
    held: HashMap<u64, u64>,
    gates: HashMap<Arc<str>, Gate>,
    swept_ms: u64,
    done: Vec<Key>,
    lost: Lost,
}

impl Queue {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            items: HashMap::new(),
            due: BTreeSet::new(),
            flying: 0,
            flying_for: HashMap::new(),
            held: HashMap::new(),
            gates: HashMap::new(),
            swept_ms: 0,
            done: Vec::new(),
            lost: Lost::default(),
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.items.len()
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<_> = self.items.keys().cloned().collect();
        keys.sort();
        keys
    }

    /// What was lost since the last time it was asked.
    pub(super) fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    /// What is done with since the last time it was asked.
    pub(super) fn take_done(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.done)
    }

    /// Adds a notification of this time, whose delay begins at another. One that is there already,
    /// whose append failed, is this one now.
    pub(super) fn push(&mut self, key: Key, at_ms: u64, from_ms: u64) {
        let due_ms = from_ms + self.rules.delay_ms;
        if let Some(old) = self.items.get_mut(&key) {
            old.at_ms = at_ms;
            if let Some(before) = old.due_ms.replace(due_ms) {
                self.due.remove(&(before, key.clone()));
                self.due.insert((due_ms, key));
            } else {
                old.due_ms = None;
            }
            return;
        }
        let item =
            Item { at_ms, due_ms: Some(due_ms), failures: 0, was_present: false, sent: Vec::new() };
        self.items.insert(key.clone(), item);
        self.due.insert((due_ms, key));
        while self.items.len() > self.rules.items
            && let Some((_, key)) = self.due.pop_first()
        {
            self.lost.full += 1;
            self.end(key);
        }
    }

    fn end(&mut self, key: Key) {
        self.items.remove(&key);
        self.done.push(key);
    }

    /// What to do now.
    pub(super) fn next(&mut self, now_ms: u64) -> Next {
        while let Some((due_ms, _)) = self.due.first() {
            if *due_ms > now_ms {
                return Next::Wait(Some(*due_ms));
            }
            if self.flying >= self.rules.concurrency {
                break;
            }
            let Some((_, key)) = self.due.pop_first() else { break };
            let Some(item) = self.items.get_mut(&key) else { continue };
            let expires_ms = item.at_ms + self.rules.ttl_ms;
            if expires_ms <= now_ms {
                self.lost.expired += 1;
                self.end(key);
                continue;
            }
            let theirs = self.flying_for.entry(key.0.clone()).or_insert(0);
            if *theirs >= PER_USER {
                let later_ms = now_ms + AFTER_OTHERS_MS;
                item.due_ms = Some(later_ms);
                self.due.insert((later_ms, key));
                continue;
            }
            *theirs += 1;
            item.due_ms = None;
            self.flying += 1;
            return Next::Turn(Turn { key, expires_ms, sent: item.sent.clone() });
        }
        Next::Wait(None)
    }

    /// A turn has ended. `chance`: any number.
    pub(super) fn done(&mut self, now_ms: u64, key: Key, outcome: Outcome, chance: u32) {
        self.flying -= 1;
        if let Entry::Occupied(mut theirs) = self.flying_for.entry(key.0.clone()) {
            *theirs.get_mut() -= 1;
            if *theirs.get() == 0 {
                theirs.remove();
            }
        }
        let Some(item) = self.items.get_mut(&key) else { return };
        let due_ms = match outcome {
            Outcome::Over => return self.end(key),
            Outcome::Present if item.was_present => return self.end(key),
            Outcome::Present => {
                item.was_present = true;
                now_ms + LOOK_AGAIN_MS
            }
            Outcome::Again(sent, not_before_ms) => {
                item.sent = sent;
                item.failures += 1;
                not_before_ms.max(now_ms + wait_ms(item.failures, WAIT_MAX_MS, chance))
            }
        };
        if due_ms >= item.at_ms + self.rules.ttl_ms {
            self.lost.expired += 1;
            return self.end(key);
        }
        item.due_ms = Some(due_ms);
        self.due.insert((due_ms, key));
    }

    /// Whether a browser may be called now.
    ///
    /// # Errors
    /// When it may be, if not.
    pub(super) fn may_call(&mut self, now_ms: u64, browser: u64, origin: &str) -> Result<(), u64> {
        if let Some(until_ms) = self.held.get(&browser).copied() {
            if until_ms > now_ms {
                return Err(until_ms);
            }
            self.held.remove(&browser);
        }
        if let Some(gate) = self.gates.get_mut(origin)
            && gate.failures >= BREAK_AFTER
        {
            if gate.not_before_ms > now_ms {
                return Err(gate.not_before_ms);
            }
            // This call finds out; others wait for what comes of it.
            gate.not_before_ms = now_ms + self.rules.timeout_ms;
        }
        Ok(())
    }

    /// A call has ended; the answer says when a browser that did not get it may be called again.
    pub(super) fn called(
        &mut self,
        now_ms: u64,
        (browser, origin): (u64, &str),
        call: Call,
        chance: u32,
    ) -> u64 {
        let asked = match call {
            Call::Answered => None,
            Call::Held(ms) => Some(ms),
            Call::Failed(ms) => ms,
        };
        let until_ms = now_ms + asked.unwrap_or(0).min(RETRY_AFTER_MAX_MS);
        self.sweep(now_ms);
        if until_ms > now_ms && self.held.len() < HELD_MAX {
            self.held.insert(browser, until_ms);
        }
        if !matches!(call, Call::Failed(_)) {
            self.gates.remove(origin);
            return until_ms;
        }
        if self.gates.len() >= ORIGINS_MAX && !self.gates.contains_key(origin) {
            return until_ms;
        }
        let closed = Gate { failures: 0, not_before_ms: 0 };
        let gate = self.gates.entry(origin.into()).or_insert(closed);
        gate.failures += 1;
        if gate.failures >= BREAK_AFTER {
            let wait_ms = wait_ms(gate.failures - BREAK_AFTER + 1, BREAK_MAX_MS, chance);
            gate.not_before_ms = now_ms + wait_ms;
        }
        until_ms
    }

    /// Makes room, if there is none. Not each time: they may all still have to wait.
    fn sweep(&mut self, now_ms: u64) {
        let full = self.held.len() >= HELD_MAX || self.gates.len() >= ORIGINS_MAX;
        if full && now_ms >= self.swept_ms + SWEEP_EVERY_MS {
            self.swept_ms = now_ms;
            self.held.retain(|_, until_ms| *until_ms > now_ms);
            self.gates.retain(|_, gate| gate.not_before_ms > now_ms);
        }
    }

    /// Whether a push service is left alone.
    pub(super) fn is_broken(&self, origin: &str) -> bool {
        self.gates.get(origin).is_some_and(|gate| gate.failures >= BREAK_AFTER)
    }
}

/// The wait after so many failures: doubled each time, and half of it left to chance, so that
/// nothing that failed together comes back together.
fn wait_ms(failures: u32, most_ms: u64, chance: u32) -> u64 {
    let whole = WAIT_MS.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most_ms);
    let half = whole / 2;
    half + u64::from(chance) % (half + 1)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
