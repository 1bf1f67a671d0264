//! The body of an answer that does not end: a connection's frames, as they come.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};

use crate::shard::Shard;
use crate::shard::connection::Connection;

/// What hyper is given at once.
const PIECE: usize = 16 << 10;

/// See the module. The connection ends with it.
pub(crate) struct EventBody {
    shard: Rc<Shard>,
    connection: Rc<Connection>,
    /// Goes out in front of all.
    head: Option<Bytes>,
}

impl EventBody {
    pub(super) fn new(shard: Rc<Shard>, connection: Rc<Connection>, head: Bytes) -> Self {
        Self { shard, connection, head: Some(head) }
    }
}

impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBody").finish_non_exhaustive()
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        let Some(link) = self.connection.link() else { return Poll::Ready(None) };
        let mut queue = self.connection.queue.borrow_mut();
        if let Some(piece) = queue.take(PIECE) {
            if link.taken_from(&queue) {
                self.connection.wake();
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if self.connection.ended.get() {
            return Poll::Ready(None);
        }
        link.wait(cx.waker());
        Poll::Pending
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        self.shard.end(&self.connection);
    }
}
