//! Writing to many sockets in one system call.

use std::rc::Rc;

use super::Shard;
use super::connection::Connection;

/// So many sockets to write to are worth a call of their own.
const TOGETHER_FROM: usize = 6;

impl Shard {
    /// Sends to all that have one plain frame waiting, in one system call. What remains, for
    /// whatever reason, is left to `flush`.
    pub(super) fn send_together(&self, touched: &[Rc<Connection>]) {
        let mut ring = self.ring.borrow_mut();
        let Some(working) = ring.as_mut().filter(|_| touched.len() >= TOGETHER_FROM) else {
            return;
        };
        let ready =
            |connection: &&Rc<Connection>| !connection.blocked.get() && !connection.ended.get();
        let (mut frames, mut whose) = (Vec::new(), Vec::new());
        for connection in touched.iter().filter(ready) {
            let queue = connection.queue.borrow();
            if let (Some(fd), Some(frame)) = (connection.stream.plain_fd(), queue.only()) {
                frames.push((fd, frame.clone()));
                whose.push((connection, false));
            }
        }
        let outcome = working.send(&frames, |place, sent| {
            let (connection, reported) = &mut whose[place];
            *reported = true;
            if let Ok(sent) = sent {
                self.tally.sent(sent);
                connection.queue.borrow_mut().advance(sent);
            }
        });
        if let Err(error) = outcome {
            tracing::warn!(%error, "io_uring failed; sockets are written to one by one now");
            *ring = None;
            drop(ring);
            // How much of their frame is out is not known: they come back and recover.
            for (connection, _) in whose.into_iter().filter(|(_, reported)| !reported) {
                self.end(connection);
            }
        }
    }
}
