//! Commands of clients: decoded, checked against the session's rights and limits, answered here or
//! sent to the channel's home.

use std::sync::Arc;

use serde_json::value::RawValue;
use tidings_proto::{
    ChannelName, CloseCode, Command, CommandBody, ErrorCode, Frame, Since, Text, WelcomeLimits,
    decode, depth_exceeds,
};

use super::Engine;
use super::counters::CommandKind;
use super::document::Dialect;
use super::knocking::Then;
use super::session::Stage;
use super::types::{Effect, Now, RequestBody, SessionKey, Subscribe, own};
use crate::channel::{Entry, Verb};
use crate::identity::Action;
use crate::policy::{Kind, Namespace};
use crate::reject::Reject;

/// A channel that a command named, and its rules.
pub(super) struct Target {
    pub(super) channel: Arc<str>,
    pub(super) namespace: Arc<Namespace>,
}

impl Engine {
    /// A text message of the client.
    pub fn receive(&mut self, now: Now, key: SessionKey, text: &str) {
        if self.session(key).is_none() {
            return;
        }
        match decode(text) {
            Ok(command) if self.must_knock(key, &command) => {
                self.knock(now, key, None, Then::Command(text.into()));
            }
            Ok(command) => self.command(now, key, command),
            Err(error) => {
                let reject = Reject::bad_request(error.message);
                self.out.counters.command(CommandKind::Invalid, Some(reject.code));
                self.send_reject(key, error.id, None, &reject);
                self.count_bad_frame(key);
            }
        }
        self.settle(now);
    }

    pub(super) fn count_bad_frame(&mut self, key: SessionKey) {
        let max = self.config.limits.bad_frames;
        let Some(session) = self.session(key) else { return };
        session.bad_frames += 1;
        if usize::from(session.bad_frames) >= max {
            self.end_session(key, CloseCode::BadFrame, None);
        }
    }

    fn send_reject(&mut self, key: SessionKey, id: Option<u64>, at: Option<&str>, why: &Reject) {
        let text = why.encode(id, at);
        self.out.effects.push(Effect::Send { session: key, text });
    }

    /// A command that this shard alone answers is done.
    pub(super) fn done(&mut self, kind: CommandKind, key: SessionKey, frame: &Frame<'_>) {
        self.out.counters.command(kind, None);
        self.out.effects.push(Effect::Send { session: key, text: frame.encode() });
    }

    pub(super) fn command(&mut self, now: Now, key: SessionKey, command: Command<'_>) {
        let Command { id, body } = command;
        if let CommandBody::Hello { token, session, attempt, .. } = body {
            let ticket = session.as_deref().map(|ticket| (ticket, attempt.unwrap_or(0)));
            self.hello(now, key, id, token.as_deref(), ticket);
            return;
        }
        let Some(session) = self.session(key) else { return };
        if session.knocks || session.claim.is_some() {
            let reject = Reject::bad_request("wait for the answer to the first command");
            self.out.counters.command(CommandKind::of(&body), Some(reject.code));
            return self.send_reject(key, Some(id), None, &reject);
        }
        if !session.open {
            // Where anonymous users are allowed, `hello` may be left out.
            session.open = true;
            if session.identity.is_none() && !self.authenticate(now, key, None) {
                return;
            }
            if !self.count_session(key) {
                return;
            }
            self.greet(key);
        }
        let channel = channel_of(&body).map(ToOwned::to_owned);
        let part = matches!(&body, CommandBody::Merge(merge) if merge.more);
        let kind = CommandKind::of(&body);
        let outcome = self.meter(now, key, kind);
        let outcome = outcome.and_then(|()| self.dispatch(now, key, id, body));
        if let Err(reject) = &outcome {
            self.out.counters.command(kind, Some(reject.code));
            self.send_reject(key, Some(id), channel.as_deref(), reject);
            if kind == CommandKind::Merge {
                let of = channel.as_deref().unwrap_or_default();
                self.refuse_upload(now, key, (of, part), reject);
            }
            if reject.code == ErrorCode::RateLimited {
                return self.too_soon(key, reject);
            }
        }
        if outcome.is_err_and(|reject| reject.code == ErrorCode::BadRequest) {
            self.count_bad_frame(key);
        } else if let Some(session) = self.session(key) {
            session.bad_frames = 0;
        }
    }

    fn dispatch(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        body: CommandBody<'_>,
    ) -> Result<(), Reject> {
        use CommandBody as B;
        match body {
            B::Hello { .. } => Ok(()),
            B::Ping => {
                self.done(CommandKind::Ping, key, &Frame::Pong { id });
                Ok(())
            }
            B::Refresh { token } => self.refresh(now, key, id, &token),
            B::Subscribe { channel, since, rewind, presence } => {
                self.subscribe(key, id, &channel, since, rewind, presence)
            }
            B::Unsubscribe { channel } => self.unsubscribe(key, id, &channel),
            publish @ B::Publish { .. } => self.publish_command(now, key, id, publish),
            B::History { channel, before, after, limit } => {
                let target = self.target(key, &channel, Action::Subscribe)?;
                self.require(key, &target, Action::History)?;
                has_history(&target)?;
                let body = self.history_body(before, after, limit)?;
                self.ask_inside(key, id, target, body)
            }
            body @ (B::Cursors
            | B::Follow { .. }
            | B::Inbox(_)
            | B::Mark(_)
            | B::PushSubscribe(_)
            | B::PushUnsubscribe { .. }
            | B::Read { .. }
            | B::Unfollow { .. }
            | B::Unread { .. }) => self.inbox_command(key, id, body),
            body @ (B::Awareness(_) | B::Merge(_) | B::Sync(_) | B::Versions(_)) => {
                self.document_command(now, key, id, body)
            }
            B::Amend(amend) => self.amend_command(now, key, id, &amend),
            B::Set(write) => self.write_command(now, key, id, Verb::Set, &write),
            B::Patch(write) => self.write_command(now, key, id, Verb::Patch, &write),
            B::Remove(write) => self.write_command(now, key, id, Verb::Remove, &write),
            get @ B::Get { .. } => self.get_command(key, id, &get),
            B::Presence { channel } => {
                let target = self.target(key, &channel, Action::Presence)?;
                self.ask_inside(key, id, target, RequestBody::Members)
            }
            B::Enter { channel, data } => self.enter(key, id, &channel, data, true),
            B::Update { channel, data } => self.enter(key, id, &channel, data, false),
            B::Leave { channel } => self.leave(key, id, &channel),
        }
    }

    /// Sends a command home that will be answered from there.
    pub(super) fn ask(&mut self, key: SessionKey, id: u64, channel: Arc<str>, body: RequestBody) {
        self.count_in_flight(key);
        self.send_home(key, id, channel, body);
    }

    pub(super) fn count_in_flight(&mut self, key: SessionKey) {
        let max = self.config.limits.in_flight;
        let Some(session) = self.session(key) else { return };
        session.in_flight = session.in_flight.saturating_add(1);
        if usize::from(session.in_flight) >= max && !session.paused {
            session.paused = true;
            self.out.effects.push(Effect::Pause { session: key });
        }
    }

    /// Checks a channel's name, finds its namespace, and whether the session may do `action`.
    pub(super) fn target(
        &mut self,
        key: SessionKey,
        name: &str,
        action: Action,
    ) -> Result<Target, Reject> {
        let target = self.find_target(name)?;
        self.require(key, &target, action)?;
        Ok(target)
    }

    /// Checks a channel's name and finds its namespace.
    pub(super) fn find_target(&self, name: &str) -> Result<Target, Reject> {
        let max = self.config.limits.channel_name;
        let name = ChannelName::parse(name, max).map_err(|e| Reject::bad_request(e.to_string()))?;
        let namespace = self.config.policy.namespaces.get(name.namespace()).cloned();
        let namespace = namespace.ok_or_else(|| {
            let message = format!("there is no namespace {:?}", name.namespace());
            Reject::new(ErrorCode::NotFound, message)
        })?;
        Ok(Target { channel: name.as_str().into(), namespace })
    }

    pub(super) fn require(
        &self,
        key: SessionKey,
        at: &Target,
        action: Action,
    ) -> Result<(), Reject> {
        if let Some(session) = self.sessions.get(key.slot as usize)
            && session.serial == key.serial
            && let Some(who) = session.identity_for(&at.channel)
            && at.namespace.allows(who, action, &at.channel)
            && self.config.authority.stands(who, session.id, Some(&at.channel))
        {
            return Ok(());
        }
        Err(Reject::forbidden(match action {
            Action::History => "this user may not read the channel's history",
            Action::Moderate => "this user may not moderate the channel",
            Action::Presence => "this user may not see or enter the channel's presence",
            Action::Publish => "this user may not publish to the channel",
            Action::Subscribe => "this user may not subscribe to the channel",
        }))
    }

    fn hello(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        token: Option<&str>,
        ticket: Option<(&str, u64)>,
    ) {
        let ticket = ticket.filter(|(text, _)| text.len() <= 256);
        let known = ticket.and_then(|(text, attempt)| {
            Some((self.config.authority.read_ticket(text, now.wall_ms)?, attempt))
        });
        let Some(session) = self.session(key) else { return };
        if session.open || session.knocks || session.claim.is_some() {
            let reject = Reject::bad_request("`hello` is the first command or none");
            self.out.counters.command(CommandKind::Hello, Some(reject.code));
            self.send_reject(key, Some(id), None, &reject);
            return;
        }
        if let Some(known) = known {
            return self.claim(key, id, known, token);
        }
        if self.config.policy.hooks.connect.is_some() {
            return self.knock(now, key, token, Then::Welcome { id, from: None });
        }
        let named = self.session(key).is_some_and(|session| session.identity.is_some());
        if (!named || token.is_some()) && !self.authenticate(now, key, token) {
            return;
        }
        self.welcome(now, key, id, false);
    }

    pub(super) fn welcome(&mut self, now: Now, key: SessionKey, id: u64, resumed: bool) {
        if !self.count_session(key) {
            return;
        }
        let config = self.config.clone();
        let Some(session) = self.session(key) else { return };
        session.open = true;
        session.ticket = true;
        session.claims = false;
        let Some(identity) = session.identity.clone() else { return };
        let expires_ms = now.wall_ms + config.limits.session_ticket.ms;
        let entered = session.entered.as_deref().cloned().unwrap_or_default();
        let present: Vec<&str> = entered.iter().map(|channel| &**channel).collect();
        let session = session.id;
        let ticket = config.authority.sign_ticket(session, expires_ms);
        let windows = config.policy.namespaces.values().map(|n| n.policy.history.dedup_window.ms);
        let limits = WelcomeLimits {
            frame: config.limits.frame,
            channels: config.limits.channels_per_session,
            in_flight: config.limits.in_flight,
        };
        let frame = Frame::Welcome {
            id,
            session: &ticket,
            user: &identity.user,
            resumed,
            entered: &present,
            heartbeat: config.limits.heartbeat.ms,
            dedup_window: windows.min().unwrap_or(0),
            expires_in: identity.expires_at_ms.map(|at| at.saturating_sub(now.wall_ms)),
            limits,
        };
        self.done(CommandKind::Hello, key, &frame);
        self.register(key);
        self.greet(key);
    }

    fn subscribe(
        &mut self,
        key: SessionKey,
        id: u64,
        channel: &str,
        since: Option<Since<'_>>,
        rewind: Option<u64>,
        presence: bool,
    ) -> Result<(), Reject> {
        let target = self.target(key, channel, Action::Subscribe)?;
        let is_document = target.namespace.policy.kind == Kind::Document;
        let (hears, mut presence) = (presence, presence);
        if is_document {
            // Who may not see others yet may still write, and may see them later.
            presence = presence && self.require(key, &target, Action::Presence).is_ok();
        } else if presence {
            self.require(key, &target, Action::Presence)?;
        }
        // What was missed of a document is asked for by `sync`.
        let (since, rewind) = if is_document { (None, None) } else { (since, rewind) };
        if since.is_some() || rewind.is_some() {
            self.require(key, &target, Action::History)?;
        }
        let max = self.config.limits.channels_per_session;
        let topic = self.topics.find(channel);
        let Some(session) = self.session(key) else { return Ok(()) };
        if topic.is_some_and(|topic| session.subscription(topic).is_some()) {
            let why = "the session is subscribed to the channel already";
            return Err(Reject::new(ErrorCode::AlreadySubscribed, why));
        }
        if session.subscriptions.len() >= max {
            return Err(Reject::limit("too many subscriptions", "channels", max));
        }
        let since = since.map(|since| {
            let epoch: Box<str> = since.epoch.chars().take(32).collect::<String>().into();
            (since.epoch.parse().ok(), epoch, since.offset)
        });
        if rewind.is_some() && target.namespace.policy.kind == Kind::State {
            let why = "a channel with keys is not rewound: it begins with what they hold";
            return Err(Reject::bad_request(why));
        }
        let rewind = rewind.map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX));
        // The session fills the rest in.
        let dialect = Dialect::Json;
        let wait = false;
        let subscribe = Subscribe { nonce: 0, since, rewind, presence, wait, hears, dialect };
        self.place(key, id, target.channel, subscribe);
        Ok(())
    }

    fn unsubscribe(&mut self, key: SessionKey, id: u64, channel: &str) -> Result<(), Reject> {
        let not = || Reject::new(ErrorCode::NotSubscribed, "not subscribed to the channel");
        let topic = self.topics.find(channel).ok_or_else(not)?;
        let session = self.session(key).ok_or_else(not)?;
        let sub = *session.subscription(topic).ok_or_else(not)?;
        if session.note_left(channel)
            && let Some(user) = session.identity.as_ref().map(|who| who.user.clone())
        {
            let body = RequestBody::Leave { user, answer: false };
            self.send_home(key, 0, channel.into(), body);
        }
        if let Stage::Asked(question) = sub.stage {
            self.give_up_behind(key, question);
        }
        if matches!(sub.stage, Stage::Asked(_) | Stage::Joining | Stage::Revoked) {
            // The reply to `subscribe` has to come first.
            self.count_in_flight(key);
            let session = self.session(key).ok_or_else(not)?;
            session.by_nonce(topic, sub.nonce).ok_or_else(not)?.stage = Stage::Leaving(id);
        } else {
            self.end_subscription(key, topic, sub.nonce);
            self.done(CommandKind::Unsubscribe, key, &Frame::Unsubscribed { id, channel });
        }
        Ok(())
    }

    /// The part of history that a command asks for.
    pub(super) fn history_body(
        &self,
        before: Option<u64>,
        after: Option<u64>,
        limit: Option<u64>,
    ) -> Result<RequestBody, Reject> {
        if before.is_some() && after.is_some() {
            return Err(Reject::bad_request("`before` or `after`, not both"));
        }
        let max = self.config.limits.page_events;
        let limit = limit.map_or(50, |n| usize::try_from(n).unwrap_or(max)).clamp(1, max);
        Ok(RequestBody::History { before, after, limit })
    }

    fn enter(
        &mut self,
        key: SessionKey,
        id: u64,
        channel: &str,
        data: Option<&RawValue>,
        new: bool,
    ) -> Result<(), Reject> {
        let target = self.target(key, channel, Action::Presence)?;
        let limits = self.config.limits.clone();
        check_size("`data`", "presence_data", data.map(RawValue::get), limits.presence_data)?;
        if data.is_some_and(|data| depth_exceeds(data.get(), limits.depth)) {
            return Err(Reject::bad_request("`data` is nested too deep"));
        }
        let max = limits.channels_per_session;
        let Some(session) = self.session(key) else { return Ok(()) };
        let Some(user) = session.identity.as_ref().map(|who| who.user.clone()) else {
            return Ok(());
        };
        let entry = Entry { user, session: session.id, data: data.map(own) };
        if !new {
            return self.ask_inside(key, id, target, RequestBody::Update(entry));
        }
        let full = |list: &Vec<Arc<str>>| list.len() >= max && !list.contains(&target.channel);
        if session.entered.as_deref().is_some_and(full) {
            return Err(Reject::limit("present in too many channels", "channels", max));
        }
        let channel = target.channel.clone();
        self.ask_inside(key, id, target, RequestBody::Enter(entry))?;
        if let Some(session) = self.session(key) {
            session.note_entered(&channel);
        }
        Ok(())
    }

    fn leave(&mut self, key: SessionKey, id: u64, channel: &str) -> Result<(), Reject> {
        let target = self.target(key, channel, Action::Presence)?;
        let Some(session) = self.session(key) else { return Ok(()) };
        session.note_left(channel);
        let Some(user) = session.identity.as_ref().map(|who| who.user.clone()) else {
            return Ok(());
        };
        self.ask_leaving(key, id, target.channel, RequestBody::Leave { user, answer: true });
        Ok(())
    }
}

/// What was changed in a document is not kept as events.
pub(super) fn has_history(target: &Target) -> Result<(), Reject> {
    if target.namespace.policy.kind == Kind::Document {
        return Err(Reject::bad_request("a document has no history of events: `sync` it"));
    }
    Ok(())
}

fn channel_of<'a>(body: &'a CommandBody<'_>) -> Option<&'a str> {
    use CommandBody as B;
    let channel: &Text<'_> = match body {
        B::Enter { channel, .. }
        | B::Get { channel, .. }
        | B::History { channel, .. }
        | B::Leave { channel }
        | B::Presence { channel }
        | B::Publish { channel, .. }
        | B::Read { channel, .. }
        | B::Subscribe { channel, .. }
        | B::Unread { channel }
        | B::Unsubscribe { channel }
        | B::Update { channel, .. } => channel,
        B::Amend(amend) => &amend.channel,
        B::Awareness(aware) => &aware.channel,
        B::Merge(merge) => &merge.channel,
        B::Sync(sync) => &sync.channel,
        B::Versions(asked) => &asked.channel,
        B::Patch(write) | B::Remove(write) | B::Set(write) => &write.channel,
        B::Cursors
        | B::Follow { .. }
        | B::Hello { .. }
        | B::Inbox(_)
        | B::Mark(_)
        | B::Ping
        | B::PushSubscribe(_)
        | B::PushUnsubscribe { .. }
        | B::Refresh { .. }
        | B::Unfollow { .. } => return None,
    };
    (channel.len() <= 255).then_some(channel)
}

pub(super) fn check_size(
    what: &str,
    limit: &'static str,
    value: Option<&str>,
    max: usize,
) -> Result<(), Reject> {
    match value {
        Some(value) if value.len() > max => Err(Reject::too_large(what, limit, max)),
        _ => Ok(()),
    }
}
