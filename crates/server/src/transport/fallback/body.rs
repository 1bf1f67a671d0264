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
    /// `None`: something else is its body.
    connection: Option<Rc<Connection>>,
    /// Goes out in front of all.
    head: Option<Bytes>,
}

impl EventBody {
    pub(super) fn new(shard: Rc<Shard>, connection: Rc<Connection>, head: Bytes) -> Self {
        Self { shard, connection: Some(connection), head: Some(head) }
    }

    /// Hands the connection, and what goes out in front of all, to another body.
    pub(in crate::transport) fn into_parts(mut self) -> Option<(Rc<Connection>, Bytes)> {
        Some((self.connection.take()?, self.head.take().unwrap_or_default()))
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
        let Some(connection) = &self.connection else { return Poll::Ready(None) };
        let Some(link) = connection.link() else { return Poll::Ready(None) };
        let mut queue = connection.queue.borrow_mut();
        if let Some(piece) = queue.take(PIECE) {
            self.shard.tally.sent(piece.len());
            if link.taken_from(&queue) {
                connection.wake();
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if connection.ended.get() {
            return Poll::Ready(None);
        }
        link.wait(cx.waker());
        Poll::Pending
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            self.shard.end(connection);
        }
    }
}
