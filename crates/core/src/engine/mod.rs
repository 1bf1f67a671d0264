//! The engine of one shard: sessions whose connections are here, and channels whose home is here.
//!
//! A driver calls one method for each thing that happened, then carries out the
//! [`Effect`]s in order ([`Engine::effects`]), then goes on. At the end of each turn of its loop it
//! calls [`Engine::end_turn`], which sends out all that the turn committed, joined by channel.
//!
//! A command takes this way: [`Engine::receive`] decodes it, checks the session's rights and sends
//! a [`Request`] to the channel's home (`home.rs`), which may be on this shard or another; the
//! answer comes back as a [`Message`]. Requests, answers and events between two shards keep their
//! order, which is what makes attaching a subscriber and capturing the channel's position one step.

mod amending;
mod authoring;
mod checkpoints;
mod commands;
mod conflating;
mod consulting;
mod counters;
mod document;
mod farewell;
mod home;
mod homes;
mod inbox;
mod inspect;
mod knocking;
mod live;
mod members;
mod metering;
mod notices;
mod placement;
mod publishing;
mod pushing;
mod reconfigure;
mod recovery;
mod resuming;
mod revoking;
mod service;
mod session;
mod sessions;
mod topics;
mod types;
mod watching;
mod writing;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use slab::Slab;
use tidings_proto::CloseCode;

use crate::identity::Authority;
use crate::policy::Policy;
use crate::reject::Reject;
use crate::{Limits, rng::Rng};
use consulting::Consulting;
use document::Desks;
use homes::Homes;
use notices::Attendance;
use resuming::Registry;
use session::Session;
use sessions::Reader;
use topics::Topics;

pub use consulting::{About, Advice, Denial, Draft, DraftChange, Occasion, Verdict};
pub use counters::{CommandKind, Counters, Recovery};
pub use document::{Contribution, Dialect, Editor, SeatId, VersionAsk};
pub use inbox::{Inquiry, Notify};
pub use inspect::{ChannelInfo, SessionInfo, Whom};
pub use notices::{Attendee, Happened, Notice, Wants};
pub use placement::{Crowd, Traveller};
pub use resuming::Legacy;
pub(crate) use service::SERVICE;
pub use topics::Subscriber;
pub use types::{
    Address, Changed, Delivery, Effect, Message, Now, PageReply, Raw, Request, SessionKey, ShardId,
    TopicKey,
};

/// Publishes of one turn whose time is measured: twice what the store commits at once.
const MEASURED_PER_TURN: usize = 16_384;

/// What an engine is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which shard this is.
    pub shard: ShardId,
    /// How many there are.
    pub shards: u16,
    /// Randomness for ids and epochs; different on each shard and at each start.
    pub seed: u64,
    /// The store's identity; from it the epochs of channels that have nothing stored are derived,
    /// so that they are the same after a restart.
    pub store_identity: u64,
    /// The limits.
    pub limits: Arc<Limits>,
    /// The rules.
    pub policy: Arc<Policy>,
    /// Who checks tokens.
    pub authority: Arc<dyn Authority + Send + Sync>,
    /// How many sessions each shard has.
    pub crowd: Arc<Crowd>,
}

/// What an engine holds right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions on this shard.
    pub sessions: usize,
    /// Channels whose home this is.
    pub channels: usize,
    /// Subscriptions of sessions on this shard.
    pub subscriptions: usize,
    /// Lost sessions that wait here for their clients.
    pub lost: usize,
    /// Questions to the backend that are open.
    pub questions: usize,
    /// Documents in memory; they are among the channels.
    pub documents: usize,
    /// What these take, about, in bytes.
    pub document_bytes: usize,
}

/// The rules of one shard; see the module.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    rng: Rng,
    /// Wall clock minus monotonic clock when the engine was made: ages of events are measured on
    /// this steady clock, so a clock that jumps expires nothing.
    steady_base_ms: u64,
    sessions: Slab<Session>,
    serials: u32,
    topics: Topics,
    homes: Homes,
    registry: Registry,
    consulting: Consulting,
    /// Who reads a snapshot of which topic, and how far they are.
    readers: HashMap<(SessionKey, TopicKey), Reader>,
    /// Who is behind and has something under way, see `conflating.rs`.
    probing: HashSet<SessionKey>,
    /// What sessions have under way with documents.
    desks: Desks,
    /// Sessions that end when they have their answers, and when they shall come back.
    farewells: HashMap<SessionKey, (CloseCode, Option<u64>)>,
    /// The last session that ended or left, for [`Engine::who`].
    gone: Option<(SessionKey, u64, Option<Arc<str>>)>,
    /// How many sessions of a user are here, while somebody wants to know.
    here: HashMap<Arc<str>, u32>,
    attendance: Attendance,
    out: Out,
}

/// Where effects and messages gather.
#[derive(Debug)]
struct Out {
    shard: ShardId,
    /// Messages from this shard to itself.
    inbox: VecDeque<Message>,
    effects: Vec<Effect>,
    counters: Counters,
    /// When publishes came that have been answered since the driver last asked.
    answered: Vec<u64>,
    /// Channels that somebody watches.
    watched: Vec<Arc<str>>,
}

impl Out {
    /// Sends a message to a shard, which may be this one.
    fn post(&mut self, shard: ShardId, message: Message) {
        if shard == self.shard {
            self.inbox.push_back(message);
        } else {
            self.effects.push(Effect::Message { shard, message });
        }
    }

    /// The command is done.
    fn reply(&mut self, kind: CommandKind, to: Address, text: Bytes) {
        self.counters.command(kind, None);
        self.post(to.shard, Message::Reply { to: to.session, text, began_us: None });
    }

    /// A publish or a write that came at `began_us` has succeeded.
    fn published(&mut self, kind: CommandKind, to: Address, text: Bytes, began_us: u64) {
        self.counters.command(kind, None);
        let began_us = Some(began_us);
        self.post(to.shard, Message::Reply { to: to.session, text, began_us });
    }

    /// The command is refused. `about`: its id and its channel.
    fn refuse(&mut self, kind: CommandKind, to: Address, about: (u64, &str), why: &Reject) {
        self.counters.command(kind, Some(why.code));
        let text = why.encode(Some(about.0), Some(about.1));
        self.post(to.shard, Message::Reply { to: to.session, text, began_us: None });
    }
}

impl Engine {
    /// An engine without sessions or channels.
    pub fn new(now: Now, config: Config) -> Self {
        Self {
            rng: Rng::new(config.seed),
            steady_base_ms: now.wall_ms.saturating_sub(now.mono_ms),
            sessions: Slab::new(),
            serials: 0,
            topics: Topics::default(),
            homes: Homes::default(),
            registry: Registry::default(),
            consulting: Consulting::default(),
            readers: HashMap::new(),
            probing: HashSet::new(),
            desks: Desks::default(),
            farewells: HashMap::new(),
            gone: None,
            here: HashMap::new(),
            attendance: Attendance::default(),
            out: Out {
                shard: config.shard,
                inbox: VecDeque::new(),
                effects: Vec::new(),
                counters: Counters::default(),
                answered: Vec::new(),
                watched: Vec::new(),
            },
            config,
        }
    }

    /// Takes the effects of the last call. Give the emptied vector back with
    /// [`recycle`](Self::recycle) to spare an allocation.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.out.effects)
    }

    /// See [`effects`](Self::effects).
    pub fn recycle(&mut self, mut effects: Vec<Effect>) {
        effects.clear();
        if self.out.effects.is_empty() && effects.capacity() <= 4096 {
            self.out.effects = effects;
        }
    }

    /// The live subscribers of a channel on this shard.
    pub fn subscribers(&self, topic: TopicKey) -> &[Subscriber] {
        self.topics.subscribers(topic)
    }

    /// What there is now.
    pub fn counts(&self) -> Counts {
        Counts {
            sessions: self.sessions.len(),
            channels: self.homes.len(),
            subscriptions: self.topics.subscriptions(),
            lost: self.registry.lost(),
            questions: self.questions(),
            documents: self.homes.documents(),
            document_bytes: self.homes.agenda.documents,
        }
    }

    /// What it has counted so far.
    pub fn counters(&self) -> &Counters {
        &self.out.counters
    }

    /// When the publishes came ([`Now::mono_us`]) that were answered here since the last call.
    pub fn published(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.out.answered.drain(..)
    }

    fn note_answered(&mut self, began_us: Option<u64>) {
        // More in one turn are not measured: a driver that never asks must cost nothing either.
        if self.out.answered.len() < MEASURED_PER_TURN {
            self.out.answered.extend(began_us);
        }
    }

    /// Another shard's message.
    pub fn message(&mut self, now: Now, message: Message) {
        self.handle(now, message);
        self.settle(now);
    }

    /// The turn of the driver's loop is over: what was committed in it goes out.
    pub fn end_turn(&mut self, now: Now) {
        self.flush_all();
        self.settle(now);
    }

    /// Something to do every half second: deadlines, expiry, channels that nobody uses.
    pub fn tick(&mut self, now: Now) {
        self.tick_sessions(now);
        self.tick_registry(now);
        self.tick_attendance(now);
        self.tick_conflating();
        self.tick_documents(now);
        self.settle(now);
        self.tick_homes(now);
        self.settle(now);
    }

    /// The home of a channel: the same for every shard of a node.
    fn home_of(&self, channel: &str) -> ShardId {
        use std::hash::{DefaultHasher, Hash, Hasher};
        if self.config.shards <= 1 {
            return ShardId(0);
        }
        let mut hasher = DefaultHasher::new();
        channel.hash(&mut hasher);
        ShardId((hasher.finish() % u64::from(self.config.shards)) as u16)
    }

    fn steady_ms(&self, now: Now) -> u64 {
        self.steady_base_ms + now.mono_ms
    }

    /// Handles what this shard has told itself.
    fn settle(&mut self, now: Now) {
        while let Some(message) = self.out.inbox.pop_front() {
            self.handle(now, message);
        }
    }

    fn handle(&mut self, now: Now, message: Message) {
        match message {
            Message::Adrift(adrift) => self.ask_for_all(now, &adrift),
            Message::Attendance { who, from, there } => self.attendance(now, who, from, there),
            Message::Claim { id, attempt, to } => self.claimed(now, id, attempt, to),
            Message::Ended { id, at, legacy } => self.session_ended(now, id, at, legacy),
            Message::Edited(edited) => self.edited(*edited),
            Message::Events { channel, batch } => self.events(&channel, batch),
            Message::Gave { id, to } => self.give(now, id, 0, to),
            Message::Given { id, to, legacy } => {
                self.given(now, id, to, legacy.map(|legacy| *legacy));
            }
            Message::Late { to } => self.late(now, to),
            Message::Page(page) => self.page(now, *page),
            Message::Refused { to, channel, nonce, text, code } => {
                self.refused(to, &channel, nonce, text, code);
            }
            Message::Pushed { ticket, answer } => {
                self.out.effects.push(Effect::Pushed { ticket, answer });
            }
            Message::Register { id, at } => self.registered(id, at),
            Message::Reply { to, text, began_us } => {
                self.note_answered(began_us);
                self.answered(to, text);
            }
            Message::Reset { channel } => self.document_was_reset(&channel),
            Message::Request(request) => self.request(now, request),
            Message::Seen { to, channel, messages, question } => {
                self.seen(to, &channel, messages, question);
            }
            Message::Surrender { session, id, to } => self.surrender(session, id, to),
            Message::Synced(synced) => self.synced(now, *synced),
        }
    }
}
