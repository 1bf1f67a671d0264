//! What the user wants to be present with in a channel, however often the connection is lost: the
//! rules of the TypeScript SDK (`sdk/src/presence.ts`).

use std::sync::Arc;

use super::channel::{RETRY, command};
use super::commands::{Asked, Commands, Entering, Reply};
use super::ms;
use crate::{Error, Frame, Refusal};

/// Who may wait for the server to know it.
const WAITING_MAX: usize = 64;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Presence {
    channel: Arc<str>,
    /// What we want to be here with: JSON.
    mine: Option<String>,
    /// What we were here with before something that is tried again.
    before: Option<String>,
    /// Counts what the user has said.
    turn: u64,
    /// Who waits for the server to know it.
    waiting: Vec<Reply>,
    /// We left while there was no connection: a resumed session would not know.
    gone: bool,
    retry_at: Option<u64>,
    /// The server has welcomed us.
    ready: bool,
}

impl Presence {
    pub(super) fn new(channel: Arc<str>) -> Self {
        Self {
            channel,
            mine: None,
            before: None,
            turn: 0,
            waiting: Vec::new(),
            gone: false,
            retry_at: None,
            ready: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.mine.is_none() && self.waiting.is_empty() && !self.gone
    }

    pub(super) fn wake(&self) -> Option<u64> {
        self.retry_at
    }

    pub(super) fn handle_time(&mut self, now: u64, commands: &mut Commands) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.send(false, commands);
        }
    }

    /// The server has welcomed us, and nothing was lost since.
    pub(super) fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
    }

    /// The user is here, with this data.
    pub(super) fn say(&mut self, update: bool, data: String, reply: Reply, to: &mut Commands) {
        if self.waiting.len() >= WAITING_MAX {
            let _ = reply.send(Err(Error::Busy));
            return;
        }
        let update = update && self.mine.is_some();
        self.before = self.mine.replace(data);
        self.turn += 1;
        self.waiting.push(reply);
        self.send(update, to);
    }

    /// The user is not here any more.
    pub(super) fn leave(&mut self, reply: Reply, commands: &mut Commands) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(Err(Error::Ended));
        }
        let was = self.mine.take().is_some();
        self.retry_at = None;
        if was && self.ready {
            let leave = Asked::Leave(self.channel.clone(), Some(reply));
            commands.ask(&command("leave", &self.channel), leave);
        } else {
            self.gone |= was;
            let frame = format!(r#"{{"type":"left","channel":{:?}}}"#, &*self.channel);
            let _ = reply.send(Frame::new(frame));
        }
    }

    /// The server has welcomed us, perhaps in the session of before.
    pub(super) fn handle_welcome(&mut self, resumed: bool, commands: &mut Commands) {
        self.ready = true;
        if self.mine.is_some() && (!resumed || !self.waiting.is_empty()) {
            self.send(false, commands);
        } else if self.gone && resumed {
            let leave = Asked::Leave(self.channel.clone(), None);
            commands.ask(&command("leave", &self.channel), leave);
        }
        self.gone = false;
    }

    /// The subscription has ended, and with it, for the server, our presence.
    pub(super) fn handle_left(&mut self, commands: &mut Commands) {
        self.send(false, commands);
    }

    pub(super) fn handle_lost(&mut self) {
        (self.ready, self.retry_at) = (false, None);
    }

    fn send(&mut self, update: bool, commands: &mut Commands) {
        let Some(mine) = self.mine.as_ref().filter(|_| self.ready && commands.open()) else {
            return;
        };
        let head = command(if update { "update" } else { "enter" }, &self.channel).to_string();
        let body = format!(r#"{{"data":{mine},{}"#, &head[1..]);
        let (before, waiting) = (self.before.take(), std::mem::take(&mut self.waiting));
        let entering = Entering { update, before, turn: self.turn, waiting };
        commands.push(body, Asked::Enter(self.channel.clone(), entering));
    }

    /// It was not answered, and is said again on the next connection.
    pub(super) fn handle_unanswered(&mut self, waiting: Vec<Reply>) {
        self.waiting.splice(0..0, waiting);
    }

    /// A `leave` was not answered.
    pub(super) fn handle_leave_lost(&mut self) {
        self.gone = self.mine.is_none();
    }

    /// The server did not take it.
    pub(super) fn handle_refused(
        &mut self,
        refusal: Refusal,
        entering: Entering,
        now: u64,
        commands: &mut Commands,
    ) {
        let Entering { update, before, turn, waiting } = entering;
        let newest = turn == self.turn;
        // An update of what the server does not know.
        let unknown = update && refusal.code == "not_subscribed";
        if unknown || refusal.retryable {
            self.waiting.splice(0..0, waiting);
            if newest {
                self.before = before;
            }
            if unknown {
                return self.send(false, commands);
            }
            self.retry_at = Some(now + refusal.retry_after.map_or(RETRY, ms));
            return;
        }
        if newest {
            self.mine = before;
        }
        let error = Error::Refused(Box::new(refusal));
        for reply in waiting {
            let _ = reply.send(Err(error.clone()));
        }
    }

    /// It is over.
    pub(super) fn fail(&mut self, error: &Error) {
        (self.mine, self.gone) = (None, false);
        for reply in self.waiting.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
    }
}
