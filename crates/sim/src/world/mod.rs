//! A node, its clients and the network between them, on virtual time.

mod faults;
mod net;
mod node;
mod rest;
mod verbs;

use std::collections::BTreeMap;
use std::sync::Arc;

use tidings_core::Engine;
use tidings_core::engine::{Notice, Traveller, Verdict};
use tidings_core::store::{Loaded, StoreError};

use crate::checker::{History, Op, Violation, check};
use crate::client::Client;
use crate::keeper::{Disk, Outcome};
use crate::rng::Rng;
use crate::setup::Setup;
use net::Link;
pub(crate) use net::connection;
use node::Node;

pub use verbs::{Span, Time, Who};

/// Everything there is. The same seed and the same calls give the same run.
#[derive(Debug)]
pub struct World {
    seed: u64,
    setup: Setup,
    pub(crate) rng: Rng,
    /// Virtual time since the start.
    now_ms: u64,
    /// How far the wall clock was pushed.
    skew_ms: i64,
    queue: BTreeMap<(u64, u64), (Option<u64>, Event)>,
    scheduled: u64,
    node: Node,
    notices: Vec<Notice>,
    disk: Disk,
    links: Vec<Link>,
    pub(crate) clients: Vec<Client>,
    /// All that happened, for the checker.
    pub history: History,
    pub(crate) publishes: BTreeMap<(String, String), u64>,
    /// How many changes of events were sent.
    pub(crate) changes: u64,
    /// Events that were acknowledged: the client, the channel and the offset.
    pub(crate) stored: Vec<(usize, String, u64)>,
    pub(crate) subscriptions: u64,
    /// The epoch that each client's subscription to a channel is in.
    pub(crate) epochs: BTreeMap<(usize, String), String>,
    /// What is on the disk may turn out to be damaged when the store is opened again.
    suspect: bool,
    trace: bool,
}

/// Something that is due.
#[derive(Debug)]
pub(crate) enum Event {
    Accept { link: usize },
    Advised { shard: u16, id: u64, verdict: Verdict },
    Arrive { link: usize, shard: u16, traveller: Box<Traveller> },
    ClientFrame { link: usize, text: String },
    ClientLost { link: usize, code: Option<u16> },
    Commit,
    Committed(Vec<Outcome>),
    Drained { link: usize },
    Load { shard: u16, channel: Arc<str> },
    Loaded { shard: u16, channel: Arc<str>, outcome: Result<Option<Loaded>, StoreError> },
    Mail { from: u16, to: u16 },
    Pump { link: usize },
    Read { link: usize },
    Reconnect { client: usize, generation: u64 },
    Retry { client: usize, channel: String },
    ServerFrame { link: usize, text: String },
    ServerLost { link: usize },
    Start,
    Stop,
    Tick,
    Turn { shard: u16 },
}

impl World {
    /// A world as [`Setup::default`] has it.
    pub fn new(seed: u64) -> World {
        World::with(seed, |_| ())
    }

    /// A world with some things changed.
    ///
    /// # Panics
    /// Its store cannot be opened.
    pub fn with(seed: u64, change: impl FnOnce(&mut Setup)) -> World {
        let mut setup = Setup::default();
        change(&mut setup);
        let mut rng = Rng::new(seed);
        let mut world = World {
            seed,
            node: Node::default(),
            notices: Vec::new(),
            disk: Disk::new(rng.next_u64(), &setup),
            setup,
            rng,
            now_ms: 0,
            skew_ms: 0,
            queue: BTreeMap::new(),
            scheduled: 0,
            links: Vec::new(),
            clients: Vec::new(),
            history: History::default(),
            publishes: BTreeMap::new(),
            changes: 0,
            stored: Vec::new(),
            subscriptions: 0,
            epochs: BTreeMap::new(),
            suspect: false,
            trace: std::env::var_os("TIDINGS_SIM_TRACE").is_some(),
        };
        world.start();
        world
    }

    /// Prints what happens from now on.
    pub fn trace(&mut self) {
        self.trace = true;
    }

    /// The seed that decides everything.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Milliseconds since 1970, as the node's clock has them.
    pub fn wall_ms(&self) -> u64 {
        (self.setup.wall_ms + self.now_ms).saturating_add_signed(self.skew_ms)
    }

    /// All that engines have told of by now.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// What the rules say of all that happened so far.
    pub fn violations(&self) -> Vec<Violation> {
        check(&self.history)
    }

    /// Fails if any rule was broken.
    ///
    /// # Panics
    /// If any was.
    #[track_caller]
    pub fn check(&self) {
        let found = self.violations();
        assert!(found.is_empty(), "seed {}: {found:#?}", self.seed);
    }

    pub(crate) fn note(&mut self, op: Op) {
        if self.trace {
            eprintln!("{:>7} {op:?}", self.now_ms);
        }
        self.history.push(self.now_ms, op);
    }

    pub(crate) fn now(&self) -> u64 {
        self.now_ms
    }

    pub(crate) fn client_of(&self, link: usize) -> usize {
        self.links[link].client
    }

    fn say_trace(&self, what: &str, link: usize, text: &str) {
        if self.trace {
            let name = &self.clients[self.links[link].client].name;
            eprintln!("{:>7} {name} #{link} {what} {text}", self.now_ms);
        }
    }

    /// Puts something on the agenda.
    pub(crate) fn after(&mut self, delay_ms: u64, event: Event) {
        self.at(self.now_ms + delay_ms, None, event);
    }

    /// The same for what ends with this life of the node.
    fn node_after(&mut self, delay_ms: u64, event: Event) {
        let life = self.node.life;
        self.at(self.now_ms + delay_ms, Some(life), event);
    }

    fn at(&mut self, at_ms: u64, life: Option<u64>, event: Event) {
        self.scheduled += 1;
        self.queue.insert((at_ms, self.scheduled), (life, event));
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Lets so many milliseconds pass.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((at_ms, _), (life, event)) = entry.remove_entry();
            self.now_ms = at_ms;
            if life.is_none_or(|life| self.node.up && life == self.node.life) {
                self.happen(event);
            }
        }
        self.now_ms = until;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Accept { link } => self.accept(link),
            Event::Advised { shard, id, verdict } => {
                self.call(shard, |engine, now| engine.advised(now, id, verdict));
            }
            Event::Arrive { link, shard, traveller } => self.arrive(link, shard, *traveller),
            Event::ClientFrame { link, text } => self.client_frame(link, &text),
            Event::ClientLost { link, code } => self.client_lost(link, code),
            Event::Commit => self.commit(),
            Event::Committed(outcomes) => self.committed(outcomes),
            Event::Drained { link } => self.drained(link),
            Event::Load { shard, channel } => self.load(shard, channel),
            Event::Loaded { shard, channel, outcome } => {
                self.call(shard, |engine, now| engine.loaded(now, &channel, outcome));
            }
            Event::Mail { from, to } => self.mail(from, to),
            Event::Pump { link } => self.pump(link),
            Event::Read { link } => self.read(link),
            Event::Reconnect { client, generation } => self.reconnect(client, generation),
            Event::Retry { client, channel } => self.retry(client, &channel),
            Event::ServerFrame { link, text } => self.server_frame(link, text),
            Event::ServerLost { link } => self.server_lost(link),
            Event::Start => self.start(),
            Event::Stop => self.stop(),
            Event::Tick => self.tick(),
            Event::Turn { shard } => {
                self.call(shard, Engine::end_turn);
                self.node.turn_due[usize::from(shard)] = false;
            }
        }
    }
}
