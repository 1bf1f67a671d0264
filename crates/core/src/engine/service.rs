//! Commands of the server's own: what its HTTP API asks for. They have no session. Whether the
//! caller may ask is the API's matter; names, sizes and schemas are checked as for everybody.

use std::sync::Arc;

use tidings_proto::{Command, CommandBody, ErrorCode, Write};

use super::Engine;
use super::authoring::Author;
use super::commands::{Target, has_history};
use super::types::{Address, Effect, Message, Now, Request, RequestBody, SessionKey};
use crate::channel::Verb;
use crate::reject::Reject;

/// What stands in the place of a session's key.
pub(crate) const SERVICE: SessionKey = SessionKey { slot: u32::MAX, serial: 0 };

/// The scope of the API's idempotency keys. No user has this name: names have no control
/// characters.
pub(super) const SCOPE: &str = "\0api";

impl Engine {
    /// Carries out `publish`, `edit`, `delete`, `react`, `history`, `presence`, `get`, `set`,
    /// `patch` or `remove`; its [`Effect::Answer`] has the same `id`.
    /// `author` is the user that an event is said to be from.
    pub fn serve(&mut self, now: Now, author: &Arc<str>, command: Command<'_>) {
        let Command { id, body } = command;
        let channel = match &body {
            CommandBody::Publish { channel, .. }
            | CommandBody::History { channel, .. }
            | CommandBody::Get { channel, .. }
            | CommandBody::Presence { channel } => channel.to_string(),
            CommandBody::Amend(amend) => amend.channel.to_string(),
            CommandBody::Patch(write) | CommandBody::Remove(write) | CommandBody::Set(write) => {
                write.channel.to_string()
            }
            _ => String::new(),
        };
        if let Err(reject) = self.try_serve(now, (id, &channel), author, body) {
            let at = (channel.len() <= self.config.limits.channel_name).then_some(&*channel);
            let text = reject.encode(Some(id), at);
            self.out.effects.push(Effect::Answer { text });
        }
        self.settle(now);
    }

    fn try_serve(
        &mut self,
        now: Now,
        (id, channel): (u64, &str),
        author: &Arc<str>,
        body: CommandBody<'_>,
    ) -> Result<(), Reject> {
        let target = self.find_target(channel)?;
        let body = match body {
            publish @ CommandBody::Publish { .. } => {
                let author = Author { user: author, scope: SCOPE, session: 0 };
                RequestBody::Publish(Box::new(self.make_publish(now, &author, &target, publish)?))
            }
            CommandBody::Patch(write) => {
                self.write_body(now, author, &target, Verb::Patch, &write)?
            }
            CommandBody::Remove(write) => {
                self.write_body(now, author, &target, Verb::Remove, &write)?
            }
            CommandBody::Set(write) => self.write_body(now, author, &target, Verb::Set, &write)?,
            CommandBody::Amend(amend) => {
                let author = Author { user: author, scope: SCOPE, session: 0 };
                self.amend_body(now, &author, &target, &amend)?
            }
            get @ CommandBody::Get { .. } => self.get_body(&target.namespace, &get)?,
            CommandBody::History { before, after, limit, .. } => {
                has_history(&target)?;
                self.history_body(before, after, limit)?
            }
            CommandBody::Presence { .. } => RequestBody::Members,
            _ => return Err(Reject::new(ErrorCode::BadRequest, "a command of sessions")),
        };
        let from = Address { shard: self.config.shard, session: SERVICE };
        let home = self.home_of(&target.channel);
        let channel = target.channel;
        self.out.post(home, Message::Request(Request { from, id, channel, body }));
        Ok(())
    }

    fn write_body(
        &self,
        now: Now,
        author: &Arc<str>,
        target: &Target,
        verb: Verb,
        write: &Write<'_>,
    ) -> Result<RequestBody, Reject> {
        let author = Author { user: author, scope: SCOPE, session: 0 };
        let publish = self.make_write(now, &author, target, verb, write)?;
        Ok(RequestBody::Publish(Box::new(publish)))
    }
}
