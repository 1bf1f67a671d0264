//! What reads or writes the content of versions: one thing after the other for each document.
//!
//! A version is taken in this order: its content is stored, then the record that says that it is
//! there. When that does not come to its end, what is left is let go; after a kill the next one
//! writes over it. One is deleted the other way round: a record says that it is gone, its content
//! follows, then a record that it has, and then who asked for it is told. So whatever is listed can
//! be read, and what was deleted is.

use bytes::Bytes;

use super::refusals::was_reset;
use super::service::{CLIENT_MAX, SCRIBES};
use super::shelved::Done;
use super::versions::{count_named, no_version, too_many};
use super::{Merge, NOBODY, Terms};
use crate::channel::DocumentChange;
use crate::channel::shelf::{Asker, Content, Job, Stage, Task, Was, kept_in, trim};
use crate::document::{Broken, Document, Fault, Record, Version, What};
use crate::engine::CommandKind;
use crate::engine::Engine;
use crate::engine::home::Scene;
use crate::engine::types::{Address, Effect, Now};
use crate::limits::VERSION_JOBS;
use crate::reject::Reject;
use crate::rng::mix;
use crate::store::{Level, Loaded, StoreError};

impl Engine {
    /// What the store has of a version.
    pub(in crate::engine) fn version_loaded(
        &mut self,
        now: Now,
        (number, of): (u64, &str),
        outcome: Result<Option<Loaded>, StoreError>,
    ) {
        let Some(index) = self.homes.find(of) else { return };
        if self.homes.slab[index].waiting.is_none() {
            self.scene(index, now).version_loaded(number, outcome);
        }
    }

    /// The outcome of an append to what the store has of a version.
    pub(in crate::engine) fn version_stored(
        &mut self,
        now: Now,
        of: &str,
        outcome: &Result<Level, StoreError>,
    ) {
        let Some(index) = self.homes.find(of) else { return };
        let home = &mut self.homes.slab[index];
        if let Some(desk) = &mut home.channel.desk {
            desk.shelf.outstanding = desk.shelf.outstanding.saturating_sub(1);
        }
        // While the document is read again, nothing is done about its versions.
        if home.waiting.is_none() {
            self.scene(index, now).version_stored(outcome);
        }
    }

    /// The outcome of an [`Effect::Restore`], as [`restore`](crate::document::restore) has it.
    pub fn restored(
        &mut self,
        now: Now,
        channel: &str,
        ticket: u64,
        outcome: Result<Bytes, Fault>,
    ) {
        if let Some(index) = self.homes.find(channel) {
            self.scene(index, now).restored(ticket, outcome);
        }
        self.settle(now);
    }
}

impl Scene<'_> {
    /// A session asks what a version holds.
    pub(super) fn read_version(&mut self, from: Address, id: u64, number: u64) {
        let asker = Asker { from, id, kind: CommandKind::Sync };
        if let Err(reject) = self.begin_reading(asker, number) {
            self.tell_asker(Some(asker), Err(reject));
        }
    }

    /// Asks the store what a version holds, beside whatever else is done.
    pub(super) fn begin_reading(&mut self, asker: Asker, number: u64) -> Result<(), Reject> {
        let channel = kept_in(number, &self.channel.name);
        let (document, desk) = self.document()?;
        document.versions().get(number).ok_or_else(no_version)?;
        if desk.shelf.reading.len() >= VERSION_JOBS {
            return Err(Reject::later("too many read the document's versions; try again"));
        }
        let asked = desk.shelf.reading.iter().any(|(asked, _)| *asked == number);
        desk.shelf.reading.push((number, asker));
        if !asked {
            self.out.effects.push(Effect::Load { channel });
        }
        Ok(())
    }

    fn finish_reading(&mut self, number: u64, outcome: Result<Option<&Loaded>, ()>) {
        let Ok((document, desk)) = self.document() else { return self.drop_jobs() };
        let (readers, others): (Vec<_>, _) =
            std::mem::take(&mut desk.shelf.reading).into_iter().partition(|it| it.0 == number);
        desk.shelf.reading = others;
        if readers.is_empty() {
            return;
        }
        let read = read(document, number, outcome.ok().flatten());
        let read = read.map(|(content, version)| (content, version.clone()));
        for (_, asker) in readers {
            let done = read.clone().map(|(content, version)| Done::Content(content, version));
            self.tell_asker(Some(asker), done);
        }
    }

    /// Begins what is next, if nothing is going on.
    pub(in crate::engine) fn next_job(&mut self) {
        loop {
            let (now_ms, is_free) = (self.now.mono_ms, !self.channel.failing);
            if self.channel.desk.is_none() {
                return;
            }
            let Ok((document, desk)) = self.document() else { return self.drop_jobs() };
            if desk.shelf.current.is_some() || desk.shelf.outstanding > 0 {
                return;
            }
            let gone = || desk.shelf.leftover.into_iter().chain(document.versions().deleted());
            let number = gone().find(|gone| *gone > desk.shelf.trim_behind);
            let number = number.or_else(|| gone().next());
            let owes = desk.shelf.owes.unwrap_or(0);
            desk.shelf.owes = number.map(|_| owes);
            let may_trim = is_free && desk.shelf.trim_after_ms <= now_ms;
            let trim = |number| Job { task: Task::Trim { number }, asker: None };
            let trim = number.filter(|_| may_trim).map(trim);
            // Who waits for that does not wait for those who come behind.
            let job = match trim {
                Some(trim) if !desk.shelf.ends.is_empty() => Some(trim),
                trim => desk.shelf.queue.pop_front().or(trim),
            };
            let Some(job) = job else { return };
            let asker = job.asker;
            match self.begin(job) {
                Ok(true) => return,
                Ok(false) => {}
                Err(reject) => self.tell_asker(asker, Err(reject)),
            }
        }
    }

    /// The document has to be read again: nothing waits for that here.
    pub(in crate::engine) fn drop_jobs(&mut self) {
        let Some(desk) = &mut self.channel.desk else { return };
        let current = desk.shelf.current.take();
        if let Some((_, Stage::Storing { version, .. })) = &current {
            desk.shelf.leftover = Some(version.number);
        }
        let jobs = std::mem::take(&mut desk.shelf.queue);
        let jobs = current.into_iter().map(|(job, _)| job).chain(jobs).map(|job| job.asker);
        let ends = std::mem::take(&mut desk.shelf.ends).into_iter().map(|end| Some(end.asker));
        let reading = std::mem::take(&mut desk.shelf.reading).into_iter().map(|it| Some(it.1));
        for asker in jobs.chain(ends).chain(reading) {
            self.tell_asker(asker, Err(Reject::unavailable()));
        }
    }

    /// `true`: it has begun; `false`: there is nothing to be done.
    fn begin(&mut self, mut job: Job) -> Result<bool, Reject> {
        let keeps = self.versions_policy().automatic > 0;
        let (document, _) = self.document()?;
        let versions = document.versions();
        let has_changed = versions.changed().is_some();
        let number = match &mut job.task {
            Task::Restore { number, was, .. } => {
                let number = versions.get(*number).ok_or_else(no_version)?.number;
                if was.is_none() {
                    let now = self.was()?;
                    *was = Some(now.clone());
                    if has_changed && keeps {
                        self.keep_before(job, now);
                        return Ok(false);
                    }
                }
                number
            }
            Task::Take { name: None, user: None, .. } if !has_changed => return Ok(false),
            Task::Take { was, .. } => {
                let next = versions.next();
                if was.is_none() {
                    *was = Some(self.was()?);
                }
                next
            }
            Task::Trim { number } => *number,
        };
        let channel = kept_in(number, &self.channel.name);
        let (_, desk) = self.document()?;
        desk.shelf.current = Some((job, Stage::Loading(number)));
        self.out.effects.push(Effect::Load { channel });
        Ok(true)
    }

    /// What the document is now.
    fn was(&mut self) -> Result<Was, Reject> {
        let offset = self.channel.last;
        let (document, _) = self.document()?;
        let update = document.encode().map_err(|Broken| Reject::unavailable())?;
        let content = Content { vector: document.vector(), update };
        let authors = document.versions().version_authors();
        Ok(Was { content, offset, epoch: document.epoch(), authors })
    }

    /// Before something is restored, what there is becomes a version: nobody's work is lost.
    fn keep_before(&mut self, restore: Job, was: Was) {
        let Ok((_, desk)) = self.document() else { return };
        desk.shelf.queue.push_front(restore);
        let task = Task::Take { name: None, user: None, was: Some(was) };
        desk.shelf.queue.push_front(Job { task, asker: None });
    }

    fn version_loaded(&mut self, number: u64, outcome: Result<Option<Loaded>, StoreError>) {
        let found = outcome.as_ref().map(Option::as_ref).map_err(|_| ());
        self.finish_reading(number, found);
        let Some(desk) = &mut self.channel.desk else { return };
        match &desk.shelf.current {
            Some((_, Stage::Loading(asked))) if *asked == number => {}
            _ => return,
        }
        let outcome = outcome.map_err(|_| Reject::unavailable());
        if let Err(reject) = outcome.and_then(|loaded| self.go_on(number, loaded.as_ref())) {
            self.finish(Err(reject));
        }
    }

    fn go_on(&mut self, number: u64, loaded: Option<&Loaded>) -> Result<(), Reject> {
        let (document, desk) = self.document()?;
        let Some((job, _)) = &desk.shelf.current else { return Ok(()) };
        match &job.task {
            Task::Restore { .. } => {
                let (content, _) = read(document, number, loaded)?;
                self.begin_restoring(&content)
            }
            Task::Take { .. } => self.store_version(number, loaded),
            Task::Trim { .. } => {
                self.trim_version(number, loaded);
                Ok(())
            }
        }
    }

    fn store_version(&mut self, number: u64, before: Option<&Loaded>) -> Result<(), Reject> {
        self.agenda.tickets += 1;
        let (at_ms, max) = (self.steady_ms, self.limits.page_bytes);
        let id = mix(mix(self.seed ^ at_ms) ^ self.agenda.tickets);
        let policy = self.versions_policy();
        let (automatic, named, size) = (policy.automatic, policy.named, policy.size);
        let channel = kept_in(number, &self.channel.name);
        let (document, desk) = self.document()?;
        let Some((Job { task: Task::Take { name, user, was }, .. }, stage)) =
            &mut desk.shelf.current
        else {
            return Ok(());
        };
        let Some(Was { content, offset, epoch, authors }) = was.take() else { return Ok(()) };
        let (name, user) = (name.clone(), user.as_deref().map(Box::from));
        let bytes = content.bytes();
        let is_automatic = name.is_none() && user.is_none();
        let kept = document.versions().iter().filter(|version| !version.is_automatic());
        let kept: usize = kept.map(|version| version.bytes).sum();
        if kept + bytes > size {
            return Err(Reject::limit("too long versions, all together", "versions_size", size));
        }
        if !is_automatic && count_named(document) >= named {
            return Err(too_many("versions with a name, or asked for", named));
        }
        if is_automatic && automatic == 0 {
            return Err(too_many("versions that were taken by themselves", automatic));
        }
        let (pages, appends) = content.store((&channel, id), before, at_ms, max);
        let version = Version { number, at_ms, name, user, authors, bytes, offset, epoch, pages };
        desk.shelf.outstanding = pages.count;
        desk.shelf.leftover = None;
        *stage = Stage::Storing { version: Box::new(version), failed: false };
        self.out.effects.extend(appends.into_iter().map(Effect::Append));
        Ok(())
    }

    fn trim_version(&mut self, number: u64, loaded: Option<&Loaded>) {
        let channel = kept_in(number, &self.channel.name);
        let at_ms = self.steady_ms;
        let Some(desk) = &mut self.channel.desk else { return };
        let Some((_, stage)) = &mut desk.shelf.current else { return };
        match loaded.filter(|loaded| !loaded.events.is_empty()) {
            Some(loaded) => {
                *stage = Stage::Trimming(number);
                desk.shelf.outstanding = 1;
                let place = (loaded.epoch, loaded.last_offset);
                self.out.effects.push(Effect::Append(trim(channel, place, at_ms)));
            }
            None => self.forget_version(number),
        }
    }

    /// What a version held has left the store.
    fn forget_version(&mut self, number: u64) {
        let Some(desk) = &mut self.channel.desk else { return };
        desk.shelf.leftover = desk.shelf.leftover.filter(|left| *left != number);
        let Ok((document, desk)) = self.document() else { return self.drop_jobs() };
        if !document.versions().deleted().any(|deleted| deleted == number) {
            return self.finish(Ok(Done::Nothing));
        }
        if let Some((_, stage)) = &mut desk.shelf.current {
            *stage = Stage::Recording;
        }
        let record = Record { user: "", what: What::ForgetVersion(number) }.encode();
        self.append_job(record, DocumentChange::ForgetVersion(number));
    }

    fn version_stored(&mut self, outcome: &Result<Level, StoreError>) {
        let failing = self.channel.failing;
        let Some(desk) = &mut self.channel.desk else { return };
        let is_last = desk.shelf.outstanding == 0;
        if desk.shelf.current.is_none() && is_last {
            return self.next_job();
        }
        let Some((_, stage)) = &mut desk.shelf.current else { return };
        let bad = match stage {
            Stage::Storing { failed, .. } => {
                *failed |= outcome.is_err();
                *failed
            }
            _ => outcome.is_err(),
        };
        if !is_last {
            return;
        }
        if bad || failing {
            return self.finish(Err(Reject::unavailable()));
        }
        match stage {
            Stage::Storing { version, .. } => {
                let version = (**version).clone();
                self.list_version(version);
            }
            Stage::Trimming(number) => {
                let number = *number;
                self.forget_version(number);
            }
            _ => {}
        }
    }

    /// What a version holds is stored. If the document was reset meanwhile, with all its versions
    /// perhaps, it is not kept.
    fn list_version(&mut self, version: Version) {
        let Ok((document, desk)) = self.document() else { return self.drop_jobs() };
        if desk.resetting || document.epoch() != version.epoch {
            return self.finish(Err(was_reset()));
        }
        if let Some((_, stage)) = &mut desk.shelf.current {
            *stage = Stage::Recording;
        }
        let Ok(text) = serde_json::to_vec(&version) else { return };
        let record = Record { user: "", what: What::Version(&text) }.encode();
        self.append_job(record, DocumentChange::Version(Box::new(version)));
    }

    /// Compares what there was with what it was then: elsewhere, as that may take long. What is
    /// written meanwhile is beside it.
    fn begin_restoring(&mut self, content: &Content) -> Result<(), Reject> {
        let client = self.scribe(SCRIBES)?;
        self.agenda.tickets += 1;
        let (channel, ticket) = (self.channel.name.clone(), self.agenda.tickets);
        let (_, desk) = self.document()?;
        let Some((Job { task: Task::Restore { was: Some(was), .. }, .. }, stage)) =
            &mut desk.shelf.current
        else {
            return Ok(());
        };
        *stage = Stage::Restoring { ticket, client };
        let (now, then) = (was.content.update.clone(), content.update.clone());
        self.out.effects.push(Effect::Restore { channel, ticket, now, then, client });
        Ok(())
    }

    /// A client of the server's own; see [`SCRIBES`].
    pub(super) fn scribe(&mut self, slot: u64) -> Result<u64, Reject> {
        // New ones at each start: a document that was brought back from a copy of the disk would
        // give the same numbers to other changes.
        let salt = self.seed ^ self.channel.epoch.0;
        let (document, _) = self.document()?;
        Ok(mix(mix(salt ^ document.epoch().0).wrapping_add(slot)) & CLIENT_MAX)
    }

    fn restored(&mut self, answered: u64, outcome: Result<Bytes, Fault>) {
        let Some(desk) = &mut self.channel.desk else { return };
        let Some((job, stage)) = &mut desk.shelf.current else { return };
        let Task::Restore { user, was: Some(was), .. } = &job.task else { return };
        let Stage::Restoring { ticket, client } = *stage else { return };
        if ticket != answered {
            return;
        }
        *stage = Stage::Recording;
        let (user, epoch) = (user.clone(), Some(was.epoch));
        let (from, id) = job.asker.map_or((NOBODY, 0), |asker| (asker.from, asker.id));
        let merged = outcome.map_err(|_| Reject::unavailable()).and_then(|update| {
            let terms = Terms { if_offset: None, scribe: Some(client), whole: true, job: true };
            let (began_us, editor, allowed) = (self.now.mono_us, false, true);
            self.merge(from, id, Merge { user, epoch, update, editor, allowed, began_us, terms })
        });
        if let Err(reject) = merged {
            self.finish(Err(reject));
        }
    }
}

/// A version, and what the store has of what it holds.
fn read<'a>(
    document: &'a Document,
    number: u64,
    loaded: Option<&Loaded>,
) -> Result<(Content, &'a Version), Reject> {
    let version = document.versions().get(number).ok_or_else(no_version)?;
    let content = loaded.and_then(|loaded| Content::read(loaded, version.pages));
    Ok((content.ok_or_else(Reject::unavailable)?, version))
}
