//! What the HTTP API asks of inboxes and topics, and whoever sends pushes.

use std::sync::Arc;

use serde_json::value::RawValue;
use tidings_proto::{ChannelName, InboxQuery, Mark, depth_exceeds};

use super::commands::{check_query, check_topic};
use super::{Ask, Note};
use crate::engine::Engine;
use crate::engine::commands::check_size;
use crate::engine::service::{SCOPE, SERVICE};
use crate::engine::types::{Address, Effect, Message, Now, Request, RequestBody, own};
use crate::limits::STATE_TTL_MS;
use crate::policy::INBOX;
use crate::reject::Reject;
use crate::store::Scoped;

/// A question or a command of the API that is about a user's inbox or a topic.
#[derive(Debug)]
pub enum Inquiry<'a> {
    /// How far a user has read in channels.
    Cursors(&'a str),
    /// A user follows a topic from now on, or does not any more.
    Follow {
        /// Which topic.
        topic: &'a str,
        /// Who.
        user: &'a str,
        /// From now on.
        on: bool,
    },
    /// Those who follow a topic, by name.
    Followers {
        /// Which topic.
        topic: &'a str,
        /// Only names behind this one.
        after: Option<&'a str>,
        /// How many at most.
        limit: usize,
    },
    /// A page of a user's inbox.
    Inbox(&'a str, InboxQuery<'a>),
    /// A mark, as if the user had made it.
    Mark(&'a str, Mark<'a>),
    /// A notification for a user.
    Notify(&'a str, &'a Notify<'a>),
}

/// A notification to make.
#[derive(Clone, Copy, Debug)]
pub struct Notify<'a> {
    /// What kind of thing it is about.
    pub topic: &'a str,
    /// Which one, for grouping.
    pub subject: Option<&'a str>,
    /// What it says.
    pub data: &'a RawValue,
    /// A second one with the same key is the same one.
    pub key: Option<&'a str>,
    /// Milliseconds after which it is gone.
    pub ttl_ms: Option<u64>,
    /// The user who caused it.
    pub from: Option<&'a str>,
}

impl Engine {
    /// Carries out a question of the API; its [`Effect::Answer`] has this `id`.
    pub fn inquire(&mut self, now: Now, id: u64, inquiry: Inquiry<'_>) {
        match self.inquiry(inquiry) {
            Ok((channel, ask)) => self.send_ask(id, channel, ask),
            Err(reject) => {
                let text = reject.encode(Some(id), None);
                self.out.effects.push(Effect::Answer { text });
            }
        }
        self.settle(now);
    }

    fn inquiry(&self, inquiry: Inquiry<'_>) -> Result<(Arc<str>, Ask), Reject> {
        Ok(match inquiry {
            Inquiry::Cursors(user) => (self.inbox_of(user)?, Ask::Cursors),
            Inquiry::Follow { topic, user, on } => {
                self.inbox_of(user)?;
                (self.topic_channel(topic)?, Ask::Follow { user: user.into(), on })
            }
            Inquiry::Followers { topic, after, limit } => {
                (self.topic_channel(topic)?, Ask::Followers { after: after.map(Into::into), limit })
            }
            Inquiry::Inbox(user, query) => {
                (self.inbox_of(user)?, Ask::List(check_query(self, query)?))
            }
            Inquiry::Mark(user, mark) => (self.inbox_of(user)?, self.mark_ask(SCOPE, mark)?),
            Inquiry::Notify(user, notify) => (self.inbox_of(user)?, self.note(notify)?),
        })
    }

    fn note(&self, notify: &Notify<'_>) -> Result<Ask, Reject> {
        let limits = &self.config.limits;
        let Notify { topic, subject, data, key, ttl_ms, from } = *notify;
        check_topic(topic, limits.event_name)?;
        check_size("`subject`", "key", subject, limits.key)?;
        check_size("`key`", "key", key, limits.key)?;
        check_size("`data`", "data", Some(data.get()), limits.data)?;
        if depth_exceeds(data.get(), limits.depth) {
            let why = format!("`data` is nested deeper than {}", limits.depth);
            return Err(Reject { limit: Some("depth"), ..Reject::bad_request(why) });
        }
        if ttl_ms.is_some_and(|ttl| ttl == 0 || ttl > STATE_TTL_MS) {
            let why = "`ttl` is 1 to 315360000000 milliseconds: ten years";
            return Err(Reject::bad_request(why));
        }
        Ok(Ask::Notify(Box::new(Note {
            topic: topic.into(),
            subject: subject.map(Into::into),
            data: own(data),
            ttl_ms,
            from: from.map(Into::into),
            key: key.map(|key| Scoped { user: SCOPE.into(), name: key.into() }),
        })))
    }

    /// The name of a user's inbox, if a user can be called so.
    fn inbox_of(&self, user: &str) -> Result<Arc<str>, Reject> {
        let name = format!("{INBOX}:{user}");
        let max = self.config.limits.channel_name;
        ChannelName::parse(&name, max).map_err(|why| Reject::bad_request(why.to_string()))?;
        Ok(name.into())
    }

    pub(in crate::engine) fn send_ask(&mut self, id: u64, channel: Arc<str>, ask: Ask) {
        let from = Address { shard: self.config.shard, session: SERVICE };
        let (home, body) = (self.home_of(&channel), RequestBody::Inbox(Box::new(ask)));
        self.out.post(home, Message::Request(Request { from, id, channel, body }));
    }

    /// Asks the home of a user's inbox something that has no command.
    pub(in crate::engine) fn ask_inbox(&mut self, user: &str, ask: Ask) -> Result<(), Reject> {
        let channel = self.inbox_of(user)?;
        self.send_ask(0, channel, ask);
        Ok(())
    }
}
