//! `@hocuspocus/provider`: many documents on one connection, each with a token, and each refused or
//! closed by itself.

use std::sync::Arc;

use tidings_proto::yjs::aware;
use tidings_proto::yjs::hocuspocus::{Frame, Message, PONG_FRAME, decode, encode};
use tidings_proto::yjs::sync::Sync;
use tidings_proto::{CloseCode, ErrorCode};

use super::Editing;
use super::editor::close_code;
use crate::engine::Engine;
use crate::engine::counters::CommandKind;
use crate::engine::knocking::{Then, mark_of};
use crate::engine::types::{Effect, Now, SessionKey};
use crate::identity::{Action, Identity, TokenError};
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
        if address.name().len() > self.config.limits.channel_name {
            // It is kept while it is asked for, and told again in what refuses it.
            return self.end_session(key, CloseCode::BadFrame, None);
        }
        if address.session().is_some() {
            // Two providers of one document on one connection would get everything twice.
            if let Message::Token { .. } = word {
                self.hocuspocus(
                    key,
                    address.whole,
                    Message::Denied("sessionAwareness is not spoken"),
                );
            }
            return;
        }
        let document: Arc<str> = address.name().into();
        if let Message::Token { token, .. } = word {
            return self.show_token(now, key, &document, token);
        }
        if self.is_paper_open(key, &document) {
            return self.hear_hocuspocus(now, key, &document, word);
        }
        let Some(editing) = self.session(key).and_then(|session| session.editing.as_ref()) else {
            return;
        };
        // What it goes on to say about a document that was refused is nothing.
        if editing.refused.contains(&document) {
            return;
        }
        let is_asked = editing.asked.contains(&document);
        // Behind its good-bye version 2 says once more that nobody is seen.
        if !is_asked && !matches!(word, Message::Sync(_)) {
            return;
        }
        // In front of what may move the session to another shard: it goes along.
        self.keep_early(key, &document, message);
        if !is_asked {
            // Version 2 shows no token when it has none.
            self.show_token(now, key, &document, "");
        }
    }

    fn hear_hocuspocus(
        &mut self,
        now: Now,
        key: SessionKey,
        document: &Arc<str>,
        word: Message<'_>,
    ) {
        let done = match word {
            Message::Sync(sync) | Message::SyncReply(sync) => match sync {
                Sync::Step1(vector) => self.editor_asks(now, key, document, vector),
                Sync::Step2(update) | Sync::Update(update) => {
                    self.editor_merges(now, key, document, update)
                }
            },
            Message::Awareness(update) => self.editor_tells(now, key, document, update),
            Message::QueryAwareness => {
                self.editor_asks_who(now, key, document);
                Ok(())
            }
            Message::Close(_) => {
                self.forget_document(key, document);
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
            self.editor_refused(key, document, &reject);
        }
    }

    pub(super) fn hocuspocus(&mut self, key: SessionKey, document: &str, word: Message<'_>) {
        let message = encode(document, word).into();
        self.out.effects.push(Effect::SendBinary { session: key, message });
    }

    /// A document's token: the first one says who the session is, later ones what it may do there.
    fn show_token(&mut self, now: Now, key: SessionKey, document: &Arc<str>, token: &str) {
        let max = self.config.limits.channels_per_session;
        let rule = self.config.policy.hooks.connect;
        let Some(session) = self.session(key) else { return };
        let (is_open, knocks, named) = (session.open, session.knocks, session.identity.is_some());
        let Some(editing) = &mut session.editing else { return };
        if !editing.asked.contains(document) {
            if editing.asked.len() >= max {
                return self.deny(key, document, "too many documents on one connection");
            }
            editing.asked.push(document.clone());
        }
        editing.refused.retain(|refused| refused != document);
        if knocks {
            // It is opened when the session is let in.
            return;
        }
        let token = Some(token).filter(|token| !token.is_empty());
        let opaque = rule.is_some_and(|rule| rule.opaque);
        if !is_open && !named && !opaque && !self.name_editor(now, key, document, token) {
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
            self.shut_document(key, document);
            return self.deny(key, document, why);
        }
        if !is_open {
            return self.let_editor_in(now, key);
        }
        if self.is_paper_open(key, document) {
            let readonly = !self.may(key, document, Action::Publish);
            if self.may(key, document, Action::Subscribe) {
                self.hocuspocus(key, document, Message::Authenticated { readonly });
            }
            return self.revoke_disallowed(key);
        }
        self.open_asked(now, key, document);
    }

    /// The first token says who the session is; without one it is nobody in particular. `false`: it
    /// is refused, and another one may follow before the time for the first command is over.
    fn name_editor(
        &mut self,
        now: Now,
        key: SessionKey,
        document: &Arc<str>,
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
                    self.deny(key, document, refusal(&error));
                    self.count_bad_frame(key);
                    return false;
                }
            },
            None if self.config.policy.anonymous => self.anonymous(now, key),
            None => {
                self.deny(key, document, "a token is needed");
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

    fn deny(&mut self, key: SessionKey, document: &Arc<str>, why: &str) {
        self.forget_document(key, document);
        self.note_refused(key, document);
        self.hocuspocus(key, document, Message::Denied(why));
    }

    fn note_refused(&mut self, key: SessionKey, document: &Arc<str>) {
        let max = self.config.limits.channels_per_session;
        let Some(session) = self.session(key) else { return };
        let Some(editing) = &mut session.editing else { return };
        if !editing.refused.contains(document) {
            editing.refused.push(document.clone());
        }
        let over = editing.refused.len().saturating_sub(max);
        editing.refused.drain(..over);
    }

    /// A provider does not have a document open any more.
    fn forget_document(&mut self, key: SessionKey, document: &Arc<str>) {
        self.shut_document(key, document);
        let Some(session) = self.session(key) else { return };
        let Some(editing) = &mut session.editing else { return };
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
        let was_open = self.is_paper_open(key, document);
        self.forget_document(key, document);
        self.note_refused(key, document);
        if was_open {
            self.hocuspocus(key, document, Message::Close(code.as_str()));
        } else {
            self.hocuspocus(key, document, Message::Denied(code.as_str()));
        }
    }

    /// Something that a provider wanted is refused.
    pub(super) fn hocuspocus_refused(
        &mut self,
        key: SessionKey,
        document: &Arc<str>,
        why: &Reject,
    ) {
        match why.code {
            // It goes on as one that has changes of its own.
            ErrorCode::Forbidden | ErrorCode::LimitExceeded | ErrorCode::TooLarge => {
                self.hocuspocus(key, document, Message::SyncStatus(false));
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
        Some(encode(&document, Message::Awareness(&aware::encode(&[]))).into())
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
