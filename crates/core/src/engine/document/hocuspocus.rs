//! `@hocuspocus/provider`: many documents on one connection, each with a token, and each refused or
//! closed by itself.

use std::sync::Arc;

use tidings_proto::yjs::aware;
use tidings_proto::yjs::hocuspocus::{Frame, Message, PONG_FRAME, decode, encode};
use tidings_proto::yjs::sync::Sync;
use tidings_proto::{CloseCode, ErrorCode};

use super::editor::close_code;
use super::{Editing, SeatId};
use crate::engine::Engine;
use crate::engine::counters::CommandKind;
use crate::engine::knocking::{Then, mark_of};
use crate::engine::types::{Effect, Now, SessionKey};
use crate::identity::{Action, Identity, TokenError};
use crate::limits::SEAT_NAME;
use crate::reject::Reject;

/// Who a document's token says the user is.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) document: Arc<str>,
    pub(super) identity: Identity,
    /// The provider was asked for a fresh one.
    asked: bool,
}

impl Editing {
    /// The token of a document.
    fn show(&mut self, document: &Arc<str>, identity: Identity) {
        self.shown.retain(|shown| shown.document != *document);
        self.shown.push(Shown { document: document.clone(), identity, asked: false });
    }

    /// Documents without tokens of their own were opened with this one, which stays theirs.
    fn show_others(&mut self, identity: &Identity) {
        for document in self.asked.clone() {
            if self.identity(&document).is_none() {
                self.show(&document, identity.clone());
            }
        }
    }
}

impl Engine {
    pub(super) fn receive_hocuspocus(&mut self, now: Now, key: SessionKey, message: &[u8]) {
        let (address, word) = match decode(message) {
            Ok(Frame::Ping) => {
                let message = PONG_FRAME.into();
                return self.out.effects.push(Effect::SendBinary { session: key, message });
            }
            Ok(Frame::Pong) => return,
            Ok(Frame::Document(address, word)) => (address, word),
            Err(_) => return self.end_session(key, CloseCode::BadFrame, None),
        };
        let is_long = address.session().is_some_and(|session| session.len() > SEAT_NAME);
        if is_long || address.name().len() > self.config.limits.channel_name {
            // It is kept while it is asked for, and told again in what refuses it.
            return self.end_session(key, CloseCode::BadFrame, None);
        }
        let document: Arc<str> = address.name().into();
        if let Message::Token { token, .. } = word {
            return self.show_token(now, key, (&document, address.whole), token);
        }
        let Some(editing) = self.session(key).and_then(|session| session.editing.as_ref()) else {
            return;
        };
        let seat = editing.seat(address.whole);
        // What it goes on to say about a document that was refused is nothing.
        if seat.is_none() && editing.refused.iter().any(|refused| **refused == *address.whole) {
            return;
        }
        if let Some(seat) = seat
            && self.is_paper_open(key, &document)
        {
            return self.hear_hocuspocus(now, key, (&document, seat), word);
        }
        // Behind its good-bye a provider may have something to say: it begins with its question.
        if seat.is_none() && !matches!(word, Message::Sync(Sync::Step1(_))) {
            return;
        }
        // In front of what may move the session to another shard: it goes along.
        self.keep_early(key, &document, message);
        if seat.is_none() {
            // Version 2 shows no token when it has none.
            self.show_token(now, key, (&document, address.whole), "");
        }
    }

    fn hear_hocuspocus(
        &mut self,
        now: Now,
        key: SessionKey,
        (document, seat): (&Arc<str>, SeatId),
        word: Message<'_>,
    ) {
        let (mut edits, at) = (0, (document, seat));
        let done = match word {
            Message::Sync(sync) | Message::SyncReply(sync) => match sync {
                Sync::Step1(vector) => {
                    // It begins to count anew.
                    self.owe(key, seat, |_| 1);
                    self.editor_asks(now, key, at, vector)
                }
                Sync::Step2(update) => {
                    self.owe(key, seat, |owed| {
                        edits = owed;
                        0
                    });
                    self.editor_merges(now, key, at, update, edits)
                }
                Sync::Update(update) => {
                    edits = 1;
                    self.editor_merges(now, key, at, update, edits)
                }
            },
            Message::Awareness(update) => self.editor_tells(now, key, at, update),
            Message::QueryAwareness => {
                self.editor_asks_who(now, key, document);
                Ok(())
            }
            Message::Close(_) => {
                self.leave_seat(key, document, seat);
                Ok(())
            }
            // What applications tell each other has channels of its own.
            Message::Stateless(_) | Message::BroadcastStateless(_) => Ok(()),
            Message::Token { .. }
            | Message::SendToken
            | Message::Denied(_)
            | Message::Authenticated { .. }
            | Message::SyncStatus(_) => Ok(()),
        };
        if let Err(reject) = done {
            self.owe(key, seat, |owed| owed + edits);
            self.editor_refused(key, at, &reject);
        }
    }

    /// A document's token: the first one says who the session is, later ones what it may do there.
    fn show_token(
        &mut self,
        now: Now,
        key: SessionKey,
        (document, address): (&Arc<str>, &str),
        token: &str,
    ) {
        let rule = self.config.policy.hooks.connect;
        let Some((seat, is_new)) = self.seat_for(key, document, address) else { return };
        let at = (document, seat);
        let Some(session) = self.session(key) else { return };
        let (is_open, knocks, named) = (session.open, session.knocks, session.identity.is_some());
        if knocks {
            // It is opened when the session is let in.
            return;
        }
        let token = Some(token).filter(|token| !token.is_empty());
        let opaque = rule.is_some_and(|rule| rule.opaque);
        if !is_open && !named && !opaque && !self.name_editor(now, key, at, token) {
            return;
        }
        if !is_open && rule.is_some() {
            return self.knock(now, key, token.filter(|_| opaque), Then::Editor);
        }
        if !is_open && !named {
            return self.let_editor_in(now, key);
        }
        if let Some(token) = token
            && !opaque
            && let Err(why) = self.take_document_token(now, key, document, token)
        {
            return self.deny_seat(key, at, why);
        }
        if !is_open {
            return self.let_editor_in(now, key);
        }
        if self.is_paper_open(key, document) {
            let readonly = !self.may(key, document, Action::Publish);
            if self.may(key, document, Action::Subscribe) {
                self.hocuspocus_to(key, seat, Message::Authenticated { readonly });
            }
            if is_new {
                self.ask_seen(key, document, false);
            }
            return self.revoke_disallowed(key);
        }
        self.open_asked(now, key, document);
    }

    /// The place of a provider, and whether it is new here. `None`: there are too many.
    fn seat_for(
        &mut self,
        key: SessionKey,
        document: &Arc<str>,
        address: &str,
    ) -> Option<(SeatId, bool)> {
        let max = self.config.limits.channels_per_session;
        let editing = self.session(key)?.editing.as_mut()?;
        editing.refused.retain(|refused| **refused != *address);
        if let Some(seat) = editing.seat(address) {
            return Some((seat, false));
        }
        let Some(seat) = editing.take_seat(document, address, max) else {
            self.note_refused(key, address);
            let why = Message::Denied("too many documents on one connection");
            self.hocuspocus_at(key, address, why);
            return None;
        };
        if !editing.asked.contains(document) {
            editing.asked.push(document.clone());
        }
        self.note_apart(key, document);
        Some((seat, true))
    }

    /// The first token says who the session is; without one it is nobody in particular. `false`: it
    /// is refused, and another one may follow before the time for the first command is over.
    fn name_editor(
        &mut self,
        now: Now,
        key: SessionKey,
        (document, seat): (&Arc<str>, SeatId),
        token: Option<&str>,
    ) -> bool {
        let identity = match token {
            Some(token) => match self.verify(now, token) {
                Ok(identity) => identity,
                Err(TokenError::Later) => {
                    self.end_session(key, CloseCode::TokenExpired, None);
                    return false;
                }
                Err(error) => {
                    self.deny_seat(key, (document, seat), refusal(&error));
                    self.count_bad_frame(key);
                    return false;
                }
            },
            None if self.config.policy.anonymous => self.anonymous(now, key),
            None => {
                self.deny_seat(key, (document, seat), "a token is needed");
                self.count_bad_frame(key);
                return false;
            }
        };
        let has_token = token.is_some() && self.config.policy.hooks.connect.is_none();
        if let Some(session) = self.session(key) {
            // Tokens of other documents may become the session's: here this one counts.
            if let Some(editing) = session.editing.as_mut().filter(|_| has_token) {
                editing.show(document, identity.clone());
            }
            session.identity = Some(identity);
        }
        true
    }

    /// The backend does not let an editor in: each of its documents is refused.
    pub(in crate::engine) fn deny_all(&mut self, key: SessionKey) {
        let asked = self.session(key).and_then(|session| session.editing.as_ref());
        let asked = asked.map(|editing| editing.asked.clone()).unwrap_or_default();
        for document in asked {
            self.deny(key, &document, "the application does not allow this");
        }
        if let Some(session) = self.session(key) {
            session.identity = None;
        }
        self.read_on(key);
        self.count_bad_frame(key);
    }

    fn take_document_token(
        &mut self,
        now: Now,
        key: SessionKey,
        document: &Arc<str>,
        token: &str,
    ) -> Result<(), &'static str> {
        let mut identity = self.verify(now, token).map_err(|error| refusal(&error))?;
        let hooked = self.config.policy.hooks.connect.is_some();
        let session = self.session(key).ok_or("the session is over")?;
        let mark = session.mark;
        let known = session.identity.as_ref().filter(|who| match mark {
            0 => who.user == identity.user,
            mark => mark == mark_of(&identity.user),
        });
        let Some(known) = known else {
            return Err("the token is another user's");
        };
        let expires = known.expires_at_ms.filter(|_| !hooked);
        if hooked {
            // What the backend made of the first token stands, also how long: then it is asked
            // again, by a new connection.
            identity.user = known.user.clone();
            identity.anonymous = known.anonymous;
            identity.grants = known.grants.clone();
        }
        // The session lives as long as the token that lives longest.
        if expires.is_some_and(|at| identity.expires_at_ms.is_none_or(|new| new > at)) {
            let before = session.identity.replace(identity.clone());
            session.warned = false;
            if let (Some(editing), Some(before)) = (&mut session.editing, before) {
                editing.show_others(&before);
            }
        }
        if let Some(editing) = &mut session.editing {
            editing.show(document, identity);
        }
        Ok(())
    }

    /// Opens a document that its provider has asked for.
    pub(super) fn open_asked(&mut self, now: Now, key: SessionKey, document: &Arc<str>) {
        let is_under_way = self.topics.find(document).is_some_and(|topic| {
            self.session(key).is_some_and(|session| session.subscription(topic).is_some())
        });
        if is_under_way {
            return;
        }
        if let Err(reject) = self.open_for_editor(now, key, document) {
            self.out.counters.command(CommandKind::Subscribe, Some(reject.code));
            self.editor_shut_out(key, document, reject.code);
        }
    }

    /// All providers of a document are refused.
    fn deny(&mut self, key: SessionKey, document: &Arc<str>, why: &str) {
        self.refuse_all(key, document, Message::Denied(why));
    }

    /// One provider is: others go on by the tokens that they have shown.
    fn deny_seat(&mut self, key: SessionKey, (document, seat): (&Arc<str>, SeatId), why: &str) {
        let Some(address) = self.address_of(key, seat) else { return };
        self.leave_seat(key, document, seat);
        self.note_refused(key, &address);
        self.hocuspocus_at(key, &address, Message::Denied(why));
    }

    fn refuse_all(&mut self, key: SessionKey, document: &Arc<str>, word: Message<'_>) {
        let seats = self.seats_of(key, document);
        self.forget_document(key, document);
        for (_, address) in seats {
            self.note_refused(key, &address);
            self.hocuspocus_at(key, &address, word);
        }
    }

    fn note_refused(&mut self, key: SessionKey, address: &str) {
        let max = self.config.limits.channels_per_session;
        let Some(session) = self.session(key) else { return };
        let Some(editing) = &mut session.editing else { return };
        if !editing.refused.iter().any(|refused| **refused == *address) {
            editing.refused.push(address.into());
        }
        let over = editing.refused.len().saturating_sub(max);
        editing.refused.drain(..over);
    }

    /// No provider has a document open any more.
    pub(super) fn forget_document(&mut self, key: SessionKey, document: &Arc<str>) {
        self.shut_document(key, document);
        let Some(session) = self.session(key) else { return };
        let Some(editing) = &mut session.editing else { return };
        editing.leave_document(document);
        editing.asked.retain(|asked| asked != document);
        editing.shown.retain(|shown| shown.document != *document);
        editing.early.retain(|(early, _)| early != document);
    }

    fn shut_document(&mut self, key: SessionKey, document: &Arc<str>) {
        let Some(topic) = self.topics.find(document) else { return };
        let sub = self.session(key).and_then(|session| session.subscription(topic).copied());
        if let Some(sub) = sub {
            self.end_subscription(key, topic, sub.nonce);
        }
    }

    /// A document is closed to a provider: what is not for good ends the whole connection, which
    /// comes back.
    pub(super) fn document_shut_out(
        &mut self,
        key: SessionKey,
        document: &Arc<str>,
        code: ErrorCode,
    ) {
        let close = close_code(code);
        if close.reconnect() {
            return self.end_session(key, close, None);
        }
        let why = code.as_str();
        let is_open = self.is_paper_open(key, document);
        let word = if is_open { Message::Close(why) } else { Message::Denied(why) };
        self.refuse_all(key, document, word);
    }

    /// Something that a provider wanted is refused.
    pub(super) fn hocuspocus_refused(
        &mut self,
        key: SessionKey,
        (document, seat): (&Arc<str>, SeatId),
        why: &Reject,
    ) {
        match why.code {
            // It goes on as one that has changes of its own.
            ErrorCode::Forbidden | ErrorCode::LimitExceeded | ErrorCode::TooLarge => {
                self.hocuspocus_to(key, seat, Message::SyncStatus(false));
            }
            // It was closed meanwhile.
            ErrorCode::NotSubscribed => {}
            code => self.document_shut_out(key, document, code),
        }
    }

    /// Tokens that expire: providers are asked for fresh ones, in time.
    pub(super) fn tick_tokens(&mut self, now: Now) {
        let warning_ms = self.config.limits.expiry_warning.ms;
        let (mut ask, mut end) = (Vec::new(), Vec::new());
        for (slot, session) in &mut self.sessions {
            let Some(editing) = &mut session.editing else { continue };
            let slot = u32::try_from(slot).unwrap_or(u32::MAX);
            let key = SessionKey { slot, serial: session.serial };
            for shown in &mut editing.shown {
                let Some(at) = shown.identity.expires_at_ms else { continue };
                if now.wall_ms >= at {
                    end.push((key, shown.document.clone()));
                } else if now.wall_ms + warning_ms >= at && !shown.asked {
                    shown.asked = true;
                    ask.push((key, shown.document.clone()));
                }
            }
        }
        for (key, document) in ask {
            self.hocuspocus(key, &document, Message::SendToken);
        }
        for (key, document) in end {
            self.deny(key, &document, "the token has expired");
        }
    }

    /// What keeps a provider from taking silence for the end: nothing about one of its documents.
    pub(super) fn nothing_new(&self, key: SessionKey) -> Option<bytes::Bytes> {
        let document = self.open_papers(key).next()?;
        let (_, address) = self.seats_of(key, &document).into_iter().next()?;
        Some(encode(&address, Message::Awareness(&aware::encode(&[]))).into())
    }
}

/// What a provider is told of its token.
fn refusal(error: &TokenError) -> &'static str {
    match error {
        TokenError::Expired => "the token has expired",
        TokenError::Later => "the token's key is not known yet",
        TokenError::Refused(_) => "the token is refused",
    }
}
