//! How shards and the storage thread reach a shard: a queue and a waker.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tidings_core::document::Fault;
use tidings_core::engine::{Message, Traveller, Verdict};
use tidings_core::store::{Level, Loaded, StoreError};

use tokio::sync::oneshot;

use super::draining::Plan;
use super::moving::Luggage;
use super::requests::{Batch, Poll};
use super::visit::Visit;
use crate::metrics::Sample;
use crate::node::Settings;

/// What a shard is told from outside its thread.
#[derive(Debug)]
pub(crate) enum Mail {
    /// What the application's backend says to a question of this shard's.
    Advice { id: u64, verdict: Box<Verdict> },
    /// A connection moves here from another shard.
    Arrival(Box<Luggage>, Box<Traveller>),
    /// Commands of a client that speaks HTTP.
    Batch(Box<Batch>),
    /// Somebody asks what this shard has counted.
    Count(oneshot::Sender<Box<Sample>>),
    /// A client that speaks HTTP asks for what there is.
    Poll(Poll),
    /// The store has read a channel.
    Loaded { channel: Arc<str>, outcome: Result<Option<Loaded>, StoreError> },
    /// Another shard has something to say.
    Message(Message),
    /// The change that restores a version of a document was made.
    Restored { channel: Arc<str>, ticket: u64, outcome: Result<Bytes, Fault> },
    /// The configuration has changed.
    Settings(Arc<Settings>),
    /// The server is being stopped: say good-bye.
    Stop(Plan),
    /// The store has done with an append.
    Stored { channel: Arc<str>, outcome: Result<Level, StoreError> },
    /// Something to do here.
    Visit(Visit),
}

/// A shard's mailbox. Order is kept for each sender.
///
/// It has no limit of its own: a sender that finds [`Mailbox::len`] above the limit reads no more
/// from its clients until it has shrunk, and what is under way then is bounded by the commands
/// that sessions may have in flight. Blocking a sender instead could lock two shards up.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    queue: Mutex<Vec<Mail>>,
    waker: AtomicWaker,
}

impl Mailbox {
    /// Adds all of `mail` and wakes the shard.
    pub(crate) fn post(&self, mail: &mut Vec<Mail>) {
        if mail.is_empty() {
            return;
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).append(mail);
        self.waker.wake();
    }

    /// Takes everything there is into `into`, which must be empty.
    pub(crate) fn take(&self, into: &mut Vec<Mail>) {
        std::mem::swap(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner), into);
    }

    /// How much is waiting.
    pub(crate) fn len(&self) -> usize {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Wakes this task when mail comes.
    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }
}
