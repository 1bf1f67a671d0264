//! An engine alone, whose questions to the backend the test answers.

use std::sync::Arc;

use serde_json::{Value, json};
use tidings_core::engine::{
    About, Advice, Config, Crowd, Denial, Draft, Effect, Engine, Now, SessionKey, ShardId, Verdict,
};
use tidings_core::policy::{Access, Hook, Namespace, NamespacePolicy, Policy};
use tidings_core::{Limits, Period};
use tidings_proto::{CloseCode, ErrorCode};
use tidings_sim::TestAuthority;

/// One engine. `chat` asks about publishes, `club` about subscriptions, `both` about both, and
/// `free` about nothing; all are in memory.
pub(crate) struct Door {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    /// Open questions.
    pub(crate) asked: Vec<(u64, About)>,
    pub(crate) sent: Vec<(SessionKey, Value)>,
    pub(crate) closed: Vec<(SessionKey, u16)>,
    /// Who is not read.
    pub(crate) paused: Vec<SessionKey>,
    commands: u64,
}

impl Door {
    pub(crate) fn new(change: impl FnOnce(&mut Policy, &mut Limits)) -> Self {
        let now = Now { mono_ms: 0, mono_us: 0, wall_ms: 1_777_636_800_000 };
        let (mut policy, mut limits) = (Policy::default(), Limits::default());
        let both = [Hook::Publish, Hook::Subscribe];
        let hooks: [(&str, &[Hook]); 4] =
            [("chat", &both[..1]), ("club", &both[1..]), ("both", &both), ("free", &[])];
        for (name, hooks) in hooks {
            let rules = NamespacePolicy {
                subscribe: Access::Anyone,
                publish: Access::Anyone,
                hooks: hooks.to_vec(),
                ..NamespacePolicy::default()
            };
            let namespace = Namespace { name: name.into(), policy: rules, schema: None };
            policy.namespaces.insert(name.into(), Arc::new(namespace));
        }
        limits.session_window = Period::secs(60);
        change(&mut policy, &mut limits);
        let config = Config {
            shard: ShardId(0),
            shards: 1,
            seed: 1,
            store_identity: 1,
            limits: Arc::new(limits.clone()),
            policy: Arc::new(policy.clone()),
            authority: Arc::new(TestAuthority),
            crowd: Arc::new(Crowd::new(1)),
        };
        let engine = Engine::new(now, config);
        let (asked, sent, closed, paused) = (vec![], vec![], vec![], vec![]);
        Self { engine, now, policy, limits, asked, sent, closed, paused, commands: 0 }
    }

    /// Two sessions whose users the authority knows, and nobody asks about.
    pub(crate) fn pair() -> (Self, SessionKey, SessionKey) {
        let mut door = Self::new(|_, _| ());
        let (ada, bob) = (door.user("ada"), door.user("bob"));
        (door, ada, bob)
    }

    pub(crate) fn user(&mut self, name: &str) -> SessionKey {
        let key = self.engine.open(self.now, None);
        self.say(key, json!({ "type": "hello", "token": format!("user:{name}") }));
        key
    }

    /// A command; its id.
    pub(crate) fn say(&mut self, who: SessionKey, mut command: Value) -> u64 {
        self.commands += 1;
        command["id"] = self.commands.into();
        self.engine.receive(self.now, who, &command.to_string());
        self.settle();
        self.commands
    }

    pub(crate) fn publish(&mut self, who: SessionKey, channel: &str, data: &str) -> u64 {
        self.say(who, json!({ "type": "publish", "channel": channel, "data": data }))
    }

    pub(crate) fn numbered(&mut self, who: SessionKey, data: &str, seq: u64) -> u64 {
        let command = json!({
            "type": "publish", "channel": "chat:a", "data": data, "producer": "p", "seq": seq,
        });
        self.say(who, command)
    }

    pub(crate) fn join(&mut self, who: SessionKey, channel: &str) -> u64 {
        self.say(who, json!({ "type": "subscribe", "channel": channel }))
    }

    /// The verdict on the `n`th open question.
    pub(crate) fn answer(&mut self, n: usize, verdict: Verdict) {
        let (id, _) = self.asked.remove(n);
        self.engine.advised(self.now, id, verdict);
        self.settle();
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        self.engine.tick(self.now);
        self.settle();
    }

    pub(crate) fn settle(&mut self) {
        self.engine.end_turn(self.now);
        for effect in self.engine.effects() {
            match effect {
                Effect::Consult { id, about, .. } => self.asked.push((id, about)),
                Effect::Send { session, text } => {
                    self.sent.push((session, serde_json::from_slice(&text).unwrap()));
                }
                Effect::Fanout { topic, upto, batch } => {
                    let slots: Vec<_> = self.engine.subscribers(topic)[..upto].to_vec();
                    for delivery in batch.iter() {
                        let event: Value = serde_json::from_slice(&delivery.text).unwrap();
                        // Every session of these stories has the serial of its slot.
                        let key = |slot: u32| SessionKey { slot, serial: slot + 1 };
                        self.sent.extend(slots.iter().map(|s| (key(s.slot), event.clone())));
                    }
                }
                Effect::Close { session, code, .. } => self.closed.push((session, code.code())),
                Effect::Pause { session } => self.paused.push(session),
                Effect::Resume { session } => self.paused.retain(|paused| *paused != session),
                Effect::Answer { text } => {
                    let nobody = SessionKey { slot: u32::MAX, serial: 0 };
                    self.sent.push((nobody, serde_json::from_slice(&text).unwrap()));
                }
                Effect::Drain { session } => self.engine.drained(self.now, session),
                other => panic!("{other:?}"),
            }
        }
    }

    /// What a command got.
    pub(crate) fn reply(&self, id: u64) -> Option<&Value> {
        self.sent.iter().map(|(_, frame)| frame).find(|frame| frame["id"] == id)
    }

    pub(crate) fn kind(&self, id: u64) -> &str {
        self.reply(id).and_then(|frame| frame["type"].as_str()).unwrap_or("nothing")
    }

    pub(crate) fn code(&self, id: u64) -> &str {
        self.reply(id).and_then(|frame| frame["code"].as_str()).unwrap_or("nothing")
    }

    /// The data of all events that somebody was sent.
    pub(crate) fn heard(&self, who: SessionKey) -> Vec<Value> {
        let theirs =
            self.sent.iter().filter(|(key, frame)| *key == who && frame["type"] == "event");
        theirs.map(|(_, frame)| frame["data"].clone()).collect()
    }

    /// The `n`th open question, about a publish.
    pub(crate) fn draft(&self, n: usize) -> &Draft {
        match &self.asked[n].1 {
            About::Publish(draft) => draft,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn allow() -> Verdict {
    Verdict::Allow(Advice::default())
}

pub(crate) fn deny(message: &str) -> Verdict {
    Verdict::Deny(Denial {
        code: ErrorCode::Forbidden,
        close: CloseCode::Forbidden,
        message: Some(message.into()),
    })
}

/// The message of a `bye` that was sent last.
pub(crate) fn bye(door: &Door) -> Value {
    let last = door.sent.iter().rev().find(|(_, frame)| frame["type"] == "bye");
    last.map(|(_, frame)| frame.clone()).unwrap_or_default()
}
