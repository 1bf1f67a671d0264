//! A document at its home: changes that are proved, stored, and then told.

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::yjs::sync::Sync;
use tidings_proto::{Epoch, ErrorCode, Frame};

use super::service::outrun;
use super::wording::{Word, parts, pieces, raw, say};
use super::{Ask, Edited, Lacks, Merge, Synced};
use crate::channel::{Desk, DocumentChange, Fold, Merging, Pending};
use crate::document::{Broken, Document, Fault, Prepared, Record, What};
use crate::engine::Out;
use crate::engine::counters::CommandKind;
use crate::engine::home::Scene;
use crate::engine::types::{Address, Delivery, Message, Raw, Request};
use crate::limits::{DOCUMENT_LEVELS, DocumentLimits, MEASURE_MS, UPDATE_STEPS};
use crate::reject::Reject;
use crate::rng::mix;
use crate::store::Level;

impl Scene<'_> {
    pub(in crate::engine) fn document_ask(&mut self, from: Address, id: u64, ask: Ask) {
        let now_ms = self.now.mono_ms;
        if let Some(desk) = &mut self.channel.desk {
            desk.touched_ms = now_ms;
        }
        match ask {
            Ask::Aware { user, told, editor } => self.aware(from, id, &user, told, editor),
            Ask::Merge(merge) => {
                let editor = merge.editor;
                if let Err(reject) = self.merge(from, id, merge) {
                    self.refuse_change(from, id, editor, &reject);
                }
            }
            Ask::Quit => self.quit(from),
            Ask::Read { slot } => self.read_document(from, id, slot),
            Ask::Reset { user } => {
                if let Err(reject) = self.reset_document(from, id, user) {
                    self.refuse_change(from, id, false, &reject);
                }
            }
            Ask::Seen { dialect, vector } => {
                let mut messages = self.all_awareness(dialect);
                if vector && let Ok((document, _)) = self.document() {
                    let step1 = Sync::Step1(&document.vector());
                    messages.push(say(dialect, &self.channel.name, Word::Sync(step1)));
                }
                let (to, channel) = (from.session, self.channel.name.clone());
                self.out.post(from.shard, Message::Seen { to, channel, messages });
            }
            Ask::Sync { epoch, vector, editor } => {
                let outcome = self.lacks(epoch, &vector, editor);
                let refused = outcome.as_ref().err().map(|reject| reject.code);
                self.out.counters.command(CommandKind::Sync, refused.filter(|_| !editor));
                let (to, channel) = (from.session, self.channel.name.clone());
                let synced = Synced { to, id, channel, outcome };
                self.out.post(from.shard, Message::Synced(Box::new(synced)));
            }
        }
        self.weigh();
    }

    /// The document, if this is one whose state is known.
    pub(super) fn document(&mut self) -> Result<(&mut Document, &mut Desk), Reject> {
        if self.channel.estranged {
            return Err(Reject::unavailable());
        }
        match (&mut self.channel.fold, &mut self.channel.desk) {
            (Fold::Document(document), Some(desk)) => Ok((document, desk)),
            _ => Err(no_document()),
        }
    }

    fn document_limits(&self) -> DocumentLimits {
        let policy = &self.channel.namespace.policy.document;
        let update = self.limits.update;
        DocumentLimits { update, document: policy.size, clients: policy.clients }
    }

    fn merge(&mut self, from: Address, id: u64, merge: Merge) -> Result<(), Reject> {
        let Merge { user, epoch, update, editor, allowed, began_us, terms } = merge;
        let (mut limits, failing) = (self.document_limits(), self.channel.failing);
        let now_ms = self.now.mono_ms;
        if terms.whole {
            limits.update = limits.update.max(limits.document);
        }
        let (document, _) = self.document()?;
        if epoch.is_some_and(|epoch| epoch != document.epoch()) {
            return Err(was_reset());
        }
        self.check_offset(terms)?;
        let (document, desk) = self.document()?;
        let prepared = Document::prepare(&update, &limits);
        let prepared = prepared.map_err(|fault| reject_of(fault, &limits))?;
        if document.buries(&prepared) {
            return Err(was_reset());
        }
        if failing || desk.resetting {
            return Err(Reject::unavailable());
        }
        let scribe = terms.scribe.filter(|_| prepared.inserts());
        if let Some(client) = scribe
            && (desk.scribes.contains(&client) || !document.follows(&prepared, client))
        {
            return Err(outrun());
        }
        let merging = |what| {
            let user = user.clone();
            Box::new(Merging { from, id, user, editor, began_us, scribe, what })
        };
        if !document.adds(&prepared) {
            let offset = self.channel.last;
            self.answer_change(&merging(DocumentChange::Update(prepared)), offset);
            return Ok(());
        }
        if !allowed {
            return Err(Reject::forbidden("this user may not change the document"));
        }
        check_room(document, desk, &prepared, &limits, now_ms)?;
        if !document.admits(&prepared) {
            if document.is_too_slow() {
                let why = "its items stand too far from where they were written";
                return Err(Reject::limit(why, "document_steps", UPDATE_STEPS as usize));
            }
            if !document.is_too_deep(&prepared) {
                // Who comes back with all there is need not wait for others.
                return Err(Reject::later("too many updates are under way; try again"));
            }
            let why = "too many shared types in each other";
            return Err(Reject::limit(why, "document_levels", DOCUMENT_LEVELS));
        }
        desk.pending += update.len();
        desk.scribes.extend(scribe);
        let record = Record { user: &user, what: What::Update(&update) }.encode();
        self.append_change(record, merging(DocumentChange::Update(prepared)));
        Ok(())
    }

    /// From now on it is another document, with nothing in it: what its clients hold counts no
    /// more.
    fn reset_document(&mut self, from: Address, id: u64, user: Arc<str>) -> Result<(), Reject> {
        let (failing, offset) = (self.channel.failing, self.channel.assigned + 1);
        let began_us = self.now.mono_us;
        let (document, desk) = self.document()?;
        if failing || desk.resetting {
            return Err(Reject::unavailable());
        }
        desk.resetting = true;
        // Never one that was before: the log has each offset once.
        let epoch = Epoch(mix(document.epoch().0 ^ offset));
        let record = Record { user: &user, what: What::Reset(epoch) }.encode();
        let what = DocumentChange::Reset(epoch);
        let merging = Merging { from, id, user, editor: false, began_us, scribe: None, what };
        self.append_change(record, Box::new(merging));
        Ok(())
    }

    fn append_change(&mut self, record: Bytes, merging: Box<Merging>) {
        self.channel.assigned += 1;
        self.append_pending(Pending {
            offset: self.channel.assigned,
            at_ms: self.steady_ms,
            event: Ok(record),
            producer: None,
            key: None,
            except: None,
            changed: None,
            amend: None,
            merge: Some(merging),
            waiters: smallvec::SmallVec::new(),
        });
    }

    /// A change is stored: it is part of the document now, and all are told.
    pub(in crate::engine) fn commit_change(
        &mut self,
        merging: Merging,
        (offset, at_ms): (u64, u64),
        record: &Bytes,
        level: Level,
    ) {
        self.channel.last = offset;
        match level {
            Level::Memory => self.out.counters.memory += 1,
            _ => self.out.counters.durable += 1,
        }
        let (estranged, now_ms) = (self.channel.estranged, self.now.mono_ms);
        let (Fold::Document(document), Some(desk)) =
            (&mut self.channel.fold, &mut self.channel.desk)
        else {
            return;
        };
        desk.touched_ms = now_ms;
        desk.whole = None;
        let Merging { from, id, user, editor, began_us, scribe, what } = merging;
        desk.scribes.retain(|client| Some(*client) != scribe);
        match what {
            DocumentChange::Update(prepared) => {
                let update = prepared.bytes().clone();
                desk.pending = desk.pending.saturating_sub(update.len());
                // While it has to be read again, this is read with it.
                if !estranged && document.commit(&user, prepared).is_err() {
                    self.channel.estranged = true;
                    let why = "the update cannot be applied to the document";
                    let reject = Reject::new(ErrorCode::InvalidData, why);
                    return self.refuse_change(from, id, editor, &reject);
                }
                self.out.counters.merged_bytes += update.len() as u64;
                self.tell_change(from, &user, offset, &update);
                self.fold_in(offset, at_ms, record);
                self.answered_change((from, id, editor), Some(began_us), offset);
            }
            DocumentChange::Reset(epoch) => {
                desk.resetting = false;
                document.reset(epoch);
                self.tell_reset(epoch);
                self.fold_in(offset, at_ms, record);
                self.answered_change((from, id, editor), Some(began_us), offset);
            }
        }
        self.weigh();
    }

    /// A change could not be stored: it is as if it had never come.
    pub(in crate::engine) fn fail_change(&mut self, merging: Merging) {
        let Merging { from, id, editor, scribe, what, .. } = merging;
        if let Some(desk) = &mut self.channel.desk {
            desk.scribes.retain(|client| Some(*client) != scribe);
            match what {
                DocumentChange::Update(prepared) => {
                    desk.pending = desk.pending.saturating_sub(prepared.bytes().len());
                }
                DocumentChange::Reset(_) => desk.resetting = false,
            }
        }
        self.refuse_change(from, id, editor, &Reject::unavailable());
    }

    /// Others get it as it came. A long one is several frames: parts of its bytes, to be joined.
    fn tell_change(&mut self, from: Address, user: &Arc<str>, offset: u64, update: &Bytes) {
        let parts = parts(update);
        let last = parts.len() - 1;
        for (index, update_part) in parts.iter().enumerate() {
            let (channel, more) = (&*self.channel.name, index < last);
            let text = Frame::Document { channel, offset, user, update: update_part, more };
            let text = text.encode();
            let raw = (!more).then(|| raw(channel, Word::Sync(Sync::Update(update))));
            self.deliver(Delivery { raw, ..Delivery::passing(text, Some(from)) });
        }
    }

    /// Who speaks JSON throws away what it has. Editors cannot: they are closed.
    fn tell_reset(&mut self, epoch: Epoch) {
        let channel = &self.channel.name;
        let text = Frame::Reset { channel, epoch }.encode();
        for shard in &self.channel.shards {
            let channel = channel.clone();
            self.out.post(*shard, Message::Reset { channel });
        }
        self.deliver(Delivery::passing(text, None));
    }

    /// What editors are asked when the store has lost something: all that they have.
    pub(in crate::engine) fn ask_editors(&mut self) -> Option<Arc<Raw>> {
        let name = self.channel.name.clone();
        let (document, _) = self.document().ok()?;
        Some(raw(&name, Word::Sync(Sync::Step1(&document.vector()))))
    }

    fn answer_change(&mut self, merging: &Merging, offset: u64) {
        let Merging { from, id, editor, began_us, .. } = *merging;
        self.answered_change((from, id, editor), Some(began_us), offset);
    }

    fn answered_change(
        &mut self,
        (from, id, editor): (Address, u64, bool),
        began_us: Option<u64>,
        offset: u64,
    ) {
        let channel = &self.channel.name;
        if editor {
            self.out.counters.command(CommandKind::Merge, None);
            let (to, channel) = (from.session, channel.clone());
            let edited = Edited { to, edits: id, channel, outcome: Ok(()) };
            return self.out.post(from.shard, Message::Edited(Box::new(edited)));
        }
        let text = Frame::Merged { id, channel, offset: Some(offset), more: false }.encode();
        match began_us {
            Some(began_us) => self.out.published(CommandKind::Merge, from, text, began_us),
            None => self.out.reply(CommandKind::Merge, from, text),
        }
    }

    fn refuse_change(&mut self, from: Address, id: u64, editor: bool, why: &Reject) {
        refuse_change(self.out, (from, id, editor), &self.channel.name, why);
    }

    /// What somebody lacks who has this vector.
    fn lacks(
        &mut self,
        epoch: Option<Epoch>,
        vector: &[u8],
        editor: bool,
    ) -> Result<Lacks, Reject> {
        let (limits, offset) = (self.document_limits(), self.channel.last);
        let (document, desk) = self.document()?;
        if epoch.is_some_and(|epoch| epoch != document.epoch()) {
            return Err(was_reset());
        }
        // Who has nothing sends nothing, or a vector without clients.
        let all = vector.is_empty() || *vector == [0];
        let update = match &desk.whole {
            Some(whole) if all => whole.clone(),
            _ if all => document.encode().map_err(|Broken| Reject::unavailable())?,
            _ => {
                // Who was one client too many knows of more of them: that is no reason not to read.
                let any = DocumentLimits { clients: vector.len(), ..limits };
                let missing = document.missing(vector, &any);
                missing.map_err(|fault| reject_of(fault, &limits))?
            }
        };
        if all {
            desk.whole = Some(update.clone());
        }
        let (epoch, vector) = (document.epoch(), document.vector());
        let (mut pieces, mut waiting) = match editor {
            true if all => (pieces(&update), document.waiting()),
            true => (vec![update], document.waiting()),
            false => (parts(&update), document.waiting()),
        };
        if editor {
            pieces.append(&mut waiting);
        }
        Ok(Lacks { epoch, vector, offset, pieces, waiting })
    }
}

/// Whether an update fits into the document.
fn check_room(
    document: &mut Document,
    desk: &mut Desk,
    prepared: &Prepared,
    limits: &DocumentLimits,
    now_ms: u64,
) -> Result<(), Reject> {
    let (len, pending) = (prepared.bytes().len(), desk.pending);
    let new = document.newcomers(prepared);
    if new > 0 && document.clients() + new > limits.clients {
        let why = "too many clients have written in the document";
        return Err(Reject::limit(why, "document_clients", limits.clients));
    }
    // Who only deletes makes room, in the end.
    if !prepared.inserts() {
        return Ok(());
    }
    let over = |document: &Document| document.bytes() + pending + len > limits.document;
    // Not for each update that comes while there is no room.
    if over(document) && document.has_grown(now_ms >= desk.measure_after_ms) {
        desk.measure_after_ms = now_ms + MEASURE_MS;
        document.encode().map_err(|Broken| Reject::unavailable())?;
    }
    if over(document) {
        return Err(Reject::too_large("the document", "document", limits.document));
    }
    Ok(())
}

fn reject_of(fault: Fault, limits: &DocumentLimits) -> Reject {
    match fault {
        Fault::Invalid => {
            Reject::new(ErrorCode::InvalidData, "no Yjs update, or state vector, of version 1")
        }
        Fault::Broken => Reject::unavailable(),
        Fault::Deep => Reject::new(ErrorCode::InvalidData, "its values are nested too deep"),
        Fault::TooLarge => Reject::too_large("the update", "update", limits.update),
        Fault::Clients => Reject::limit("too many clients", "document_clients", limits.clients),
    }
}

fn was_reset() -> Reject {
    let why = "the document was reset: what the client has of it counts no more";
    Reject::new(ErrorCode::DocumentReset, why)
}

pub(super) fn no_document() -> Reject {
    Reject::bad_request("the channel is no document: its namespace is not of kind `document`")
}

fn refuse_change(
    out: &mut Out,
    (from, id, editor): (Address, u64, bool),
    channel: &Arc<str>,
    why: &Reject,
) {
    if !editor {
        return out.refuse(CommandKind::Merge, from, (id, channel), why);
    }
    out.counters.command(CommandKind::Merge, Some(why.code));
    let (to, channel) = (from.session, channel.clone());
    let edited = Edited { to, edits: id, channel, outcome: Err(why.clone()) };
    out.post(from.shard, Message::Edited(Box::new(edited)));
}

/// A request cannot be done: the document could not be brought into memory.
pub(in crate::engine) fn refuse(out: &mut Out, request: &Request, ask: &Ask, why: &Reject) {
    let Request { from, id, channel, .. } = request;
    match ask {
        Ask::Merge(merge) => refuse_change(out, (*from, *id, merge.editor), channel, why),
        Ask::Reset { .. } => refuse_change(out, (*from, *id, false), channel, why),
        Ask::Read { .. } => out.refuse(CommandKind::Sync, *from, (*id, channel), why),
        Ask::Sync { .. } => {
            out.counters.command(CommandKind::Sync, Some(why.code));
            let (to, id, channel) = (from.session, *id, channel.clone());
            let synced = Synced { to, id, channel, outcome: Err(why.clone()) };
            out.post(from.shard, Message::Synced(Box::new(synced)));
        }
        Ask::Aware { editor: false, .. } => {
            out.refuse(CommandKind::Awareness, *from, (*id, channel), why);
        }
        Ask::Aware { .. } | Ask::Quit | Ask::Seen { .. } => {}
    }
}
