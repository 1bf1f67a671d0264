//! What sessions ask: always of their own user's inbox.

use std::sync::Arc;

use tidings_proto::{Browser, CommandBody, InboxQuery, Mark};

use super::{Ask, Producer};
use crate::channel::inbox::{Marked, Query};
use crate::engine::Engine;
use crate::engine::commands::{Target, check_size};
use crate::engine::types::{RequestBody, SessionKey};
use crate::identity::{Action, Identity};
use crate::policy::{Access, INBOX, TOPIC};
use crate::push::PushSubscription;
use crate::reject::Reject;
use crate::store::Scoped;

/// Items of one page.
const PAGE: usize = 50;
const PAGE_MAX: usize = 100;

/// Items that one mark names.
const MARKED: usize = 1000;

impl Engine {
    /// Carries out a command that is about the user's inbox.
    pub(in crate::engine) fn inbox_command(
        &mut self,
        key: SessionKey,
        id: u64,
        body: CommandBody<'_>,
    ) -> Result<(), Reject> {
        let Some((target, who)) = self.own_inbox(key)? else { return Ok(()) };
        let ask = match body {
            CommandBody::Cursors => Ask::Cursors,
            CommandBody::Follow { topic } => return self.follow(key, id, &who, &topic, true),
            CommandBody::Unfollow { topic } => return self.follow(key, id, &who, &topic, false),
            CommandBody::Inbox(query) => Ask::List(check_query(self, query)?),
            CommandBody::Mark(mark) => self.mark_ask(who.scope(), mark)?,
            CommandBody::PushSubscribe(browser) => self.push_subscribe(&browser)?,
            CommandBody::PushUnsubscribe { endpoint } => Ask::PushUnsubscribe((*endpoint).into()),
            CommandBody::Read { channel, offset, producer } => {
                let there = self.target(key, &channel, Action::Subscribe)?;
                let producer = self.producer(who.scope(), producer)?;
                let (inbox, home) = (target.channel.clone(), self.home_of(&target.channel));
                let ask = Ask::ReadUpto { inbox, home, offset, producer };
                return self.ask_inside(key, id, there, RequestBody::Inbox(Box::new(ask)));
            }
            CommandBody::Unread { channel } => {
                let there = self.target(key, &channel, Action::Subscribe)?;
                let there = self.target(key, &there.channel, Action::History)?;
                let (inbox, home) = (target.channel.clone(), self.home_of(&target.channel));
                let ask = Ask::Count { inbox, home, cursor: None };
                return self.ask_inside(key, id, there, RequestBody::Inbox(Box::new(ask)));
            }
            _ => return Ok(()),
        };
        self.ask(key, id, target.channel, RequestBody::Inbox(Box::new(ask)));
        Ok(())
    }

    /// The inbox of a session's user, if the user may have one.
    fn own_inbox(&mut self, key: SessionKey) -> Result<Option<(Target, Identity)>, Reject> {
        let Some(session) = self.session(key) else { return Ok(None) };
        let Some(who) = session.identity.clone() else { return Ok(None) };
        let name = format!("{INBOX}:{}", who.user);
        let target = self.target(key, &name, Action::Subscribe)?;
        Ok(Some((target, who)))
    }

    pub(super) fn producer(
        &self,
        scope: &str,
        producer: Option<(tidings_proto::Text<'_>, u64)>,
    ) -> Result<Producer, Reject> {
        let Some((name, seq)) = producer else { return Ok(None) };
        check_size("`producer`", "producer", Some(&name), self.config.limits.producer)?;
        Ok(Some((Scoped { user: scope.into(), name: (*name).into() }, seq)))
    }

    pub(super) fn mark_ask(&self, scope: &str, mark: Mark<'_>) -> Result<Ask, Reject> {
        let Mark { how, ids, upto, producer } = mark;
        let which = match (ids, upto) {
            (Some(ids), None) if (1..=MARKED).contains(&ids.len()) => Marked::Ids(ids),
            (Some(_), None) => return Err(Reject::bad_request("`ids` has 1 to 1000 of them")),
            (None, Some(upto)) => Marked::Upto(upto),
            _ => return Err(Reject::bad_request("`ids` or `upto`, one of them")),
        };
        Ok(Ask::Mark { how, which, producer: self.producer(scope, producer)? })
    }

    fn push_subscribe(&self, browser: &Browser<'_>) -> Result<Ask, Reject> {
        let Some(service) = &self.config.policy.push else {
            return Err(Reject::bad_request("this server sends no pushes: set [push] up"));
        };
        let to = PushSubscription {
            endpoint: (*browser.endpoint).into(),
            p256dh: (*browser.keys.p256dh).into(),
            auth: (*browser.keys.auth).into(),
        };
        service.check(&to).map_err(Reject::bad_request)?;
        Ok(Ask::PushSubscribe(to))
    }

    fn follow(
        &mut self,
        key: SessionKey,
        id: u64,
        who: &Identity,
        topic: &str,
        on: bool,
    ) -> Result<(), Reject> {
        let channel = self.topic_channel(topic)?;
        let access = self.config.policy.namespace_of(&channel).map(|rules| rules.policy.subscribe);
        let name = format!("topic:{topic}");
        let may = match access {
            Some(Access::Anyone) => true,
            Some(Access::SignedIn) => !who.anonymous,
            Some(Access::Token) | None => who.grants(Action::Subscribe, &name),
        };
        let session = self.session(key).map_or(0, |session| session.id);
        let stands = self.config.authority.stands(who, session, Some(&name));
        // Whoever follows already may always stop.
        if on && !(may && stands) {
            return Err(Reject::forbidden("this user may not follow the topic"));
        }
        let ask = Ask::Follow { user: who.user.clone(), on };
        self.ask(key, id, channel, RequestBody::Inbox(Box::new(ask)));
        Ok(())
    }

    /// Where the followers of a topic are kept.
    pub(super) fn topic_channel(&self, topic: &str) -> Result<Arc<str>, Reject> {
        check_topic(topic, self.config.limits.event_name)?;
        Ok(format!("{TOPIC}:{topic}").into())
    }
}

pub(super) fn check_topic(topic: &str, max: usize) -> Result<(), Reject> {
    check_size("`topic`", "event_name", Some(topic), max)?;
    if topic.is_empty() || topic.chars().any(char::is_control) {
        return Err(Reject::bad_request("`topic` is not empty and has no control characters"));
    }
    Ok(())
}

pub(super) fn check_query(engine: &Engine, query: InboxQuery<'_>) -> Result<Query, Reject> {
    let limits = &engine.config.limits;
    let InboxQuery { before, limit, topic, subject, unread, archived, group } = query;
    check_size("`topic`", "event_name", topic.as_deref(), limits.event_name)?;
    check_size("`subject`", "key", subject.as_deref(), limits.key)?;
    let limit = limit.map_or(PAGE, |n| usize::try_from(n).unwrap_or(PAGE_MAX)).clamp(1, PAGE_MAX);
    let (topic, subject) = (topic.map(|t| (*t).into()), subject.map(|s| (*s).into()));
    Ok(Query { before, limit, topic, subject, unread, archived, group })
}
