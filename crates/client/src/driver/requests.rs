//! What a program asks its driver for.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::channel::{Channel, Wish};
use super::commands::{Asked, Reply};
use super::sink::{self, Spring};
use super::{Awaiting, Driver};
use crate::frame::Ack;
use crate::machine::{Event, Phase};
use crate::outbox::Draft;
use crate::{Error, Refusal};

/// Channels that a client is subscribed to or present in; a server's own limit is lower.
const CHANNELS_MAX: usize = 1024;
/// Who may wait for the welcome.
const AWAITING_MAX: usize = 1024;

/// A request of the program.
#[derive(Debug)]
pub(crate) enum Request {
    /// A command: JSON, without its `id`.
    Ask {
        body: String,
        /// It only reads, and waits for a connection.
        read: bool,
        reply: Reply,
    },
    /// Say good-bye.
    Close(oneshot::Sender<()>),
    Enter {
        channel: String,
        /// JSON.
        data: String,
        update: bool,
        reply: Reply,
    },
    Follow {
        channel: String,
        wish: Wish,
        reply: oneshot::Sender<Result<Spring, Error>>,
    },
    Leave {
        channel: String,
        reply: Reply,
    },
    /// Answered when everything before it was looked at.
    Mark(oneshot::Sender<()>),
    Publish {
        draft: Draft,
        echo: bool,
        reply: oneshot::Sender<Result<Ack, Error>>,
    },
    /// Skip the wait.
    Retry,
    /// Tell what comes of the attempt of now.
    Welcomed(Awaiting),
}

impl Request {
    /// It comes too late.
    pub(super) fn refuse(self, error: &Error) {
        match self {
            Request::Ask { reply, .. }
            | Request::Enter { reply, .. }
            | Request::Leave { reply, .. } => _ = reply.send(Err(error.clone())),
            Request::Follow { reply, .. } => _ = reply.send(Err(error.clone())),
            Request::Publish { reply, .. } => _ = reply.send(Err(error.clone())),
            Request::Close(done) | Request::Mark(done) => _ = done.send(()),
            Request::Retry => {}
            Request::Welcomed(reply) => _ = reply.send(Err(error.clone())),
        }
    }
}

impl Driver {
    pub(super) fn handle_request(&mut self, request: Request) {
        let now = self.now();
        let ready = self.state.phase == Phase::Connected;
        match request {
            Request::Ask { body, read, reply } => self.ask(body, read, reply),
            Request::Enter { channel, data, update, reply } => match self.channel(&channel) {
                Ok(name) => {
                    if let Some(channel) = self.channels.get_mut(&name) {
                        channel.presence.set_ready(ready);
                        channel.presence.say(update, data, reply, &mut self.commands);
                    }
                }
                Err(error) => _ = reply.send(Err(error)),
            },
            Request::Leave { channel, reply } => match self.channel(&channel) {
                Ok(name) => {
                    if let Some(channel) = self.channels.get_mut(&name) {
                        channel.presence.set_ready(ready);
                        channel.presence.leave(reply, &mut self.commands);
                    }
                    self.tidy();
                }
                Err(error) => _ = reply.send(Err(error)),
            },
            Request::Follow { channel, wish, reply } => {
                let followed = self.follow(&channel, wish);
                let _ = reply.send(followed);
            }
            Request::Publish { draft, echo, reply } => {
                let quiet = (!echo).then(|| Arc::from(&*draft.channel));
                match self.outbox.add(draft, now) {
                    Ok(ticket) => _ = self.publishes.insert(ticket, (reply, quiet)),
                    Err(error) => _ = reply.send(Err(error)),
                }
            }
            Request::Retry => self.tell(Event::Retry),
            Request::Welcomed(reply) if self.awaiting.len() >= AWAITING_MAX => {
                let _ = reply.send(Err(Error::Busy));
            }
            Request::Welcomed(reply) => {
                self.awaiting.push(reply);
                self.answer_awaiting();
            }
            // The driver itself looks for the one, and the count is up to date for the other.
            Request::Close(done) | Request::Mark(done) => {
                self.pump();
                let _ = done.send(());
            }
        }
    }

    fn ask(&mut self, body: String, read: bool, reply: Reply) {
        if !read && self.state.phase != Phase::Connected {
            let _ = reply.send(Err(Error::NotConnected));
            return;
        }
        match self.commands.admit(read) {
            Ok(()) if read => self.commands.push(body, Asked::Read(reply)),
            Ok(()) => self.commands.push(body, Asked::Once(reply)),
            Err(error) => _ = reply.send(Err(error)),
        }
    }

    /// The name of a channel that is known from now on.
    fn channel(&mut self, name: &str) -> Result<Arc<str>, Error> {
        if let Some((name, _)) = self.channels.get_key_value(name) {
            return Ok(name.clone());
        }
        if self.channels.len() >= CHANNELS_MAX {
            let message = format!("a client has {CHANNELS_MAX} channels at most");
            return Err(Error::Refused(Box::new(Refusal::own("limit_exceeded", message))));
        }
        let name: Arc<str> = name.into();
        self.channels.insert(name.clone(), Channel::new(name.clone()));
        Ok(name)
    }

    fn follow(&mut self, channel: &str, wish: Wish) -> Result<Spring, Error> {
        let name = self.channel(channel)?;
        let (sink, spring) = sink::buffer(self.options.buffer, self.notify.clone());
        let Some(channel) = self.channels.get_mut(&name) else { return Err(Error::Ended) };
        if channel.follow(wish, sink).is_err() {
            let message = "this client has a subscription to it; share that one".into();
            return Err(Error::Refused(Box::new(Refusal::own("already_subscribed", message))));
        }
        channel.sync(&mut self.commands);
        Ok(spring)
    }
}
