//! What waits to be told to one backend: in which order, when, and how often.
//!
//! Items of one user or channel are in one *lane* (by a hash), and a lane is told in order: its
//! next items are sent when the ones before were taken. Lanes that work share calls. A lane whose
//! call failed waits, longer each time, and behind the second failure goes on alone with one item:
//! so an item that the backend refuses holds up its own lane and no other. When calls fail one
//! after the other it is the backend that fails, and all wait; then one call at a time finds out
//! whether it is back.
//!
//! No clock and no I/O: time and chance are arguments.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

/// How many lanes there are. An item's lane is stored with it.
pub(super) const LANES: usize = 64;

/// The first wait after a failure, and the longest.
const WAIT_MS: u64 = 500;
const WAIT_MAX_MS: u64 = 60_000;

/// What a backend may ask for with `Retry-After`.
const RETRY_AFTER_MAX_MS: u64 = 3_600_000;

/// Failures in a row, not counting lanes that fail again and again, after which it is the backend.
const BREAK_AFTER: u32 = 5;

/// Bytes of items in one call. A single item may be larger.
const CALL_BYTES: usize = 512 << 10;

/// So many times the items that may wait can be between the oldest and the newest of them.
pub(super) const SPAN: u64 = 4;

/// What a queue may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) batch: usize,
    pub(super) concurrency: usize,
    pub(super) keep_ms: u64,
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// Something to tell.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its place in the log; greater than all before.
    pub(super) offset: u64,
    pub(super) lane: u8,
    /// When it happened, on the steady clock.
    pub(super) at_ms: u64,
    /// JSON.
    pub(super) body: Bytes,
}

/// What is sent with one call.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bodies: Vec<Bytes>,
    /// For each lane the offset of its last item in this call.
    lanes: Vec<(u8, u64)>,
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Next {
    Send(Batch),
    /// Nothing before this time; `None`: before something happens.
    Wait(Option<u64>),
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// With what `Retry-After` said, in milliseconds.
    Failed(Option<u64>),
}

/// What happened to items without being told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Their time was up.
    pub(super) expired: u64,
    /// There were too many.
    pub(super) full: u64,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    /// Offsets, in order.
    waiting: VecDeque<u64>,
    /// How many of them are under way.
    flying: usize,
    failures: u32,
    not_before_ms: u64,
    /// Nothing up to here will be told again.
    done: u64,
    /// `done` has changed since it was written down.
    noted: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    rules: Rules,
    items: BTreeMap<u64, Item>,
    bytes: usize,
    lanes: Vec<Lane>,
    in_flight: usize,
    /// Calls that failed in a row.
    failures: u32,
    not_before_ms: u64,
    newest: u64,
    lost: Lost,
}

impl Queue {
    /// `done`: how far each lane had been told before; `newest`: the newest item that there ever
    /// was.
    pub(super) fn new(rules: Rules, done: &[u64; LANES], newest: u64) -> Self {
        let lanes = done.iter().map(|done| Lane { done: *done, noted: true, ..Lane::default() });
        Self {
            rules,
            items: BTreeMap::new(),
            bytes: 0,
            lanes: lanes.collect(),
            in_flight: 0,
            failures: 0,
            not_before_ms: 0,
            newest,
            lost: Lost::default(),
        }
    }

    pub(super) fn reconfigure(&mut self, rules: Rules) {
        self.rules = rules;
        // What was wrong may be right now.
        self.recover();
        self.make_room();
    }

    /// How many wait, and since when the oldest does.
    pub(super) fn waiting(&self) -> (usize, Option<u64>) {
        (self.items.len(), self.items.first_key_value().map(|(_, item)| item.at_ms))
    }

    /// Whether the backend fails, and not just some items.
    pub(super) fn is_broken(&self) -> bool {
        self.failures >= BREAK_AFTER
    }

    /// Everything up to here is done with.
    pub(super) fn floor(&self) -> u64 {
        self.items.first_key_value().map_or(self.newest, |(offset, _)| offset - 1)
    }

    /// What was lost since the last time it was asked.
    pub(super) fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    /// How far lanes have come since the last time it was asked.
    pub(super) fn take_done(&mut self) -> Vec<(u8, u64)> {
        let changed = |(lane, state): (u8, &mut Lane)| {
            (!std::mem::replace(&mut state.noted, true)).then_some((lane, state.done))
        };
        (0_u8..).zip(&mut self.lanes).filter_map(changed).collect()
    }

    /// These could not be written down.
    pub(super) fn not_noted(&mut self, lanes: &[(u8, u64)]) {
        for (lane, _) in lanes {
            self.lanes[usize::from(*lane)].noted = false;
        }
    }

    /// Adds the newest item, unless it was told before.
    pub(super) fn push(&mut self, item: Item) {
        self.newest = self.newest.max(item.offset);
        let lane = &mut self.lanes[usize::from(item.lane) % LANES];
        if item.offset <= lane.done {
            return;
        }
        lane.waiting.push_back(item.offset);
        self.bytes += item.body.len();
        self.items.insert(item.offset, item);
        self.make_room();
    }

    fn make_room(&mut self) {
        let span = SPAN * self.rules.items as u64;
        while self.items.len() > self.rules.items || self.bytes > self.rules.bytes {
            if !self.drop_oldest() {
                return;
            }
            self.lost.full += 1;
        }
        while self.newest.saturating_sub(self.floor()) > span {
            let oldest = self.items.values().next();
            let Some(item) = oldest.filter(|item| !self.is_flying(item)) else { return };
            self.remove(item.offset);
            self.lost.full += 1;
        }
    }

    fn is_flying(&self, item: &Item) -> bool {
        self.lanes[usize::from(item.lane)].flying > 0
    }

    /// Drops the oldest item that is not under way.
    fn drop_oldest(&mut self) -> bool {
        let lanes = &self.lanes;
        let idle = |item: &&Item| {
            let lane = &lanes[usize::from(item.lane)];
            lane.waiting.get(lane.flying) == Some(&item.offset)
        };
        let Some(offset) = self.items.values().find(idle).map(|item| item.offset) else {
            return false;
        };
        self.remove(offset);
        true
    }

    fn remove(&mut self, offset: u64) {
        let Some(item) = self.items.remove(&offset) else { return };
        self.bytes -= item.body.len();
        let lane = &mut self.lanes[usize::from(item.lane)];
        if let Some(place) = lane.waiting.iter().position(|other| *other == offset) {
            lane.waiting.remove(place);
        }
        // Behind items that are under way it is done with when they are.
        if lane.flying == 0 {
            (lane.done, lane.noted) = (lane.done.max(offset), false);
            lane.failures = 0;
            lane.not_before_ms = 0;
        }
    }

    fn expire(&mut self, now_ms: u64) {
        while let Some((_, item)) = self.items.first_key_value() {
            if self.is_flying(item) || item.at_ms.saturating_add(self.rules.keep_ms) > now_ms {
                return;
            }
            let offset = item.offset;
            self.remove(offset);
            self.lost.expired += 1;
        }
    }

    /// What to do now. A batch that is given out must come back by [`done`](Self::done).
    pub(super) fn next(&mut self, now_ms: u64) -> Next {
        self.expire(now_ms);
        let expires = self.items.values().next().map(|item| item.at_ms + self.rules.keep_ms);
        let expires = expires.filter(|at| *at > now_ms);
        let soonest = |at: Option<u64>| at.into_iter().chain(expires).min();
        if now_ms < self.not_before_ms {
            return Next::Wait(soonest(Some(self.not_before_ms)));
        }
        let most = if self.is_broken() { 1 } else { self.rules.concurrency };
        if self.in_flight >= most {
            return Next::Wait(None);
        }
        let waiting = |lane: &&Lane| lane.flying == 0 && !lane.waiting.is_empty();
        let mut ready = Vec::new();
        for (number, lane) in (0_u8..).zip(&self.lanes) {
            if waiting(&lane) && lane.not_before_ms <= now_ms {
                // To find out whether the backend is back, what never failed tells most.
                let failures = if self.is_broken() { lane.failures } else { 0 };
                ready.push((failures, lane.waiting[0], number));
            }
        }
        ready.sort_unstable();
        let Some(&(_, _, first)) = ready.first() else {
            let times = self.lanes.iter().filter(waiting).map(|lane| lane.not_before_ms);
            return Next::Wait(soonest(times.min()));
        };
        let mut batch = Batch::default();
        let failures = self.lanes[usize::from(first)].failures;
        if failures > 1 {
            self.take(first, 1, &mut batch, &mut 0);
        } else {
            let mut bytes = 0;
            for (_, _, lane) in ready {
                let room = self.rules.batch - batch.bodies.len();
                if self.lanes[usize::from(lane)].failures == failures {
                    self.take(lane, room, &mut batch, &mut bytes);
                }
            }
        }
        self.in_flight += 1;
        Next::Send(batch)
    }

    /// Takes a lane's next items, as far as there is room.
    fn take(&mut self, number: u8, most: usize, batch: &mut Batch, bytes: &mut usize) {
        let lane = &mut self.lanes[usize::from(number)];
        let mut last = None;
        for offset in lane.waiting.iter().take(most) {
            let Some(item) = self.items.get(offset) else { break };
            if !batch.bodies.is_empty() && *bytes + item.body.len() > CALL_BYTES {
                break;
            }
            *bytes += item.body.len();
            batch.bodies.push(item.body.clone());
            lane.flying += 1;
            last = Some(*offset);
        }
        batch.lanes.extend(last.map(|last| (number, last)));
    }

    /// A call has ended. `chance`: any number.
    pub(super) fn done(&mut self, now_ms: u64, batch: &Batch, outcome: Outcome, chance: u32) {
        self.in_flight -= 1;
        match outcome {
            Outcome::Taken => {
                for &(number, last) in &batch.lanes {
                    let lane = &mut self.lanes[usize::from(number)];
                    while lane.waiting.front().is_some_and(|offset| *offset <= last) {
                        let offset = lane.waiting.pop_front().and_then(|o| self.items.remove(&o));
                        self.bytes -= offset.map_or(0, |item| item.body.len());
                    }
                    (lane.flying, lane.failures, lane.not_before_ms) = (0, 0, 0);
                    (lane.done, lane.noted) = (lane.done.max(last), false);
                }
                if self.is_broken() {
                    self.recover();
                }
                self.failures = 0;
            }
            Outcome::Failed(retry_after_ms) => {
                self.failed(now_ms, batch, retry_after_ms, chance);
            }
        }
    }

    fn failed(&mut self, now_ms: u64, batch: &Batch, retry_after_ms: Option<u64>, chance: u32) {
        let mut news = self.is_broken();
        for &(number, _) in &batch.lanes {
            let lane = &mut self.lanes[usize::from(number)];
            news |= lane.failures < 2;
            lane.flying = 0;
            lane.failures += 1;
            lane.not_before_ms = now_ms + wait_ms(lane.failures, chance.rotate_left(number.into()));
        }
        self.failures += u32::from(news);
        if self.is_broken() && news {
            self.not_before_ms = now_ms + wait_ms(self.failures - BREAK_AFTER + 1, chance);
        }
        if let Some(wait_ms) = retry_after_ms {
            let until_ms = now_ms + wait_ms.min(RETRY_AFTER_MAX_MS);
            self.not_before_ms = self.not_before_ms.max(until_ms);
        }
    }

    /// The backend is back: what failed with it is as good as the rest.
    fn recover(&mut self) {
        for lane in &mut self.lanes {
            (lane.failures, lane.not_before_ms) = (0, 0);
        }
        (self.failures, self.not_before_ms) = (0, 0);
    }
}

/// The wait after so many failures: doubled each time, and half of it left to chance, so that
/// nothing that failed together comes back together.
fn wait_ms(failures: u32, chance: u32) -> u64 {
    let whole = WAIT_MS.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(WAIT_MAX_MS);
    let half = whole / 2;
    half + u64::from(chance) % (half + 1)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
