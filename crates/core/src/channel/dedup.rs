//! What makes publishing exactly-once: a number per producer, and the keys that callers used.

use std::collections::HashMap;

use crate::store::{KeyRecord, ProducerRecord, Scoped};

/// What is known of a publish that may have come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is the next one.
    New,
    /// It is at the store.
    Pending,
    /// It was stored and got this offset, if that is still known.
    Stored(Option<u64>),
    /// It was refused for good and used its number up.
    Refused,
    /// This number would follow.
    OutOfSequence {
        /// The next number.
        expected: u64,
    },
}

#[derive(Debug)]
struct Producer {
    /// The last number stored, what it got and when.
    stored: u64,
    offset: Option<u64>,
    at_ms: u64,
    /// The last number given to the store.
    assigned: u64,
}

/// The dedup records of one channel.
#[derive(Debug, Default)]
pub(crate) struct Dedup {
    producers: HashMap<Scoped, Producer>,
    keys: HashMap<Scoped, KeyState>,
}

#[derive(Debug)]
struct KeyState {
    /// `None` while it is at the store.
    offset: Option<u64>,
    at_ms: u64,
}

impl Dedup {
    pub(crate) fn restore(producers: Vec<ProducerRecord>, keys: Vec<KeyRecord>) -> Self {
        let producer = |record: ProducerRecord| {
            let ProducerRecord { producer, seq, offset, at_ms } = record;
            (producer, Producer { stored: seq, offset, at_ms, assigned: seq })
        };
        let key = |record: KeyRecord| {
            (record.key, KeyState { offset: Some(record.offset), at_ms: record.at_ms })
        };
        Self {
            producers: producers.into_iter().map(producer).collect(),
            keys: keys.into_iter().map(key).collect(),
        }
    }

    /// What is known of number `seq` of a producer.
    pub(crate) fn producer(&self, who: &Scoped, seq: u64, now_ms: u64, window_ms: u64) -> Seen {
        let known = self.producers.get(who).filter(|producer| {
            producer.assigned > producer.stored || producer.at_ms.saturating_add(window_ms) > now_ms
        });
        let Some(known) = known else {
            return if seq == 1 { Seen::New } else { Seen::OutOfSequence { expected: 1 } };
        };
        if seq > known.assigned {
            let expected = known.assigned + 1;
            return if seq == expected { Seen::New } else { Seen::OutOfSequence { expected } };
        }
        match known.offset {
            _ if seq > known.stored => Seen::Pending,
            None if seq == known.stored => Seen::Refused,
            offset if seq == known.stored => Seen::Stored(offset),
            _ => Seen::Stored(None),
        }
    }

    /// What is known of a caller's key.
    pub(crate) fn key(&self, key: &Scoped, now_ms: u64, window_ms: u64) -> Seen {
        match self.keys.get(key) {
            Some(KeyState { offset: None, .. }) => Seen::Pending,
            Some(state) if state.at_ms.saturating_add(window_ms) > now_ms => {
                Seen::Stored(state.offset)
            }
            _ => Seen::New,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.keys.is_empty()
    }

    pub(crate) fn producers(&self) -> usize {
        self.producers.len()
    }

    pub(crate) fn keys(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn knows_producer(&self, who: &Scoped) -> bool {
        self.producers.contains_key(who)
    }

    /// A publish goes to the store.
    pub(crate) fn assign(&mut self, producer: Option<&(Scoped, u64)>, key: Option<&Scoped>) {
        if let Some((who, seq)) = producer {
            let fresh = Producer { stored: 0, offset: None, at_ms: 0, assigned: 0 };
            let known = self.producers.entry(who.clone()).or_insert(fresh);
            if *seq == 1 && known.assigned == known.stored {
                known.stored = 0; // It was silent for longer than the window and starts again.
            }
            known.assigned = *seq;
        }
        if let Some(key) = key {
            self.keys.insert(key.clone(), KeyState { offset: None, at_ms: 0 });
        }
    }

    /// A publish is stored; `offset` is `None` for one that was refused.
    pub(crate) fn commit(
        &mut self,
        producer: Option<&(Scoped, u64)>,
        key: Option<&Scoped>,
        offset: Option<u64>,
        at_ms: u64,
    ) {
        if let Some((who, seq)) = producer {
            // It may have been taken back with one in front of it that could not be stored.
            let fresh = Producer { stored: 0, offset: None, at_ms: 0, assigned: 0 };
            let known = self.producers.entry(who.clone()).or_insert(fresh);
            (known.stored, known.offset, known.at_ms) = (*seq, offset, at_ms);
            known.assigned = known.assigned.max(*seq);
        }
        if let Some(key) = key
            && let Some(state) = self.keys.get_mut(key)
        {
            (state.offset, state.at_ms) = (offset, at_ms);
        }
    }

    /// A publish could not be stored: what it was given is taken back.
    pub(crate) fn revert(&mut self, producer: Option<&(Scoped, u64)>, key: Option<&Scoped>) {
        if let Some((who, _)) = producer
            && let Some(known) = self.producers.get_mut(who)
        {
            known.assigned = known.stored;
            if known.stored == 0 {
                self.producers.remove(who);
            }
        }
        if let Some(key) = key {
            self.keys.remove(key);
        }
    }

    /// Forgets what is older than the window.
    pub(crate) fn expire(&mut self, now_ms: u64, window_ms: u64) {
        let live = |at_ms: u64| at_ms.saturating_add(window_ms) > now_ms;
        self.producers.retain(|_, p| p.assigned > p.stored || live(p.at_ms));
        self.keys.retain(|_, key| key.offset.is_none() || live(key.at_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 1000;

    fn scoped(name: &str) -> Scoped {
        Scoped { user: "ada".into(), name: name.into() }
    }

    fn stored(dedup: &mut Dedup, seq: u64, offset: u64, at_ms: u64) {
        let producer = (scoped("p"), seq);
        dedup.assign(Some(&producer), None);
        dedup.commit(Some(&producer), None, Some(offset), at_ms);
    }

    #[test]
    fn numbers_follow_each_other_and_come_back_with_their_result() {
        let (mut dedup, p) = (Dedup::default(), scoped("p"));
        let ask = |dedup: &Dedup, seq| dedup.producer(&p, seq, 10, WINDOW);
        assert_eq!(ask(&dedup, 2), Seen::OutOfSequence { expected: 1 });
        assert_eq!(ask(&dedup, 1), Seen::New);
        stored(&mut dedup, 1, 70, 10);
        assert_eq!(ask(&dedup, 1), Seen::Stored(Some(70)));
        assert_eq!(ask(&dedup, 3), Seen::OutOfSequence { expected: 2 });
        dedup.assign(Some(&(p.clone(), 2)), None);
        assert_eq!(ask(&dedup, 2), Seen::Pending);
        assert_eq!(ask(&dedup, 3), Seen::New);
        dedup.revert(Some(&(p.clone(), 2)), None);
        assert_eq!(ask(&dedup, 2), Seen::New, "a failed publish gives its number back");
    }

    #[test]
    fn a_refusal_uses_its_number_up() {
        let (mut dedup, p) = (Dedup::default(), (scoped("p"), 1));
        dedup.assign(Some(&p), None);
        dedup.commit(Some(&p), None, None, 10);
        assert_eq!(dedup.producer(&p.0, 1, 10, WINDOW), Seen::Refused);
        assert_eq!(dedup.producer(&p.0, 2, 10, WINDOW), Seen::New);
    }

    #[test]
    fn after_the_window_a_producer_starts_again_at_one() {
        let (mut dedup, p) = (Dedup::default(), scoped("p"));
        for seq in 1..=5 {
            stored(&mut dedup, seq, seq, 10);
        }
        assert_eq!(dedup.producer(&p, 6, 1009, WINDOW), Seen::New);
        assert_eq!(dedup.producer(&p, 6, 1010, WINDOW), Seen::OutOfSequence { expected: 1 });
        assert_eq!(dedup.producer(&p, 1, 1010, WINDOW), Seen::New);
        stored(&mut dedup, 1, 6, 1010);
        assert_eq!(dedup.producer(&p, 2, 1020, WINDOW), Seen::New);
    }

    #[test]
    fn equal_names_of_two_users_never_meet() {
        let mut dedup = Dedup::default();
        stored(&mut dedup, 1, 70, 10);
        let bobs = Scoped { user: "bob".into(), name: "p".into() };
        assert_eq!(dedup.producer(&bobs, 1, 10, WINDOW), Seen::New);
    }

    #[test]
    fn a_key_is_honoured_within_the_window() {
        let (mut dedup, key) = (Dedup::default(), scoped("k"));
        dedup.assign(None, Some(&key));
        assert_eq!(dedup.key(&key, 10, WINDOW), Seen::Pending);
        dedup.commit(None, Some(&key), Some(4), 10);
        assert_eq!(dedup.key(&key, 1009, WINDOW), Seen::Stored(Some(4)));
        assert_eq!(dedup.key(&key, 1010, WINDOW), Seen::New);
        dedup.expire(1010, WINDOW);
        assert_eq!((dedup.keys(), dedup.producers()), (0, 0));
    }
}
