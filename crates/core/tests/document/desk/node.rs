//! What the driver of the real server does with an engine.

use bytes::Bytes;
use tidings_core::document::restore;
use tidings_core::engine::{Delivery, Dialect, Effect, SessionKey, Subscriber, TopicKey};
use tidings_core::store::{Append, Level, Loaded, StoredEvent};

use super::{Desk, Person};

impl Desk {
    pub(crate) fn run(&mut self) {
        loop {
            let mut quiet = true;
            for shard in 0..self.engines.len() {
                self.engines[shard].end_turn(self.now);
                let effects = self.engines[shard].effects();
                quiet &= effects.is_empty();
                for effect in effects {
                    self.carry_out(shard, effect);
                }
            }
            if let Some((to, message)) = self.mail.pop_front() {
                self.engines[to].message(self.now, message);
            } else if quiet {
                return;
            }
        }
    }

    fn person(&mut self, shard: usize, key: SessionKey) -> Option<&mut Person> {
        self.people.iter_mut().find(|person| person.at == Some((shard, key)))
    }

    fn carry_out(&mut self, shard: usize, effect: Effect) {
        match effect {
            Effect::Append(append) | Effect::AppendSoon(append)
                if self.slow || !self.queue.is_empty() =>
            {
                self.queue.push_back((shard, append))
            }
            Effect::Append(append) | Effect::AppendSoon(append) => {
                let level = self.keep(&append);
                self.engines[shard].stored(self.now, &append.channel, &Ok(level));
            }
            Effect::Load { channel }
                if self.carry_out_but_loads_of_versions && channel.starts_with("\0version:") => {}
            Effect::Load { channel } => {
                let loaded = self.disk.get(&*channel).cloned();
                self.engines[shard].loaded(self.now, &channel, Ok(loaded));
            }
            Effect::Restore { channel, ticket, now, then, client } => {
                let made = restore(&now, &then, client);
                self.engines[shard].restored(self.now, &channel, ticket, made);
            }
            Effect::Message { shard, message } => {
                self.mail.push_back((usize::from(shard.0), message));
            }
            Effect::Move { session, to, traveller } => {
                let to = usize::from(to.0);
                let key = self.engines[to].arrive(self.now, *traveller);
                if let Some(person) = self.person(shard, session) {
                    person.at = Some((to, key));
                }
            }
            Effect::Drain { session } => {
                let Some(person) = self.person(shard, session) else { return };
                if person.stalled {
                    person.drains += 1;
                } else {
                    self.engines[shard].drained(self.now, session);
                }
            }
            Effect::Send { session, text } => self.tell(shard, session, Dialect::Json, &text),
            Effect::SendBinary { session, message } => {
                self.tell(shard, session, Dialect::Yjs, &message);
            }
            Effect::Fanout { topic, upto, batch } => self.fan_out(shard, topic, upto, &batch),
            Effect::Close { session, code, .. } => {
                if let Some(person) = self.person(shard, session) {
                    person.at = None;
                    person.closed = Some(code);
                }
            }
            Effect::Pause { session } => {
                self.person(shard, session).into_iter().for_each(|it| it.paused = true);
            }
            Effect::Resume { session } => {
                self.person(shard, session).into_iter().for_each(|it| it.paused = false);
            }
            Effect::Answer { text } => {
                self.answers.push(serde_json::from_slice(&text).unwrap());
            }
            Effect::Consult { id, .. } => self.asked.push_back((shard, id)),
            Effect::Wake { at_ms } => self.wakes.push((shard, at_ms)),
            other => panic!("{other:?}"),
        }
    }

    fn fan_out(&mut self, shard: usize, topic: TopicKey, upto: usize, batch: &[Delivery]) {
        let list = self.engines[shard].subscribers(topic)[..upto].to_vec();
        for Subscriber { slot, presence, dialect, .. } in list.into_iter().filter(|it| !it.apart) {
            let at = |at: &Option<(usize, SessionKey)>| {
                at.is_some_and(|(on, key)| on == shard && key.slot == slot)
            };
            let Some(person) = self.people.iter().find(|p| at(&p.at)) else { continue };
            let Some((_, key)) = person.at else { continue };
            for delivery in batch.iter().filter(|d| presence || !d.presence) {
                let spared = delivery
                    .except
                    .is_some_and(|it| it.session == key && usize::from(it.shard.0) == shard);
                if spared {
                    continue;
                }
                match dialect {
                    Dialect::Json => self.tell(shard, key, dialect, &delivery.text),
                    _ => {
                        if let Some(message) = delivery.binary(dialect) {
                            self.tell(shard, key, dialect, message);
                        }
                    }
                }
            }
        }
    }

    fn tell(&mut self, shard: usize, key: SessionKey, dialect: Dialect, message: &Bytes) {
        self.sent += 1;
        let speaks = self.engines[shard].dialect(key);
        let Some(person) = self.person(shard, key) else { return };
        match dialect {
            Dialect::Json if speaks == Dialect::Json => {
                person.heard.push(serde_json::from_slice(message).unwrap());
            }
            // An editor has no such frames.
            Dialect::Json => {}
            _ => person.got.push(message.clone()),
        }
    }

    pub(super) fn keep(&mut self, append: &Append) -> Level {
        let empty = Loaded {
            epoch: append.epoch,
            last_offset: 0,
            events: vec![],
            producers: vec![],
            keys: vec![],
        };
        let kept = self.disk.entry(append.channel.to_string()).or_insert(empty);
        let (offset, at_ms) = (append.offset, append.at_ms);
        if let Some(event) = &append.event {
            assert_eq!(offset, kept.last_offset + 1, "{}", append.channel);
            kept.last_offset = offset;
            kept.events.push(StoredEvent { offset, at_ms, event: event.clone(), producer: None });
        } else {
            assert_eq!(offset, kept.last_offset, "{}", append.channel);
        }
        let over = kept.events.len().saturating_sub(append.retention.size as usize);
        kept.events.drain(..over);
        Level::Fsync
    }
}
