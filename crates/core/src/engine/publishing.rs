//! Publishing at a channel's home: exactly once, stored, then acknowledged, then told.

use bytes::Bytes;
use serde_json::value::RawValue;
use tidings_proto::{Event, Frame, Timestamp};

use super::home::Scene;
use super::live::Planned;
use super::types::{Address, Delivery, Effect};
use crate::channel::{Pending, Publish, Seen, UsedUp, Waiter};
use crate::reject::Reject;
use crate::store::{Append, Level, StoreError, StoredEvent};

impl Scene<'_> {
    pub(super) fn publish(&mut self, from: Address, id: u64, mut publish: Publish) {
        if publish.ephemeral {
            return self.publish_ephemeral(from, id, &publish);
        }
        let (kind, began_us) = (publish.kind(), publish.began_us);
        let mut waiter = Waiter { at: from, id, kind, duplicate: true, began_us, answer: None };
        match self.seen(&publish) {
            Ok(Seen::New) => waiter.duplicate = false,
            // Its key is known, but its number is not: that is used up now.
            Ok(Seen::Pending | Seen::Stored(_)) if self.is_next(&publish) => {}
            Ok(Seen::Pending) => return self.wait(waiter, &publish),
            Ok(Seen::Stored(offset)) => return self.acknowledge(&waiter, offset, &publish),
            Ok(Seen::Refused | Seen::OutOfSequence { .. }) => return,
            Err(reject) => return self.refuse_publish(&waiter, &reject),
        }
        if self.channel.failing {
            return self.refuse_publish(&waiter, &Reject::unavailable());
        }
        let planned = match waiter.duplicate {
            true => Ok(None),
            false => self.plan_amend(&mut publish).and_then(|()| self.plan(&publish)),
        };
        match planned {
            Ok(planned) => self.append(waiter, publish, planned),
            Err(reject) if publish.producer.is_some() && !publish.keeps_number(&reject) => {
                publish.refuse(reject);
                self.append(waiter, publish, None);
            }
            Err(reject) => self.refuse_publish(&waiter, &reject),
        }
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
                    let as_before = publish.write.as_ref().and_then(|w| self.refused_write(w));
                    return Err(as_before.unwrap_or_else(|| refused_before(publish, *seq)));
                }
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
                return self.out.refuse(publish.kind(), from, (id, &self.channel.name), reject);
            }
        };
        let text = self.encode(publish, data, None);
        let except = (!publish.echo).then_some(from);
        self.deliver(Delivery::passing(text, except));
        self.out.counters.ephemeral += 1;
        let frame = Frame::Published {
            id,
            channel: &self.channel.name,
            epoch: None,
            offset: None,
            level: Level::Memory,
            duplicate: false,
        };
        self.out.published(publish.kind(), from, frame.encode(), publish.began_us);
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
    fn append(&mut self, waiter: Waiter, publish: Publish, planned: Option<Planned>) {
        let known = publish.key.as_ref().filter(|_| waiter.duplicate);
        let offset = self.channel.assigned + u64::from(publish.data.is_ok() && known.is_none());
        let event = match (&publish.data, known) {
            (Ok(_), Some(key)) => {
                let wrote = publish.write.as_ref().map(|wish| wish.key.clone());
                Err(UsedUp::Known(key.clone(), wrote))
            }
            (Ok(data), None) => Ok(match (&planned, &publish.amend) {
                (Some(planned), _) => self.encode_change(planned, &publish.user, offset),
                (_, Some(amend)) => self.encode_amend(&publish, amend, data, offset),
                _ => self.encode(&publish, data, Some(offset)),
            }),
            (Err(reject), _) => Err(UsedUp::Refused(reject.clone())),
        };
        self.channel.assigned = offset;
        let Publish { key, producer, echo, amend, .. } = publish;
        let key = key.filter(|_| event.is_ok());
        let amend = amend.filter(|_| event.is_ok());
        self.channel.dedup.assign(producer.as_ref(), key.as_ref());
        let except = (!echo).then_some(waiter.at);
        let changed = planned.as_ref().map(|planned| planned.changed(offset));
        if let Some(planned) = planned {
            self.assign_write(planned, offset);
        }
        let waiters = smallvec::smallvec![waiter];
        let at_ms = self.steady_ms;
        self.append_pending(Pending {
            offset,
            at_ms,
            event,
            producer,
            key,
            except,
            changed,
            amend,
            merge: None,
            waiters,
        });
    }

    /// It has its offset, and is stored.
    pub(super) fn append_pending(&mut self, pending: Pending) {
        let (offset, at_ms) = (pending.offset, pending.at_ms);
        if !self.channel.namespace.policy.history.durable {
            return self.commit(pending, Level::Memory);
        }
        self.channel.amends += usize::from(pending.amend.is_some());
        let append = Append {
            channel: self.channel.name.clone(),
            epoch: self.channel.epoch,
            offset,
            at_ms,
            event: pending.event.as_ref().ok().cloned(),
            producer: pending.producer.clone(),
            key: pending.key.clone(),
            retention: self.channel.retention(offset),
        };
        // Nobody sees that what somebody types comes some milliseconds later.
        let soon = pending.merge.as_ref().is_some_and(|merging| merging.may_wait());
        self.out.effects.push(match soon {
            true => Effect::AppendSoon(append),
            false => Effect::Append(append),
        });
        self.channel.pending.push_back(pending);
    }

    pub(super) fn stored(&mut self, outcome: &Result<Level, StoreError>) {
        let Some(pending) = self.channel.pending.pop_front() else { return };
        self.channel.amends -= usize::from(pending.amend.is_some());
        match outcome {
            Ok(level) => self.commit(pending, *level),
            Err(error) => {
                // The first to fail is never out of order, unless the store's history is another.
                self.channel.estranged |= !self.channel.failing && *error == StoreError::OutOfOrder;
                let (producer, key) = (pending.producer.as_ref(), pending.key.as_ref());
                self.channel.dedup.revert(producer, key);
                self.channel.failing = true;
                self.answer_unavailable(pending.waiters);
                if let Some(merging) = pending.merge {
                    self.fail_change(*merging);
                }
            }
        }
        if self.channel.pending.is_empty() && self.channel.failing {
            self.channel.failing = false;
            self.channel.assigned = self.channel.last;
            self.channel.estranged |= self.channel.fold.revert();
        }
    }

    fn answer_unavailable(&mut self, waiters: impl IntoIterator<Item = Waiter>) {
        for waiter in waiters {
            self.refuse_publish(&waiter, &Reject::unavailable());
        }
    }

    /// A publish is as safe as it will be: it is history now, and all are told.
    fn commit(&mut self, pending: Pending, level: Level) {
        let Pending { offset, at_ms, event, producer, key, except, changed, waiters, .. } = pending;
        if let (Some(merging), Ok(record)) = (pending.merge, &event) {
            return self.commit_change(*merging, (offset, at_ms), record, level);
        }
        let stored = event.is_ok().then_some(offset);
        self.channel.dedup.commit(producer.as_ref(), key.as_ref(), stored, at_ms);
        match event {
            Ok(stored) => {
                self.channel.last = offset;
                let text = self.channel.fold.told(&stored);
                match level {
                    Level::Memory => {
                        self.out.counters.memory += 1;
                        // What the server keeps for itself is nobody's event.
                        if text.len() == stored.len() {
                            self.note_event(&text);
                        }
                    }
                    _ => self.out.counters.durable += 1,
                }
                self.channel.history.push(StoredEvent {
                    offset,
                    at_ms,
                    event: text.clone(),
                    producer,
                });
                self.fold_in(offset, at_ms, &stored);
                self.channel.expire_history(self.steady_ms);
                self.arm_expiry();
                if let Some(changed) = &changed
                    && self.is_conflated()
                    && let Some(state) = self.state()
                {
                    state.note_tail(changed);
                }
                for waiter in waiters {
                    let wrote = changed.as_ref().map(|changed| (&*changed.key, changed.version));
                    self.published(&waiter, Some(offset), level, wrote);
                }
                self.deliver(Delivery { changed, ..Delivery::kept(text, except) });
            }
            Err(UsedUp::Known(key, wrote)) => {
                let window = self.channel.namespace.policy.history.dedup_window.ms;
                let Seen::Stored(offset) = self.channel.dedup.key(&key, self.steady_ms, window)
                else {
                    return self.answer_unavailable(waiters);
                };
                for waiter in waiters {
                    let waiter = Waiter { duplicate: true, ..waiter };
                    let wrote = offset.zip(wrote.as_deref()).map(|(version, key)| (key, version));
                    self.published(&waiter, offset, level, wrote);
                }
            }
            Err(UsedUp::Nothing) => waiters.iter().for_each(|waiter| self.give_answer(waiter)),
            Err(UsedUp::Refused(reject)) => {
                for waiter in waiters {
                    self.refuse_publish(&waiter, &reject);
                }
            }
        }
    }

    /// Answers a publish that had been stored before.
    fn acknowledge(&mut self, waiter: &Waiter, offset: Option<u64>, publish: &Publish) {
        let durable = self.channel.namespace.policy.history.durable;
        let level = if durable { self.channel.level } else { Level::Memory };
        let wrote = publish.write.as_ref().map(|wish| (&*wish.key, offset.unwrap_or(0)));
        self.published(waiter, offset, level, wrote);
    }

    /// `wrote`: the key, and the version that it got.
    fn published(
        &mut self,
        waiter: &Waiter,
        offset: Option<u64>,
        level: Level,
        wrote: Option<(&str, u64)>,
    ) {
        let Waiter { at, id, kind, duplicate, began_us, .. } = *waiter;
        if self.channel.namespace.policy.history.durable {
            self.channel.level = level;
        }
        if waiter.answer.is_some() {
            return self.give_answer(waiter);
        }
        let (channel, epoch) = (&*self.channel.name, self.channel.epoch);
        let frame = match wrote {
            Some((key, version)) => Frame::Written {
                id,
                channel,
                key,
                epoch,
                offset,
                version: (version > 0).then_some(version),
                level,
                duplicate,
            },
            None => Frame::Published { id, channel, epoch: Some(epoch), offset, level, duplicate },
        };
        self.out.counters.duplicates += u64::from(duplicate);
        self.out.published(kind, at, frame.encode(), began_us);
    }

    /// Gives a command the answer that waits for it.
    pub(super) fn give_answer(&mut self, waiter: &Waiter) {
        let Waiter { at, kind, duplicate, answer, .. } = waiter;
        self.out.counters.duplicates += u64::from(*duplicate);
        if let Some(text) = answer {
            self.out.reply(*kind, *at, text.clone());
        }
    }

    fn refuse_publish(&mut self, waiter: &Waiter, why: &Reject) {
        self.out.refuse(waiter.kind, waiter.at, (waiter.id, &self.channel.name), why);
    }
}

/// A number that was used up comes again.
fn refused_before(publish: &Publish, seq: u64) -> Reject {
    let why = format!("number {seq} was refused before and is used up");
    let earlier = publish.data.as_ref().err().cloned();
    earlier.unwrap_or_else(|| Reject::new(tidings_proto::ErrorCode::InvalidData, why))
}
