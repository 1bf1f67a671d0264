//! What waits for an answer, never more than the server allows at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::{Error, Frame};

/// Who waits for a frame.
pub(super) type Reply = oneshot::Sender<Result<Frame, Error>>;

/// Commands that wait for a connection.
const WAITING_MAX: usize = 1024;
/// Behind so many nothing more is taken from the program while there is a connection.
const QUEUE_MAX: usize = 64;

/// What a command was sent for.
#[derive(Debug)]
pub(super) enum Asked {
    Hello,
    Refresh,
    /// Of the outbox, with its ticket.
    Publish(u64),
    /// Sent once, at most.
    Once(Reply),
    /// It only reads: when the connection is lost it is sent again on the next.
    Read(Reply),
    Subscribe(Arc<str>),
    Unsubscribe(Arc<str>),
    Enter(Arc<str>, Entering),
    Leave(Arc<str>, Option<Reply>),
}

/// What `enter` and `update` are about.
#[derive(Debug)]
pub(super) struct Entering {
    pub(super) update: bool,
    /// What the user was here with before, if this is refused.
    pub(super) before: Option<String>,
    /// Which word of the user's it was.
    pub(super) turn: u64,
    /// Who waits.
    pub(super) waiting: Vec<Reply>,
}

#[derive(Debug)]
struct Command {
    /// JSON, without the `id`.
    body: String,
    asked: Asked,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Commands {
    /// Of `welcome.limits.in_flight`; until the first welcome, the server's default.
    pub(super) limit: usize,
    last_id: u64,
    queue: VecDeque<Command>,
    flying: BTreeMap<u64, Command>,
    open: bool,
}

impl Commands {
    pub(super) fn new() -> Self {
        Self { limit: 64, last_id: 0, queue: VecDeque::new(), flying: BTreeMap::new(), open: false }
    }

    /// There is a connection that commands can be sent on.
    pub(super) fn open(&self) -> bool {
        self.open
    }

    /// Whether more may come from the program.
    pub(super) fn listening(&self) -> bool {
        !self.open || self.queue.len() < QUEUE_MAX
    }

    /// How many commands can be sent right now.
    pub(super) fn room(&self) -> usize {
        match self.open && self.queue.is_empty() {
            true => self.limit.saturating_sub(self.flying.len()),
            false => 0,
        }
    }

    /// Whether a command may be queued now; one that only reads may wait for a connection.
    pub(super) fn admit(&self, read: bool) -> Result<(), Error> {
        match self.open {
            true => Ok(()),
            false if !read => Err(Error::NotConnected),
            false if self.queue.len() >= WAITING_MAX => Err(Error::Busy),
            false => Ok(()),
        }
    }

    /// Queues a command that [`Commands::admit`] lets in.
    pub(super) fn push(&mut self, body: String, asked: Asked) {
        self.queue.push_back(Command { body, asked });
    }

    /// The same, as JSON.
    pub(super) fn ask(&mut self, command: &Value, asked: Asked) {
        self.push(command.to_string(), asked);
    }

    /// A new connection: its first command goes before all that was kept, which is returned for
    /// [`Commands::resume`].
    pub(super) fn start(&mut self, hello: &Value) -> Kept {
        let kept = Kept(std::mem::take(&mut self.queue));
        self.open = true;
        self.ask(hello, Asked::Hello);
        kept
    }

    /// What was kept goes behind what was pushed since.
    pub(super) fn resume(&mut self, kept: Kept) {
        self.queue.extend(kept.0);
    }

    /// The next frame to write.
    pub(super) fn next(&mut self) -> Option<String> {
        if !self.open || self.flying.len() >= self.limit {
            return None;
        }
        let command = self.queue.pop_front()?;
        self.last_id += 1;
        let id = self.last_id;
        let text = format!(r#"{{"id":{id},{}"#, &command.body[1..]);
        self.flying.insert(id, command);
        Some(text)
    }

    /// What an answer with this id is the answer to.
    pub(super) fn answered(&mut self, id: u64) -> Option<Asked> {
        self.flying.remove(&id).map(|command| command.asked)
    }

    /// The connection is gone. What is not kept for the next is returned, with whether it was sent;
    /// with `forget` there is no next.
    pub(super) fn stop(&mut self, forget: bool) -> Vec<(Asked, bool)> {
        self.open = false;
        let flying = std::mem::take(&mut self.flying).into_values().map(|command| (command, true));
        let queue = std::mem::take(&mut self.queue).into_iter().map(|command| (command, false));
        let mut ended = Vec::new();
        for (command, sent) in flying.chain(queue) {
            if matches!(command.asked, Asked::Read(_)) && !forget {
                self.queue.push_back(command);
            } else {
                ended.push((command.asked, sent));
            }
        }
        ended
    }
}

/// Commands that wait for the next connection.
#[derive(Debug)]
pub(super) struct Kept(VecDeque<Command>);
