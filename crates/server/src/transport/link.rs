//! What a connection has instead of a socket when it is spoken in HTTP requests.
//!
//! What goes down waits in the connection's queue until somebody takes it: the body of one long
//! answer (Server-Sent Events), or the answer to a poll. What comes up arrives in numbered batches.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::task::{Poll, Waker};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::positions::Positions;
use super::stream::{Flush, Queue, Stream};
use crate::shard::requests::Taken;

/// What one answer to a poll holds at most, about: the rest follows in the next.
const ANSWER_BYTES: usize = 256 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Whoever knows it may send.
    pub(crate) secret: u64,
    /// The number of the last batch of commands that was taken.
    pub(crate) taken: Cell<u64>,
    /// Whoever sent it waits until all of it has been handled.
    pub(crate) sender: RefCell<Option<oneshot::Sender<Taken>>>,
    /// The client says good-bye behind what it has sent.
    pub(crate) leaving: Cell<bool>,
    /// The socket of one long answer over HTTP/1.1, which is written to without hyper.
    socket: OnceCell<Stream>,
    /// All that there was has been taken.
    drained: Cell<bool>,
    /// The body that takes what there is.
    body: RefCell<Option<Waker>>,
    /// The poll that waits.
    poll: RefCell<Option<oneshot::Sender<Bytes>>>,
    /// The last answer to a poll, until the client says that it has it, and its number.
    answer: RefCell<Option<(u64, Bytes)>>,
    /// Where a plain `EventSource` stands in its channels.
    positions: Option<RefCell<Positions>>,
}

impl Link {
    pub(crate) fn new(secret: u64, positions: Option<Positions>) -> Self {
        Self { secret, positions: positions.map(RefCell::new), ..Self::default() }
    }

    /// Writes the id that a frame takes its receiver to.
    pub(crate) fn put_id(&self, out: &mut Vec<u8>, text: &[u8]) {
        if let Some(positions) = &self.positions {
            positions.borrow_mut().advance(text, out);
        }
    }

    /// What goes down leaves by this socket from now on.
    pub(crate) fn carry(&self, socket: Stream) {
        // A link has one opening request, so there is one answer.
        let _ = self.socket.set(socket);
    }

    pub(crate) fn socket(&self) -> Option<&Stream> {
        self.socket.get()
    }

    /// Lets whoever takes frames know that there are some.
    pub(crate) fn flush(&self, queue: &mut Queue) -> Flush {
        if queue.bytes() == 0 {
            return Flush::Done;
        }
        self.release(queue);
        self.wake();
        self.drained.set(queue.bytes() == 0);
        if self.drained.get() { Flush::Done } else { Flush::Blocked }
    }

    /// Answers a poll with what there is, which may be nothing.
    fn answer(&self, poll: oneshot::Sender<Bytes>, queue: &mut Queue) {
        let last = self.answer.borrow().as_ref().map(|(number, _)| *number);
        let number = last.map_or(0, |last| last + 1);
        let mut answer = Vec::new();
        if number > 0 {
            answer.extend_from_slice(
                format!("{{\"type\":\"batch\",\"batch\":{number}}}\n").as_bytes(),
            );
        }
        answer.extend_from_slice(&queue.take(ANSWER_BYTES).unwrap_or_default());
        let answer = Bytes::from(answer);
        self.answer.replace(Some((number, answer.clone())));
        // Who is gone asks again.
        let _ = poll.send(answer);
    }

    /// The opening request waits for its answer.
    pub(crate) fn open(&self, poll: oneshot::Sender<Bytes>) {
        self.poll.replace(Some(poll));
    }

    /// A poll has come, from a client that has all up to the answer numbered `ack`. `false`: that
    /// is not what it can have.
    pub(crate) fn park(&self, poll: oneshot::Sender<Bytes>, ack: u64) -> bool {
        let mut last = self.answer.borrow_mut();
        match &mut *last {
            Some((number, answer)) if ack.checked_add(1) == Some(*number) => {
                let _ = poll.send(answer.clone());
                true
            }
            Some((number, answer)) if ack == *number => {
                *answer = Bytes::new();
                self.poll.replace(Some(poll));
                true
            }
            _ => false,
        }
    }

    /// Whether a poll waits for something to come.
    pub(crate) fn is_polled(&self) -> bool {
        self.poll.borrow().as_ref().is_some_and(|poll| !poll.is_closed())
    }

    /// Ends the poll that waits, with what there is.
    pub(crate) fn release(&self, queue: &mut Queue) {
        if let Some(poll) = self.poll.take() {
            self.answer(poll, queue);
        }
    }

    /// Ready once all that there was has been taken.
    pub(crate) fn poll_drained(&self) -> Poll<io::Result<()>> {
        if self.drained.get() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// The body has taken some; whether that was all.
    pub(crate) fn taken_from(&self, queue: &Queue) -> bool {
        self.drained.set(queue.bytes() == 0);
        self.drained.get()
    }

    /// The body waits for more.
    pub(crate) fn wait(&self, waker: &Waker) {
        self.body.replace(Some(waker.clone()));
    }

    /// Runs the body again.
    pub(crate) fn wake(&self) {
        if let Some(body) = self.body.take() {
            body.wake();
        }
    }

    /// The batch has been handled.
    pub(crate) fn batch_done(&self, outcome: Taken) {
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(outcome);
        }
    }
}
