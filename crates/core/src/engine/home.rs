//! A channel's home: the one place that orders its events, for subscribers on all shards.

use std::mem::take;
use std::sync::Arc;

use super::counters::CommandKind;
use super::document;
use super::homes::{Agenda, Home};
use super::inbox::Ask;
use super::notices::Wants;
use super::types::{Delivery, Effect, Message, Now, Request, RequestBody, Subscribe};
use super::{Engine, Out};
use crate::Limits;
use crate::channel::shelf::version_in;
use crate::channel::{Channel, owner};
use crate::push::{PushAnswer, PushService};
use crate::reject::Reject;
use crate::store::{FORGET_AFTER_MS, Level, Loaded, StoreError};

/// A channel, and all that a request to it may touch.
pub(super) struct Scene<'a> {
    pub(super) index: usize,
    pub(super) channel: &'a mut Channel,
    pub(super) out: &'a mut Out,
    pub(super) agenda: &'a mut Agenda,
    pub(super) limits: &'a Limits,
    pub(super) wants: &'a Wants,
    pub(super) push: Option<&'a Arc<dyn PushService + Send + Sync>>,
    pub(super) now: Now,
    pub(super) steady_ms: u64,
    /// See [`Config::seed`](super::Config::seed).
    pub(super) seed: u64,
}

impl Engine {
    pub(super) fn scene(&mut self, index: usize, now: Now) -> Scene<'_> {
        let steady_ms = self.steady_ms(now);
        let push = self.config.policy.push.as_ref();
        Scene {
            index,
            channel: &mut self.homes.slab[index].channel,
            out: &mut self.out,
            agenda: &mut self.homes.agenda,
            limits: &self.config.limits,
            wants: &self.config.policy.wants,
            push,
            now,
            steady_ms,
            seed: self.config.seed,
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
        self.reread(now, index);
        match &mut self.homes.slab[index].waiting {
            Some(waiting) => waiting.push(request),
            None => self.scene(index, now).request(request),
        }
    }

    /// Asks the store again for a channel that could not be read when it had to be.
    fn reread(&mut self, now: Now, index: usize) {
        let Home { channel, waiting } = &mut self.homes.slab[index];
        if channel.estranged && channel.pending.is_empty() && waiting.is_none() {
            channel.estranged = false;
            *waiting = Some(Vec::new());
            self.scene(index, now).drop_jobs();
            self.load_home(index);
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
        self.make_room(now, &namespace)?;
        // A store forgets channels that were idle for long; by then this has changed.
        let period = self.steady_ms(now) / FORGET_AFTER_MS;
        let seeds = (self.config.store_identity.wrapping_add(period), self.config.seed);
        let epoch = self.homes.first_epoch(name, durable, seeds);
        let index = self.homes.insert(name, namespace, epoch);
        if durable {
            self.reserve_room(index);
            self.load_home(index);
        }
        Ok(index)
    }

    /// The outcome of an [`Effect::Load`].
    pub fn loaded(&mut self, now: Now, channel: &str, outcome: Result<Option<Loaded>, StoreError>) {
        if let Some(of) = owner(channel) {
            return self.checkpoint_loaded(of, outcome);
        }
        if let Some(version) = version_in(channel) {
            self.version_loaded(now, version, outcome);
            return self.settle(now);
        }
        let Some(index) = self.homes.find(channel) else { return };
        let Home { channel, waiting } = &mut self.homes.slab[index];
        let waiting = waiting.take().unwrap_or_default();
        let broken = channel.checkpoints.as_mut().is_some_and(|kept| take(&mut kept.broken));
        let outcome = if broken { Err(unreadable()) } else { outcome };
        match outcome {
            Ok(loaded) => {
                let before = channel.position();
                channel.restore(loaded);
                if channel.epoch != before.epoch && !channel.shards.is_empty() {
                    self.scene(index, now).tell_new_epoch(before);
                    self.scene(index, now).tell_anew();
                }
                if let Err(reject) = self.keep_loaded(now, index) {
                    waiting.iter().for_each(|request| refuse(&mut self.out, request, &reject));
                    return self.settle(now);
                }
                self.scene(index, now).arm_expiry();
                self.scene(index, now).open_shelf();
                for request in waiting {
                    self.scene(index, now).request(request);
                }
                self.scene(index, now).checkpoint_early();
            }
            Err(_) => {
                // What is in memory may be more than is stored.
                channel.estranged = channel.checkpoints.is_some();
                // With subscribers it stays: they would hear nothing of another one's events.
                if channel.shards.is_empty() {
                    self.homes.remove(index);
                }
                for request in waiting {
                    refuse(&mut self.out, &request, &Reject::unavailable());
                }
            }
        }
        self.settle(now);
    }

    /// The outcome of the oldest [`Effect::Append`] of a channel that has none yet.
    pub fn stored(&mut self, now: Now, channel: &str, outcome: &Result<Level, StoreError>) {
        if let Some(of) = owner(channel) {
            self.checkpoint_stored(of, outcome);
        } else if let Some((_, of)) = version_in(channel) {
            self.version_stored(now, of, outcome);
        } else if let Some(index) = self.homes.find(channel) {
            self.scene(index, now).stored(outcome);
            // The store found damage and decided on another epoch: begin again from there.
            self.reread(now, index);
        }
        self.settle(now);
    }

    /// Sends out what all channels have committed.
    pub(super) fn flush_all(&mut self) {
        let dirty = take(&mut self.homes.agenda.dirty);
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
        self.expire_keys(now);
        let agenda = &mut self.homes.agenda;
        // At most one count a second; ticks may come more often.
        let counting = if now.mono_ms >= agenda.count_after_ms && !agenda.counting.is_empty() {
            agenda.count_after_ms = now.mono_ms + 1000;
            take(&mut agenda.counting)
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
            if channel.can_unload(now.mono_ms, idle_ms) && !channel.awaits_version() {
                if !self.scene(index, now).checkpoint_early() {
                    self.homes.remove(index);
                }
            } else if !channel.estranged {
                self.scene(index, now).expire_items();
                self.scene(index, now).next_job();
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

fn unreadable() -> StoreError {
    StoreError::Io("its checkpoint could not be read".into())
}

/// Whether a request may bring a channel into memory.
fn creates(body: &RequestBody) -> bool {
    match body {
        RequestBody::Enter(_)
        | RequestBody::Get { .. }
        | RequestBody::History { .. }
        | RequestBody::Inbox(_)
        | RequestBody::Members
        | RequestBody::Publish(_)
        | RequestBody::Subscribe(_) => true,
        RequestBody::Document(ask) => ask.kind().is_some(),
        RequestBody::Back { .. }
        | RequestBody::Detach
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
    if let RequestBody::Inbox(ask) = body
        && let Ask::Push { ticket, .. } = **ask
    {
        let answer = PushAnswer::Unknown;
        return out.post(from.shard, Message::Pushed { ticket, answer });
    }
    if let RequestBody::Document(ask) = body {
        return document::refuse(out, request, ask, reject);
    }
    let Some(kind) = CommandKind::of_request(body) else { return };
    match body {
        RequestBody::Subscribe(Subscribe { nonce, .. }) => {
            out.counters.command(kind, Some(reject.code));
            let text = reject.encode(Some(*id), Some(channel));
            let (to, channel, nonce, code) = (from.session, channel.clone(), *nonce, reject.code);
            out.post(from.shard, Message::Refused { to, channel, nonce, text, code });
        }
        _ => out.refuse(kind, *from, (*id, channel), reject),
    }
}

/// Sends what a channel has committed to every shard with subscribers: one message each.
pub(super) fn flush(channel: &mut Channel, out: &mut Out) {
    if channel.outgoing.is_empty() {
        return;
    }
    let batch: Arc<[Delivery]> = take(&mut channel.outgoing).into();
    if out.watched.contains(&channel.name) {
        out.effects.push(Effect::Told { channel: channel.name.clone(), batch: batch.clone() });
    }
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
            RequestBody::Back { user, old } => self.back(from, &user, old),
            RequestBody::Detach => self.detach(from.shard),
            RequestBody::Document(ask) => self.document_ask(from, id, *ask),
            RequestBody::Enter(entry) => self.enter(from, id, entry),
            RequestBody::Get { key, after, limit } => {
                self.get(from, id, key.as_deref(), after.as_deref(), limit);
            }
            RequestBody::Gone { user, resumable } => self.gone(from, &user, resumable),
            RequestBody::History { before, after, limit } => {
                self.history(from, id, before, after, limit);
            }
            RequestBody::Inbox(ask) => self.inbox_ask(from, id, *ask),
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
}
