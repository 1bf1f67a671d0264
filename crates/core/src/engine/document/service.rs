//! What backends ask of documents, by the HTTP API: they have no session, and read and write at
//! once what editors hold open.
//!
//! An edit is made elsewhere, on what [`Engine::read_document`] has answered: it takes as long as
//! opening the whole document, and here everybody would wait for it.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tidings_proto::{Epoch, ErrorCode, to_base64};

use super::commands::check_update;
use super::refusals::no_document;
use super::{Ask, Merge, Terms};
use crate::document::Broken;
use crate::engine::Engine;
use crate::engine::counters::CommandKind;
use crate::engine::home::Scene;
use crate::engine::service::SERVICE;
use crate::engine::types::{Address, Effect, Message, Now, Request, RequestBody};
use crate::policy::Kind;
use crate::reject::Reject;

/// Clients as which the server writes into one document: each is one for ever, and a document has
/// only so many. Edits at the same time need one each, or come again. One more restores versions.
pub(super) const SCRIBES: u64 = 4;

/// The largest number that a client can have.
pub(super) const CLIENT_MAX: u64 = (1 << 53) - 1;

/// A change of a document by a backend.
#[derive(Clone, Debug, Default)]
pub struct Contribution {
    /// Only if the document is still this one.
    pub epoch: Option<Epoch>,
    /// Only if nothing has changed since it had this offset.
    pub if_offset: Option<u64>,
    /// It was made as this client, which [`Engine::read_document`] has named: only if it has
    /// written nothing since.
    pub scribe: Option<u64>,
    /// It makes a whole document, and may be as long as one.
    pub whole: bool,
    /// The Yjs update.
    pub update: Bytes,
}

/// The answer to [`Engine::read_document`].
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: u64,
    channel: &'a str,
    epoch: Epoch,
    offset: u64,
    vector: String,
    bytes: usize,
    clients: usize,
    update: String,
    scribe: u64,
}

impl Engine {
    /// Reads all of a document. Its [`Effect::Answer`] is an `error`, or has with this `id`:
    /// `epoch` (the document's), `offset`, `vector` and `update` (base64), `bytes`, `clients`, and
    /// `scribe`, the client that may write what is made of it.
    pub fn read_document(&mut self, now: Now, id: u64, channel: &str) {
        let slot = self.rng.next() % SCRIBES;
        self.ask_document(now, id, channel, Ok(Ask::Read { slot }));
    }

    /// Changes a document. Its [`Effect::Answer`] is `merged` when that is stored, or an `error`,
    /// with this `id`: `conflict` if it was made of what is not there any more.
    pub fn contribute(
        &mut self,
        now: Now,
        author: &Arc<str>,
        id: u64,
        channel: &str,
        contribution: Contribution,
    ) {
        let Contribution { epoch, if_offset, scribe, whole, update } = contribution;
        let limit = if whole { usize::MAX } else { self.config.limits.update };
        let room = check_update(update.len(), limit);
        let ask = room.map(|()| {
            Ask::Merge(Merge {
                user: author.clone(),
                epoch,
                update,
                editor: false,
                allowed: true,
                began_us: now.mono_us,
                terms: Terms { if_offset, scribe, whole, job: false },
            })
        });
        self.ask_document(now, id, channel, ask);
    }

    /// Makes a document another one, with nothing in it. Whoever holds the old one is told to throw
    /// it away; editors, which cannot, are closed. Its [`Effect::Answer`] is `merged`, or an
    /// `error`, with this `id`. `versions`: they go as well.
    pub fn reset_document(
        &mut self,
        now: Now,
        author: &Arc<str>,
        id: u64,
        channel: &str,
        versions: bool,
    ) {
        self.ask_document(now, id, channel, Ok(Ask::Reset { user: author.clone(), versions }));
    }

    pub(super) fn ask_document(
        &mut self,
        now: Now,
        id: u64,
        channel: &str,
        ask: Result<Ask, Reject>,
    ) {
        let target = self.find_target(channel).and_then(|target| {
            let is_document = target.namespace.policy.kind == Kind::Document;
            if is_document { Ok(target) } else { Err(no_document()) }
        });
        match target.and_then(|target| Ok((target, ask?))) {
            Ok((target, ask)) => {
                let from = Address { shard: self.config.shard, session: SERVICE };
                let (home, body) =
                    (self.home_of(&target.channel), RequestBody::Document(Box::new(ask)));
                let channel = target.channel;
                self.out.post(home, Message::Request(Request { from, id, channel, body }));
            }
            Err(reject) => {
                let text = reject.encode(Some(id), None);
                self.out.effects.push(Effect::Answer { text });
            }
        }
        self.settle(now);
    }
}

impl Scene<'_> {
    /// All of it, for a backend.
    pub(super) fn read_document(&mut self, from: Address, id: u64, slot: u64) {
        let text = match self.whole(id, slot) {
            Ok(text) => text,
            Err(reject) => {
                let about = (id, &*self.channel.name);
                return self.out.refuse(CommandKind::Sync, from, about, &reject);
            }
        };
        self.out.reply(CommandKind::Sync, from, text);
    }

    fn whole(&mut self, id: u64, slot: u64) -> Result<Bytes, Reject> {
        let (name, offset) = (self.channel.name.clone(), self.channel.last);
        let scribe = self.scribe(slot)?;
        let (document, desk) = self.document()?;
        let update = match &desk.whole {
            Some(whole) => whole.clone(),
            None => document.encode().map_err(|Broken| Reject::unavailable())?,
        };
        desk.whole = Some(update.clone());
        let whole = Whole {
            kind: "whole",
            id,
            channel: &name,
            epoch: document.epoch(),
            offset,
            vector: to_base64(&document.vector()),
            bytes: document.bytes(),
            clients: document.clients(),
            update: to_base64(&update),
            scribe,
        };
        let text = serde_json::to_vec(&whole);
        text.map(Bytes::from).map_err(|_| Reject::new(ErrorCode::Server, "it cannot be written"))
    }

    /// Somebody else was faster than what these were made for.
    pub(super) fn check_offset(&self, terms: Terms) -> Result<(), Reject> {
        let assigned = self.channel.assigned;
        if terms.if_offset.is_none_or(|offset| offset == assigned) {
            return Ok(());
        }
        let message = format!("the document has changed since `if_offset`: it is at {assigned}");
        Err(Reject::new(ErrorCode::Conflict, message))
    }
}

/// Another edit was made as the same client.
pub(super) fn outrun() -> Reject {
    Reject::new(ErrorCode::Conflict, "another edit was faster; make it again")
}
