//! An engine alone, its effects in hand.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::HashMap;
use std::sync::Arc;

use tidings_core::engine::{Config, Crowd, Effect, Engine, Now, SessionKey, ShardId};
use tidings_core::identity::{Authority, Identity, TokenError};
use tidings_core::policy::{Access, HistoryPolicy, Namespace, NamespacePolicy, Policy};

/// Knows nobody: everyone is anonymous.
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

/// One engine with the durable namespace `chat`.
pub(crate) struct Desk {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::of(0, Arc::new(Crowd::new(1)), 1)
    }

    /// One of a node of two.
    pub(crate) fn of_two(shard: u16, crowd: Arc<Crowd>) -> Self {
        Self::of(shard, crowd, 2)
    }

    fn of(shard: u16, crowd: Arc<Crowd>, shards: u16) -> Self {
        let now = Now { mono_ms: 0, mono_us: 0, wall_ms: 1_700_000_000_000 };
        let config = Config {
            shard: ShardId(shard),
            shards,
            seed: 1,
            store_identity: 1,
            limits: Arc::default(),
            policy: Arc::new(Self::policy()),
            authority: Arc::new(Nobody),
            crowd,
        };
        Self { engine: Engine::new(now, config), now }
    }

    /// Its rules.
    pub(crate) fn policy() -> Policy {
        let history =
            HistoryPolicy { durable: true, read: Access::Anyone, ..HistoryPolicy::default() };
        let policy = NamespacePolicy {
            subscribe: Access::Anyone,
            publish: Access::Anyone,
            history,
            ..NamespacePolicy::default()
        };
        let chat = Namespace { name: "chat".into(), policy, schema: None };
        let namespaces = HashMap::from([("chat".into(), Arc::new(chat))]);
        Policy { anonymous: true, namespaces, ..Policy::default() }
    }

    pub(crate) fn open(&mut self) -> SessionKey {
        self.engine.open(self.now, None)
    }

    pub(crate) fn say(&mut self, who: SessionKey, text: &str) {
        self.engine.receive(self.now, who, text);
    }

    pub(crate) fn subscribe(&mut self, who: SessionKey, channel: &str) {
        self.say(who, &format!(r#"{{"type":"subscribe","id":1,"channel":"{channel}"}}"#));
    }

    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        self.engine.effects()
    }

    /// All that was sent by now, the turn's end included.
    pub(crate) fn sent(&mut self) -> String {
        self.engine.end_turn(self.now);
        let text = |effect| match effect {
            Effect::Send { text, .. } => vec![text],
            Effect::Fanout { batch, .. } => batch.iter().map(|d| d.text.clone()).collect(),
            _ => vec![],
        };
        let all: Vec<_> = self.engine.effects().into_iter().flat_map(text).collect();
        String::from_utf8_lossy(&all.concat()).into_owned()
    }
}
