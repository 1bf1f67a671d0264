//! The node: what the driver of the real server does with an engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tidings_core::engine::{
    About, Attendee, Config, Crowd, Delivery, Happened, Message, Now, SessionKey, ShardId,
    TopicKey, Traveller, Verdict,
};
use tidings_core::{Effect, Engine};
use tidings_proto::CloseCode;

use super::net::Down;
use super::{Event, World};
use crate::authority::TestAuthority;
use crate::keeper::{Keeper, Outcome};

/// How long the application's backend may take.
const BACKEND_TIMEOUT_MS: u64 = 2000;

/// The process.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// How often it was started.
    pub(super) life: u64,
    pub(super) up: bool,
    /// It takes connections.
    pub(super) accepting: bool,
    pub(super) started_ms: u64,
    pub(super) started_wall_ms: u64,
    pub(super) engines: Vec<Engine>,
    mail: BTreeMap<(u16, u16), VecDeque<Message>>,
    /// The link of each session, by shard and slot.
    pub(super) sessions: BTreeMap<(u16, u32), usize>,
    pub(super) turn_due: Vec<bool>,
    pub(super) keeper: Option<Keeper>,
    /// Sessions to be dismissed once the effects at hand are done.
    dismissals: VecDeque<(SessionKey, CloseCode)>,
}

impl World {
    pub(super) fn engine_now(&self) -> Now {
        let mono_ms = self.now_ms - self.node.started_ms;
        Now { mono_ms, mono_us: mono_ms * 1000, wall_ms: self.wall_ms() }
    }

    /// The clock that stored events are stamped with: it does not jump while the node runs.
    pub(super) fn steady_ms(&self) -> u64 {
        self.node.started_wall_ms + self.now_ms - self.node.started_ms
    }

    /// The process starts; again a little later if the disk does not let it.
    pub(super) fn start(&mut self) {
        let wall_ms = self.wall_ms();
        let Some(keeper) = self.disk.open(wall_ms, self.trace) else {
            if self.disk.fs.is_off() {
                self.lose_power();
            }
            self.after(1000, Event::Start);
            return;
        };
        self.node = Node {
            life: self.node.life + 1,
            up: true,
            accepting: true,
            started_ms: self.now_ms,
            started_wall_ms: wall_ms,
            turn_due: vec![false; usize::from(self.setup.shards)],
            keeper: Some(keeper),
            ..Node::default()
        };
        let limits = Arc::new(self.setup.limits.clone());
        let policy = Arc::new(self.setup.policy.clone());
        let crowd = Arc::new(Crowd::new(self.setup.shards));
        for shard in 0..self.setup.shards {
            let config = Config {
                shard: ShardId(shard),
                shards: self.setup.shards,
                seed: self.rng.next_u64(),
                store_identity: self.disk.identity,
                limits: limits.clone(),
                policy: policy.clone(),
                authority: Arc::new(TestAuthority),
                crowd: crowd.clone(),
            };
            let mut engine = Engine::new(self.engine_now(), config);
            engine.expect(self.engine_now(), self.told_as_there());
            self.node.engines.push(engine);
        }
        self.node_after(500, Event::Tick);
    }

    /// Who was told as there last: what a driver keeps for the next start.
    fn told_as_there(&self) -> BTreeSet<Attendee> {
        let mut there = BTreeSet::new();
        for notice in &self.notices {
            match &notice.what {
                Happened::Attendance(who, true) => drop(there.insert(who.clone())),
                Happened::Attendance(who, false) => drop(there.remove(who)),
                Happened::Published { .. } => {}
            }
        }
        there
    }

    /// Calls an engine and does what it says.
    pub(super) fn call<R>(&mut self, shard: u16, f: impl FnOnce(&mut Engine, Now) -> R) -> R {
        let now = self.engine_now();
        let result = f(&mut self.node.engines[usize::from(shard)], now);
        self.carry_out(shard);
        result
    }

    fn carry_out(&mut self, shard: u16) {
        let index = usize::from(shard);
        loop {
            let mut effects = self.node.engines[index].effects();
            for effect in effects.drain(..) {
                self.effect(shard, effect);
            }
            self.node.engines[index].recycle(effects);
            let Some((key, code)) = self.node.dismissals.pop_front() else { break };
            let now = self.engine_now();
            self.node.engines[index].dismiss(now, key, code, None);
        }
        if !std::mem::replace(&mut self.node.turn_due[index], true) {
            let delay = self.rng.below(3);
            self.node_after(delay, Event::Turn { shard });
        }
    }

    fn effect(&mut self, shard: u16, effect: Effect) {
        match effect {
            // In a world nobody asks by an API, nobody watches, and there are no editors.
            Effect::Answer { .. }
            | Effect::Push(_)
            | Effect::Pushed { .. }
            | Effect::Restore { .. }
            | Effect::SendBinary { .. }
            | Effect::Told { .. }
            | Effect::Wake { .. } => {}
            Effect::Append(append) | Effect::AppendSoon(append) => {
                if let Some(keeper) = &mut self.node.keeper {
                    keeper.waiting.push_back((shard, append));
                }
                self.commit_soon();
            }
            Effect::Close { session, code, .. } => self.close(shard, session, code),
            Effect::Consult { id, about, .. } => self.ask_backend(shard, id, &about),
            Effect::Drain { session } => {
                if let Some(link) = self.link_of(shard, session) {
                    self.want_drain(link);
                }
            }
            Effect::Fanout { topic, upto, batch } => self.fan_out(shard, topic, upto, &batch),
            Effect::Load { channel } => {
                let delay = self.rng.below(5);
                self.node_after(delay, Event::Load { shard, channel });
            }
            Effect::Message { shard: to, message } => {
                let (from, to) = (shard, to.0);
                self.node.mail.entry((from, to)).or_default().push_back(message);
                let delay = self.rng.below(3);
                self.node_after(delay, Event::Mail { from, to });
            }
            Effect::Move { session, to, traveller } => {
                if let Some(link) = self.link_of(shard, session) {
                    self.node.sessions.remove(&(shard, session.slot));
                    (self.links[link].at, self.links[link].moving) = (None, true);
                    let delay = self.rng.below(5);
                    self.node_after(delay, Event::Arrive { link, shard: to.0, traveller });
                }
            }
            Effect::Notice(notice) => self.notices.push(notice),
            Effect::Pause { session } => {
                if let Some(link) = self.link_of(shard, session) {
                    self.links[link].paused = true;
                }
            }
            // Links of a world have no room below: what was written has arrived.
            Effect::Probe { session } => self.arrived(shard, session),
            Effect::Resume { session } => {
                if let Some(link) = self.link_of(shard, session) {
                    self.links[link].paused = false;
                    self.read_soon(link);
                }
            }
            Effect::Send { session, text } => {
                self.send(shard, session, text);
            }
            Effect::SendProbing { session, text } => {
                self.send(shard, session, text);
                self.arrived(shard, session);
            }
        }
    }

    fn send(&mut self, shard: u16, session: SessionKey, text: Bytes) {
        if let Some(link) = self.link_of(shard, session)
            && self.download(link, Down::Frame(text))
        {
            self.dismiss_slow(link, session);
        }
    }

    fn arrived(&mut self, shard: u16, session: SessionKey) {
        let now = self.engine_now();
        self.node.engines[usize::from(shard)].received(now, session, 64 << 10, true);
    }

    /// The backend's answer comes a little later, or the question's time runs out.
    fn ask_backend(&mut self, shard: u16, id: u64, about: &About) {
        let (low, high) = self.setup.backend_ms;
        let mut delay = self.rng.range(low, high);
        let mut verdict = (self.setup.backend)(about);
        if self.setup.backend_fails > 0 && self.rng.one_in(self.setup.backend_fails) {
            (delay, verdict) = (BACKEND_TIMEOUT_MS, Verdict::Failed);
        }
        self.node_after(delay, Event::Advised { shard, id, verdict });
    }

    fn link_of(&self, shard: u16, session: SessionKey) -> Option<usize> {
        let link = *self.node.sessions.get(&(shard, session.slot))?;
        let same = self.links[link].at.is_some_and(|(_, key)| key == session);
        assert!(same, "an effect for a session that is gone: {session:?}");
        Some(link)
    }

    fn fan_out(&mut self, shard: u16, topic: TopicKey, upto: usize, batch: &[Delivery]) {
        let engine = &self.node.engines[usize::from(shard)];
        let list = engine.subscribers(topic)[..upto].to_vec();
        for subscriber in list {
            let Some(&link) = self.node.sessions.get(&(shard, subscriber.slot)) else { continue };
            let Some((_, key)) = self.links[link].at else { continue };
            for delivery in batch {
                let spared = delivery
                    .except
                    .is_some_and(|except| except.shard.0 == shard && except.session == key);
                if spared || (delivery.presence && !subscriber.presence) {
                    continue;
                }
                if self.download(link, Down::Frame(delivery.text.clone())) {
                    self.dismiss_slow(link, key);
                }
            }
        }
    }

    fn dismiss_slow(&mut self, link: usize, session: SessionKey) {
        if !std::mem::replace(&mut self.links[link].ended, true) {
            self.node.dismissals.push_back((session, CloseCode::SlowConsumer));
        }
    }

    fn close(&mut self, shard: u16, session: SessionKey, code: CloseCode) {
        let Some(link) = self.node.sessions.remove(&(shard, session.slot)) else { return };
        self.links[link].at = None;
        self.links[link].ended = true;
        self.download(link, Down::Close(code.code()));
        // A client that does not read is not waited for.
        let timeout = self.setup.limits.close_timeout.ms;
        self.after(timeout, Event::ClientLost { link, code: None });
    }

    /// A connection has come.
    pub(super) fn accept(&mut self, link: usize) {
        if !self.node.up || !self.node.accepting || self.links[link].cut {
            let delay = self.rng.below(20);
            self.after(delay, Event::ClientLost { link, code: None });
            return;
        }
        let shard = self.rng.below(u64::from(self.setup.shards)) as u16;
        let (now, header) = (self.engine_now(), self.links[link].header.clone());
        let key = self.node.engines[usize::from(shard)].open(now, header.as_deref());
        self.links[link].at = Some((shard, key));
        self.links[link].heard_ms = self.now_ms;
        self.node.sessions.insert((shard, key.slot), link);
        self.carry_out(shard);
    }

    /// A connection has come from another shard.
    pub(super) fn arrive(&mut self, link: usize, shard: u16, traveller: Traveller) {
        let now = self.engine_now();
        let key = self.node.engines[usize::from(shard)].arrive(now, traveller);
        let at = &mut self.links[link];
        (at.at, at.moving) = (Some((shard, key)), false);
        let lost = at.cut && !at.open;
        self.node.sessions.insert((shard, key.slot), link);
        self.carry_out(shard);
        if lost {
            self.server_lost(link);
        } else if !self.node.accepting {
            let code = CloseCode::Draining;
            self.call(shard, |engine, now| engine.dismiss(now, key, code, None));
        } else {
            self.read_soon(link);
        }
    }

    pub(super) fn mail(&mut self, from: u16, to: u16) {
        let message = self.node.mail.get_mut(&(from, to)).and_then(VecDeque::pop_front);
        if let Some(message) = message {
            self.call(to, |engine, now| engine.message(now, message));
        }
    }

    pub(super) fn tick(&mut self) {
        self.node_after(500, Event::Tick);
        let limits = &self.setup.limits;
        let patience_ms = limits.heartbeat.ms + limits.pong_timeout.ms;
        for link in self.node.sessions.values().copied().collect::<Vec<_>>() {
            let at = &mut self.links[link];
            if !at.cut {
                at.heard_ms = self.now_ms; // It answers pings.
            } else if self.now_ms - at.heard_ms >= patience_ms
                && let Some((shard, key)) = at.at
            {
                self.call(shard, |engine, now| engine.dismiss(now, key, CloseCode::NoPong, None));
            }
        }
        for shard in 0..self.setup.shards {
            self.call(shard, Engine::tick);
        }
        let steady_ms = self.steady_ms();
        if self.rng.one_in(2)
            && let Some(keeper) = &mut self.node.keeper
        {
            keeper.maintain(steady_ms);
            self.look_at_power();
        }
    }

    fn commit_soon(&mut self) {
        let Some(keeper) = &mut self.node.keeper else { return };
        if !keeper.busy && !keeper.waiting.is_empty() {
            keeper.busy = true;
            let delay = self.rng.below(2);
            self.node_after(delay, Event::Commit);
        }
    }

    /// The store takes all that is waiting; the outcome comes a little later.
    pub(super) fn commit(&mut self) {
        let steady_ms = self.steady_ms();
        let Some(keeper) = &mut self.node.keeper else { return };
        let outcomes = keeper.commit(steady_ms);
        if self.look_at_power() {
            return;
        }
        let (low, high) = self.setup.commit_ms;
        let delay = self.rng.range(low, high);
        self.node_after(delay, Event::Committed(outcomes));
    }

    pub(super) fn committed(&mut self, outcomes: Vec<Outcome>) {
        for (shard, channel, outcome) in outcomes {
            self.call(shard, |engine, now| engine.stored(now, &channel, &outcome));
        }
        if let Some(keeper) = &mut self.node.keeper {
            keeper.busy = false;
        }
        self.commit_soon();
    }

    pub(super) fn load(&mut self, shard: u16, channel: Arc<str>) {
        let steady_ms = self.steady_ms();
        let Some(keeper) = &mut self.node.keeper else { return };
        let outcome = keeper.load(steady_ms, &channel);
        if self.look_at_power() {
            return;
        }
        let delay = self.rng.below(5);
        self.node_after(delay, Event::Loaded { shard, channel, outcome });
    }
}
