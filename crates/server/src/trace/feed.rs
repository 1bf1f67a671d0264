//! The queue between the taps of a trace, one on each shard, and its viewer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;

use super::Line;

/// What a line takes beside its text, about.
const OVERHEAD: usize = 64;

/// What hyper is given at once, about.
const PIECE: usize = 16 << 10;

/// See the module. A viewer that is too slow does not slow anybody down: lines are dropped, and it
/// is told how many.
#[derive(Clone, Debug)]
pub(crate) struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    viewer: AtomicWaker,
}

#[derive(Debug)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    bytes_max: usize,
    /// Lines that did not fit, since the last one that did.
    dropped: u64,
    /// When the last of them came.
    at: u64,
    closed: bool,
}

impl Queue {
    /// Says what was dropped, behind what was not.
    fn own_up(&mut self) {
        let count = std::mem::take(&mut self.dropped);
        if count > 0 {
            let line = Line { count: Some(count), ..Line::new(self.at, "dropped") };
            self.push(line.encode());
        }
    }

    fn push(&mut self, line: Vec<u8>) {
        self.bytes += line.len() + OVERHEAD;
        self.lines.push_back(line);
    }
}

impl Feed {
    /// One that holds so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let (lines, dropped, closed) = (VecDeque::new(), 0, false);
        let queue = Queue { lines, bytes: 0, bytes_max, dropped, at: 0, closed };
        Self(Arc::new(Shared { queue: Mutex::new(queue), viewer: AtomicWaker::new() }))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, if there is room.
    pub(crate) fn push(&self, line: &Line<'_>) {
        let text = line.encode();
        let mut queue = self.queue();
        if queue.closed {
            return;
        }
        // Once something is dropped, half of the room has to be free again: a viewer at its limit
        // gets long stretches with long gaps, not a gap behind each line.
        let room = if queue.dropped > 0 { queue.bytes_max / 2 } else { queue.bytes_max };
        if queue.bytes + text.len() + OVERHEAD > room {
            queue.dropped += 1;
            queue.at = line.at;
        } else {
            queue.own_up();
            queue.push(text);
        }
        drop(queue);
        self.0.viewer.wake();
    }

    /// Takes some of what there is; the viewer is woken when there is something.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Bytes> {
        self.0.viewer.register(cx.waker());
        let mut queue = self.queue();
        if queue.lines.is_empty() {
            queue.own_up();
        }
        let mut piece = Vec::new();
        while piece.len() < PIECE
            && let Some(line) = queue.lines.pop_front()
        {
            queue.bytes -= line.len() + OVERHEAD;
            piece.extend_from_slice(&line);
        }
        if piece.is_empty() { Poll::Pending } else { Poll::Ready(piece.into()) }
    }

    /// The viewer is gone.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        queue.lines = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn taken(feed: &Feed) -> Vec<String> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut text = String::new();
        while let Poll::Ready(piece) = feed.poll(&mut cx) {
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
        text.split_terminator("\n\n").map(str::to_owned).collect()
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_where_it_is_missing() {
        let feed = Feed::new(500);
        let push = |at| feed.push(&Line::new(at, "in"));
        (1..=9).for_each(push);
        let seen = taken(&feed);
        let last = seen.last().unwrap();
        assert_eq!(seen[0], r#"data: {"at":1,"kind":"in"}"#);
        let dropped = 9 - (seen.len() - 1);
        assert!((2..7).contains(&dropped), "{seen:?}");
        assert_eq!(*last, format!(r#"data: {{"at":9,"kind":"dropped","count":{dropped}}}"#));
        push(10);
        assert_eq!(taken(&feed), [r#"data: {"at":10,"kind":"in"}"#], "and it goes on");
        assert_eq!(feed.queue().bytes, 0);
    }

    #[test]
    fn a_gap_stands_in_front_of_what_follows_it() {
        let feed = Feed::new(500);
        (1..=9).for_each(|at| feed.push(&Line::new(at, "in")));
        let mut cx = Context::from_waker(Waker::noop());
        // All of the queue goes at once; what was dropped is told only when it is asked again.
        assert!(feed.poll(&mut cx).is_ready());
        feed.push(&Line::new(10, "out"));
        let seen = taken(&feed);
        assert!(seen[0].contains("dropped") && seen[1].contains("out"), "{seen:?}");
    }
}
