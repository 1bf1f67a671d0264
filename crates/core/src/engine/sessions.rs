//! Sessions: from the first frame to the last, and the subscriptions that they hold.

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::{CloseCode, ErrorCode, Frame};

use super::Engine;
use super::counters::CommandKind;
use super::document::Dialect;
use super::knocking::NO_KEY;
use super::resuming::Legacy;
use super::revoking::NOT_ALLOWED;
use super::service::SERVICE;
use super::session::{PAGES_UNDER_WAY, Session, Stage, Subscription};
use super::topics::Subscriber;
use super::types::{
    Address, Delivery, Effect, Message, Now, PageReply, Request, RequestBody, SessionKey, TopicKey,
};
use crate::channel::state::Snapshot;
use crate::identity::{Identity, TokenError};

/// A subscription that gets a snapshot first.
#[derive(Debug)]
pub(super) struct Reader {
    snapshot: Arc<Snapshot>,
    sent: usize,
}

impl Reader {
    fn next(&mut self) -> Option<Bytes> {
        let page = self.snapshot.pages.get(self.sent)?.clone();
        self.sent += 1;
        Some(page)
    }
}

impl Engine {
    /// A connection was accepted. `token` is that of its `Authorization` header, if it had one.
    pub fn open(&mut self, now: Now, token: Option<&str>) -> SessionKey {
        let id = self.rng.next();
        let key = self.insert(Session::new(id, now.mono_ms));
        if let Some(token) = token {
            self.take_token(now, key, token);
        }
        self.settle(now);
        key
    }

    /// The token of the connection's `Authorization` header. A bad one ends the session.
    pub fn identify(&mut self, now: Now, key: SessionKey, token: &str) {
        self.take_token(now, key, token);
        self.settle(now);
    }

    /// The token of a connection that can put it into its URL only. It must not live longer than
    /// `most_ms` from now, lets in once, and does not end the session when it expires: the next
    /// connection needs another. A bad one ends the session.
    pub fn admit(&mut self, now: Now, key: SessionKey, token: &str, most_ms: u64) {
        if self.authenticate(now, key, Some(token)) {
            let identity = self.session(key).and_then(|session| session.identity.as_mut());
            let expires = identity.and_then(|identity| identity.expires_at_ms.take());
            if expires.is_none_or(|at| at > now.wall_ms + most_ms) {
                let why = "the ticket lives for too long";
                self.end_session_for(key, CloseCode::TokenRefused, None, Some(why.into()));
            }
        }
        self.settle(now);
    }

    /// The connection has ended, by whichever side. `lost`: nobody said good-bye, and the client
    /// may come back to its session.
    pub fn close(&mut self, now: Now, key: SessionKey, lost: bool) {
        self.remove_session(key, lost);
        self.settle(now);
    }

    /// Says good-bye to a session and closes it: the driver found a reason.
    pub fn dismiss(
        &mut self,
        now: Now,
        key: SessionKey,
        code: CloseCode,
        retry_after: Option<u64>,
    ) {
        self.end_session(key, code, retry_after);
        self.settle(now);
    }

    /// All that was sent to a session has been written: an [`Effect::Drain`] is done.
    pub fn drained(&mut self, now: Now, key: SessionKey) {
        let (readers, out) = (&mut self.readers, &mut self.out);
        let session = self.sessions.get_mut(key.slot as usize);
        let Some(session) = session.filter(|session| session.serial == key.serial) else { return };
        let (mut due, mut reads, mut is_behind) = (Vec::new(), 0, false);
        let room = PAGES_UNDER_WAY.saturating_sub(session.pages_under_way());
        for sub in &mut session.subscriptions {
            if due.len() + reads >= room {
                break;
            }
            let reader = readers.get_mut(&(key, sub.topic));
            let reads_on = reader.is_some();
            if let Some(text) = reader.and_then(Reader::next) {
                reads += 1;
                out.effects.push(Effect::Send { session: key, text });
                continue;
            }
            readers.remove(&(key, sub.topic));
            match sub.stage {
                Stage::Live(_) => is_behind |= reads_on,
                Stage::Page(after) => {
                    sub.stage = Stage::Waiting;
                    due.push((sub.topic, RequestBody::NextPage { nonce: sub.nonce, after }));
                }
                _ => {}
            }
        }
        if reads > 0 {
            out.effects.push(Effect::Drain { session: key });
        }
        if is_behind {
            self.probe(key);
        }
        for (topic, body) in due {
            let channel = self.topics.channel(topic).clone();
            self.send_home(key, 0, channel, body);
        }
        self.send_piece(now, key);
        self.settle(now);
    }

    pub(super) fn session(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key.slot as usize).filter(|session| session.serial == key.serial)
    }

    pub(super) fn send_home(
        &mut self,
        key: SessionKey,
        id: u64,
        channel: Arc<str>,
        body: RequestBody,
    ) {
        let from = Address { shard: self.config.shard, session: key };
        let home = self.home_of(&channel);
        self.out.post(home, Message::Request(Request { from, id, channel, body }));
    }

    /// Gives the session its identity. Closes it if that cannot be; whether it has one now.
    pub(super) fn authenticate(&mut self, now: Now, key: SessionKey, token: Option<&str>) -> bool {
        let anonymous = self.config.policy.anonymous;
        let outcome = match token {
            Some(token) => self.verify(now, token).map_err(|error| match error {
                TokenError::Refused(why) => (CloseCode::TokenRefused, Some(why.into())),
                // Either way the client comes back at once, with a fresh token if it can get one.
                later => (CloseCode::TokenExpired, Some(later.to_string().into())),
            }),
            None if anonymous => Ok(self.anonymous(now, key)),
            None => Err((CloseCode::Forbidden, None)),
        };
        match outcome {
            Ok(identity) => {
                let Some(session) = self.session(key) else { return false };
                session.identity = Some(identity);
                true
            }
            Err((code, why)) => {
                self.end_session_for(key, code, None, why);
                false
            }
        }
    }

    pub(super) fn verify(&self, now: Now, token: &str) -> Result<Identity, TokenError> {
        if token.len() > self.config.limits.token {
            return Err(TokenError::Refused("it is too long".into()));
        }
        self.config.authority.verify(token, now.wall_ms)
    }

    pub(super) fn anonymous(&mut self, now: Now, key: SessionKey) -> Identity {
        let id = self.session(key).map_or(0, |session| session.id);
        Identity {
            user: format!("anon-{id:016x}").into(),
            anonymous: true,
            key: NO_KEY,
            expires_at_ms: None,
            issued_at_ms: now.wall_ms,
            token: None,
            grants: None,
        }
    }

    /// A command has its answer.
    pub(super) fn answered(&mut self, to: SessionKey, text: Bytes) {
        if to == SERVICE {
            return self.out.effects.push(Effect::Answer { text });
        }
        if self.dialect(to) != Dialect::Json {
            return self.settled(to);
        }
        let resume_at = self.config.limits.in_flight / 2;
        let Some(session) = self.session(to) else { return };
        session.in_flight = session.in_flight.saturating_sub(1);
        let resume = session.paused && usize::from(session.in_flight) <= resume_at;
        self.out.effects.push(Effect::Send { session: to, text });
        if !self.farewells.is_empty() && self.part_if_answered(to) {
            return;
        }
        if let Some(session) = self.session(to) {
            session.paused &= !resume;
        }
        if resume {
            self.out.effects.push(Effect::Resume { session: to });
        }
    }

    /// Events for whoever is subscribed here.
    pub(super) fn events(&mut self, channel: &str, batch: Arc<[Delivery]>) {
        let Some(topic) = self.topics.find(channel) else { return };
        self.note_changes(topic, &batch);
        self.note_heard(topic, &batch);
        for (session, presence) in self.topics.paging(topic) {
            let at = Address { shard: self.config.shard, session: *session };
            let theirs = |delivery: &&Delivery| {
                !delivery.kept && (*presence || !delivery.presence) && delivery.except != Some(at)
            };
            for delivery in batch.iter().filter(theirs) {
                let (session, text) = (*session, delivery.text.clone());
                self.out.effects.push(Effect::Send { session, text });
            }
        }
        let upto = self.topics.subscribers(topic).len();
        if upto > 0 {
            self.tell_apart(topic, &batch);
            self.out.effects.push(Effect::Fanout { topic, upto, batch });
        }
    }

    /// A subscription begins or goes on.
    pub(super) fn page(&mut self, now: Now, page: PageReply) {
        let PageReply { to, channel, nonce, reply, gap, snapshot, tail, events, opened, next } =
            page;
        let Some(topic) = self.topics.find(&channel) else { return };
        let Some(session) = self.session(to) else { return };
        let Some(sub) = session.by_nonce(topic, nonce) else { return };
        let Subscription { presence, stage, .. } = *sub;
        if let Some(after) = next {
            sub.stage = Stage::Page(after);
        }
        let first = reply.is_some();
        if let Some(reply) = reply {
            self.answered(to, reply);
        }
        if let Stage::Leaving(id) = stage {
            self.end_subscription(to, topic, nonce);
            self.out.counters.command(CommandKind::Unsubscribe, None);
            self.answered(to, Frame::Unsubscribed { id, channel: &channel }.encode());
            return;
        }
        if stage == Stage::Revoked {
            self.revoke(to, topic, nonce, NOT_ALLOWED);
            return;
        }
        self.out.counters.replayed += events.len() as u64;
        for text in gap.into_iter().chain(events) {
            self.out.effects.push(Effect::Send { session: to, text });
        }
        if next.is_some() {
            if let Some(snapshot) = snapshot {
                self.readers.insert((to, topic), Reader { snapshot, sent: 0 });
            }
            if first {
                self.topics.start_paging(topic, to, presence);
            }
            self.out.effects.push(Effect::Drain { session: to });
            return;
        }
        self.topics.stop_paging(topic, to);
        let held = tail.is_some();
        let dialect = self.dialect(to);
        let (slot, apart) = (to.slot, self.sits_apart(to, topic));
        let subscriber = Subscriber { slot, presence, held, dialect, apart };
        let place = self.topics.join(topic, subscriber);
        if let Some(sub) = self.session(to).and_then(|session| session.by_nonce(topic, nonce)) {
            sub.stage = Stage::Live(place);
        }
        if let Some((offset, tail)) = &tail {
            self.begin_behind(to, topic, *offset, tail);
            if let Some(snapshot) = snapshot {
                self.readers.insert((to, topic), Reader { snapshot, sent: 0 });
                self.out.effects.push(Effect::Drain { session: to });
            } else {
                self.probe(to);
            }
        }
        if let Some(opened) = opened {
            self.open_paper(now, to, topic, opened);
        }
        self.go_on_paging(to);
    }

    /// A subscription was refused by the channel's home.
    pub(super) fn refused(
        &mut self,
        to: SessionKey,
        channel: &str,
        nonce: u16,
        text: Bytes,
        code: ErrorCode,
    ) {
        let Some(topic) = self.topics.find(channel) else { return };
        let Some(sub) = self.session(to).and_then(|session| session.by_nonce(topic, nonce)) else {
            return;
        };
        let stage = sub.stage;
        self.end_subscription(to, topic, nonce);
        if self.dialect(to) != Dialect::Json {
            self.settled(to);
            let channel = channel.into();
            return self.editor_shut_out(to, &channel, code);
        }
        self.answered(to, text);
        if let Stage::Leaving(id) = stage {
            self.out.counters.command(CommandKind::Unsubscribe, None);
            self.answered(to, Frame::Unsubscribed { id, channel }.encode());
        }
    }

    /// A subscription is over: nothing of its channel follows.
    pub(super) fn end_subscription(&mut self, key: SessionKey, topic: TopicKey, nonce: u16) {
        let Some(session) = self.session(key) else { return };
        let mut subs = session.subscriptions.iter();
        let Some(index) = subs.position(|s| s.topic == topic && s.nonce == nonce) else { return };
        let sub = session.subscriptions.swap_remove(index);
        self.release(key, topic, sub.stage);
        self.go_on_paging(key);
    }

    /// Asks for the next page of those that waited for another subscription's to be done.
    fn go_on_paging(&mut self, key: SessionKey) {
        let readers = &self.readers;
        let session = self.sessions.get(key.slot as usize);
        let Some(session) = session.filter(|session| session.serial == key.serial) else { return };
        let waits =
            |topic, stage| matches!(stage, Stage::Page(_)) || readers.contains_key(&(key, topic));
        if session.subscriptions.iter().any(|sub| waits(sub.topic, sub.stage)) {
            self.out.effects.push(Effect::Drain { session: key });
        }
    }

    /// Takes a subscription out of its topic; the home hears of it when it was the shard's last.
    fn release(&mut self, key: SessionKey, topic: TopicKey, stage: Stage) {
        self.put_paper_away(key, topic);
        if matches!(stage, Stage::Page(_) | Stage::Waiting) {
            self.topics.stop_paging(topic, key);
            self.readers.remove(&(key, topic));
        }
        if matches!(stage, Stage::Live(_)) {
            self.readers.remove(&(key, topic));
            self.forget_behind(key, topic);
        }
        if let Stage::Live(place) = stage
            && let Some(moved) = self.topics.part(topic, place)
        {
            // Whoever stood last in the list stands at `place` now.
            let last = u32::try_from(self.topics.subscribers(topic).len()).unwrap_or(u32::MAX);
            let session = &mut self.sessions[moved.slot as usize];
            let old = Stage::Live(last);
            let theirs = session.subscriptions.iter_mut();
            for sub in theirs.filter(|sub| sub.topic == topic && sub.stage == old) {
                sub.stage = Stage::Live(place);
            }
        }
        if let Some(channel) = self.topics.release(topic) {
            self.send_home(key, 0, channel, RequestBody::Detach);
        }
    }

    /// Sends `bye` and closes.
    pub(super) fn end_session(&mut self, key: SessionKey, code: CloseCode, retry: Option<u64>) {
        self.end_session_for(key, code, retry, None);
    }

    /// The same; `why` is not for the client.
    fn end_session_for(
        &mut self,
        key: SessionKey,
        code: CloseCode,
        retry: Option<u64>,
        why: Option<Box<str>>,
    ) {
        if self.session(key).is_none() {
            return;
        }
        let text = Frame::bye(code, retry).encode();
        self.out.effects.push(Effect::Send { session: key, text });
        self.out.effects.push(Effect::Close { session: key, code, why });
        self.remove_session(key, code.reconnect() || code == CloseCode::Replaced);
    }

    fn remove_session(&mut self, key: SessionKey, lost: bool) {
        if self.session(key).is_none() {
            return;
        }
        // In front of its subscriptions: what ends with them would be told to nobody, or end the
        // session once more.
        self.desks.forget(key);
        self.farewells.remove(&key);
        // Taken apart while it is still in its slot: `release` may have to renumber it.
        while let Some(sub) = self.sessions[key.slot as usize].subscriptions.pop() {
            self.release(key, sub.topic, sub.stage);
        }
        let session = self.take_out(key);
        self.probing.remove(&key);
        self.forget_consulting(key);
        self.config.crowd.leaves(self.config.shard);
        let from = Address { shard: self.config.shard, session: key };
        // While it waits for what it claims, that comes, and goes back.
        if session.claims && session.claim.is_none() {
            self.deregister(session.id, from, None);
        }
        let Some(identity) = session.identity else { return };
        if session.greeted {
            self.part_with(&identity.user);
        }
        if session.counted
            && let Some(meter) = &self.config.policy.meter
        {
            meter.ends(&identity.user);
        }
        let entered = session.entered.map(|list| *list).unwrap_or_default();
        let resumable = lost && session.ticket;
        for channel in &entered {
            let body = RequestBody::Gone { user: identity.user.clone(), resumable };
            self.send_home(key, 0, channel.clone(), body);
        }
        if session.ticket {
            let mark = session.mark;
            let legacy = resumable.then_some(Legacy { from, identity, mark, entered });
            self.deregister(session.id, from, legacy);
        }
    }

    /// Sessions that never said who they are, and tokens that expire.
    pub(super) fn tick_sessions(&mut self, now: Now) {
        let limits = self.config.limits.clone();
        let mut ended = Vec::new();
        for (slot, session) in &mut self.sessions {
            let key = SessionKey {
                slot: u32::try_from(slot).unwrap_or(u32::MAX),
                serial: session.serial,
            };
            if !session.open
                && !session.knocks
                && now.mono_ms >= session.opened_ms + limits.hello_timeout.ms
            {
                ended.push((key, CloseCode::HelloTimeout));
                continue;
            }
            let expires = session.identity.as_ref().and_then(|who| who.expires_at_ms);
            let Some(expires) = expires else { continue };
            if now.wall_ms >= expires {
                ended.push((key, CloseCode::TokenExpired));
            } else if session.open
                && !session.warned
                && now.wall_ms + limits.expiry_warning.ms >= expires
            {
                session.warned = true;
                let text = Frame::Expiring { expires_in: expires - now.wall_ms }.encode();
                self.out.effects.push(Effect::Send { session: key, text });
            }
        }
        for (key, code) in ended {
            self.end_session(key, code, None);
        }
    }
}
