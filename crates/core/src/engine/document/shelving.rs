//! What reads or writes the content of versions: one thing after the other for each document.
//!
//! A version is taken in this order: its content is stored, then the record that says that it is
//! there. When that does not come to its end, the next one writes over what is left. One is deleted
//! the other way round: a record says that it is gone, its content follows, then a record that it
//! has. So whatever is listed can be read, and nothing is left behind.

use bytes::Bytes;
use tidings_proto::Frame;

use super::refusals::was_reset;
use super::service::{CLIENT_MAX, SCRIBES};
use super::versions::{count_named, no_version, tell, too_many, view};
use super::wording::parts;
use super::{Lacks, Merge, NOBODY, Synced, Terms};
use crate::channel::shelf::{Asker, Content, Job, Stage, Task, kept_in, trim};
use crate::document::{Broken, Fault, Version, What};
use crate::engine::CommandKind;
use crate::engine::Engine;
use crate::engine::home::Scene;
use crate::engine::service::SERVICE;
use crate::engine::types::{Address, Effect, Message, Now};
use crate::limits::VERSION_RETRY_MS;
use crate::reject::Reject;
use crate::rng::mix;
use crate::store::{Level, Loaded, StoreError};

/// What something came to.
pub(super) enum Done {
    /// The document has changed, as of this offset.
    Changed(u64),
    /// All that was asked for.
    Content(Content, Version),
    /// A version is not there any more, as of this offset.
    Deleted(u64),
    /// Nothing that anybody waits for.
    Nothing,
    /// A version was taken.
    Version(Version),
}

impl Engine {
    /// What the store has of a version.
    pub(in crate::engine) fn version_loaded(
        &mut self,
        now: Now,
        (number, of): (u64, &str),
        outcome: Result<Option<Loaded>, StoreError>,
    ) {
        if let Some(index) = self.homes.find(of) {
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
        if let Some(index) = self.homes.find(of) {
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
    /// A document was read: what was left of its versions is done, and in the end it becomes one.
    pub(in crate::engine) fn open_shelf(&mut self) {
        if self.channel.desk.is_some() {
            self.arm_version();
            self.next_job();
        }
    }

    /// A session asks what a version holds.
    pub(super) fn read_version(&mut self, from: Address, id: u64, number: u64) {
        let asker = Asker { from, id, kind: CommandKind::Sync };
        if let Err(reject) = self.shelve(Some(asker), Task::Read { number }) {
            self.tell_asker(Some(asker), Err(reject));
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
            let job = desk.shelf.queue.pop_front().or_else(|| {
                let number = document.versions().deleted().next();
                let number = number.filter(|_| is_free && desk.shelf.trim_after_ms <= now_ms);
                number.map(|number| Job { task: Task::Trim { number }, asker: None })
            });
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
        let current = desk.shelf.current.take().map(|(job, _)| job);
        let jobs = std::mem::take(&mut desk.shelf.queue);
        for job in current.into_iter().chain(jobs) {
            self.tell_asker(job.asker, Err(Reject::unavailable()));
        }
    }

    /// `true`: it has begun; `false`: there is nothing to be done.
    fn begin(&mut self, job: Job) -> Result<bool, Reject> {
        let (document, _) = self.document()?;
        let versions = document.versions();
        let number = match &job.task {
            Task::Read { number } => versions.get(*number).ok_or_else(no_version)?.number,
            Task::Restore { number, kept, .. } => {
                let number = versions.get(*number).ok_or_else(no_version)?.number;
                let changed = versions.changed().is_some() && !kept;
                if changed && self.versions_policy().automatic > 0 {
                    self.keep_before(job);
                    return Ok(false);
                }
                number
            }
            Task::Take { name, user } => {
                if user.is_none() && name.is_none() && versions.changed().is_none() {
                    return Ok(false);
                }
                versions.next()
            }
            Task::Trim { number } => *number,
        };
        let channel = kept_in(number, &self.channel.name);
        let (_, desk) = self.document()?;
        desk.shelf.current = Some((job, Stage::Loading(number)));
        self.out.effects.push(Effect::Load { channel });
        Ok(true)
    }

    /// Before something is restored, what there is becomes a version: nobody's work is lost.
    fn keep_before(&mut self, mut restore: Job) {
        let Ok((_, desk)) = self.document() else { return };
        if let Task::Restore { kept, .. } = &mut restore.task {
            *kept = true;
        }
        desk.shelf.queue.push_front(restore);
        let task = Task::Take { name: None, user: None };
        desk.shelf.queue.push_front(Job { task, asker: None });
    }

    fn version_loaded(&mut self, number: u64, outcome: Result<Option<Loaded>, StoreError>) {
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
            Task::Read { .. } => {
                let version = document.versions().get(number).ok_or_else(no_version)?.clone();
                let content = loaded.and_then(|loaded| Content::read(loaded, version.pages));
                let content = content.ok_or_else(Reject::unavailable)?;
                self.finish(Ok(Done::Content(content, version)));
                Ok(())
            }
            Task::Restore { .. } => {
                let version = document.versions().get(number).ok_or_else(no_version)?;
                let content = loaded.and_then(|loaded| Content::read(loaded, version.pages));
                let content = content.ok_or_else(Reject::unavailable)?;
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
        let (at_ms, offset, max) = (self.steady_ms, self.channel.last, self.limits.page_bytes);
        let policy = self.versions_policy();
        let (automatic, named, size) = (policy.automatic, policy.named, policy.size);
        let channel = kept_in(number, &self.channel.name);
        let (document, desk) = self.document()?;
        let Some((Job { task: Task::Take { name, user }, .. }, _)) = &desk.shelf.current else {
            return Ok(());
        };
        let (name, user) = (name.clone(), user.as_deref().map(Box::from));
        let update = document.encode().map_err(|Broken| Reject::unavailable())?;
        let content = Content { vector: document.vector(), update };
        let bytes = content.vector.len() + content.update.len();
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
        let (pages, appends) = content.store(&channel, before, at_ms, max);
        let authors = document.versions().version_authors();
        let epoch = document.epoch();
        let version = Version { number, at_ms, name, user, authors, bytes, offset, epoch, pages };
        desk.shelf.outstanding = pages.count;
        if let Some((_, stage)) = &mut desk.shelf.current {
            let version = Box::new(version);
            *stage = Stage::Storing { version, failed: false };
        }
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
            None => {
                *stage = Stage::Recording;
                self.record(What::ForgetVersion(number), None, true);
            }
        }
    }

    fn version_stored(&mut self, outcome: &Result<Level, StoreError>) {
        let failing = self.channel.failing;
        let Some(desk) = &mut self.channel.desk else { return };
        desk.shelf.outstanding = desk.shelf.outstanding.saturating_sub(1);
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
                *stage = Stage::Recording;
                self.record(What::ForgetVersion(number), None, true);
            }
            Stage::Clearing => self.finish(Err(was_reset())),
            _ => {}
        }
    }

    /// What a version holds is stored. If the document was reset meanwhile, with all its versions
    /// perhaps, it is not kept.
    fn list_version(&mut self, version: Version) {
        let (channel, at_ms) = (kept_in(version.number, &self.channel.name), self.steady_ms);
        let Ok((document, desk)) = self.document() else { return self.drop_jobs() };
        let is_over = desk.resetting || document.epoch() != version.epoch;
        let Some((_, stage)) = &mut desk.shelf.current else { return };
        if is_over {
            *stage = Stage::Clearing;
            desk.shelf.outstanding = 1;
            let place = (version.pages.epoch, version.pages.last);
            return self.out.effects.push(Effect::Append(trim(channel, place, at_ms)));
        }
        *stage = Stage::Recording;
        self.record_version(version, None, true);
    }

    /// Compares what there was with what there is: elsewhere, as that may take long.
    fn begin_restoring(&mut self, content: &Content) -> Result<(), Reject> {
        let client = self.scribe(SCRIBES)?;
        self.agenda.tickets += 1;
        let (channel, ticket) = (self.channel.name.clone(), self.agenda.tickets);
        let (document, desk) = self.document()?;
        let (epoch, now) = (document.epoch(), document.encode());
        let now = now.map_err(|Broken| Reject::unavailable())?;
        if let Some((_, stage)) = &mut desk.shelf.current {
            *stage = Stage::Restoring { ticket, epoch, client };
        }
        let then = content.update.clone();
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
        let Task::Restore { user, .. } = &job.task else { return };
        let Stage::Restoring { ticket, epoch, client } = *stage else { return };
        if ticket != answered {
            return;
        }
        *stage = Stage::Recording;
        let user = user.clone();
        let (from, id) = job.asker.map_or((NOBODY, 0), |asker| (asker.from, asker.id));
        let merged = outcome.map_err(|_| Reject::unavailable()).and_then(|update| {
            let terms = Terms { if_offset: None, scribe: Some(client), whole: true, job: true };
            let (began_us, editor, allowed) = (self.now.mono_us, false, true);
            let epoch = Some(epoch);
            self.merge(from, id, Merge { user, epoch, update, editor, allowed, began_us, terms })
        });
        if let Err(reject) = merged {
            self.finish(Err(reject));
        }
    }

    /// What is going on has come to its end.
    pub(super) fn finish(&mut self, outcome: Result<Done, Reject>) {
        let now_ms = self.now.mono_ms;
        let Some(desk) = &mut self.channel.desk else { return };
        let Some((job, _)) = desk.shelf.current.take() else { return };
        match (&job.task, &outcome) {
            (Task::Trim { .. }, Err(_)) => desk.shelf.trim_after_ms = now_ms + VERSION_RETRY_MS,
            (Task::Take { name: None, user: None }, Err(_)) => {
                // What waits for it to be kept is not done without.
                let next = desk.shelf.queue.front();
                if matches!(next, Some(Job { task: Task::Restore { .. }, .. }))
                    && let Some(job) = desk.shelf.queue.pop_front()
                {
                    let why = outcome.err().unwrap_or_else(Reject::unavailable);
                    self.tell_asker(job.asker, Err(why));
                }
                self.arm_version_again();
                return self.next_job();
            }
            (Task::Take { .. }, Ok(_)) => self.thin_out(),
            _ => {}
        }
        self.tell_asker(job.asker, outcome);
        self.arm_version();
        self.next_job();
    }

    /// Those that were taken by themselves go when they are too many, or take too much.
    fn thin_out(&mut self) {
        let policy = self.versions_policy();
        let (automatic, size) = (policy.automatic, policy.size);
        let Ok((document, desk)) = self.document() else { return };
        let wanted = |number| desk.shelf.queue.iter().any(|job| job.task.wants(number));
        let versions = document.versions();
        let taken = versions.iter().filter(|version| version.is_automatic());
        let mut count = taken.clone().count();
        let mut bytes = versions.bytes();
        let mut go = Vec::new();
        let newest = taken.clone().next().map(|version| version.number);
        let may_go = |number| Some(number) != newest && !wanted(number);
        for version in taken.rev().filter(|version| may_go(version.number)) {
            if count <= automatic && bytes <= size {
                break;
            }
            (count, bytes) = (count - 1, bytes - version.bytes);
            go.push(version.number);
        }
        for number in go {
            self.record(What::DeleteVersion(number), None, false);
        }
    }

    /// Tells who waits.
    pub(super) fn tell_asker(&mut self, asker: Option<Asker>, outcome: Result<Done, Reject>) {
        let Some(asker) = asker else { return };
        let (id, channel) = (asker.id, self.channel.name.clone());
        let reads = asker.kind == CommandKind::Sync;
        if reads && asker.from.session != SERVICE {
            return self.answer_reader(asker, outcome);
        }
        let text = match outcome {
            Err(reject) => return self.refuse_version(asker, &reject),
            Ok(Done::Changed(offset) | Done::Deleted(offset)) => {
                let offset = Some(offset);
                Frame::Merged { id, channel: &channel, offset, more: false }.encode()
            }
            Ok(Done::Content(content, version)) => tell(id, &channel, &version, &content),
            Ok(Done::Version(version)) => {
                Frame::Version { id, channel: &channel, version: view(&version) }.encode()
            }
            Ok(Done::Nothing) => return,
        };
        self.reply_version(asker, text);
    }

    /// A session gets it as it gets a document: in pieces, as fast as it reads.
    fn answer_reader(&mut self, asker: Asker, outcome: Result<Done, Reject>) {
        let (to, id, channel) = (asker.from.session, asker.id, self.channel.name.clone());
        let outcome = match outcome {
            Ok(Done::Content(content, version)) => Ok(Lacks {
                epoch: version.epoch,
                vector: content.vector,
                offset: version.offset,
                pieces: parts(&content.update),
                waiting: Vec::new(),
            }),
            Ok(_) => Err(Reject::unavailable()),
            Err(reject) => Err(reject),
        };
        let refused = outcome.as_ref().err().map(|reject| reject.code);
        self.out.counters.command(asker.kind, refused);
        let synced = Synced { to, id, channel, outcome };
        self.out.post(asker.from.shard, Message::Synced(Box::new(synced)));
    }
}
