//! What is published and not known to be stored: the rules of the TypeScript SDK
//! (`sdk/src/outbox.ts`), without its store.
//!
//! Each channel is a lane of its own: entries are numbered and sent in order, many at a time, and
//! every answer either settles its entry, or sends the lane back to its first entry once all that
//! is under way has been answered. The server stores a number only behind the one before it, so
//! whatever is lost or refused on the way, nothing is stored twice or out of order.
//!
//! Moments are milliseconds of the caller's clock.

mod lane;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Refusal};
use crate::frame::{Ack, Welcome};
use lane::{Entry, Lane};

/// What `id`, `producer` and `seq` add to a frame, and some.
const ENVELOPE: usize = 160;
/// The server's default, until `welcome` says.
const FRAME: usize = 65_536;
/// Channels without entries whose numbers are remembered. One that is forgotten begins again, under
/// another name.
const IDLE_MAX: usize = 1000;
/// The longest wait after a refusal that passes by itself, if the server names none.
const RETRY_MAX: u64 = 30_000;
/// Answers in a row that say that the numbers are wrong; from the next one on there is a wait.
const CORRECTIONS: u32 = 3;

/// How much may wait, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Publishes that are not known to be stored.
    pub entries: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Then a publish has failed with [`Error::Expired`]. The server's memory for what was
    /// published (`dedup_window`) may make it shorter.
    pub age: Duration,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { entries: 1000, bytes: 1 << 20, age: Duration::from_mins(10) }
    }
}

/// A publish to be queued.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) channel: String,
    /// JSON of the `publish` command, without `id`, `producer` and `seq`.
    pub(crate) frame: String,
    pub(crate) keyed: bool,
    pub(crate) age_max: Option<Duration>,
}

/// A publish to be sent now.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) ticket: u64,
    /// JSON of the command, without `id`.
    pub(crate) body: String,
}

/// What became of a publish.
pub(crate) type Outcome = (u64, Result<Ack, Error>);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Begins the names of producers. Nobody else can guess it.
    name: String,
    names: u64,
    entries_max: usize,
    bytes_max: usize,
    age_max: u64,
    lanes: HashMap<Arc<str>, Lane>,
    /// Lanes with entries; the one that was served last is last.
    busy: VecDeque<Arc<str>>,
    /// Lanes without; the one that ended last is last.
    idle: VecDeque<Arc<str>>,
    channels: HashMap<u64, Arc<str>>,
    tickets: u64,
    bytes: usize,
    /// Of `welcome`.
    frame_max: Option<usize>,
    /// Who we are; unknown before the first welcome.
    writer: Option<Arc<str>>,
    /// Not later than the next moment at which something changes by itself.
    wake: Option<u64>,
    outcomes: Vec<Outcome>,
}

impl Outbox {
    /// `name` is one that nobody else can guess, of at most 40 characters.
    pub(crate) fn new(name: String, limits: OutboxLimits) -> Self {
        Self {
            name,
            names: 0,
            entries_max: limits.entries,
            bytes_max: limits.bytes,
            age_max: ms(limits.age),
            lanes: HashMap::new(),
            busy: VecDeque::new(),
            idle: VecDeque::new(),
            channels: HashMap::new(),
            tickets: 0,
            bytes: 0,
            frame_max: None,
            writer: None,
            wake: None,
            outcomes: Vec::new(),
        }
    }

    /// How many are not known to be stored.
    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }

    /// Queues a publish; its ticket, by which its outcome is told.
    ///
    /// # Errors
    /// When it is too large, or too many wait.
    pub(crate) fn add(&mut self, draft: Draft, now: u64) -> Result<u64, Error> {
        let size = draft.frame.len() + ENVELOPE;
        if let Some(error) = too_large(self.frame_max, size) {
            return Err(error);
        }
        if self.len() >= self.entries_max || self.bytes + size > self.bytes_max {
            return Err(Error::OutboxFull);
        }
        let channel = self.lane_for(&draft.channel);
        self.tickets += 1;
        let entry = Entry {
            ticket: self.tickets,
            frame: draft.frame,
            keyed: draft.keyed,
            size,
            writer: self.writer.clone(),
            created_at: now,
            age_max: draft.age_max.map_or(u64::MAX, ms),
            producer: Arc::default(),
            seq: 0,
            doubt: false,
            flying: false,
        };
        self.bytes += size;
        wake_at(&mut self.wake, ends_at(&entry, self.age_max));
        self.channels.insert(self.tickets, channel.clone());
        // invariant: `lane_for` has just made sure of it.
        self.lanes.get_mut(&channel).expect("the lane is there").entries.push_back(entry);
        Ok(self.tickets)
    }

    /// Makes the channel's lane a busy one.
    fn lane_for(&mut self, channel: &str) -> Arc<str> {
        if let Some((name, lane)) = self.lanes.get_key_value(channel) {
            let name = name.clone();
            if lane.entries.is_empty() {
                if let Some(at) = self.idle.iter().rposition(|idle| *idle == name) {
                    self.idle.remove(at);
                }
                self.busy.push_back(name.clone());
            }
            return name;
        }
        let name: Arc<str> = channel.into();
        let lane = Lane::new(self.new_name());
        self.lanes.insert(name.clone(), lane);
        self.busy.push_back(name.clone());
        name
    }

    fn new_name(&mut self) -> Arc<str> {
        self.names += 1;
        format!("{}-{}", self.name, self.names).into()
    }

    /// The server has welcomed us.
    pub(crate) fn welcome(&mut self, welcome: &Welcome, now: u64) {
        let user = &*welcome.user;
        self.frame_max = Some(welcome.limits.frame);
        // Anonymous users share what they publish with, and get a new name with each session.
        self.writer = Some(if user.starts_with("anon-") { "anon-".into() } else { user.into() });
        // A window of 0: the server remembers nothing, so waiting for less long would not help.
        if !welcome.dedup_window.is_zero() {
            // The rest is for clocks that run differently.
            self.age_max = self.age_max.min(ms(welcome.dedup_window) / 10 * 9);
            self.wake = self.next_change(now);
        }
    }

    /// The connection is gone; what it carried may have been stored or not.
    pub(crate) fn handle_lost(&mut self, now: u64) {
        for lane in self.lanes.values_mut() {
            for entry in lane.entries.iter_mut().filter(|entry| entry.flying) {
                (entry.flying, entry.doubt) = (false, true);
            }
            lane.go_back();
        }
        self.wake = Some(now);
        self.handle_time(now);
    }

    /// The publish to send now: one of each lane in turn.
    pub(crate) fn next(&mut self, now: u64) -> Option<Sending> {
        let mut at = 0;
        while let Some(channel) = self.busy.get(at).cloned() {
            match self.advance(&channel, now) {
                Turn::Nothing => at += 1,
                // Its lane may be gone from the list: the next one has its place then.
                Turn::Settled => {}
                Turn::Send(sending) => {
                    self.busy.remove(at);
                    self.busy.push_back(channel);
                    return Some(sending);
                }
            }
        }
        None
    }

    fn advance(&mut self, channel: &Arc<str>, now: u64) -> Turn {
        let Some(lane) = self.lanes.get_mut(channel) else { return Turn::Nothing };
        if now < lane.until || (lane.back && lane.open > 0) {
            return Turn::Nothing;
        }
        if lane.back {
            lane.go_back();
        }
        let at = lane.sent;
        let Some(entry) = lane.entries.get(at) else { return Turn::Nothing };
        let refusal = match (&self.writer, &entry.writer) {
            // In the first flight: neither another user's, nor what may be too large.
            (None, None) if entry.size <= FRAME => None,
            (None, _) => return Turn::Nothing,
            (Some(me), Some(writer)) if me != writer => Some(Error::Refused(Box::new(
                Refusal::own("unauthorized", "it was written by another user".into()),
            ))),
            (Some(_), _) if now >= ends_at(entry, self.age_max) => Some(late(entry)),
            (Some(_), _) => too_large(self.frame_max, entry.size),
        };
        if let Some(refusal) = refusal {
            self.settle(channel, at, Err(refusal));
            return Turn::Settled;
        }
        // invariant: nothing was removed since it was found above.
        let lane = self.lanes.get_mut(channel).expect("the lane is there");
        lane.number();
        let first = lane.entries[0].producer.clone();
        let entry = &mut lane.entries[at];
        // Another producer's numbers do not hold these back: only waiting keeps the order.
        if lane.open > 0 && first != entry.producer {
            return Turn::Nothing;
        }
        lane.sent += 1;
        lane.open += 1;
        entry.flying = true;
        let (producer, seq) = (&entry.producer, entry.seq);
        let body = format!(r#"{{"producer":"{producer}","seq":{seq},{}"#, &entry.frame[1..]);
        Turn::Send(Sending { ticket: entry.ticket, body })
    }

    /// The answer to what [`Outbox::next`] gave.
    pub(crate) fn handle_answer(&mut self, ticket: u64, answer: Result<Ack, Refusal>, now: u64) {
        let Some(channel) = self.channels.get(&ticket).cloned() else { return };
        let Some(lane) = self.lanes.get_mut(&channel) else { return };
        let Some(at) = lane.find(ticket).filter(|at| lane.entries[*at].flying) else { return };
        lane.entries[at].flying = false;
        lane.open -= 1;
        match answer {
            Ok(ack) => self.handle_published(&channel, at, ack, now),
            Err(refusal) => self.handle_refused(&channel, at, refusal, now),
        }
    }

    fn handle_published(&mut self, channel: &Arc<str>, at: usize, ack: Ack, now: u64) {
        let fresh = self.new_name();
        let Some(lane) = self.lanes.get_mut(channel) else { return };
        lane.trouble = 0;
        let entry = &mut lane.entries[at];
        if ack.duplicate && !entry.doubt && !entry.keyed {
            // It was sent once, so this is another's number: someone uses our name. Take a new one.
            entry.seq = 0;
            if entry.producer == lane.producer {
                lane.rename(fresh);
            }
            return self.again(channel, at, 0, now);
        }
        self.settle(channel, at, Ok(ack));
    }

    fn handle_refused(&mut self, channel: &Arc<str>, at: usize, refusal: Refusal, now: u64) {
        let Some(lane) = self.lanes.get_mut(channel) else { return };
        let wait = 1000_u64.saturating_mul(1 << lane.trouble.min(16)).min(RETRY_MAX);
        let own = lane.entries[at].producer == lane.producer;
        if let (0, true, Some(expected)) = (at, own, refusal.expected) {
            lane.used = expected.saturating_sub(1);
        }
        let entry = &mut lane.entries[at];
        if refusal.code == "out_of_sequence" {
            if !entry.doubt {
                // The answer says that it was not stored, so it may be renumbered.
                entry.seq = 0;
            } else if at == 0 {
                return self.settle(channel, at, Err(Error::Unconfirmed));
            }
            lane.trouble += u32::from(at == 0);
            let wait = if at == 0 && lane.trouble > CORRECTIONS { wait } else { 0 };
            return self.again(channel, at, wait, now);
        }
        if !refusal.retryable {
            if matches!(refusal.code.as_str(), "invalid_data" | "too_large") {
                lane.used_up(at);
            }
            return self.settle(channel, at, Err(Error::Refused(Box::new(refusal))));
        }
        lane.trouble += 1;
        // These do not say that nothing was stored.
        entry.doubt |= matches!(refusal.code.as_str(), "unavailable" | "server");
        self.again(channel, at, refusal.retry_after.map_or(wait, ms), now);
    }

    /// The lane begins again from its first entry when all answers are there and `wait` is over.
    fn again(&mut self, channel: &Arc<str>, at: usize, wait: u64, now: u64) {
        let Some(lane) = self.lanes.get_mut(channel) else { return };
        lane.back = true;
        wake_at(&mut self.wake, ends_at(&lane.entries[at], self.age_max));
        if wait > 0 {
            lane.until = lane.until.max(now + wait);
            wake_at(&mut self.wake, lane.until);
        }
    }

    /// The one place where an entry ends.
    fn settle(&mut self, channel: &Arc<str>, at: usize, outcome: Result<Ack, Error>) {
        let Some(lane) = self.lanes.get_mut(channel) else { return };
        if outcome.is_ok() || lane.entries[at].doubt {
            lane.used_up(at);
        }
        let Some(entry) = lane.entries.remove(at) else { return };
        lane.sent -= usize::from(at < lane.sent);
        lane.open -= usize::from(entry.flying);
        self.bytes -= entry.size;
        self.channels.remove(&entry.ticket);
        self.outcomes.push((entry.ticket, outcome));
        if lane.entries.is_empty() {
            self.busy.retain(|busy| busy != channel);
            self.idle.push_back(channel.clone());
            if self.idle.len() > IDLE_MAX
                && let Some(oldest) = self.idle.pop_front()
            {
                self.lanes.remove(&oldest);
            }
        }
    }

    /// When [`Outbox::handle_time`] is to be called, and then [`Outbox::next`].
    pub(crate) fn wake(&self) -> Option<u64> {
        self.wake
    }

    /// Ends what has waited for too long. What is under way may still be answered.
    pub(crate) fn handle_time(&mut self, now: u64) {
        if self.wake.is_none_or(|wake| now < wake) {
            return;
        }
        for channel in self.busy.clone() {
            let mut at = 0;
            while let Some(entry) = self.lanes.get(&channel).and_then(|lane| lane.entries.get(at)) {
                if !entry.flying && now >= ends_at(entry, self.age_max) {
                    let error = late(entry);
                    self.settle(&channel, at, Err(error));
                } else {
                    at += 1;
                }
            }
        }
        self.wake = self.next_change(now);
    }

    fn next_change(&self, now: u64) -> Option<u64> {
        let lanes = self.busy.iter().filter_map(|channel| self.lanes.get(channel));
        let changes = lanes.flat_map(|lane| {
            let waiting = lane.entries.iter().filter(|entry| !entry.flying);
            let ends = waiting.map(|entry| ends_at(entry, self.age_max));
            ends.chain(Some(lane.until).filter(|until| *until > now))
        });
        changes.min()
    }

    /// There will be no other connection: everything ends.
    pub(crate) fn clear(&mut self, error: &Error) {
        for channel in self.busy.clone() {
            while let Some(entry) = self.lanes.get(&channel).and_then(|lane| lane.entries.front()) {
                let sent = entry.flying || entry.doubt;
                let error = if sent { Error::Unconfirmed } else { error.clone() };
                self.settle(&channel, 0, Err(error));
            }
        }
    }

    /// What has come to its end since the last call.
    pub(crate) fn outcomes(&mut self) -> std::vec::Drain<'_, Outcome> {
        self.outcomes.drain(..)
    }
}

/// What was done for a lane.
enum Turn {
    Nothing,
    Settled,
    Send(Sending),
}

/// Why a frame of this size cannot be sent, if that is known.
fn too_large(frame_max: Option<usize>, size: usize) -> Option<Error> {
    let max = frame_max.filter(|max| size > *max)?;
    let refusal = Refusal::own("too_large", format!("the frame would be over {max} bytes"));
    Some(Error::Refused(Box::new(refusal)))
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

fn wake_at(wake: &mut Option<u64>, at: u64) {
    *wake = Some(wake.map_or(at, |wake| wake.min(at)));
}

/// Its time is up. The SDK says `expired` of both.
fn late(entry: &Entry) -> Error {
    if entry.doubt { Error::Unconfirmed } else { Error::Expired }
}

fn ends_at(entry: &Entry, age_max: u64) -> u64 {
    entry.created_at.saturating_add(entry.age_max.min(age_max))
}
