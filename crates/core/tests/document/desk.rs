//! A node with documents and a store that is a map, driven by hand. A token is a user's name, and
//! behind a slash what it may not do: `eve/publish`. Where it holds, and for how many seconds, may
//! follow: `eve;doc:plan;60`.

mod node;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tidings_core::engine::{
    Config, Crowd, Editor, Effect, Engine, Message, Now, SessionKey, ShardId, Verdict,
};
use tidings_core::identity::{Action, Authority, Grant, Identity, TokenError};
use tidings_core::policy::{
    Access, HistoryPolicy, Kind, Namespace, NamespacePolicy, Policy, PresencePolicy,
};
use tidings_core::store::{Append, Loaded, StoreError};
use tidings_core::{Limits, Period};
use tidings_proto::{CloseCode, from_base64, to_base64};

/// The document of most stories.
pub(crate) const DOC: &str = "doc:plan";

#[derive(Debug)]
struct Names;

impl Authority for Names {
    fn verify(&self, token: &str, now_ms: u64) -> Result<Identity, TokenError> {
        let (token, holds) = token.split_once(';').unwrap_or((token, "*;"));
        let (pattern, seconds) = holds.split_once(';').unwrap_or((holds, ""));
        let seconds: Option<u64> = seconds.parse().ok();
        let (user, without) = token.split_once('/').unwrap_or((token, ""));
        if user == "mallory" {
            return Err(TokenError::Refused("nobody knows it".into()));
        }
        let actions = Action::ALL.into_iter().filter(|may| !without.contains(may.as_str()));
        let grant = Grant { pattern: pattern.into(), actions: actions.collect() };
        Ok(Identity {
            user: user.into(),
            anonymous: false,
            key: 1,
            expires_at_ms: seconds.map(|seconds| now_ms + seconds * 1000),
            issued_at_ms: 0,
            token: None,
            grants: Some([grant].into()),
        })
    }

    fn sign_ticket(&self, session: u64, _: u64) -> String {
        format!("{session:016x}.")
    }

    fn read_ticket(&self, _: &str, _: u64) -> Option<u64> {
        None
    }
}

/// A connection of somebody.
pub(crate) type Who = usize;

#[derive(Debug, Default)]
struct Person {
    at: Option<(usize, SessionKey)>,
    heard: Vec<Value>,
    got: Vec<Bytes>,
    closed: Option<CloseCode>,
    paused: bool,
    /// What it was sent waits to be written.
    stalled: bool,
    drains: usize,
}

pub(crate) struct Desk {
    pub(crate) engines: Vec<Engine>,
    pub(crate) now: Now,
    pub(crate) disk: HashMap<String, Loaded>,
    /// Appends that the store has not taken yet, while `slow`.
    pub(crate) queue: VecDeque<(usize, Append)>,
    pub(crate) slow: bool,
    /// To backends.
    pub(crate) answers: Vec<Value>,
    mail: VecDeque<(usize, Message)>,
    people: Vec<Person>,
    limits: Limits,
    policy: NamespacePolicy,
    change: fn(&mut Policy),
    /// Questions to the backend.
    asked: VecDeque<(usize, u64)>,
    seed: u64,
    wakes: Vec<(usize, u64)>,
    /// How many frames the engines have sent since the story began.
    pub(crate) sent: usize,
    /// What the store has of versions is not read.
    pub(crate) carry_out_but_loads_of_versions: bool,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(1, |_, _| {})
    }

    pub(crate) fn with(
        shards: usize,
        change: impl FnOnce(&mut Limits, &mut NamespacePolicy),
    ) -> Self {
        let mut limits = Limits::default();
        let mut policy = NamespacePolicy {
            kind: Kind::Document,
            subscribe: Access::Token,
            publish: Access::Token,
            presence: PresencePolicy { access: Access::Token, ..PresencePolicy::default() },
            history: HistoryPolicy { durable: true, ..HistoryPolicy::default() },
            ..NamespacePolicy::default()
        };
        change(&mut limits, &mut policy);
        let now = Now { mono_ms: 1000, mono_us: 0, wall_ms: 1_700_000_001_000 };
        let mut desk = Self {
            engines: Vec::new(),
            now,
            disk: HashMap::new(),
            queue: VecDeque::new(),
            slow: false,
            answers: Vec::new(),
            mail: VecDeque::new(),
            people: Vec::new(),
            limits,
            policy,
            change: |_| {},
            asked: VecDeque::new(),
            seed: 1,
            wakes: Vec::new(),
            sent: 0,
            carry_out_but_loads_of_versions: false,
        };
        desk.start(shards);
        desk
    }

    /// With other rules for the whole node.
    pub(crate) fn ruled(change: fn(&mut Policy)) -> Self {
        let mut desk = Self::new();
        desk.change = change;
        desk.start(1);
        desk
    }

    /// The backend answers the oldest question.
    pub(crate) fn advise(&mut self, verdict: Verdict) {
        let (shard, id) = self.asked.pop_front().unwrap();
        self.engines[shard].advised(self.now, id, verdict);
        self.run();
    }

    /// The server stops: somebody goes when nothing is owed to them.
    pub(crate) fn farewell(&mut self, who: Who) {
        if let Some((shard, key)) = self.people[who].at {
            self.engines[shard].farewell(self.now, key, CloseCode::Draining, None);
        }
        self.run();
    }

    /// A session that asks for the document where the backend has to be asked.
    pub(crate) fn reader_asked(&mut self, token: &str) -> Who {
        let who = self.user(token);
        self.say(who, &json!({ "type": "subscribe", "id": 2, "channel": DOC }));
        who
    }

    fn start(&mut self, shards: usize) {
        let crowd = Arc::new(Crowd::new(u16::try_from(shards).unwrap()));
        self.engines = (0..shards)
            .map(|shard| {
                self.seed += 1;
                let config = Config {
                    shard: ShardId(u16::try_from(shard).unwrap()),
                    shards: u16::try_from(shards).unwrap(),
                    seed: self.seed,
                    store_identity: 1,
                    limits: Arc::new(self.limits.clone()),
                    policy: Arc::new(rules(&self.policy, self.change)),
                    authority: Arc::new(Names),
                    crowd: crowd.clone(),
                };
                Engine::new(self.now, config)
            })
            .collect();
    }

    /// The rules change under a running node.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut Limits, &mut NamespacePolicy)) {
        change(&mut self.limits, &mut self.policy);
        for shard in 0..self.engines.len() {
            let policy = Arc::new(rules(&self.policy, self.change));
            self.engines[shard].reconfigure(self.now, policy, Arc::new(self.limits.clone()));
        }
        self.run();
    }

    /// The process is killed and started again: what was on its way to the disk is not there.
    pub(crate) fn restart(&mut self) {
        let shards = self.engines.len();
        for person in &mut self.people {
            if person.at.take().is_some() {
                person.closed = Some(CloseCode::GoingAway);
            }
        }
        self.queue.clear();
        self.mail.clear();
        self.wakes.clear();
        self.start(shards);
    }

    fn connect(&mut self, token: &str) -> Who {
        let shard = self.people.len() % self.engines.len();
        let key = self.engines[shard].open(self.now, Some(token));
        self.people.push(Person { at: Some((shard, key)), ..Person::default() });
        self.people.len() - 1
    }

    /// A session of a user that speaks JSON.
    pub(crate) fn user(&mut self, token: &str) -> Who {
        let who = self.connect(token);
        let said = self.ask(who, &json!({ "type": "hello", "id": 1 }));
        assert_eq!(said["type"], "welcome", "{said}");
        who
    }

    /// The same, with the document open.
    pub(crate) fn reader(&mut self, token: &str) -> Who {
        let who = self.user(token);
        self.open(who, DOC);
        who
    }

    pub(crate) fn open(&mut self, who: Who, channel: &str) {
        let subscribe =
            json!({ "type": "subscribe", "id": 2, "channel": channel, "presence": true });
        let said = self.ask(who, &subscribe);
        assert_eq!(said["type"], "subscribed", "{said}");
    }

    /// A connection of an editor.
    pub(crate) fn editor(&mut self, token: &str, editor: Editor) -> Who {
        let who = self.connect(token);
        if let Some((shard, key)) = self.people[who].at {
            self.engines[shard].open_editor(self.now, key, editor);
        }
        self.run();
        who
    }

    pub(crate) fn yjs(&mut self, token: &str) -> Who {
        self.editor(token, Editor::Yjs { document: DOC.into() })
    }

    /// One whose connection says nothing of its user.
    pub(crate) fn editor_without_token(&mut self, editor: Editor) -> Who {
        let shard = self.people.len() % self.engines.len();
        let key = self.engines[shard].open(self.now, None);
        self.people.push(Person { at: Some((shard, key)), ..Person::default() });
        self.engines[shard].open_editor(self.now, key, editor);
        self.run();
        self.people.len() - 1
    }

    /// One whose opening has not been carried out yet.
    pub(crate) fn yjs_unread(&mut self, token: &str) -> Who {
        let who = self.connect(token);
        if let Some((shard, key)) = self.people[who].at {
            self.engines[shard].open_editor(self.now, key, Editor::Yjs { document: DOC.into() });
        }
        who
    }

    /// A binary message of which nothing is carried out yet.
    pub(crate) fn send_only(&mut self, who: Who, message: &[u8]) {
        if let Some((shard, key)) = self.people[who].at {
            self.engines[shard].receive_binary(self.now, key, message);
        }
    }

    /// The connection is lost.
    pub(crate) fn leave(&mut self, who: Who) {
        if let Some((shard, key)) = self.people[who].at.take() {
            self.engines[shard].close(self.now, key, true);
        }
        self.run();
    }

    pub(crate) fn say(&mut self, who: Who, command: &Value) {
        if let Some((shard, key)) = self.people[who].at {
            self.engines[shard].receive(self.now, key, &command.to_string());
        }
        self.run();
    }

    /// A command of which nothing is carried out yet.
    pub(crate) fn say_nothing_yet(&mut self, who: Who, command: &Value) {
        if let Some((shard, key)) = self.people[who].at {
            self.engines[shard].receive(self.now, key, &command.to_string());
        }
    }

    /// Sends commands in one flight.
    pub(crate) fn say_all(&mut self, who: Who, commands: &[Value]) {
        for command in commands {
            if let Some((shard, key)) = self.people[who].at {
                self.engines[shard].receive(self.now, key, &command.to_string());
            }
        }
        self.run();
    }

    /// Sends a command and gives its answer.
    pub(crate) fn ask(&mut self, who: Who, command: &Value) -> Value {
        self.say(who, command);
        self.answer(who, &command["id"])
            .unwrap_or_else(|| panic!("no answer to {command}: {:?}", self.people[who].heard))
    }

    pub(crate) fn answer(&mut self, who: Who, id: &Value) -> Option<Value> {
        let heard = &mut self.people[who].heard;
        let at = heard.iter().position(|frame| frame["id"] == *id)?;
        Some(heard.remove(at))
    }

    /// Merges an update; the answer.
    pub(crate) fn merge(&mut self, who: Who, update: &[u8]) -> Value {
        self.ask(who, &merge(9, update))
    }

    /// All that somebody lacks who has this vector: its parts, joined.
    pub(crate) fn sync(&mut self, who: Who, vector: &[u8]) -> Vec<u8> {
        let sync = json!({ "type": "sync", "id": 8, "channel": DOC, "vector": to_base64(vector) });
        self.say(who, &sync);
        let mut update = Vec::new();
        loop {
            let page = self.answer(who, &json!(8)).unwrap_or_else(|| panic!("no synced"));
            assert_eq!(page["type"], "synced", "{page}");
            update.extend(bytes_of(&page["update"]));
            if page["more"] != true {
                return update;
            }
        }
    }

    /// Somebody has reset a document, by the API.
    pub(crate) fn reset(&mut self, channel: &str) {
        self.engines[0].reset_document(self.now, &"api".into(), 1, channel, true);
        self.run();
        assert!(self.answers.drain(..).all(|answer| answer["type"] == "merged"));
    }

    /// A binary message of an editor.
    pub(crate) fn send(&mut self, who: Who, message: &[u8]) {
        if let Some((shard, key)) = self.people[who].at {
            self.engines[shard].receive_binary(self.now, key, message);
        }
        self.run();
    }

    /// What somebody has heard since the last time.
    pub(crate) fn heard(&mut self, who: Who) -> Vec<Value> {
        std::mem::take(&mut self.people[who].heard)
    }

    /// The same of an editor.
    pub(crate) fn got(&mut self, who: Who) -> Vec<Bytes> {
        std::mem::take(&mut self.people[who].got)
    }

    pub(crate) fn closed(&self, who: Who) -> Option<CloseCode> {
        self.people[who].closed
    }

    pub(crate) fn is_paused(&self, who: Who) -> bool {
        self.people[who].paused
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        while self.now.mono_ms < end {
            let step = (end - self.now.mono_ms).min(500);
            self.move_clock(step);
            for shard in 0..self.engines.len() {
                self.engines[shard].tick(self.now);
            }
            self.run();
        }
    }

    /// A moment, at the end of which the engines are woken as they wanted.
    pub(crate) fn moment(&mut self) {
        self.move_clock(60);
        for (shard, at_ms) in std::mem::take(&mut self.wakes) {
            assert!(at_ms <= self.now.mono_ms);
            self.engines[shard].wake(self.now);
        }
        self.run();
    }

    /// A tick of which nothing else is carried out yet.
    pub(crate) fn tick_only(&mut self) {
        for engine in &mut self.engines {
            engine.tick(self.now);
            let spoken = engine.effects().into_iter();
            assert_eq!(spoken.filter(|it| matches!(it, Effect::SendBinary { .. })).count(), 0);
        }
    }

    fn move_clock(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        self.now.mono_us += ms * 1000;
    }

    /// The store takes what waits for it, or refuses it.
    pub(crate) fn store(&mut self, outcome: &Result<(), StoreError>) {
        let mut failed: Vec<Arc<str>> = Vec::new();
        for (shard, append) in std::mem::take(&mut self.queue) {
            let outcome = match outcome {
                Ok(()) => Ok(self.keep(&append)),
                Err(_) if failed.contains(&append.channel) => Err(StoreError::OutOfOrder),
                Err(error) => {
                    failed.push(append.channel.clone());
                    Err(error.clone())
                }
            };
            self.engines[shard].stored(self.now, &append.channel, &outcome);
        }
        self.run();
    }

    /// The store takes the oldest of what waits for it.
    pub(crate) fn store_one(&mut self) {
        if let Some((shard, append)) = self.queue.pop_front() {
            let level = self.keep(&append);
            self.engines[shard].stored(self.now, &append.channel, &Ok(level));
            self.run();
        }
    }

    /// Who did not read goes on: so many times what it was sent has been written.
    pub(crate) fn read(&mut self, who: Who, times: usize) {
        for _ in 0..times {
            let Some((shard, key)) = self.people[who].at else { return };
            if self.people[who].drains == 0 {
                return;
            }
            self.people[who].drains = 0;
            self.engines[shard].drained(self.now, key);
            self.run();
        }
    }

    pub(crate) fn stall(&mut self, who: Who, stalled: bool) {
        self.people[who].stalled = stalled;
        if !stalled {
            self.read(who, usize::MAX);
        }
    }

    /// What is in a document's log, and how many pages its checkpoints have.
    pub(crate) fn on_disk(&self, channel: &str) -> (usize, usize) {
        let count = |name: &str| self.disk.get(name).map_or(0, |kept| kept.events.len());
        (count(channel), count(&format!("\0fold:{channel}")))
    }
}

pub(crate) fn merge(id: u64, update: &[u8]) -> Value {
    json!({ "type": "merge", "id": id, "channel": DOC, "update": to_base64(update) })
}

pub(crate) fn bytes_of(text: &Value) -> Vec<u8> {
    from_base64(text.as_str().unwrap_or_default()).unwrap()
}

fn rules(policy: &NamespacePolicy, change: fn(&mut Policy)) -> Policy {
    let chat = NamespacePolicy {
        subscribe: Access::Anyone,
        history: HistoryPolicy { ttl: Period::secs(60), ..HistoryPolicy::default() },
        ..NamespacePolicy::default()
    };
    let namespace = |name: &str, policy: NamespacePolicy| {
        (name.into(), Arc::new(Namespace { name: name.into(), policy, schema: None }))
    };
    let namespaces = HashMap::from([namespace("doc", policy.clone()), namespace("chat", chat)]);
    let mut policy = Policy { namespaces, ..Policy::default() };
    change(&mut policy);
    policy
}
