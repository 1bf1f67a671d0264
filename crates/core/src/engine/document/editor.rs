//! Editors: sessions that speak a protocol of Yjs. What is refused to a `y-websocket` client ends
//! its connection, for good or not: there is nothing else that it would hear.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tidings_proto::yjs::aware::{self, AwareLimits};
use tidings_proto::yjs::sync::{self, Message, Sync};
use tidings_proto::yjs::{Fault, check_vector, hocuspocus};
use tidings_proto::{CloseCode, ErrorCode};

use super::syncing::Wanted;
use super::wording::{Word, say};
use super::{ADRIFT, Ask, Dialect, Edited, Editing, Editor, Merge, SeatId, Slip, Terms};
use crate::channel::aware::Told;
use crate::engine::Engine;
use crate::engine::counters::CommandKind;
use crate::engine::knocking::Then;
use crate::engine::types::{Effect, Now, RequestBody, SessionKey, Subscribe};
use crate::identity::Action;
use crate::limits::{EARLY_BYTES, EARLY_MESSAGES, EDITOR_ALIVE_MS, MESSAGES_PER_FRAME};
use crate::policy::Kind;
use crate::reject::Reject;

/// An update that changes nothing.
const NOTHING: &[u8] = &[0, 0];

impl Engine {
    /// The session that was just [opened](Self::open) is an editor's: from now on its messages go
    /// to [`receive_binary`](Self::receive_binary). Its token was given before, if it has one.
    pub fn open_editor(&mut self, now: Now, key: SessionKey, editor: Editor) {
        let Some(session) = self.session(key) else { return };
        let (dialect, asked) = match editor {
            Editor::Yjs { document } => (Dialect::Yjs, vec![document]),
            // Its providers come with tokens.
            Editor::Hocuspocus => (Dialect::Hocuspocus, Vec::new()),
        };
        session.editing = Some(Box::new(Editing::new(dialect, asked)));
        if dialect == Dialect::Yjs {
            if self.config.policy.hooks.connect.is_some() {
                self.knock(now, key, None, Then::Editor);
            } else {
                self.let_editor_in(now, key);
            }
        }
        self.settle(now);
    }

    /// What a session speaks.
    pub fn dialect(&self, key: SessionKey) -> Dialect {
        let here = self.sessions.get(key.slot as usize).filter(|s| s.serial == key.serial);
        here.and_then(|session| session.editing.as_ref()).map_or(Dialect::Json, |it| it.dialect)
    }

    /// Nothing but the rules stands between an editor and its document.
    pub(in crate::engine) fn let_editor_in(&mut self, now: Now, key: SessionKey) {
        let Some(session) = self.session(key) else { return };
        session.open = true;
        if session.identity.is_none() && !self.authenticate(now, key, None) {
            return;
        }
        if !self.count_session(key) {
            return;
        }
        self.greet(key);
        self.open_all_asked(now, key);
    }

    /// Opens what an editor has asked for, and has not open yet.
    pub(in crate::engine) fn open_all_asked(&mut self, now: Now, key: SessionKey) {
        let Some(session) = self.session(key) else { return };
        let asked = session.editing.as_ref().map(|editing| editing.asked.clone());
        for document in asked.unwrap_or_default() {
            self.open_asked(now, key, &document);
        }
    }

    /// Subscribes an editor to a document.
    pub(super) fn open_for_editor(
        &mut self,
        now: Now,
        key: SessionKey,
        document: &Arc<str>,
    ) -> Result<(), Reject> {
        self.meter(now, key, CommandKind::Subscribe)?;
        let target = self.target(key, document, Action::Subscribe)?;
        if target.namespace.policy.kind != Kind::Document {
            return Err(Reject::new(ErrorCode::NotFound, "the channel is no document"));
        }
        let presence = self.require(key, &target, Action::Presence).is_ok();
        let subscribe = Subscribe {
            nonce: 0,
            since: None,
            rewind: 0,
            wait: false,
            presence,
            hears: true,
            dialect: self.dialect(key),
        };
        self.place(key, 0, target.channel, subscribe);
        Ok(())
    }

    /// A binary message of an editor.
    pub fn receive_binary(&mut self, now: Now, key: SessionKey, message: &[u8]) {
        match self.dialect(key) {
            Dialect::Json => self.end_session(key, CloseCode::BadFrame, None),
            Dialect::Yjs => self.receive_yjs(now, key, message),
            Dialect::Hocuspocus => self.receive_hocuspocus(now, key, message),
        }
        self.settle(now);
    }

    fn receive_yjs(&mut self, now: Now, key: SessionKey, message: &[u8]) {
        let editing = self.session(key).and_then(|session| session.editing.as_ref());
        let Some(document) = editing.and_then(|editing| editing.asked.first().cloned()) else {
            return;
        };
        if !self.is_paper_open(key, &document) {
            return self.keep_early(key, &document, message);
        }
        let at = (&document, SeatId::default());
        if message.is_empty() {
            return self.editor_refused(key, at, &malformed());
        }
        for (number, message) in sync::decode(message).enumerate() {
            if number >= MESSAGES_PER_FRAME {
                return self.end_session(key, CloseCode::BadFrame, None);
            }
            let done = message.map_err(|_| malformed()).and_then(|message| match message {
                Message::Sync(Sync::Step1(vector)) => self.editor_asks(now, key, at, vector),
                Message::Sync(Sync::Step2(update) | Sync::Update(update)) => {
                    self.editor_merges(now, key, at, update, 0)
                }
                Message::Awareness(update) => self.editor_tells(now, key, at, update),
                Message::QueryAwareness => {
                    self.editor_asks_who(now, key, &document);
                    Ok(())
                }
                Message::Denied(_) => Ok(()),
            });
            if let Err(reject) = done {
                self.editor_refused(key, at, &reject);
            }
            if self.session(key).is_none() {
                return;
            }
        }
    }

    /// Editors do not wait until their document is open before they talk.
    pub(super) fn keep_early(&mut self, key: SessionKey, document: &Arc<str>, message: &[u8]) {
        let max = EARLY_BYTES + self.config.limits.update;
        let Some(session) = self.session(key) else { return };
        let Some(editing) = &mut session.editing else { return };
        let bytes: usize = editing.early.iter().map(|(_, early)| early.len()).sum();
        let full = editing.early.len() >= EARLY_MESSAGES;
        if full || bytes + message.len() > max {
            return self.end_session(key, CloseCode::RateLimited, None);
        }
        editing.early.push((document.clone(), message.into()));
        if editing.early.len() >= EARLY_MESSAGES / 2 && !session.paused {
            session.paused = true;
            self.out.effects.push(Effect::Pause { session: key });
        }
    }

    /// The home of a document has let an editor in.
    pub(super) fn editor_opened(
        &mut self,
        now: Now,
        key: SessionKey,
        document: &Arc<str>,
        vector: &[u8],
        seen: Vec<Bytes>,
    ) {
        let dialect = self.dialect(key);
        if dialect == Dialect::Hocuspocus {
            // Their question is answered with ours.
            let readonly = !self.may(key, document, Action::Publish);
            self.hocuspocus(key, document, hocuspocus::Message::Authenticated { readonly });
        } else {
            let message = say(dialect, document, Word::Sync(Sync::Step1(vector)));
            self.out.effects.push(Effect::SendBinary { session: key, message });
        }
        for message in seen {
            self.send_made(key, document, &message);
        }
        let Some(session) = self.session(key) else { return };
        let Some(editing) = &mut session.editing else { return };
        let early = std::mem::take(&mut editing.early).into_iter();
        let (theirs, others): (Vec<_>, _) = early.partition(|(of, _)| of == document);
        editing.early = others;
        for (_, message) in theirs {
            match dialect {
                Dialect::Hocuspocus => self.receive_hocuspocus(now, key, &message),
                _ => self.receive_yjs(now, key, &message),
            }
        }
        self.read_on_if_idle(key);
    }

    pub(super) fn editor_asks_who(&mut self, now: Now, key: SessionKey, document: &Arc<str>) {
        self.throttle(now, key, CommandKind::Awareness);
        self.ask_seen(key, document, false);
    }

    pub(super) fn editor_asks(
        &mut self,
        now: Now,
        key: SessionKey,
        (document, seat): (&Arc<str>, SeatId),
        vector: &[u8],
    ) -> Result<(), Reject> {
        // How many clients it may have is the document's to say.
        check_vector(vector, vector.len()).map_err(|_| malformed())?;
        self.throttle(now, key, CommandKind::Sync);
        let (id, channel, vector) = (seat.question(), document.clone(), vector.to_vec());
        self.sync_document(key, Wanted { id, channel, epoch: None, vector, version: None });
        Ok(())
    }

    /// `edits`: how many changes the editor takes it for.
    pub(super) fn editor_merges(
        &mut self,
        now: Now,
        key: SessionKey,
        (document, seat): (&Arc<str>, SeatId),
        update: &[u8],
        edits: u64,
    ) -> Result<(), Reject> {
        if *update == *NOTHING {
            self.editor_told(key, document, Slip { seat, edits });
            return Ok(());
        }
        let target = self.open_document(key, document, Action::Subscribe)?;
        let allowed = self.require(key, &target, Action::Publish).is_ok();
        super::commands::check_update(update.len(), self.config.limits.update)?;
        self.throttle(now, key, CommandKind::Merge);
        let Some(user) = self.user_of(key) else { return Ok(()) };
        let (update, began_us) = (Bytes::copy_from_slice(update), now.mono_us);
        let (editor, terms) = (true, Terms::default());
        let merge = Merge { user, epoch: None, update, editor, allowed, began_us, terms };
        let id = Slip { seat, edits }.into();
        self.ask(key, id, target.channel, RequestBody::Document(Box::new(Ask::Merge(merge))));
        Ok(())
    }

    pub(super) fn editor_tells(
        &mut self,
        now: Now,
        key: SessionKey,
        (document, seat): (&Arc<str>, SeatId),
        update: &[u8],
    ) -> Result<(), Reject> {
        let limits = &self.config.limits;
        let limits =
            AwareLimits { entries: update.len(), state: limits.awareness, depth: limits.depth };
        let news = self.without_echoes(document, update).map_err(|_| malformed())?;
        let entries = match aware::entries(&news, &limits) {
            Ok(entries) => entries,
            // Nobody is shown it, which is as much as a cursor is worth.
            Err(Fault::Limit(_)) => return Ok(()),
            Err(_) => return Err(malformed()),
        };
        // Who tells of more clients than a session has tells what others have said.
        let too_many = entries.len() > 4 * self.config.limits.awareness_clients;
        if entries.is_empty() || too_many || !self.may(key, document, Action::Presence) {
            return Ok(());
        }
        self.throttle(now, key, CommandKind::Awareness);
        let Some(user) = self.user_of(key) else { return Ok(()) };
        let told = entries.into_iter().map(|entry| Told {
            client: entry.client,
            clock: entry.clock,
            state: entry.state.and_then(one_line),
        });
        let told: Vec<_> = told.collect();
        self.note_told(key, document);
        self.note_clients(key, seat, &told);
        let ask = Ask::Aware { user, told, editor: true };
        self.send_home(key, 0, document.clone(), RequestBody::Document(Box::new(ask)));
        Ok(())
    }

    /// An editor cannot be told to send something again: who is too fast is read more slowly.
    fn throttle(&mut self, now: Now, key: SessionKey, kind: CommandKind) {
        let Err(reject) = self.meter(now, key, kind) else { return };
        let until_ms = now.mono_ms + reject.retry_after.unwrap_or(0);
        let Some(session) = self.session(key) else { return };
        if !std::mem::replace(&mut session.paused, true) {
            self.out.effects.push(Effect::Pause { session: key });
        }
        let until = self.desks.throttled.entry(key).or_default();
        *until = until_ms.max(*until);
    }

    /// What an editor's change came to.
    pub(in crate::engine) fn edited(&mut self, edited: Edited) {
        let Edited { to, slip, channel, outcome } = edited;
        self.settled(to);
        match outcome {
            Ok(()) => self.editor_told(to, &channel, slip),
            Err(reject) => {
                self.owe(to, slip.seat, |owed| owed + slip.edits);
                if reject.limit == Some(ADRIFT) {
                    // It was asked for all there is.
                    return;
                }
                self.editor_refused(to, (&channel, slip.seat), &reject);
            }
        }
    }

    /// So many changes are stored, for editors that want to know.
    fn editor_told(&mut self, key: SessionKey, document: &Arc<str>, slip: Slip) {
        if self.dialect(key) == Dialect::Hocuspocus && self.is_paper_open(key, document) {
            for _ in 0..slip.edits {
                self.hocuspocus_to(key, slip.seat, hocuspocus::Message::SyncStatus(true));
            }
        }
    }

    /// Something that an editor wanted is refused.
    pub(in crate::engine) fn editor_refused(
        &mut self,
        key: SessionKey,
        (document, seat): (&Arc<str>, SeatId),
        why: &Reject,
    ) {
        if self.dialect(key) == Dialect::Hocuspocus {
            return self.hocuspocus_refused(key, (document, seat), why);
        }
        if why.code == ErrorCode::NotSubscribed {
            // Whoever has shut it says how the connection ends.
            return;
        }
        let is_open = self.is_paper_open(key, document);
        let Some(session) = self.session(key) else { return };
        let Some(editing) = &mut session.editing else { return };
        if why.code == ErrorCode::Forbidden && is_open {
            if !std::mem::replace(&mut editing.denied, true) {
                let message = sync::denied(&why.message).into();
                self.out.effects.push(Effect::SendBinary { session: key, message });
            }
            return;
        }
        let code = match why.limit {
            // It would come back with the same for ever.
            Some("document_clients" | "document_crowd" | "document_levels") => CloseCode::TooLarge,
            _ => close_code(why.code),
        };
        self.end_session(key, code, why.retry_after);
    }

    /// A subscription of an editor was refused, or has ended.
    pub(in crate::engine) fn editor_shut_out(
        &mut self,
        key: SessionKey,
        document: &Arc<str>,
        code: ErrorCode,
    ) {
        match self.dialect(key) {
            Dialect::Hocuspocus => self.document_shut_out(key, document, code),
            _ => self.end_session(key, close_code(code), None),
        }
    }

    /// A document was reset: editors have no way to throw away what they hold.
    pub(in crate::engine) fn document_was_reset(&mut self, channel: &str) {
        let Some(topic) = self.topics.find(channel) else { return };
        let channel = self.topics.channel(topic).clone();
        let subscribers = self.topics.subscribers(topic).iter();
        let editors = subscribers.filter(|it| it.dialect != Dialect::Json).map(|it| it.slot);
        for slot in editors.collect::<Vec<_>>() {
            let Some(session) = self.sessions.get(slot as usize) else { continue };
            let key = SessionKey { slot, serial: session.serial };
            self.editor_shut_out(key, &channel, ErrorCode::DocumentReset);
        }
    }

    /// What an editor may do has changed.
    pub(super) fn editor_access(&mut self, key: SessionKey, document: &Arc<str>, write: bool) {
        let Some(session) = self.session(key) else { return };
        if let Some(editing) = &mut session.editing {
            editing.denied = false;
        }
        if self.dialect(key) == Dialect::Hocuspocus {
            let word = hocuspocus::Message::Authenticated { readonly: !write };
            self.hocuspocus(key, document, word);
        }
        if write {
            // It answers with what was refused meanwhile.
            self.ask_seen(key, document, true);
        }
    }

    /// Who says nothing to a `y-websocket` client is taken to be gone.
    pub(super) fn tick_editors(&mut self, now: Now) {
        let due = self.desks.throttled.iter().filter(|(_, until)| **until <= now.mono_ms);
        let due: Vec<_> = due.map(|(key, _)| *key).collect();
        for key in due {
            self.desks.throttled.remove(&key);
            self.read_on_if_idle(key);
        }
        if now.mono_ms < self.desks.alive_ms {
            return;
        }
        self.desks.alive_ms = now.mono_ms + EDITOR_ALIVE_MS;
        let nobody: Bytes = sync::awareness(&aware::encode(&[])).into();
        let editors: Vec<_> = self.sessions.iter().filter(|(_, it)| it.editing.is_some()).collect();
        let keys = editors.into_iter().map(|(slot, session)| SessionKey {
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            serial: session.serial,
        });
        for session in keys.collect::<Vec<_>>() {
            let message = match self.dialect(session) {
                Dialect::Json => None,
                // Nothing is said to who has not been let in.
                Dialect::Yjs => self.open_papers(session).next().map(|_| nobody.clone()),
                Dialect::Hocuspocus => self.nothing_new(session),
            };
            let send = message.map(|message| Effect::SendBinary { session, message });
            self.out.effects.extend(send);
        }
    }

    /// Reads on from an editor that was paused, unless it is owed much or has to wait.
    fn read_on_if_idle(&mut self, key: SessionKey) {
        let resume_at = self.config.limits.in_flight / 2;
        let waits = self.desks.throttled.contains_key(&key);
        let Some(session) = self.session(key).filter(|session| session.paused) else { return };
        if usize::from(session.in_flight) <= resume_at && !waits {
            session.paused = false;
            self.out.effects.push(Effect::Resume { session: key });
        }
    }

    /// A command of an editor is done, which it is told in its own way.
    pub(in crate::engine) fn settled(&mut self, key: SessionKey) {
        let Some(session) = self.session(key) else { return };
        session.in_flight = session.in_flight.saturating_sub(1);
        if !self.farewells.is_empty() && self.part_if_answered(key) {
            return;
        }
        self.read_on_if_idle(key);
    }
}

/// A state as others are shown it in frames, which are lines.
fn one_line(text: &str) -> Option<Box<RawValue>> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    Some(crate::engine::types::own(raw))
}

fn malformed() -> Reject {
    Reject::new(ErrorCode::InvalidData, "no message of this protocol")
}

/// How the connection of an editor ends that is refused something. 44xx: for good.
pub(super) fn close_code(code: ErrorCode) -> CloseCode {
    match code {
        ErrorCode::DocumentReset => CloseCode::DocumentReset,
        ErrorCode::Forbidden => CloseCode::Forbidden,
        ErrorCode::InvalidData | ErrorCode::BadRequest => CloseCode::BadFrame,
        ErrorCode::NotFound => CloseCode::NotFound,
        ErrorCode::TooLarge => CloseCode::TooLarge,
        ErrorCode::Unauthorized => CloseCode::TokenRefused,
        ErrorCode::LimitExceeded | ErrorCode::RateLimited => CloseCode::RateLimited,
        ErrorCode::AlreadySubscribed
        | ErrorCode::Conflict
        | ErrorCode::NotSubscribed
        | ErrorCode::OutOfSequence
        | ErrorCode::Server
        | ErrorCode::Unavailable => CloseCode::Unavailable,
    }
}
