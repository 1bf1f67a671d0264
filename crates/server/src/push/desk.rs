//! How shards are asked: whether a push is still wanted, and to forget a subscription.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidings_core::PushAnswer;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::shard::mailbox::Mailbox;
use crate::shard::visit::{Visit, visit};

/// Who knows of notifications: the shards, or a test.
pub(super) trait Knows: fmt::Debug + Send + Sync {
    /// Asks whether a notification is to be pushed; the answer comes with the ticket.
    fn ask(&self, ticket: u64, user: Arc<str>, id: u64);

    /// A subscription is over.
    fn forget(&self, user: Arc<str>, endpoint: Box<str>);
}

/// Questions that wait for their answers.
#[derive(Debug)]
pub(super) struct Desk {
    knows: Box<dyn Knows>,
    last: AtomicU64,
    asked: Mutex<HashMap<u64, oneshot::Sender<PushAnswer>>>,
}

/// Whoever asked waits no more.
struct Forget<'a>(&'a Desk, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Desk {
    pub(super) fn new(knows: Box<dyn Knows>) -> Self {
        Self { knows, last: AtomicU64::new(0), asked: Mutex::default() }
    }

    /// Whether a notification is to be pushed; `None`: nobody says. As many ask as are pushed at
    /// once.
    pub(super) async fn ask(&self, user: &Arc<str>, id: u64) -> Option<PushAnswer> {
        let ticket = self.last.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(ticket, reply);
        let _forget = Forget(self, ticket);
        self.knows.ask(ticket, user.clone(), id);
        answer.await.ok()
    }

    /// A shard has an answer.
    pub(super) fn answered(&self, ticket: u64, answer: PushAnswer) {
        let reply = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket);
        if let Some(reply) = reply {
            // Whoever asked may be tired of waiting.
            let _ = reply.send(answer);
        }
    }

    pub(super) fn forget(&self, user: &Arc<str>, endpoint: &str) {
        self.knows.forget(user.clone(), endpoint.into());
    }
}

/// The shards of the node. Any of them knows whom to ask; they take turns.
#[derive(Debug)]
pub(super) struct Shards {
    pub(super) mailboxes: Arc<[Mailbox]>,
    pub(super) clock: Clock,
    pub(super) next: AtomicU64,
}

impl Shards {
    fn send(&self, act: Visit) {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let shard = next % (self.mailboxes.len() as u64).max(1);
        if let Some(mailbox) = self.mailboxes.get(usize::try_from(shard).unwrap_or(0)) {
            mailbox.post(&mut vec![act.into()]);
        }
    }
}

impl Knows for Shards {
    fn ask(&self, ticket: u64, user: Arc<str>, id: u64) {
        let clock = self.clock;
        self.send(visit(move |shard| {
            shard.engine_mut().ask_push(clock.now(), ticket, &user, id);
        }));
    }

    fn forget(&self, user: Arc<str>, endpoint: Box<str>) {
        let clock = self.clock;
        self.send(visit(move |shard| shard.engine_mut().drop_push(clock.now(), &user, &endpoint)));
    }
}
