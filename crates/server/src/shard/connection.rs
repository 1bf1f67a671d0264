//! One client's connection, after the upgrade. Nothing of HTTP is left.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use bytes::Bytes;
use tidings_core::engine::SessionKey;
use tidings_websocket::{CloseHandshake, Decoder, Role};

use super::moving::Departure;
use super::pacing::Pace;
use super::wire::Wire;
use crate::hooks::Shown;
use crate::node::Seat;
use crate::transport::link::Link;
use crate::transport::stream::{Queue, Stream};

/// What is kept of a connection: while it is idle no buffer belongs to it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    /// Its place in the shard's table of all connections.
    pub(crate) index: usize,
    /// Its place among all connections of the node.
    pub(crate) seat: Seat,
    /// Its session, until that ends.
    pub(crate) session: Cell<Option<SessionKey>>,
    pub(crate) decoder: RefCell<Decoder>,
    /// What was read and has to wait until the client may go on.
    pub(crate) held: RefCell<Option<Box<[u8]>>>,
    pub(crate) queue: RefCell<Queue>,
    pub(crate) closing: Cell<CloseHandshake>,
    /// The task that reads from it and waits for it to take more.
    pub(crate) waker: RefCell<Option<Waker>>,
    /// What has arrived of a message of an editor, in bytes.
    pub(crate) partial: Cell<usize>,
    /// The longest message to an editor that may be in the queue, in bytes: nobody can cut it.
    pub(crate) longest: Cell<usize>,
    /// When something came last; once it is closing, when that began. Monotonic milliseconds.
    pub(crate) heard_ms: Cell<u64>,
    /// A Ping went out, and nothing has come since.
    pub(crate) pinged: Cell<bool>,
    /// What its frames look like.
    pub(crate) wire: Wire,
    /// It is on the list of those to write to at the end of the turn.
    pub(crate) touched: Cell<bool>,
    /// The socket took no more: wait until it does.
    pub(crate) blocked: Cell<bool>,
    /// The engine asked to stop reading.
    pub(crate) paused: Cell<bool>,
    /// The engine wants to know when all is written.
    pub(crate) drain: Cell<bool>,
    /// What is known of its link, while it follows live data that conflates.
    pub(crate) pace: RefCell<Option<Box<Pace>>>,
    /// Nothing more is read or written: the task ends.
    pub(crate) ended: Cell<bool>,
    /// It moves to another shard when its task has ended.
    pub(crate) leaving: RefCell<Option<Departure>>,
    /// What of its request the backend is shown, until that is asked who may come in.
    pub(crate) shown: RefCell<Option<Box<Shown>>>,
}

impl Connection {
    pub(crate) fn new(
        (stream, seat): (Stream, Seat),
        index: usize,
        wire: Wire,
        now_ms: u64,
    ) -> Self {
        Self {
            stream,
            index,
            seat,
            session: Cell::new(None),
            decoder: RefCell::new(Decoder::new(Role::Server)),
            held: RefCell::new(None),
            queue: RefCell::new(Queue::default()),
            closing: Cell::new(CloseHandshake::new()),
            waker: RefCell::new(None),
            partial: Cell::new(0),
            longest: Cell::new(0),
            heard_ms: Cell::new(now_ms),
            pinged: Cell::new(false),
            wire,
            touched: Cell::new(false),
            blocked: Cell::new(false),
            paused: Cell::new(false),
            drain: Cell::new(false),
            pace: RefCell::new(None),
            ended: Cell::new(false),
            leaving: RefCell::new(None),
            shown: RefCell::new(None),
        }
    }

    /// Queues a frame, which is encoded already.
    pub(crate) fn push(&self, frame: Bytes) {
        if let Some(pace) = self.pace.borrow_mut().as_mut() {
            pace.sent(frame.len());
        }
        self.queue.borrow_mut().push(frame);
    }

    /// A message to an editor of this length is queued: it may be longer than the backlog, because
    /// there are documents that cannot be sent in pieces. What waits beside it is bounded as ever.
    pub(crate) fn allow(&self, message: usize) {
        self.longest.set(self.longest.get().max(message));
    }

    /// What it has instead of a socket, if it is spoken in HTTP requests.
    pub(crate) fn link(&self) -> Option<&Link> {
        match &self.stream {
            Stream::Http(link) => Some(link),
            Stream::Plain(_) | Stream::Tls(_) => None,
        }
    }

    /// Runs its task again.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Whether a close frame was sent or asked for.
    pub(crate) fn is_closing(&self) -> bool {
        !self.closing.get().may_send()
    }
}
