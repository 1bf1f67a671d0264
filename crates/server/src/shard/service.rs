//! Commands of the server's own, for its HTTP API.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidings_proto::{Command, CommandBody, ServerFrame};
use tokio::sync::oneshot;

use super::Shard;

/// Commands of the API under way on one shard.
const UNDER_WAY: usize = 1024;

/// How long an answer may take: a store that hangs.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Commands whose answer is waited for, by id.
#[derive(Debug, Default)]
pub(super) struct Service {
    last: Cell<u64>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Bytes>>>,
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
        self.engine.borrow_mut().serve(self.node.clock.now(), author, Command { id, body });
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
