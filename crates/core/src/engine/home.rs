//! A channel's home: the one place that orders its events, for subscribers on all shards.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tidings_proto::{Event, Frame, Position, Timestamp};

use super::homes::{Agenda, Home};
use super::types::{
    Address, Delivery, Effect, Message, Now, PageReply, Request, RequestBody, Subscribe,
};
use super::{Engine, Out};
use crate::Limits;
use crate::channel::{Channel, Pending, Publish, Seen, UsedUp, Waiter};
use crate::reject::Reject;
use crate::store::{Append, FORGET_AFTER_MS, Level, Loaded, StoreError, StoredEvent};

/// A channel, and all that a request to it may touch.
pub(super) struct Scene<'a> {
    pub(super) index: usize,
    pub(super) channel: &'a mut Channel,
    pub(super) out: &'a mut Out,
    pub(super) agenda: &'a mut Agenda,
    pub(super) limits: &'a Limits,
    pub(super) now: Now,
    pub(super) steady_ms: u64,
}

impl Engine {
    fn scene(&mut self, index: usize, now: Now) -> Scene<'_> {
        let steady_ms = self.steady_ms(now);
        Scene {
            index,
            channel: &mut self.homes.slab[index].channel,
            out: &mut self.out,
            agenda: &mut self.homes.agenda,
            limits: &self.config.limits,
            now,
            steady_ms,
        }
    }

    /// A request from a session, here or on another shard.
    pub(super) fn request(&mut self, now: Now, request: Request) {
        let index = match self.homes.find(&request.channel) {
            Some(index) => index,
            None if creates(&request.body) => match self.make_home(now, &request) {
                Ok(index) => index,
                Err(reject) => return refuse(&mut self.out, &request, &reject),
            },
            None => return absent(&mut self.out, &request),
        };
        match &mut self.homes.slab[index].waiting {
            Some(waiting) => waiting.push(request),
            None => self.scene(index, now).request(request),
        }
    }

    fn make_home(&mut self, now: Now, request: &Request) -> Result<usize, Reject> {
        let max = self.config.limits.channels_per_shard;
        if self.homes.len() >= max {
            return Err(Reject::limit("too many channels in memory", "channels_per_shard", max));
        }
        let name = &request.channel;
        let namespace = self.config.policy.namespace_of(name).cloned();
        // The session's shard has checked it, under an older policy at worst.
        let namespace = namespace.ok_or_else(|| Reject::forbidden("the namespace is gone"))?;
        let durable = namespace.policy.history.durable;
        // A store forgets channels that were idle for long; by then this has changed.
        let period = self.steady_ms(now) / FORGET_AFTER_MS;
        let seeds = (self.config.store_identity.wrapping_add(period), self.config.seed);
        let epoch = self.homes.first_epoch(name, durable, seeds);
        if durable {
            self.out.effects.push(Effect::Load { channel: name.clone() });
        }
        Ok(self.homes.insert(name, namespace, epoch))
    }

    /// The outcome of an [`Effect::Load`].
    pub fn loaded(&mut self, now: Now, channel: &str, outcome: Result<Option<Loaded>, StoreError>) {
        let Some(index) = self.homes.find(channel) else { return };
        let Home { channel, waiting } = &mut self.homes.slab[index];
        let waiting = waiting.take().unwrap_or_default();
        match outcome {
            Ok(loaded) => {
                if let Some(loaded) = loaded {
                    channel.restore(loaded);
                }
                for request in waiting {
                    self.scene(index, now).request(request);
                }
            }
            Err(_) => {
                self.homes.remove(index);
                for request in waiting {
                    refuse(&mut self.out, &request, &Reject::unavailable());
                }
            }
        }
        self.settle(now);
    }

    /// The outcome of the oldest [`Effect::Append`] of a channel that has none yet.
    pub fn stored(&mut self, now: Now, channel: &str, outcome: &Result<Level, StoreError>) {
        if let Some(index) = self.homes.find(channel) {
            self.scene(index, now).stored(outcome);
        }
        self.settle(now);
    }

    /// Sends out what all channels have committed.
    pub(super) fn flush_all(&mut self) {
        let dirty = std::mem::take(&mut self.homes.agenda.dirty);
        for index in &dirty {
            if let Some(home) = self.homes.slab.get_mut(*index) {
                flush(&mut home.channel, &mut self.out);
            }
        }
        let mut dirty = dirty;
        dirty.clear();
        self.homes.agenda.dirty = dirty;
    }

    /// Leaves that were held back, counts, and channels that nobody uses.
    pub(super) fn tick_homes(&mut self, now: Now) {
        self.expire_departures(now);
        let agenda = &mut self.homes.agenda;
        // At most one count a second; ticks may come more often.
        let counting = if now.mono_ms >= agenda.count_after_ms && !agenda.counting.is_empty() {
            agenda.count_after_ms = now.mono_ms + 1000;
            std::mem::take(&mut agenda.counting)
        } else {
            Vec::new()
        };
        for channel in counting {
            if let Some(index) = self.homes.find(&channel) {
                self.scene(index, now).tell_count();
            }
        }
        let (idle_ms, steady_ms) = (self.config.limits.channel_idle.ms, self.steady_ms(now));
        for index in self.homes.sweep(1024) {
            if self.homes.slab[index].waiting.is_some() {
                continue;
            }
            let channel = &mut self.homes.slab[index].channel;
            channel.expire(steady_ms);
            if channel.can_unload(now.mono_ms, idle_ms) {
                self.homes.remove(index);
            }
        }
    }

    fn expire_departures(&mut self, now: Now) {
        while let Some(due) = self.homes.agenda.departures.peek() {
            if due.0.0 > now.mono_ms {
                break;
            }
            let Some(due) = self.homes.agenda.departures.pop() else { break };
            let (_, channel, user) = due.0;
            if let Some(index) = self.homes.find(&channel) {
                self.scene(index, now).depart(&user);
            }
        }
    }
}

/// Whether a request may bring a channel into memory.
fn creates(body: &RequestBody) -> bool {
    match body {
        RequestBody::Enter(_)
        | RequestBody::History { .. }
        | RequestBody::Members
        | RequestBody::Publish(_)
        | RequestBody::Subscribe(_) => true,
        RequestBody::Detach
        | RequestBody::Gone { .. }
        | RequestBody::Leave { .. }
        | RequestBody::NextPage { .. }
        | RequestBody::Update(_) => false,
    }
}

/// A request to a channel that is not in memory and need not be.
fn absent(out: &mut Out, request: &Request) {
    if matches!(request.body, RequestBody::Update(_) | RequestBody::Leave { answer: true, .. }) {
        refuse(out, request, &super::members::not_entered());
    }
}

fn refuse(out: &mut Out, request: &Request, reject: &Reject) {
    let Request { from, id, channel, body } = request;
    let text = reject.encode(Some(*id), Some(channel));
    match body {
        RequestBody::Subscribe(Subscribe { nonce, .. }) => {
            let (to, channel, nonce) = (from.session, channel.clone(), *nonce);
            out.post(from.shard, Message::Refused { to, channel, nonce, text });
        }
        RequestBody::Detach | RequestBody::Gone { .. } | RequestBody::NextPage { .. } => {}
        RequestBody::Leave { answer: false, .. } => {}
        RequestBody::Enter(_)
        | RequestBody::History { .. }
        | RequestBody::Leave { .. }
        | RequestBody::Members
        | RequestBody::Publish(_)
        | RequestBody::Update(_) => out.reply(*from, text),
    }
}

/// Sends what a channel has committed to every shard with subscribers: one message each.
fn flush(channel: &mut Channel, out: &mut Out) {
    if channel.outgoing.is_empty() {
        return;
    }
    let batch: Arc<[Delivery]> = std::mem::take(&mut channel.outgoing).into();
    for shard in &channel.shards {
        let (channel, batch) = (channel.name.clone(), batch.clone());
        out.post(*shard, Message::Events { channel, batch });
    }
}

impl Scene<'_> {
    fn request(&mut self, request: Request) {
        self.channel.used_ms = self.now.mono_ms;
        let Request { from, id, body, .. } = request;
        match body {
            RequestBody::Detach => self.channel.detach(from.shard),
            RequestBody::Enter(entry) => self.enter(from, id, entry),
            RequestBody::Gone { user } => self.gone(from, &user),
            RequestBody::History { before, after, limit } => {
                self.history(from, id, before, after, limit);
            }
            RequestBody::Leave { user, answer } => {
                self.leave(from, id, &user, answer);
            }
            RequestBody::Members => self.members(from, id),
            RequestBody::NextPage { nonce, after } => self.next_page(from, nonce, after),
            RequestBody::Publish(publish) => self.publish(from, id, *publish),
            RequestBody::Subscribe(subscribe) => self.subscribe(from, id, &subscribe),
            RequestBody::Update(entry) => self.update(from, id, entry),
        }
    }

    /// Queues a frame for the end of the turn.
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        if self.channel.outgoing.is_empty() {
            self.agenda.dirty.push(self.index);
        }
        self.channel.outgoing.push(delivery);
    }

    fn publish(&mut self, from: Address, id: u64, publish: Publish) {
        if publish.ephemeral {
            return self.publish_ephemeral(from, id, &publish);
        }
        let mut waiter = Waiter { at: from, id, duplicate: true };
        match self.seen(&publish) {
            Ok(Seen::New) => waiter.duplicate = false,
            // Its key is known, but its number is not: that is used up now.
            Ok(Seen::Pending | Seen::Stored(_)) if self.is_next(&publish) => {}
            Ok(Seen::Pending) => return self.wait(waiter, &publish),
            Ok(Seen::Stored(offset)) => return self.acknowledge(&waiter, offset),
            Ok(Seen::Refused | Seen::OutOfSequence { .. }) => return,
            Err(reject) => {
                let text = reject.encode(Some(id), Some(&self.channel.name));
                return self.out.reply(from, text);
            }
        }
        if self.channel.failing {
            let text = Reject::unavailable().encode(Some(id), Some(&self.channel.name));
            return self.out.reply(from, text);
        }
        self.append(waiter, publish);
    }

    /// Whether it has the number that follows its producer's last one.
    fn is_next(&self, publish: &Publish) -> bool {
        let window = self.channel.namespace.policy.history.dedup_window.ms;
        publish.producer.as_ref().is_some_and(|(who, seq)| {
            self.channel.dedup.producer(who, *seq, self.steady_ms, window) == Seen::New
        })
    }

    /// What is known of a publish; refusals as errors.
    fn seen(&mut self, publish: &Publish) -> Result<Seen, Reject> {
        use tidings_proto::ErrorCode as Code;
        let window = self.channel.namespace.policy.history.dedup_window.ms;
        let (dedup, limits) = (&mut self.channel.dedup, self.limits);
        let by_key = publish.key.as_ref().map(|key| dedup.key(key, self.steady_ms, window));
        if let Some((who, seq)) = &publish.producer {
            match dedup.producer(who, *seq, self.steady_ms, window) {
                Seen::New => {}
                // It was no event because its key was known.
                Seen::Refused | Seen::Stored(None) if matches!(by_key, Some(Seen::Stored(_))) => {
                    return Ok(by_key.unwrap_or(Seen::New));
                }
                Seen::Refused => {
                    let why = format!("number {seq} was refused before and is used up");
                    let earlier = publish.data.as_ref().err().cloned();
                    return Err(earlier.unwrap_or_else(|| Reject::new(Code::InvalidData, why)));
                }
                Seen::OutOfSequence { expected } => {
                    let why = format!("sequence number {seq} does not follow {}", expected - 1);
                    let reject = Reject::new(Code::OutOfSequence, why);
                    return Err(Reject { expected: Some(expected), ..reject });
                }
                Seen::Stored(None) => {
                    let offset = self.channel.history.find(who, *seq);
                    // What is refused today was refused then: it was never stored.
                    return match &publish.data {
                        Err(earlier) if offset.is_none() => Err(earlier.clone()),
                        _ => Ok(Seen::Stored(offset)),
                    };
                }
                seen => return Ok(seen),
            }
            if dedup.producers() >= limits.producers_per_channel && !dedup.knows_producer(who) {
                dedup.expire(self.steady_ms, window);
                if dedup.producers() >= limits.producers_per_channel {
                    let max = limits.producers_per_channel;
                    return Err(Reject::limit("too many producers", "producers_per_channel", max));
                }
            }
        }
        let Some(seen) = by_key else { return Ok(Seen::New) };
        if seen == Seen::New && dedup.keys() >= limits.keys_per_channel {
            dedup.expire(self.steady_ms, window);
            if dedup.keys() >= limits.keys_per_channel {
                let max = limits.keys_per_channel;
                return Err(Reject::limit("too many keys", "keys_per_channel", max));
            }
        }
        Ok(seen)
    }

    /// A second copy of a publish that is at the store gets the same outcome.
    fn wait(&mut self, waiter: Waiter, publish: &Publish) {
        let same = |pending: &&mut Pending| {
            (publish.producer.is_some() && pending.producer == publish.producer)
                || (publish.key.is_some() && pending.key == publish.key)
        };
        if let Some(pending) = self.channel.pending.iter_mut().find(same) {
            pending.waiters.push(waiter);
        }
    }

    fn publish_ephemeral(&mut self, from: Address, id: u64, publish: &Publish) {
        let data = match &publish.data {
            Ok(data) => data,
            Err(reject) => {
                let text = reject.encode(Some(id), Some(&self.channel.name));
                return self.out.reply(from, text);
            }
        };
        let text = self.encode(publish, data, None);
        let except = (!publish.echo).then_some(from);
        self.deliver(Delivery { text, except, presence: false, kept: false });
        let frame = Frame::Published {
            id,
            channel: &self.channel.name,
            epoch: None,
            offset: None,
            level: Level::Memory,
            duplicate: false,
        };
        self.out.reply(from, frame.encode());
    }

    fn encode(&self, publish: &Publish, data: &RawValue, offset: Option<u64>) -> Bytes {
        Frame::Event(Event {
            channel: &self.channel.name,
            offset,
            ephemeral: publish.ephemeral,
            timestamp: Timestamp(self.now.wall_ms),
            user: &publish.user,
            session: publish.session,
            event: publish.event.as_deref(),
            key: publish.key.as_ref().map(|key| &*key.name),
            data,
        })
        .encode()
    }

    /// Gives a publish its offset. In memory that is all; else the store has to confirm it.
    fn append(&mut self, waiter: Waiter, publish: Publish) {
        let known = publish.key.as_ref().filter(|_| waiter.duplicate);
        let offset = self.channel.assigned + u64::from(publish.data.is_ok() && known.is_none());
        let event = match (&publish.data, known) {
            (Ok(_), Some(key)) => Err(UsedUp::Known(key.clone())),
            (Ok(data), None) => Ok(self.encode(&publish, data, Some(offset))),
            (Err(reject), _) => Err(UsedUp::Refused(reject.clone())),
        };
        self.channel.assigned = offset;
        let Publish { key, producer, echo, .. } = publish;
        let key = key.filter(|_| event.is_ok());
        self.channel.dedup.assign(producer.as_ref(), key.as_ref());
        let except = (!echo).then_some(waiter.at);
        let waiters = smallvec::smallvec![waiter];
        let at_ms = self.steady_ms;
        let pending = Pending { offset, at_ms, event, producer, key, except, waiters };
        if !self.channel.namespace.policy.history.durable {
            return self.commit(pending, Level::Memory);
        }
        self.out.effects.push(Effect::Append(Append {
            channel: self.channel.name.clone(),
            epoch: self.channel.epoch,
            offset,
            at_ms,
            event: pending.event.as_ref().ok().cloned(),
            producer: pending.producer.clone(),
            key: pending.key.clone(),
            retention: self.channel.namespace.policy.history.retention(),
        }));
        self.channel.pending.push_back(pending);
    }

    fn stored(&mut self, outcome: &Result<Level, StoreError>) {
        let Some(pending) = self.channel.pending.pop_front() else { return };
        match outcome {
            Ok(level) => self.commit(pending, *level),
            Err(_) => {
                let (producer, key) = (pending.producer.as_ref(), pending.key.as_ref());
                self.channel.dedup.revert(producer, key);
                self.channel.failing = true;
                self.answer_unavailable(pending.waiters);
            }
        }
        if self.channel.pending.is_empty() && self.channel.failing {
            self.channel.failing = false;
            self.channel.assigned = self.channel.last;
        }
    }

    fn answer_unavailable(&mut self, waiters: impl IntoIterator<Item = Waiter>) {
        for Waiter { at, id, .. } in waiters {
            let text = Reject::unavailable().encode(Some(id), Some(&self.channel.name));
            self.out.reply(at, text);
        }
    }

    /// A publish is as safe as it will be: it is history now, and all are told.
    fn commit(&mut self, pending: Pending, level: Level) {
        let Pending { offset, at_ms, event, producer, key, except, waiters } = pending;
        let stored = event.is_ok().then_some(offset);
        self.channel.dedup.commit(producer.as_ref(), key.as_ref(), stored, at_ms);
        match event {
            Ok(text) => {
                self.channel.last = offset;
                self.channel.history.push(StoredEvent {
                    offset,
                    at_ms,
                    event: text.clone(),
                    producer,
                });
                self.channel.expire_history(self.steady_ms);
                self.deliver(Delivery { text, except, presence: false, kept: true });
                for Waiter { at, id, duplicate } in waiters {
                    self.published(at, id, Some(offset), level, duplicate);
                }
            }
            Err(UsedUp::Known(key)) => {
                let window = self.channel.namespace.policy.history.dedup_window.ms;
                let Seen::Stored(offset) = self.channel.dedup.key(&key, self.steady_ms, window)
                else {
                    return self.answer_unavailable(waiters);
                };
                for Waiter { at, id, .. } in waiters {
                    self.published(at, id, offset, level, true);
                }
            }
            Err(UsedUp::Refused(reject)) => {
                let name = self.channel.name.clone();
                for Waiter { at, id, .. } in waiters {
                    self.out.reply(at, reject.encode(Some(id), Some(&name)));
                }
            }
        }
    }

    /// Answers a publish that had been stored before.
    fn acknowledge(&mut self, waiter: &Waiter, offset: Option<u64>) {
        let durable = self.channel.namespace.policy.history.durable;
        let level = if durable { self.channel.level } else { Level::Memory };
        self.published(waiter.at, waiter.id, offset, level, true);
    }

    fn published(&mut self, at: Address, id: u64, offset: Option<u64>, level: Level, twice: bool) {
        if self.channel.namespace.policy.history.durable {
            self.channel.level = level;
        }
        let frame = Frame::Published {
            id,
            channel: &self.channel.name,
            epoch: Some(self.channel.epoch),
            offset,
            level,
            duplicate: twice,
        };
        self.out.reply(at, frame.encode());
    }

    fn history(
        &mut self,
        from: Address,
        id: u64,
        before: Option<u64>,
        after: Option<u64>,
        limit: usize,
    ) {
        self.channel.expire_history(self.steady_ms);
        let (history, bytes) = (&self.channel.history, self.limits.page_bytes);
        let (events, more) = if let Some(after) = after {
            let page = history.page_after(after, limit, bytes);
            let more = page.end < self.channel.last && !page.events.is_empty();
            (page.events, more)
        } else {
            history.page_before(before.unwrap_or(u64::MAX), limit, bytes)
        };
        let events: Vec<&RawValue> = events
            .iter()
            .filter_map(|event| serde_json::from_slice::<&RawValue>(event).ok())
            .collect();
        let (channel, position) = (&*self.channel.name, self.channel.position());
        let frame = Frame::History { id, channel, position, events: &events, more };
        self.out.reply(from, frame.encode());
    }

    fn subscribe(&mut self, from: Address, id: u64, subscribe: &Subscribe) {
        // What was committed in this turn goes to those who were here before.
        flush(self.channel, self.out);
        self.channel.attach(from.shard);
        self.channel.expire_history(self.steady_ms);
        let position = self.channel.position();
        let (start, gap, recovered) = self.start_of(subscribe);
        let members = subscribe.presence.then(|| self.member_views());
        let count = subscribe.presence.then(|| self.member_count());
        let frame = Frame::Subscribed {
            id,
            channel: &self.channel.name,
            position,
            recovered,
            members: members.as_ref().and_then(|views| views.as_deref()),
            count,
        };
        let reply = frame.encode();
        self.send_page(from, subscribe.nonce, start, gap, Some(reply));
    }

    /// Behind which offset a subscription starts, the gap in front of it, and whether all that was
    /// missed is there.
    fn start_of(&self, subscribe: &Subscribe) -> (u64, Option<Bytes>, bool) {
        let (last, epoch) = (self.channel.last, self.channel.epoch);
        let history = &self.channel.history;
        let rewind = last.saturating_sub(subscribe.rewind as u64);
        let oldest = history.first().map_or(last, |first| first - 1);
        let fresh = rewind.max(oldest).min(last);
        let Some((since_epoch, since_text, offset)) = &subscribe.since else {
            return (fresh, None, false);
        };
        let reason = if *since_epoch != Some(epoch) {
            "new_epoch"
        } else if *offset > last {
            "too_far"
        } else if !history.reaches_back_to(*offset, last) {
            "expired"
        } else {
            return (*offset, None, true);
        };
        let gap = serde_json::json!({
            "type": "gap", "channel": &*self.channel.name, "reason": reason,
            "from": { "epoch": &**since_text, "offset": offset },
            "to": { "epoch": epoch.to_string(), "offset": fresh },
        });
        (fresh, Some(gap.to_string().into()), false)
    }

    fn next_page(&mut self, from: Address, nonce: u16, after: u64) {
        flush(self.channel, self.out);
        self.channel.expire_history(self.steady_ms);
        let (last, history) = (self.channel.last, &self.channel.history);
        let (mut start, mut gap) = (after, None);
        if !history.reaches_back_to(after, last) {
            start = history.first().map_or(last, |first| first - 1);
            let at = |offset| Position { epoch: self.channel.epoch, offset };
            let channel = &*self.channel.name;
            let (from, to) = (at(after), at(start));
            gap = Some(Frame::Gap { channel, reason: "expired", from, to }.encode());
        }
        self.send_page(from, nonce, start, gap, None);
    }

    fn send_page(
        &mut self,
        to: Address,
        nonce: u16,
        start: u64,
        gap: Option<Bytes>,
        reply: Option<Bytes>,
    ) {
        let (count, bytes) = (self.limits.page_events, self.limits.page_bytes);
        let page = self.channel.history.page_after(start, count, bytes);
        let next = (page.end < self.channel.last).then_some(page.end);
        let channel = self.channel.name.clone();
        let page =
            PageReply { to: to.session, channel, nonce, reply, gap, events: page.events, next };
        self.out.post(to.shard, Message::Page(Box::new(page)));
    }
}
