//! What is to be told, in the log: on the storage thread.
//!
//! Each webhook has a channel of the log of its own, which no client can name. What is to be told
//! of a durable event rides in the batch of the event's append, so that a publisher is told if and
//! only if the backend will be. Everything else is committed as soon as possible. An item is given
//! to its webhook's queue when it is stored. How far each lane of the queue has come is written
//! down as the channel's dedup records, once a second; the channel's retention lets go of what is
//! done with. So after a crash some items are told twice, under the same id, and none is lost.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tidings_core::PushDue;
use tidings_core::engine::{Attendee, Happened, Notice};
use tidings_core::store::{Append, Level, Loaded, Retention, Scoped, Store, StoreError};
use tidings_proto::Epoch;
use tidings_store::{Fs, LogStore};

use super::census::Census;
use super::hook::Webhook;
use super::outbox::Outbox;
use super::queue::{Item, LANES, SPAN};
use super::{Webhooks, item};
use crate::metrics::Dropped;
use crate::push::{self, Agenda, Sender};

/// As good as for ever.
pub(crate) const CENTURY_MS: u64 = 100 * 365 * 86_400_000;

/// Notices that wait while the disk takes nothing. Then the oldest is dropped, and counted.
const STALLED_MAX: usize = 10_000;

/// The two clocks: wall, for what is told, and steady, for ages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) wall_ms: u64,
    pub(crate) steady_ms: u64,
}

/// One webhook's channel of the log.
#[derive(Debug)]
struct Stream {
    outbox: Arc<Outbox>,
    channel: Arc<str>,
    epoch: Epoch,
    last: u64,
    /// Of the commit that is being made.
    planned: Vec<Item>,
    done: Vec<(u8, u64)>,
    before: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Journal {
    webhooks: Webhooks,
    streams: Vec<Stream>,
    census: Census,
    /// What is to be pushed, if anything is.
    agenda: Option<Agenda>,
    /// Notices of the commit that is being made, with the place in its batch that they stand at.
    notices: VecDeque<(usize, Notice)>,
    /// Their commit failed.
    stalled: VecDeque<Notice>,
    /// Those of `stalled` and `notices` that the commit at hand has used.
    used: Vec<Notice>,
}

impl Journal {
    /// Reads what waits. `log`: `None` without a store on disk.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn open<F: Fs>(
        mut log: Option<&mut LogStore<F>>,
        times: Times,
        webhooks: Webhooks,
        hooks: &[Arc<Webhook>],
    ) -> Result<Self, StoreError> {
        let fresh = Epoch(getrandom::u64().unwrap_or(times.steady_ms));
        let census = load(log.as_deref_mut(), times, "\0webhook-census")?;
        let mut journal = Self {
            webhooks,
            streams: Vec::new(),
            census: Census::new(census, fresh),
            agenda: None,
            notices: VecDeque::new(),
            stalled: VecDeque::new(),
            used: Vec::new(),
        };
        journal.reconfigure(log, times, hooks)?;
        Ok(journal)
    }

    /// Keeps what is to be pushed, too, and reads what waits.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn keep_agenda<F: Fs>(
        &mut self,
        log: Option<&mut LogStore<F>>,
        times: Times,
        sender: Arc<Sender>,
    ) -> Result<(), StoreError> {
        let fresh = Epoch(getrandom::u64().unwrap_or(times.steady_ms));
        let loaded = load(log, times, push::CHANNEL)?;
        self.agenda = Some(Agenda::new(sender, loaded, (fresh, times.steady_ms)));
        Ok(())
    }

    /// A notification may need a push, in front of its append.
    pub(crate) fn push_due(&mut self, times: Times, due: PushDue) {
        if let Some(agenda) = &mut self.agenda {
            agenda.note(due, times.steady_ms);
        }
    }

    /// Who was told as there when the process before this one ended.
    pub(crate) fn there(&self) -> Vec<Attendee> {
        self.census.there().cloned().collect()
    }

    /// Other webhooks from now on. What waits for one that is gone waits in the log until it is
    /// back, or its time is up.
    ///
    /// # Errors
    /// The log cannot be read; webhooks that are not in it then are not called.
    pub(crate) fn reconfigure<F: Fs>(
        &mut self,
        mut log: Option<&mut LogStore<F>>,
        times: Times,
        hooks: &[Arc<Webhook>],
    ) -> Result<(), StoreError> {
        let mut old = std::mem::take(&mut self.streams);
        let mut outcome = Ok(());
        for hook in hooks {
            if let Some(place) = old.iter().position(|stream| stream.outbox.is(hook)) {
                let stream = old.swap_remove(place);
                stream.outbox.reconfigure(hook.clone());
                self.streams.push(stream);
                continue;
            }
            let channel = format!("\0webhook:{}", hook.name);
            match load(log.as_deref_mut(), times, &channel) {
                Ok(loaded) => self.streams.push(Stream::new(hook, channel.into(), loaded)),
                Err(error) => outcome = Err(error),
            }
        }
        for stream in old {
            stream.outbox.close();
        }
        self.webhooks.run(self.streams.iter().map(|stream| stream.outbox.clone()).collect());
        let wanted = |who: &Attendee| wants(&self.streams, who);
        self.census.begin();
        let appends = self.census.forget(times.steady_ms, wanted);
        if let Some(log) = log
            && log.commit(times.steady_ms, &appends).iter().any(Result::is_err)
        {
            // They are told as gone after the next start, to whoever wants to know then.
            self.census.rewind();
        }
        outcome
    }

    /// Notes how far the webhooks have come: the next commit writes it down.
    pub(crate) fn look(&mut self) {
        for stream in &mut self.streams {
            stream.done.extend(stream.outbox.take_done());
        }
        if let Some(agenda) = &mut self.agenda {
            agenda.look();
        }
    }

    /// Something has happened, in front of this place of the batch.
    pub(crate) fn note(&mut self, place: usize, notice: Notice) {
        if !self.streams.is_empty() {
            self.notices.push_back((place, notice));
        }
    }

    /// Begins a commit. `true` if there is something to commit even without a batch.
    pub(crate) fn begin(&mut self) -> bool {
        self.census.begin();
        let mut something = !self.notices.is_empty() || !self.stalled.is_empty();
        for stream in &mut self.streams {
            stream.before = stream.last;
            something |= !stream.done.is_empty();
        }
        something |= self.agenda.as_mut().is_some_and(Agenda::begin);
        something
    }

    /// Writes a batch with what rides in it; its outcomes, and whether what rides is stored.
    /// Without a log it is in memory.
    pub(crate) fn write<F: Fs>(
        &mut self,
        log: Option<&mut LogStore<F>>,
        times: Times,
        batch: &[Append],
    ) -> (Vec<Result<Level, StoreError>>, bool) {
        let Some(log) = log else {
            self.riders(times, 0, None);
            return (Vec::new(), true);
        };
        let (outcomes, riders) = log.commit_with(times.steady_ms, batch, &mut |place, accepted| {
            let before = place.checked_sub(1).filter(|_| accepted);
            let mut riders = self.riders(times, place, before.map(|at| &batch[at]));
            if let Some(agenda) = self.agenda.as_mut().filter(|_| place == 0) {
                riders.extend(agenda.riders(times.steady_ms));
            }
            if place == batch.len() {
                riders.extend(self.closing(times));
            }
            riders
        });
        (outcomes, riders.is_ok())
    }

    /// What goes in front of this place of the batch; `accepted`: the append before it, if the log
    /// took that.
    fn riders(&mut self, times: Times, place: usize, accepted: Option<&Append>) -> Vec<Append> {
        let mut out = Vec::new();
        if self.streams.is_empty() {
            return out;
        }
        if let Some(append) = accepted
            && let Some(event) = &append.event
            // What the server keeps for itself is nobody's event.
            && !append.channel.starts_with('\0')
            && !is_secret(event)
        {
            let (channel, epoch) = (append.channel.clone(), append.epoch);
            let what = Happened::Published { channel, epoch, event: event.clone() };
            self.plan(times, times.wall_ms, &what, &mut out);
        }
        if place == 0 {
            while let Some(notice) = self.stalled.pop_front() {
                self.tell(times, notice, &mut out);
            }
        }
        while self.notices.front().is_some_and(|(at, _)| *at <= place) {
            if let Some((_, notice)) = self.notices.pop_front() {
                self.tell(times, notice, &mut out);
            }
        }
        out
    }

    /// What goes behind everything: how far the webhooks have come.
    fn closing(&mut self, times: Times) -> Vec<Append> {
        let mut out = self.census.tidy(times.steady_ms);
        for stream in &mut self.streams {
            for index in 0..stream.done.len() {
                let (lane, done) = stream.done[index];
                let who = Scoped { user: "".into(), name: lane.to_string().into() };
                let append = stream.append(times.steady_ms, None);
                out.push(Append { producer: Some((who, done)), ..append });
            }
        }
        out
    }

    fn tell(&mut self, times: Times, notice: Notice, out: &mut Vec<Append>) {
        if let Happened::Attendance(who, there) = &notice.what
            && wants(&self.streams, who)
        {
            out.push(self.census.note(times.steady_ms, who, *there));
        }
        self.plan(times, notice.at_ms, &notice.what, out);
        self.used.push(notice);
    }

    /// Puts an item into the channel of each webhook that wants it.
    fn plan(&mut self, times: Times, at_ms: u64, what: &Happened, out: &mut Vec<Append>) {
        for stream in &mut self.streams {
            let Some(word) = stream.outbox.word(what) else { continue };
            stream.last += 1;
            let id = item::id(stream.epoch, stream.last);
            let (lane, body) = (item::lane(what), item::body(&id, word, at_ms, what));
            let mut stored = BytesMut::with_capacity(1 + body.len());
            stored.extend_from_slice(&[lane]);
            stored.extend_from_slice(body.as_bytes());
            let stored = stored.freeze();
            let (offset, body) = (stream.last, stored.slice(1..));
            stream.planned.push(Item { offset, lane, at_ms: times.steady_ms, body });
            out.push(stream.append(times.steady_ms, Some(stored)));
        }
    }

    /// The commit is stored, or it is not and is tried again with the next one.
    pub(crate) fn end(&mut self, stored: bool) {
        if let Some(agenda) = &mut self.agenda {
            agenda.end(stored);
        }
        if stored {
            self.used.clear();
            for stream in &mut self.streams {
                stream.done.clear();
                stream.outbox.push(stream.planned.drain(..));
            }
            return;
        }
        self.census.rewind();
        for stream in &mut self.streams {
            stream.last = stream.before;
            stream.planned.clear();
            stream.outbox.not_noted(&std::mem::take(&mut stream.done));
        }
        for notice in self.used.drain(..).rev() {
            self.stalled.push_front(notice);
        }
        let over = self.stalled.len().saturating_sub(STALLED_MAX);
        self.stalled.drain(..over);
        if over > 0 {
            for stream in &self.streams {
                stream.outbox.tally.dropped(Dropped::Disk, over as u64);
            }
        }
    }
}

impl Stream {
    fn new(hook: &Arc<Webhook>, channel: Arc<str>, loaded: Option<Loaded>) -> Self {
        let mut done = [0; LANES];
        let fresh = || Epoch(getrandom::u64().unwrap_or(1));
        let (epoch, last, events, producers) = match loaded {
            Some(loaded) => (loaded.epoch, loaded.last_offset, loaded.events, loaded.producers),
            None => (fresh(), 0, Vec::new(), Vec::new()),
        };
        for record in producers {
            let lane = record.producer.name.parse().ok().filter(|lane: &usize| *lane < LANES);
            if let Some(lane) = lane {
                done[lane] = record.seq;
            }
        }
        let outbox = Arc::new(Outbox::new(hook.clone(), &done, last));
        let items = events.into_iter().filter_map(|event| {
            let (lane, body) = (*event.event.first()?, event.event.slice(1..));
            Some(Item { offset: event.offset, lane, at_ms: event.at_ms, body })
        });
        outbox.push(items);
        let before = last;
        Self { outbox, channel, epoch, last, planned: Vec::new(), done: Vec::new(), before }
    }

    /// What stands at the end of the channel.
    fn append(&self, at_ms: u64, event: Option<Bytes>) -> Append {
        let rules = self.outbox.rules();
        let floor = self.outbox.floor().min(self.before);
        let size = (self.last - floor).min(SPAN * rules.items as u64 + 1);
        let at = (self.epoch, self.last);
        stream_append(&self.channel, at, at_ms, event, (size, rules.keep_ms))
    }
}

/// Whether an event is told nobody: what is stored of it says where a user's browser is, or it is
/// no event but a change of a document, which is not JSON.
fn is_secret(event: &Bytes) -> bool {
    event.starts_with(b"{\"type\":\"hidden\"") || !event.starts_with(b"{")
}

/// An append to a channel of the journal's own.
pub(crate) fn stream_append(
    channel: &Arc<str>,
    (epoch, offset): (Epoch, u64),
    at_ms: u64,
    event: Option<Bytes>,
    (size, ttl_ms): (u64, u64),
) -> Append {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let retention = Retention { size, ttl_ms, dedup_ms: CENTURY_MS };
    let channel = channel.clone();
    Append { channel, epoch, offset, at_ms, event, producer: None, key: None, retention }
}

fn wants(streams: &[Stream], who: &Attendee) -> bool {
    let word = |there| Happened::Attendance(who.clone(), there);
    let (came, went) = (word(true), word(false));
    let wants = |what| streams.iter().any(|stream| stream.outbox.word(what).is_some());
    wants(&came) || wants(&went)
}

fn load<F: Fs>(
    log: Option<&mut LogStore<F>>,
    times: Times,
    channel: &str,
) -> Result<Option<Loaded>, StoreError> {
    log.map_or(Ok(None), |log| log.load(times.steady_ms, channel))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
