//! The body of a viewer's request: the lines of a trace as they come.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Feed, Line, Target};
use crate::api::Key;
use crate::node::Node;
use crate::shard::Shard;

/// How often it is looked whether the trace may go on.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks between two comments, which keep proxies from closing a line that says nothing.
const LOOKS_PER_COMMENT: u32 = 15;

/// A place among the traces that may run at once.
#[derive(Debug)]
struct Place(Arc<Node>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.traces.fetch_sub(1, Relaxed);
    }
}

/// A trace that runs. It ends with this, on all shards.
pub(crate) struct Trace {
    shard: Rc<Shard>,
    id: u64,
    key: Arc<Key>,
    target: Target,
    feed: Feed,
    _place: Place,
}

impl Trace {
    /// Begins one on all shards. `None`: too many run.
    pub(crate) async fn begin(shard: &Rc<Shard>, key: Arc<Key>, target: Target) -> Option<Self> {
        let (node, limits) = (&shard.node, shard.settings().limits.clone());
        let before = node.traces.fetch_add(1, Relaxed);
        let place = Place(node.clone());
        if before >= limits.traces {
            return None;
        }
        let id = node.next_trace.fetch_add(1, Relaxed);
        let feed = Feed::new(limits.backlog);
        // Whoever asked may go while shards begin: the trace ends with this then.
        let trace = Self { shard: shard.clone(), id, key, target, feed, _place: place };
        let (target, feed) = (trace.target.clone(), trace.feed.clone());
        shard.on_all(move |shard| shard.tap(id, target.clone(), feed.clone())).await;
        Some(trace)
    }

    /// Whether the key may still see it: the configuration may have changed.
    fn may_go_on(&self) -> bool {
        let settings = self.shard.settings();
        settings.api.current(&self.key).is_some_and(|key| key.may_trace(&self.target).is_ok())
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.feed.close();
        let id = self.id;
        self.shard.tell_all(move |shard| shard.untap(id));
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("target", &self.target).finish_non_exhaustive()
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TraceBody {
    trace: Trace,
    /// Goes out in front of all.
    head: Option<Bytes>,
    looks: Interval,
    looked: u32,
    /// Looks until it ends by itself.
    left: Option<u64>,
}

impl TraceBody {
    /// Ends after so many seconds, if any.
    pub(crate) fn new(trace: Trace, seconds: Option<u64>) -> Self {
        let start = Line::new(trace.shard.node.clock.now().wall_ms, "start").encode();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        Self { trace, head: Some(start.into()), looks, looked: 0, left: seconds }
    }

    /// What time alone brings: a comment, or the end.
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            ready!(self.looks.poll_tick(cx));
            self.looked = self.looked.wrapping_add(1);
            self.left = self.left.map(|left| left.saturating_sub(1));
            if self.left == Some(0) || !self.trace.may_go_on() {
                return Poll::Ready(None);
            }
            if self.looked.is_multiple_of(LOOKS_PER_COMMENT) {
                return Poll::Ready(Some(Bytes::from_static(b":\n\n")));
            }
        }
    }
}

impl Body for TraceBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        if let Poll::Ready(said) = self.look(cx) {
            return Poll::Ready(said.map(|said| Ok(Frame::data(said))));
        }
        self.trace.feed.poll(cx).map(|piece| Some(Ok(Frame::data(piece))))
    }
}
