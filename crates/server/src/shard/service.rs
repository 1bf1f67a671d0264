//! Commands of the server's own, for its HTTP API.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidings_core::engine::{Contribution, Engine, Inquiry, Now, VersionAsk};
use tidings_proto::{Command, CommandBody, ServerFrame};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::Shard;

/// Commands of the API under way on one shard.
const UNDER_WAY: usize = 1024;

/// Documents that the API has open at once on one shard.
const DOCUMENTS: usize = 2;

/// Versions that are restored at once on one shard: each opens two documents.
const RESTORING: usize = 1;

/// How long an answer may take: a store that hangs.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Commands whose answer is waited for, by id.
#[derive(Debug)]
pub(super) struct Service {
    last: Cell<u64>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Bytes>>>,
    /// Places for those that come in thousands.
    many: Semaphore,
    /// Places for those that open a whole document, which takes some ten times its bytes.
    documents: Semaphore,
    /// Places for those that restore a version: who waits to read one waits behind them.
    pub(super) restoring: Arc<Semaphore>,
}

impl Default for Service {
    fn default() -> Self {
        let (last, waiting) = Default::default();
        let many = Semaphore::new(UNDER_WAY / 2);
        let documents = Semaphore::new(DOCUMENTS);
        let restoring = Arc::new(Semaphore::new(RESTORING));
        Self { last, waiting, many, documents, restoring }
    }
}

/// Whoever asked waits no more: it has its answer, or is gone.
struct Forget<'a>(&'a Service, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.waiting.borrow_mut().remove(&self.1);
    }
}

impl Shard {
    /// Carries out a command; `author` is the user that an event is said to be from. `None`: too
    /// many are under way, or the store does not answer.
    pub(crate) async fn serve(
        self: &Rc<Self>,
        author: &Arc<str>,
        body: CommandBody<'_>,
    ) -> Option<Bytes> {
        self.serve_with(|engine, now, id| engine.serve(now, author, Command { id, body })).await
    }

    /// Carries out what is asked about inboxes.
    pub(crate) async fn inquire(self: &Rc<Self>, inquiry: Inquiry<'_>) -> Option<Bytes> {
        self.serve_with(|engine, now, id| engine.inquire(now, id, inquiry)).await
    }

    /// The same for one of many, which wait for their turn: others have room beside them.
    pub(crate) async fn inquire_one_of_many(
        self: &Rc<Self>,
        inquiry: Inquiry<'_>,
    ) -> Option<Bytes> {
        let _turn = self.service.many.acquire().await.ok()?;
        self.inquire(inquiry).await
    }

    /// A turn to open a document whole. `None`: too many want to.
    pub(crate) async fn document_turn(&self) -> Option<SemaphorePermit<'_>> {
        let turn = self.service.documents.acquire();
        tokio::time::timeout(ANSWERED_WITHIN, turn).await.ok()?.ok()
    }

    /// Reads all of a document.
    pub(crate) async fn read_document(self: &Rc<Self>, channel: &str) -> Option<Bytes> {
        self.serve_with(|engine, now, id| engine.read_document(now, id, channel)).await
    }

    /// Changes a document.
    pub(crate) async fn contribute(
        self: &Rc<Self>,
        author: &Arc<str>,
        channel: &str,
        change: Contribution,
    ) -> Option<Bytes> {
        self.serve_with(|engine, now, id| engine.contribute(now, author, id, channel, change)).await
    }

    /// Makes a document another one, with nothing in it; `versions`: they go as well.
    pub(crate) async fn reset_document(
        self: &Rc<Self>,
        author: &Arc<str>,
        channel: &str,
        versions: bool,
    ) -> Option<Bytes> {
        let reset = |engine: &mut Engine, now, id| {
            engine.reset_document(now, author, id, channel, versions);
        };
        self.serve_with(reset).await
    }

    /// Asks something of a document's versions.
    pub(crate) async fn ask_version(
        self: &Rc<Self>,
        channel: &str,
        ask: VersionAsk,
    ) -> Option<Bytes> {
        self.serve_with(|engine, now, id| engine.ask_version(now, id, channel, ask)).await
    }

    async fn serve_with(self: &Rc<Self>, act: impl FnOnce(&mut Engine, Now, u64)) -> Option<Bytes> {
        let (reply, answer) = oneshot::channel();
        let id = self.service.last.get() + 1;
        {
            let mut waiting = self.service.waiting.borrow_mut();
            if waiting.len() >= UNDER_WAY {
                return None;
            }
            waiting.insert(id, reply);
        }
        self.service.last.set(id);
        let _forget = Forget(&self.service, id);
        act(&mut self.engine.borrow_mut(), self.node.clock.now(), id);
        self.carry_out();
        tokio::time::timeout(ANSWERED_WITHIN, answer).await.ok()?.ok()
    }

    /// A command has its answer.
    pub(super) fn served(&self, text: Bytes) {
        let id = ServerFrame::decode(std::str::from_utf8(&text).unwrap_or_default());
        let Some(id) = id.ok().and_then(|frame| frame.id) else { return };
        if let Some(reply) = self.service.waiting.borrow_mut().remove(&id) {
            // Whoever asked may be gone.
            let _ = reply.send(text);
        }
    }
}
