//! Any bytes as what a client sends, through the WebSocket decoder into a session of the engine.
//!
//! Nothing panics, and what one message causes is bounded: in number and in size. The first byte of
//! the input says in how large pieces it arrives, the second after how many of them a turn ends.

#![no_main]

use std::collections::VecDeque;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tidings_core::Limits;
use tidings_core::document::restore;
use tidings_core::engine::{
    Advice, Config, Crowd, Denial, Effect, Engine, Now, SessionKey, ShardId, Verdict, Wants,
};
use tidings_core::identity::{Authority, Identity, TokenError};
use tidings_core::policy::{
    Access, HistoryPolicy, Hook, INBOX, InboxPolicy, Kind, Namespace, NamespacePolicy, Policy,
    PresencePolicy, TOPIC,
};
use tidings_core::store::{Level, StoreError};
use tidings_proto::{CloseCode, ErrorCode};
use tidings_websocket::{Decoder, Item, Role};

/// When it all happens.
const WALL_MS: u64 = 1_777_636_800_000;

/// Effects of one message, with all that comes of them.
const EFFECTS_MAX: usize = 1024;

/// Believes a token that is `user:NAME`, and a ticket that is a number.
#[derive(Debug)]
struct Believer;

impl Authority for Believer {
    fn verify(&self, token: &str, _wall_ms: u64) -> Result<Identity, TokenError> {
        let user = token.strip_prefix("user:").filter(|user| !user.starts_with("anon-"));
        let user = user.ok_or_else(|| TokenError::Refused("it names no user".into()))?;
        let expires_at_ms = user.starts_with("short").then_some(WALL_MS + 60_000);
        Ok(Identity {
            user: user.into(),
            anonymous: false,
            key: 1,
            expires_at_ms,
            issued_at_ms: 0,
            token: None,
            grants: None,
        })
    }

    fn sign_ticket(&self, session: u64, _expires_ms: u64) -> String {
        format!("{session:016x}.0")
    }

    fn read_ticket(&self, ticket: &str, _wall_ms: u64) -> Option<u64> {
        u64::from_str_radix(ticket.split('.').next()?, 16).ok()
    }
}

/// `a` is in memory and `b` durable; everybody may do everything in both. In `c` the backend is
/// asked.
fn policy() -> Policy {
    let mut policy = Policy { anonymous: true, ..Policy::default() };
    let asked = vec![Hook::Publish, Hook::Subscribe];
    for (name, durable, hooks) in [("a", false, vec![]), ("b", true, vec![]), ("c", false, asked)] {
        let history = HistoryPolicy { size: 20, durable, ..HistoryPolicy::default() };
        let presence = PresencePolicy { access: Access::Anyone, ..PresencePolicy::default() };
        let (subscribe, publish) = (Access::Anyone, Access::Anyone);
        let rules = NamespacePolicy {
            subscribe,
            publish,
            hooks,
            history,
            presence,
            ..NamespacePolicy::default()
        };
        let namespace = Namespace { name: name.into(), policy: rules, schema: None };
        policy.namespaces.insert(name.into(), Arc::new(namespace));
    }
    for (name, kind) in [(INBOX, Kind::Inbox), (TOPIC, Kind::Topic)] {
        let history = HistoryPolicy { size: 20, durable: true, ..HistoryPolicy::default() };
        let inbox = InboxPolicy { items: 5, bytes: 4096, ..InboxPolicy::default() };
        let subscribe = Access::Anyone;
        let rules =
            NamespacePolicy { kind, subscribe, history, inbox, ..NamespacePolicy::default() };
        let namespace = Namespace { name: name.into(), policy: rules, schema: None };
        policy.namespaces.insert(name.into(), Arc::new(namespace));
    }
    let all = || vec!["*".into()];
    policy.wants = Wants { users: true, channels: all(), events: all() };
    policy
}

fn engine(now: Now) -> Engine {
    let limits = Limits { frame: 4096, data: 1024, page_bytes: 4096, ..Limits::default() };
    let config = Config {
        shard: ShardId(0),
        shards: 1,
        seed: 7,
        store_identity: 7,
        limits: Arc::new(limits),
        policy: Arc::new(policy()),
        authority: Arc::new(Believer),
        crowd: Arc::new(Crowd::new(1)),
    };
    Engine::new(now, config)
}

/// The engine, the session that sends and one that only listens.
struct Driver {
    engine: Engine,
    now: Now,
    session: SessionKey,
    open: bool,
    /// Appends so far: every seventh fails.
    appends: u64,
}

impl Driver {
    fn new() -> Self {
        let now = Now { mono_ms: 1000, mono_us: 1_000_000, wall_ms: WALL_MS };
        let mut engine = engine(now);
        let listener = engine.open(now, None);
        for channel in ["a:1", "b:1"] {
            let text =
                format!(r#"{{"type":"subscribe","id":1,"channel":"{channel}","presence":true}}"#);
            engine.receive(now, listener, &text);
        }
        let session = engine.open(now, None);
        let mut driver = Self { engine, now, session, open: true, appends: 0 };
        driver.carry_out();
        driver
    }

    /// Carries effects out until none is left. What the store and the socket say comes behind all
    /// effects of a call, as with a real driver.
    fn carry_out(&mut self) {
        let (mut due, mut count) = (VecDeque::new(), 0);
        loop {
            for effect in self.engine.effects() {
                count += 1;
                assert!(count <= EFFECTS_MAX, "no end of effects: {effect:?}");
                due.extend(self.effect(effect));
            }
            let Some(outcome) = due.pop_front() else { break };
            self.outcome(outcome);
        }
    }

    /// Carries one effect out; gives it back if something will come of it.
    fn effect(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Answer { .. } | Effect::Pushed { .. } | Effect::Told { .. } => {
                panic!("nobody asked")
            }
            Effect::Append(_)
            | Effect::AppendSoon(_)
            | Effect::Consult { .. }
            | Effect::Drain { .. }
            | Effect::Load { .. }
            | Effect::Probe { .. }
            | Effect::Restore { .. }
            | Effect::SendProbing { .. } => return Some(effect),
            Effect::Close { session, .. } => self.open &= session != self.session,
            Effect::Fanout { topic, upto, batch } => {
                assert!(upto <= self.engine.subscribers(topic).len());
                assert!(batch.iter().all(|delivery| delivery.text.len() <= 8192));
            }
            Effect::Message { .. } | Effect::Move { .. } => panic!("there is no other shard"),
            // Here all that has come is handed on, and each turn wakes the engine.
            Effect::Notice(_)
            | Effect::Pause { .. }
            | Effect::Push(_)
            | Effect::Resume { .. }
            | Effect::Wake { .. } => {}
            Effect::Send { text, .. } => assert!(text.len() <= 64 << 10, "{} bytes", text.len()),
            Effect::SendBinary { .. } => panic!("the session is no editor"),
        }
        None
    }

    /// What comes of an effect.
    fn outcome(&mut self, effect: Effect) {
        match effect {
            Effect::Restore { channel, ticket, now, then, client } => {
                let made = restore(&now, &then, client);
                self.engine.restored(self.now, &channel, ticket, made);
            }
            Effect::Append(append) | Effect::AppendSoon(append) => {
                self.appends += 1;
                let failed = self.appends % 7 == 0;
                let outcome = if failed { Err(StoreError::Full) } else { Ok(Level::Fsync) };
                self.engine.stored(self.now, &append.channel, &outcome);
            }
            Effect::Consult { id, .. } => {
                let denial = Denial {
                    code: ErrorCode::Forbidden,
                    close: CloseCode::Forbidden,
                    message: None,
                };
                let verdict = match id % 3 {
                    0 => Verdict::Deny(denial),
                    1 => Verdict::Failed,
                    _ => Verdict::Allow(Advice::default()),
                };
                self.engine.advised(self.now, id, verdict);
            }
            Effect::Drain { session } => self.engine.drained(self.now, session),
            Effect::Probe { session } | Effect::SendProbing { session, .. } => {
                self.engine.received(self.now, session, 4096, self.appends % 2 == 0);
            }
            Effect::Load { channel } => self.engine.loaded(self.now, &channel, Ok(None)),
            other => panic!("nothing comes of {other:?}"),
        }
    }

    /// Time passes, and a turn ends.
    fn turn(&mut self) {
        self.now.mono_ms += 700;
        self.now.wall_ms += 700;
        self.engine.tick(self.now);
        self.engine.wake(self.now);
        self.carry_out();
        self.engine.end_turn(self.now);
        self.carry_out();
    }
}

fuzz_target!(|input: &[u8]| {
    let [size, turns, bytes @ ..] = input else { return };
    let mut driver = Driver::new();
    let config = tidings_websocket::Config { max_frame: 4096, max_message: 4096, max_fragments: 8 };
    let mut decoder = Decoder::new(Role::Server);
    for (index, piece) in bytes.chunks(usize::from(*size).max(1)).enumerate() {
        let mut piece = piece.to_vec();
        let mut reader = decoder.read(&config, &mut piece, None);
        while let Ok(Some(item)) = reader.next_item() {
            if let Item::Text(text) = item {
                driver.engine.receive(driver.now, driver.session, text);
                driver.carry_out();
            }
        }
        if index % (usize::from(*turns) + 1) == 0 {
            driver.turn();
        }
        if decoder.is_stopped() || !driver.open {
            break;
        }
    }
    driver.turn();
    driver.engine.close(driver.now, driver.session, true);
    driver.carry_out();
    driver.turn();
    assert_eq!(driver.engine.counts().sessions, 1, "the listener is left");
});
