//! Publishing at a channel's home: exactly once, stored, then acknowledged, then told.

use bytes::Bytes;
use serde_json::value::RawValue;
use tidings_proto::{Event, Frame, Timestamp};

use super::counters::CommandKind;
use super::home::Scene;
use super::types::{Address, Delivery, Effect};
use crate::channel::{Pending, Publish, Seen, UsedUp, Waiter};
use crate::reject::Reject;
use crate::store::{Append, Level, StoreError, StoredEvent};

impl Scene<'_> {
    pub(super) fn publish(&mut self, from: Address, id: u64, publish: Publish) {
        if publish.ephemeral {
            return self.publish_ephemeral(from, id, &publish);
        }
        let mut waiter = Waiter { at: from, id, duplicate: true, began_us: publish.began_us };
        match self.seen(&publish) {
            Ok(Seen::New) => waiter.duplicate = false,
            // Its key is known, but its number is not: that is used up now.
            Ok(Seen::Pending | Seen::Stored(_)) if self.is_next(&publish) => {}
            Ok(Seen::Pending) => return self.wait(waiter, &publish),
            Ok(Seen::Stored(offset)) => return self.acknowledge(&waiter, offset),
            Ok(Seen::Refused | Seen::OutOfSequence { .. }) => return,
            Err(reject) => {
                return self.refuse_publish(from, id, &reject);
            }
        }
        if self.channel.failing {
            return self.refuse_publish(from, id, &Reject::unavailable());
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
                Seen::Refused => return Err(refused_before(publish, *seq)),
                Seen::OutOfSequence { expected } => {
                    let why = format!("sequence number {seq} does not follow {}", expected - 1);
                    let reject = Reject::new(Code::OutOfSequence, why);
                    return Err(Reject { expected: Some(expected), ..reject });
                }
                Seen::Stored(None) => {
                    let offset = self.channel.history.find(who, *seq);
                    // What is refused today was refused then, unless rules or the backend's mind
                    // have changed: history knows, as far as it goes.
                    let refused =
                        publish.data.is_err() || self.channel.history.would_have(who, *seq);
                    if offset.is_none() && refused {
                        return Err(refused_before(publish, *seq));
                    }
                    return Ok(Seen::Stored(offset));
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
                return self.refuse_publish(from, id, reject);
            }
        };
        let text = self.encode(publish, data, None);
        let except = (!publish.echo).then_some(from);
        self.deliver(Delivery { text, except, presence: false, kept: false });
        self.out.counters.ephemeral += 1;
        let frame = Frame::Published {
            id,
            channel: &self.channel.name,
            epoch: None,
            offset: None,
            level: Level::Memory,
            duplicate: false,
        };
        self.out.published(from, frame.encode(), publish.began_us);
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
            retention: self.channel.retention(offset),
        }));
        self.channel.pending.push_back(pending);
    }

    pub(super) fn stored(&mut self, outcome: &Result<Level, StoreError>) {
        let Some(pending) = self.channel.pending.pop_front() else { return };
        match outcome {
            Ok(level) => self.commit(pending, *level),
            Err(error) => {
                // The first to fail is never out of order, unless the store's history is another.
                self.channel.estranged |= !self.channel.failing && *error == StoreError::OutOfOrder;
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
            self.refuse_publish(at, id, &Reject::unavailable());
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
                match level {
                    Level::Memory => {
                        self.out.counters.memory += 1;
                        self.note_event(&text);
                    }
                    _ => self.out.counters.durable += 1,
                }
                self.channel.history.push(StoredEvent {
                    offset,
                    at_ms,
                    event: text.clone(),
                    producer,
                });
                self.fold_in(offset, at_ms, &text);
                self.channel.expire_history(self.steady_ms);
                self.deliver(Delivery { text, except, presence: false, kept: true });
                for waiter in waiters {
                    self.published(&waiter, Some(offset), level);
                }
            }
            Err(UsedUp::Known(key)) => {
                let window = self.channel.namespace.policy.history.dedup_window.ms;
                let Seen::Stored(offset) = self.channel.dedup.key(&key, self.steady_ms, window)
                else {
                    return self.answer_unavailable(waiters);
                };
                for waiter in waiters {
                    self.published(&Waiter { duplicate: true, ..waiter }, offset, level);
                }
            }
            Err(UsedUp::Refused(reject)) => {
                for Waiter { at, id, .. } in waiters {
                    self.refuse_publish(at, id, &reject);
                }
            }
        }
    }

    /// Answers a publish that had been stored before.
    fn acknowledge(&mut self, waiter: &Waiter, offset: Option<u64>) {
        let durable = self.channel.namespace.policy.history.durable;
        let level = if durable { self.channel.level } else { Level::Memory };
        self.published(waiter, offset, level);
    }

    fn published(&mut self, waiter: &Waiter, offset: Option<u64>, level: Level) {
        let Waiter { at, id, duplicate, began_us } = *waiter;
        if self.channel.namespace.policy.history.durable {
            self.channel.level = level;
        }
        let frame = Frame::Published {
            id,
            channel: &self.channel.name,
            epoch: Some(self.channel.epoch),
            offset,
            level,
            duplicate,
        };
        self.out.counters.duplicates += u64::from(duplicate);
        self.out.published(at, frame.encode(), began_us);
    }

    fn refuse_publish(&mut self, at: Address, id: u64, why: &Reject) {
        self.out.refuse(CommandKind::Publish, at, (id, &self.channel.name), why);
    }
}

/// A number that was used up comes again.
fn refused_before(publish: &Publish, seq: u64) -> Reject {
    let why = format!("number {seq} was refused before and is used up");
    let earlier = publish.data.as_ref().err().cloned();
    earlier.unwrap_or_else(|| Reject::new(tidings_proto::ErrorCode::InvalidData, why))
}
