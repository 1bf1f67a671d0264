//! A document at its home: changes that are proved, stored, and then told.

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::yjs::sync::Sync;
use tidings_proto::{Epoch, ErrorCode, Frame};

use super::refusals::{adrift, no_document, reject_of, too_much, was_reset};
use super::service::outrun;
use super::shelved::Done;
use super::wording::{Word, parts, pieces, raw, say};
use super::{Adrift, Ask, Edited, Lacks, Merge, SeatId, Slip, Synced};
use crate::channel::shelf::Asker;
use crate::channel::{Desk, DocumentChange, Fold, Merging, Origin, Pending};
use crate::document::{Broken, Document, Prepared, Record, Taken, What};
use crate::engine::Out;
use crate::engine::counters::CommandKind;
use crate::engine::home::Scene;
use crate::engine::types::{Address, Delivery, Message, Raw, Request};
use crate::limits::{DocumentLimits, MEASURE_MS};
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
            Ask::Reset { user, versions } => {
                if let Err(reject) = self.reset_document(from, id, user, versions) {
                    self.refuse_change(from, id, false, &reject);
                }
            }
            Ask::Seen { dialect, vector } => {
                let (messages, mut question) = (self.all_awareness(dialect), None);
                if vector && let Ok((document, _)) = self.document() {
                    let step1 = Sync::Step1(&document.vector());
                    question = Some(say(dialect, &self.channel.name, Word::Sync(step1)));
                }
                let (to, channel) = (from.session, self.channel.name.clone());
                self.out.post(from.shard, Message::Seen { to, channel, messages, question });
            }
            Ask::Version(ask) => self.version_ask(from, id, ask),
            Ask::Sync { version: Some(number), .. } => self.read_version(from, id, number),
            Ask::Sync { epoch, vector, editor, version: None } => {
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

    pub(super) fn merge(&mut self, from: Address, id: u64, merge: Merge) -> Result<(), Reject> {
        let Merge { user, epoch, update, editor, allowed, began_us, terms } = merge;
        let (mut limits, failing) = (self.document_limits(), self.channel.failing);
        let now_ms = self.now.mono_ms;
        if terms.whole {
            limits.update = limits.update.max(limits.document);
        }
        if terms.job {
            // What goes makes room for what comes, which had it once.
            limits.document = usize::MAX / 2;
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
        let asker = Asker { from, id, kind: CommandKind::Merge };
        let mut origin = Origin { editor, job: terms.job, ..Origin::of(asker, began_us) };
        if !document.adds(&prepared) {
            let offset = self.channel.last;
            self.change_is_done(origin, Done::Changed(offset));
            return Ok(());
        }
        if !allowed {
            return Err(Reject::forbidden("this user may not change the document"));
        }
        let Taken { part, waits, lost } = document.share(prepared, &limits);
        // Who types faster than the disk writes need not be asked.
        if editor && (lost || (waits && desk.pending == 0)) {
            self.ask_writer(from, id);
        }
        let Some(prepared) = part else {
            if lost {
                return Err(adrift());
            }
            self.change_is_done(origin, Done::Changed(self.channel.last));
            return Ok(());
        };
        origin.lost = lost;
        let (document, desk) = self.document()?;
        check_room(document, desk, &prepared, &limits, now_ms)?;
        if !document.admits(&prepared) {
            // Who comes back with all there is need not wait for others.
            let later = || Reject::later("too many updates are under way; try again");
            return Err(document.excess(&prepared).map_or_else(later, too_much));
        }
        let update = prepared.bytes().clone();
        desk.pending += update.len();
        desk.scribes.extend(scribe);
        let record = Record { user: &user, what: What::Update(&update) }.encode();
        let what = DocumentChange::Update(prepared);
        self.append_change(record, Box::new(Merging { origin, user, scribe, what }));
        Ok(())
    }

    /// An editor has sent what depends on something that has not come: it has that, too.
    fn ask_writer(&mut self, from: Address, id: u64) {
        let Ok((document, _)) = self.document() else { return };
        let (vector, seat) = (document.vector(), Slip::from(id).seat);
        let (to, channel) = (from.session, self.channel.name.clone());
        let adrift = Adrift { to, seat, channel, vector };
        self.out.post(from.shard, Message::Adrift(Box::new(adrift)));
    }

    /// From now on it is another document, with nothing in it: what its clients hold counts no
    /// more.
    fn reset_document(
        &mut self,
        from: Address,
        id: u64,
        user: Arc<str>,
        versions: bool,
    ) -> Result<(), Reject> {
        let (failing, offset) = (self.channel.failing, self.channel.assigned + 1);
        let began_us = self.now.mono_us;
        let (document, desk) = self.document()?;
        if failing || desk.resetting {
            return Err(Reject::unavailable());
        }
        desk.resetting = true;
        // Never one that was before: the log has each offset once.
        let epoch = Epoch(mix(document.epoch().0 ^ offset));
        let record = Record { user: &user, what: What::Reset { epoch, versions } }.encode();
        let what = DocumentChange::Reset { epoch, versions };
        let origin = Origin::of(Asker { from, id, kind: CommandKind::Merge }, began_us);
        self.append_change(record, Box::new(Merging { origin, user, scribe: None, what }));
        Ok(())
    }

    pub(super) fn append_change(&mut self, record: Bytes, merging: Box<Merging>) {
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
        let Merging { origin, user, scribe, what } = merging;
        desk.scribes.retain(|client| Some(*client) != scribe);
        let done = match what {
            DocumentChange::Update(prepared) => {
                let update = prepared.bytes().clone();
                desk.pending = desk.pending.saturating_sub(update.len());
                // While it has to be read again, this is read with it.
                if !estranged && document.commit(&user, (offset, at_ms), prepared).is_err() {
                    self.channel.estranged = true;
                    let why = "the update cannot be applied to the document";
                    let reject = Reject::new(ErrorCode::InvalidData, why);
                    return self.refuse_origin(origin, reject);
                }
                self.out.counters.merged_bytes += update.len() as u64;
                let Origin { from, id, editor, job, .. } = origin;
                let seat = if editor { Slip::from(id).seat } else { SeatId::default() };
                self.tell_change((!job).then_some((from, seat)), &user, offset, &update);
                Done::Changed(offset)
            }
            DocumentChange::Reset { epoch, versions } => {
                desk.resetting = false;
                document.reset(epoch, versions);
                self.tell_reset(epoch);
                if versions { Done::Deleted(offset, None) } else { Done::Changed(offset) }
            }
            DocumentChange::Version(version) => {
                document.take_version((*version).clone());
                Done::Version(*version)
            }
            DocumentChange::NameVersion { number, name } => {
                desk.shelf.named(number);
                document.name_version(number, name);
                document.versions().get(number).cloned().map_or(Done::Nothing, Done::Version)
            }
            DocumentChange::DeleteVersion { number, asked } => {
                document.delete_version(number);
                if asked { Done::Deleted(offset, Some(number)) } else { Done::Nothing }
            }
            DocumentChange::ForgetVersion(number) => {
                document.forget_version(number);
                Done::Nothing
            }
        };
        self.fold_in(offset, at_ms, record);
        self.change_is_done(origin, done);
        self.weigh();
    }

    /// Others get it as it came. A long one is several frames: parts of its bytes, to be joined.
    fn tell_change(
        &mut self,
        except: Option<(Address, SeatId)>,
        user: &Arc<str>,
        offset: u64,
        update: &Bytes,
    ) {
        let (from, seat) = except.map_or((None, SeatId::default()), |it| (Some(it.0), it.1));
        let parts = parts(update);
        let last = parts.len() - 1;
        for (index, update_part) in parts.iter().enumerate() {
            let (channel, more) = (&*self.channel.name, index < last);
            let text = Frame::Document { channel, offset, user, update: update_part, more };
            let text = text.encode();
            let raw = (!more).then(|| raw(channel, Word::Sync(Sync::Update(update))));
            self.deliver(Delivery { raw, seat, ..Delivery::passing(text, from) });
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

pub(super) fn refuse_change(
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
    let edited = Edited { to, slip: id.into(), channel, outcome: Err(why.clone()) };
    out.post(from.shard, Message::Edited(Box::new(edited)));
}

/// A request cannot be done: the document could not be brought into memory.
pub(in crate::engine) fn refuse(out: &mut Out, request: &Request, ask: &Ask, why: &Reject) {
    let Request { from, id, channel, .. } = request;
    match ask {
        Ask::Merge(merge) => refuse_change(out, (*from, *id, merge.editor), channel, why),
        Ask::Reset { .. } => refuse_change(out, (*from, *id, false), channel, why),
        Ask::Version(ask) => out.refuse(ask.kind(), *from, (*id, channel), why),
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
