//! An engine with live data and a store that is a map, driven by hand.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use tidings_core::engine::{Config, Crowd, Effect, Engine, Now, SessionKey, ShardId, Subscriber};
use tidings_core::identity::{Authority, Identity, TokenError};
use tidings_core::policy::{
    Access, HistoryPolicy, Kind, Namespace, NamespacePolicy, Overflow, Policy, StatePolicy,
};
use tidings_core::store::{
    Append, KeyRecord, Level, Loaded, ProducerRecord, StoreError, StoredEvent,
};

#[derive(Debug)]
struct Nobody;

impl Authority for Nobody {
    fn verify(&self, _: &str, _: u64) -> Result<Identity, TokenError> {
        Err(TokenError::Expired)
    }

    fn sign_ticket(&self, session: u64, _: u64) -> String {
        format!("{session:016x}.")
    }

    fn read_ticket(&self, _: &str, _: u64) -> Option<u64> {
        None
    }
}

/// `board` is kept on disk, `ticker` in memory, `feed` too and conflates.
pub(crate) struct Desk {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    /// What is on disk.
    pub(crate) disk: HashMap<String, Loaded>,
    /// Appends that the store has not taken yet, while `slow`.
    pub(crate) queue: VecDeque<Append>,
    pub(crate) slow: bool,
    heard: HashMap<SessionKey, Vec<Value>>,
    by_slot: HashMap<u32, SessionKey>,
    pub(crate) stalled: Vec<SessionKey>,
    drains: Vec<SessionKey>,
    /// Whose links take what they are sent only when a story says so.
    pub(crate) slow_links: Vec<SessionKey>,
    pub(crate) probes: Vec<SessionKey>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl Fn(&mut NamespacePolicy)) -> Self {
        let now = Now { mono_ms: 1000, mono_us: 0, wall_ms: 1_700_000_001_000 };
        let (disk, queue) = (HashMap::new(), VecDeque::new());
        Self {
            engine: Engine::new(now, config(&change)),
            now,
            disk,
            queue,
            slow: false,
            heard: HashMap::new(),
            by_slot: HashMap::new(),
            stalled: Vec::new(),
            drains: Vec::new(),
            slow_links: Vec::new(),
            probes: Vec::new(),
        }
    }

    /// The process is killed and started again.
    pub(crate) fn restart(&mut self) {
        self.engine = Engine::new(self.now, config(&|_| {}));
        (self.heard, self.drains) = (HashMap::new(), Vec::new());
        self.queue.clear();
    }

    pub(crate) fn open(&mut self) -> SessionKey {
        let key = self.engine.open(self.now, None);
        self.by_slot.insert(key.slot, key);
        self.run();
        key
    }

    /// Sends a command; all that came of it is carried out.
    pub(crate) fn say(&mut self, who: SessionKey, command: &Value) {
        self.engine.receive(self.now, who, &command.to_string());
        self.run();
    }

    /// Sends commands in one flight.
    pub(crate) fn say_all(&mut self, who: SessionKey, commands: &[Value]) {
        for command in commands {
            self.engine.receive(self.now, who, &command.to_string());
        }
        self.run();
    }

    /// Sends a command and gives its answer.
    pub(crate) fn ask(&mut self, who: SessionKey, command: &Value) -> Value {
        self.say(who, command);
        let heard = self.heard.entry(who).or_default();
        let answer = heard.iter().position(|frame| frame["id"] == command["id"]);
        heard.remove(answer.unwrap_or_else(|| panic!("no answer to {command}: {heard:?}")))
    }

    /// What somebody has heard since the last time.
    pub(crate) fn heard(&mut self, who: SessionKey) -> Vec<Value> {
        self.heard.remove(&who).unwrap_or_default()
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        self.engine.tick(self.now);
        self.run();
    }

    /// The store takes what waits for it, or refuses it.
    pub(crate) fn store(&mut self, outcome: Result<(), StoreError>) {
        let first = outcome.err();
        for (index, append) in std::mem::take(&mut self.queue).into_iter().enumerate() {
            let outcome = match &first {
                None => Ok(self.keep(&append)),
                Some(error) if index == 0 => Err(error.clone()),
                Some(_) => Err(StoreError::OutOfOrder),
            };
            self.engine.stored(self.now, &append.channel, &outcome);
        }
        self.run();
    }

    /// All has arrived at whoever has a slow link, which takes so much more now.
    pub(crate) fn arrive(&mut self, budget: usize, quick: bool) {
        for key in std::mem::take(&mut self.probes) {
            self.engine.received(self.now, key, budget, quick);
        }
        self.run();
    }

    /// Who did not read goes on.
    pub(crate) fn wake(&mut self, who: SessionKey) {
        self.stalled.retain(|other| *other != who);
        for key in std::mem::take(&mut self.drains) {
            self.engine.drained(self.now, key);
        }
        self.run();
    }

    pub(crate) fn run(&mut self) {
        loop {
            self.engine.end_turn(self.now);
            let effects = self.engine.effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.carry_out(effect);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Append(append) if self.slow => self.queue.push_back(append),
            Effect::Append(append) => {
                let level = self.keep(&append);
                self.engine.stored(self.now, &append.channel, &Ok(level));
            }
            Effect::Load { channel } => {
                let loaded = self.disk.get(&*channel).cloned();
                self.engine.loaded(self.now, &channel, Ok(loaded));
            }
            Effect::Drain { session } if self.stalled.contains(&session) => {
                self.drains.push(session);
            }
            Effect::Drain { session } => self.engine.drained(self.now, session),
            Effect::Probe { session } if self.slow_links.contains(&session) => {
                self.probes.push(session);
            }
            Effect::Probe { session } => {
                self.engine.received(self.now, session, 64 << 10, true);
            }
            Effect::Send { session, text } => self.hear(session, &text),
            Effect::SendProbing { session, text } => {
                self.hear(session, &text);
                self.carry_out(Effect::Probe { session });
            }
            Effect::Fanout { topic, upto, batch } => {
                let list = self.engine.subscribers(topic)[..upto].to_vec();
                for Subscriber { slot, held, .. } in list {
                    for delivery in batch.iter().filter(|delivery| !held || !delivery.kept) {
                        self.hear(self.by_slot[&slot], &delivery.text);
                    }
                }
            }
            Effect::Close { .. } | Effect::Pause { .. } | Effect::Resume { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn hear(&mut self, who: SessionKey, text: &[u8]) {
        let frame = serde_json::from_slice(text).unwrap();
        self.heard.entry(who).or_default().push(frame);
    }

    fn keep(&mut self, append: &Append) -> Level {
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
            assert_eq!(offset, kept.last_offset + 1);
            kept.last_offset = offset;
            let (event, producer) = (event.clone(), append.producer.clone());
            kept.events.push(StoredEvent { offset, at_ms, event, producer });
            let over = kept.events.len().saturating_sub(append.retention.size as usize);
            kept.events.drain(..over);
        }
        let stored = append.event.is_some().then_some(offset);
        if let Some((producer, seq)) = append.producer.clone() {
            kept.producers.retain(|known| known.producer != producer);
            kept.producers.push(ProducerRecord { producer, seq, offset: stored, at_ms });
        }
        if let Some(key) = append.key.clone() {
            kept.keys.push(KeyRecord { key, offset, at_ms });
        }
        Level::Fsync
    }
}

fn config(change: &impl Fn(&mut NamespacePolicy)) -> Config {
    let namespace = |name: &str, durable, overflow| {
        let mut policy = NamespacePolicy {
            kind: Kind::State,
            subscribe: Access::Anyone,
            publish: Access::Anyone,
            history: HistoryPolicy { durable, read: Access::Anyone, ..HistoryPolicy::default() },
            state: StatePolicy { overflow, ..StatePolicy::default() },
            ..NamespacePolicy::default()
        };
        change(&mut policy);
        (name.into(), Arc::new(Namespace { name: name.into(), policy, schema: None }))
    };
    let chat = NamespacePolicy { publish: Access::Anyone, ..NamespacePolicy::default() };
    let chat = Arc::new(Namespace { name: "chat".into(), policy: chat, schema: None });
    let namespaces = HashMap::from([
        namespace("board", true, Overflow::Disconnect),
        namespace("ticker", false, Overflow::Disconnect),
        namespace("feed", false, Overflow::Conflate),
        ("chat".into(), chat),
    ]);
    Config {
        shard: ShardId(0),
        shards: 1,
        seed: 1,
        store_identity: 1,
        limits: Arc::default(),
        policy: Arc::new(Policy { anonymous: true, namespaces, ..Policy::default() }),
        authority: Arc::new(Nobody),
        crowd: Arc::new(Crowd::new(1)),
    }
}
