//! A shard: one thread, its connections, and the engine that has their rules.
//!
//! A turn of the loop: tasks of connections read what came and give it to the engine
//! ([`Shard::read`]); the engine's effects queue frames at connections; then the turn's end
//! ([`Shard::end_turn`]) takes the mail of other shards and of the store, lets the engine send out
//! what was committed, joined by channel, and writes to each socket once.

mod alarm;
pub(crate) mod connection;
mod consulting;
pub(crate) mod draining;
mod effects;
mod entry;
pub(crate) mod mailbox;
mod moving;
mod pacing;
mod reading;
pub(crate) mod requests;
mod restoring;
mod service;
mod sweep;
mod taps;
pub(crate) mod visit;
pub(crate) mod wire;
mod writing;

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;
use tidings_core::engine::{Editor, Engine, SessionKey, ShardId};
use tidings_proto::CloseCode;
use tidings_websocket::{DeflateConfig, Deflater, Inflater};

use tokio::sync::Notify;

use crate::hooks::Shown;
use crate::metrics::{End, Tally};
use crate::node::{Node, Seat, Settings};
use crate::transport::ring::Ring;
use crate::transport::stream::Stream;
use connection::Connection;
use draining::Drain;
use mailbox::Mail;
use service::Service;
use taps::{Ending, Taps};
use visit::Visit;
use wire::Wire;

/// What a read may bring at once. Shared by all connections of the shard.
const SCRATCH: usize = 64 << 10;

/// Reads from one connection before the others have their turn.
const READS_PER_TURN: usize = 2;

/// The window of compression: RFC 7692's largest.
const WINDOW_BITS: u8 = 15;

/// Level of compression: each broadcast is compressed once, so speed matters more than size.
const DEFLATE_LEVEL: u8 = 1;

/// Compression that is shared: without context takeover nothing of it belongs to a connection.
pub(crate) fn deflate_config() -> DeflateConfig {
    DeflateConfig { min_server_window_bits: WINDOW_BITS, ..DeflateConfig::default() }
}

/// Somebody whose connection was upgraded.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) wire: Wire,
    /// Of the request.
    pub(crate) token: Option<String>,
    /// It speaks Yjs.
    pub(crate) editor: Option<Editor>,
    /// What of the request the backend will be shown.
    pub(crate) shown: Option<Box<Shown>>,
    /// Why it may not stay, and when to come back: told now, because browsers hide the status of a
    /// failed upgrade.
    pub(crate) refusal: Option<(CloseCode, Option<u64>)>,
}

/// One shard. Lives on one thread; tasks hold it by `Rc`.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) node: Arc<Node>,
    pub(crate) id: ShardId,
    settings: RefCell<Arc<Settings>>,
    engine: RefCell<Engine>,
    /// All connections.
    connections: RefCell<Slab<Rc<Connection>>>,
    /// Those with a session, by the session's slot.
    by_slot: RefCell<Vec<Option<Rc<Connection>>>>,
    /// Those to write to at the end of the turn.
    touched: RefCell<Vec<Rc<Connection>>>,
    /// Who does not keep up, and whom to ask, as of the effects that are carried out.
    lagging: RefCell<Vec<SessionKey>>,
    looks: RefCell<Vec<Rc<Connection>>>,
    /// Mail to other shards, sent at the end of the turn.
    outgoing: RefCell<Vec<Vec<Mail>>>,
    incoming: RefCell<Vec<Mail>>,
    scratch: RefCell<Box<[u8]>>,
    /// What has arrived of messages of editors, of all connections, in bytes.
    partial: Cell<usize>,
    inflater: RefCell<Inflater>,
    deflater: RefCell<Deflater>,
    /// `None`: the system has no io_uring for us.
    ring: RefCell<Option<Ring>>,
    /// The task that ends turns.
    turn: RefCell<Option<Waker>>,
    turn_due: Cell<bool>,
    /// When the engine wants to be woken, in monotonic milliseconds, and who waits for that.
    alarm_at: Cell<Option<u64>>,
    alarm: Notify,
    /// Another shard or the store cannot keep up: nothing is read from clients.
    throttled: Cell<bool>,
    service: Service,
    /// What other shards want to have done here.
    visits: RefCell<Vec<Visit>>,
    /// What operators trace.
    taps: Taps,
    pub(crate) stopping: Cell<bool>,
    drain: RefCell<Option<Drain>>,
    /// Told when it begins to stop.
    pub(crate) stop: Notify,
    /// What it counts.
    pub(crate) tally: Tally,
}

impl Shard {
    pub(crate) fn new(
        node: Arc<Node>,
        id: ShardId,
        settings: Arc<Settings>,
        engine: Engine,
    ) -> Self {
        let shards = node.mailboxes.len();
        Self {
            node,
            id,
            settings: RefCell::new(settings),
            engine: RefCell::new(engine),
            connections: RefCell::default(),
            by_slot: RefCell::default(),
            touched: RefCell::default(),
            lagging: RefCell::default(),
            looks: RefCell::default(),
            outgoing: RefCell::new((0..shards).map(|_| Vec::new()).collect()),
            incoming: RefCell::default(),
            scratch: RefCell::new(vec![0; SCRATCH].into_boxed_slice()),
            partial: Cell::new(0),
            inflater: RefCell::new(Inflater::new(WINDOW_BITS, false)),
            deflater: RefCell::new(Deflater::new(WINDOW_BITS, DEFLATE_LEVEL, false)),
            ring: RefCell::new(Ring::new()),
            turn: RefCell::new(None),
            turn_due: Cell::new(false),
            alarm_at: Cell::new(None),
            alarm: Notify::new(),
            throttled: Cell::new(false),
            service: Service::default(),
            visits: RefCell::default(),
            taps: Taps::default(),
            stopping: Cell::new(false),
            drain: RefCell::new(None),
            stop: Notify::new(),
            tally: Tally::default(),
        }
    }

    /// What is in force now. Changes only between two tasks' turns.
    pub(crate) fn settings(&self) -> Ref<'_, Settings> {
        Ref::map(self.settings.borrow(), |settings| &**settings)
    }

    fn reconfigure(&self, settings: Arc<Settings>) {
        let (policy, limits) = (settings.policy.clone(), settings.limits.clone());
        self.settings.replace(settings);
        self.engine.borrow_mut().reconfigure(self.node.clock.now(), policy, limits);
    }

    /// A client's connection was upgraded: from here to its end. `early` is what it sent right
    /// behind its request.
    pub(crate) fn admit(
        self: &Rc<Self>,
        connection: (Stream, Seat),
        newcomer: Newcomer,
        early: &[u8],
    ) {
        let now = self.node.clock.now();
        let Newcomer { wire, token, editor, shown, refusal } = newcomer;
        let connection = self.keep(|index| Connection::new(connection, index, wire, now.mono_ms));
        connection.shown.replace(shown);
        self.tally.opened(wire);
        let key = self.engine.borrow_mut().open(now, None);
        self.join_session(&connection, key);
        if let Some((code, retry_ms)) = refusal {
            self.engine.borrow_mut().dismiss(now, key, code, retry_ms);
            self.carry_out();
        } else if self.stopping.get() {
            self.dismiss(&connection, CloseCode::Draining);
        } else {
            if let Some(token) = token {
                self.engine.borrow_mut().identify(now, key, &token);
                self.carry_out();
            }
            if let Some(editor) = editor {
                self.engine.borrow_mut().open_editor(now, key, editor);
                self.carry_out();
            }
        }
        if !early.is_empty() && connection.paused.get() {
            // It waits for the backend's word, as all that follows does.
            connection.held.replace(Some(early.into()));
        } else if !early.is_empty() {
            self.handle(&connection, &mut early.to_vec());
        }
        self.start(connection);
    }

    /// Its engine, to look into; not across a wait.
    pub(crate) fn engine(&self) -> Ref<'_, Engine> {
        self.engine.borrow()
    }

    /// Its engine, in a visit: that carries the effects out.
    pub(crate) fn engine_mut(&self) -> RefMut<'_, Engine> {
        self.engine.borrow_mut()
    }

    /// What a session's client speaks.
    pub(crate) fn transport_of(&self, session: SessionKey) -> &'static str {
        let by_slot = self.by_slot.borrow();
        let connection = by_slot.get(session.slot as usize).and_then(Option::as_ref);
        connection.map_or("", |connection| connection.wire.transport())
    }

    /// Puts a connection into the table.
    fn keep(&self, make: impl FnOnce(usize) -> Connection) -> Rc<Connection> {
        let mut connections = self.connections.borrow_mut();
        let entry = connections.vacant_entry();
        let made = Rc::new(make(entry.key()));
        self.tally.connected(made.wire);
        entry.insert(made).clone()
    }

    /// Joins a connection with its session.
    fn join_session(&self, connection: &Rc<Connection>, key: SessionKey) {
        connection.session.set(Some(key));
        let mut by_slot = self.by_slot.borrow_mut();
        let slot = key.slot as usize;
        if by_slot.len() <= slot {
            by_slot.resize(slot + 1, None);
        }
        by_slot[slot] = Some(connection.clone());
    }

    /// Starts a connection's task.
    fn start(self: &Rc<Self>, connection: Rc<Connection>) {
        let shard = self.clone();
        tokio::task::spawn_local(async move {
            std::future::poll_fn(|cx| shard.poll(&connection, cx)).await;
            shard.forget(connection);
        });
    }

    /// One connection's task: read what came, write what the socket would not take before.
    fn poll(&self, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut waker = connection.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
                // hyper's task, which is over, still holds the socket's slot for a writer's waker
                // and with it 900 bytes. This takes the slot over.
                let _ = connection.stream.poll_writable(cx);
            }
        }
        while connection.blocked.get() && !connection.ended.get() {
            match connection.stream.poll_writable(cx) {
                Poll::Pending => break,
                Poll::Ready(_) => {
                    connection.blocked.set(false);
                    self.heard(connection);
                    self.flush(connection);
                    self.after_flush();
                }
            }
        }
        for round in 0.. {
            if !self.may_go_on(connection) {
                break;
            }
            if round == READS_PER_TURN {
                // Others have their turn before one that never stops.
                cx.waker().wake_by_ref();
                break;
            }
            if self.read(connection, cx).is_pending() {
                break;
            }
        }
        if connection.ended.get() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Asks for the end of this turn, once all that is ready has been handled.
    fn turn_is_due(&self) {
        if !self.turn_due.replace(true)
            && let Some(waker) = &*self.turn.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// The task that ends turns: runs after the tasks that were ready before it.
    pub(crate) fn poll_turns(self: &Rc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.turn.replace(Some(cx.waker().clone()));
        self.node.mailboxes[usize::from(self.id.0)].register(cx.waker());
        self.end_turn();
        Poll::Pending
    }

    fn end_turn(self: &Rc<Self>) {
        self.turn_due.set(false);
        self.take_mail();
        let now = self.node.clock.now();
        self.engine.borrow_mut().end_turn(now);
        self.carry_out();
        // Before clients hear anything: who is welcome is known to its registry then, and can come
        // back at once.
        self.send_mail();
        self.flush_touched();
        self.measure_publishes();
        self.after_flush();
        self.send_mail();
        self.throttle();
        self.receive_visits();
    }

    fn take_mail(self: &Rc<Self>) {
        let mut mail = self.incoming.take();
        self.node.mailboxes[usize::from(self.id.0)].take(&mut mail);
        let now = self.node.clock.now();
        for one in mail.drain(..) {
            match one {
                Mail::Advice { id, verdict } => {
                    self.engine.borrow_mut().advised(now, id, *verdict);
                }
                Mail::Restored { channel, ticket, outcome } => {
                    self.engine.borrow_mut().restored(now, &channel, ticket, outcome);
                }
                Mail::Arrival(luggage, traveller) => self.arrive(*luggage, *traveller),
                Mail::Batch(batch) => self.take_batch(*batch),
                Mail::Count(reply) => {
                    let engine = self.engine.borrow();
                    let sample = self.tally.sample(engine.counters(), engine.counts());
                    // Whoever asked may be tired of waiting.
                    let _ = reply.send(Box::new(sample));
                }
                Mail::Poll(poll) => self.take_poll(poll),
                Mail::Loaded { channel, outcome } => {
                    self.engine.borrow_mut().loaded(now, &channel, outcome);
                }
                Mail::Message(message) => self.engine.borrow_mut().message(now, message),
                Mail::Settings(settings) => self.reconfigure(settings),
                Mail::Stop(plan) => self.drain(plan),
                Mail::Visit(visit) => self.visits.borrow_mut().push(visit),
                Mail::Stored { channel, outcome } => {
                    self.engine.borrow_mut().stored(now, &channel, &outcome);
                }
            }
            self.carry_out();
        }
        self.incoming.replace(mail);
    }

    fn send_mail(&self) {
        for (to, mail) in self.outgoing.borrow_mut().iter_mut().enumerate() {
            self.node.mailboxes[to].post(mail);
        }
    }

    /// Reads nothing from clients while another shard has too much mail.
    fn throttle(&self) {
        let limit = self.settings().limits.mailbox;
        let full = self.node.mailboxes.iter().any(|mailbox| mailbox.len() > limit);
        if self.throttled.replace(full) && !full {
            for (_, connection) in self.connections.borrow().iter() {
                connection.wake();
            }
        }
    }

    /// Says `bye` and closes, for a reason of the driver's.
    fn dismiss(&self, connection: &Rc<Connection>, code: CloseCode) {
        let Some(key) = connection.session.get() else { return };
        let retry_ms = (code == CloseCode::Draining).then(|| self.return_ms());
        self.engine.borrow_mut().dismiss(self.node.clock.now(), key, code, retry_ms);
        self.carry_out();
    }

    /// Ends a connection, whose peer is gone or has been told all: its task takes it apart.
    pub(crate) fn end(&self, connection: &Rc<Connection>) {
        if connection.ended.replace(true) {
            return;
        }
        if let Some(key) = self.detach(connection) {
            let left = connection.link().is_some_and(|link| link.leaving.get());
            self.tally.ended(if left { End::Left } else { End::Lost });
            if self.is_traced() {
                let reason = if left { "left" } else { "lost" };
                self.trace_closed(key, Ending { code: None, reason, why: None });
            }
            self.engine.borrow_mut().close(self.node.clock.now(), key, !left);
            self.turn_is_due();
        }
        if let Some(link) = connection.link() {
            link.wake();
        }
        connection.wake();
    }

    /// Parts a connection from its session.
    fn detach(&self, connection: &Rc<Connection>) -> Option<SessionKey> {
        let key = connection.session.take()?;
        self.by_slot.borrow_mut()[key.slot as usize] = None;
        Some(key)
    }

    /// Takes an ended connection out of the table. It moves on to another shard, or its socket
    /// closes with it.
    fn forget(&self, connection: Rc<Connection>) {
        self.carry_out();
        self.connections.borrow_mut().try_remove(connection.index);
        self.tally.disconnected(connection.wire);
        self.note_partial(&connection, 0);
        connection.waker.replace(None);
        let departure = connection.leaving.take();
        if let Some(departure) = departure {
            self.depart(connection, departure);
        }
    }

    /// Whether no connection is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty()
    }
}
