//! An engine with inboxes and a store that is a map, driven by hand. A token is a user's name.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};
use tidings_core::engine::{
    Config, Crowd, Effect, Engine, Happened, Inquiry, Notice, Notify, Now, SessionKey, ShardId,
    Wants,
};
use tidings_core::identity::{Authority, Identity, TokenError};
use tidings_core::policy::{
    Access, HistoryPolicy, INBOX, InboxPolicy, Kind, Namespace, NamespacePolicy, Policy, TOPIC,
};
use tidings_core::store::{
    Append, KeyRecord, Level, Loaded, ProducerRecord, StoreError, StoredEvent,
};
use tidings_core::{PushAnswer, PushDue, PushService, PushSubscription};

#[derive(Debug)]
struct Names;

impl Authority for Names {
    fn verify(&self, token: &str, _: u64) -> Result<Identity, TokenError> {
        Ok(Identity {
            user: token.into(),
            anonymous: false,
            key: 1,
            expires_at_ms: None,
            issued_at_ms: 0,
            token: None,
            grants: None,
        })
    }

    fn sign_ticket(&self, session: u64, _: u64) -> String {
        format!("{session:016x}.")
    }

    fn read_ticket(&self, _: &str, _: u64) -> Option<u64> {
        None
    }
}

#[derive(Debug)]
struct Pushes;

impl PushService for Pushes {
    fn key(&self) -> &'static str {
        "the-key"
    }

    fn check(&self, to: &PushSubscription) -> Result<(), String> {
        if to.endpoint.starts_with("https://") { Ok(()) } else { Err("not https".into()) }
    }
}

pub(crate) struct Desk {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    pub(crate) disk: HashMap<String, Loaded>,
    /// Appends that the store has not taken yet, while `slow`.
    pub(crate) queue: VecDeque<Append>,
    pub(crate) slow: bool,
    /// Reading fails.
    pub(crate) blind: bool,
    pub(crate) due: Vec<PushDue>,
    pub(crate) pushed: Vec<PushAnswer>,
    /// The events that a webhook for all of them is told.
    pub(crate) noticed: Vec<Value>,
    rules: InboxPolicy,
    heard: HashMap<SessionKey, Vec<Value>>,
    by_slot: HashMap<u32, SessionKey>,
    answers: BTreeMap<u64, Value>,
    asked: u64,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(InboxPolicy::default())
    }

    pub(crate) fn with(rules: InboxPolicy) -> Self {
        let now = Now { mono_ms: 1000, mono_us: 0, wall_ms: 1_700_000_001_000 };
        Self {
            engine: Engine::new(now, config(&rules, true)),
            now,
            disk: HashMap::new(),
            queue: VecDeque::new(),
            slow: false,
            blind: false,
            due: Vec::new(),
            pushed: Vec::new(),
            noticed: Vec::new(),
            rules,
            heard: HashMap::new(),
            by_slot: HashMap::new(),
            answers: BTreeMap::new(),
            asked: 0,
        }
    }

    /// All of it is in memory, and webhooks want to hear everything.
    pub(crate) fn in_memory() -> Self {
        let mut desk = Self::new();
        desk.engine = Engine::new(desk.now, config(&desk.rules, false));
        desk
    }

    /// The process is killed and started again.
    pub(crate) fn restart(&mut self) {
        self.engine = Engine::new(self.now, config(&self.rules, true));
        self.heard.clear();
        self.queue.clear();
    }

    /// A session of a user.
    pub(crate) fn user(&mut self, name: &str) -> SessionKey {
        let key = self.engine.open(self.now, None);
        self.by_slot.insert(key.slot, key);
        let hello = json!({ "type": "hello", "id": 1, "token": name });
        assert_eq!(self.ask(key, &hello)["type"], "welcome");
        key
    }

    /// One that is subscribed to the user's inbox.
    pub(crate) fn device(&mut self, name: &str) -> SessionKey {
        let key = self.user(name);
        let channel = format!("inbox:{name}");
        let frame = self.ask(key, &json!({ "type": "subscribe", "id": 2, "channel": channel }));
        assert_eq!(frame["type"], "subscribed", "{frame}");
        key
    }

    pub(crate) fn say(&mut self, who: SessionKey, command: &Value) {
        self.engine.receive(self.now, who, &command.to_string());
        self.run();
    }

    /// Sends a command and gives its answer.
    pub(crate) fn ask(&mut self, who: SessionKey, command: &Value) -> Value {
        self.say(who, command);
        self.answer(who, &command["id"])
            .unwrap_or_else(|| panic!("no answer to {command}: {:?}", self.heard.get(&who)))
    }

    /// The answer to a command, if it is there.
    pub(crate) fn answer(&mut self, who: SessionKey, id: &Value) -> Option<Value> {
        let heard = self.heard.entry(who).or_default();
        let answer = heard.iter().position(|frame| frame["id"] == *id)?;
        Some(heard.remove(answer))
    }

    /// What somebody has heard since the last time.
    pub(crate) fn heard(&mut self, who: SessionKey) -> Vec<Value> {
        self.heard.remove(&who).unwrap_or_default()
    }

    /// Asks as the API does; the answer, if it is there.
    pub(crate) fn inquire(&mut self, inquiry: Inquiry<'_>) -> Option<Value> {
        self.asked += 1;
        let id = self.asked;
        self.engine.inquire(self.now, id, inquiry);
        self.run();
        self.answers.remove(&id)
    }

    /// Notifies somebody; `null` while that waits.
    pub(crate) fn notify(&mut self, user: &str, key: Option<&str>, ttl_ms: Option<u64>) -> Value {
        let data = serde_json::value::to_raw_value(&json!({ "text": "hello" })).unwrap();
        let (topic, subject, from) = ("news", Some("doc:1"), Some("eve"));
        let notify = Notify { topic, subject, data: &data, key, ttl_ms, from };
        self.inquire(Inquiry::Notify(user, &notify)).unwrap_or_default()
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        self.engine.tick(self.now);
        self.run();
    }

    /// The store takes what waits for it, or refuses it.
    pub(crate) fn store(&mut self, outcome: &Result<(), StoreError>) {
        for (index, append) in std::mem::take(&mut self.queue).into_iter().enumerate() {
            let outcome = match outcome {
                Ok(()) => Ok(self.keep(&append)),
                Err(error) if index == 0 => Err(error.clone()),
                Err(_) => Err(StoreError::OutOfOrder),
            };
            self.engine.stored(self.now, &append.channel, &outcome);
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
                let loaded = Ok(self.disk.get(&*channel).cloned());
                let outcome = if self.blind { Err(StoreError::Full) } else { loaded };
                self.engine.loaded(self.now, &channel, outcome);
            }
            Effect::Drain { session } => self.engine.drained(self.now, session),
            Effect::Send { session, text } => self.hear(session, &text),
            Effect::Fanout { topic, upto, batch } => {
                let slots: Vec<_> =
                    self.engine.subscribers(topic)[..upto].iter().map(|s| s.slot).collect();
                for slot in slots {
                    for delivery in batch.iter() {
                        self.hear(self.by_slot[&slot], &delivery.text);
                    }
                }
            }
            Effect::Answer { text } => {
                let frame: Value = serde_json::from_slice(&text).unwrap();
                self.answers.insert(frame["id"].as_u64().unwrap(), frame);
            }
            Effect::Notice(Notice { what: Happened::Published { event, .. }, .. }) => {
                self.noticed.push(serde_json::from_slice(&event).unwrap());
            }
            Effect::Push(due) => self.due.push(due),
            Effect::Pushed { answer, .. } => self.pushed.push(answer),
            Effect::Pause { .. } | Effect::Resume { .. } => {}
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

fn config(rules: &InboxPolicy, durable: bool) -> Config {
    let namespace = |name: &str, kind| {
        let policy = NamespacePolicy {
            kind,
            subscribe: Access::SignedIn,
            publish: Access::SignedIn,
            history: HistoryPolicy { durable, ..HistoryPolicy::default() },
            inbox: rules.clone(),
            ..NamespacePolicy::default()
        };
        (name.into(), Arc::new(Namespace { name: name.into(), policy, schema: None }))
    };
    let namespaces = HashMap::from([
        namespace("chat", Kind::Events),
        namespace(INBOX, Kind::Inbox),
        namespace(TOPIC, Kind::Topic),
    ]);
    let push: Arc<dyn PushService + Send + Sync> = Arc::new(Pushes);
    let wants = Wants { events: vec!["*".into()], ..Wants::default() };
    Config {
        shard: ShardId(0),
        shards: 1,
        seed: 1,
        store_identity: 1,
        limits: Arc::default(),
        policy: Arc::new(Policy { namespaces, push: Some(push), wants, ..Policy::default() }),
        authority: Arc::new(Names),
        crowd: Arc::new(Crowd::new(1)),
    }
}
