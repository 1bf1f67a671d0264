//! What came of that which `shelving.rs` does, and who is told.

use tidings_proto::{ErrorCode, Frame};

use super::versions::{tell, view};
use super::wording::parts;
use super::{Lacks, Synced};
use crate::channel::shelf::{Asker, Content, End, Job, Stage, Task};
use crate::document::Version;
use crate::engine::CommandKind;
use crate::engine::home::Scene;
use crate::engine::service::SERVICE;
use crate::engine::types::Message;
use crate::limits::VERSION_RETRY_MS;
use crate::reject::Reject;

/// What something came to.
pub(super) enum Done {
    /// The document has changed, as of this offset.
    Changed(u64),
    /// All that was asked for.
    Content(Content, Version),
    /// This version, or all there were, is not there any more, as of this offset.
    Deleted(u64, Option<u64>),
    /// Nothing that anybody waits for.
    Nothing,
    /// A version was taken.
    Version(Version),
}

impl Scene<'_> {
    /// Tells those who wait for the end of what they have deleted, if it has come.
    pub(super) fn tell_ends(&mut self) {
        let Ok((document, desk)) = self.document() else { return };
        let versions = document.versions();
        let waits = |end: &End| match end.number {
            Some(number) => versions.deleted().any(|deleted| deleted == number),
            None => versions.deleted().next().is_some(),
        };
        let (ends, over) = std::mem::take(&mut desk.shelf.ends).into_iter().partition(waits);
        desk.shelf.ends = ends;
        let over: Vec<End> = over;
        for End { asker, offset, .. } in over {
            self.tell_asker(Some(asker), Ok(Done::Changed(offset)));
        }
    }

    /// What this version held could not be let go: others have their turn, and it has another one.
    fn trim_failed(&mut self, number: u64, why: &Reject) {
        let now_ms = self.now.mono_ms;
        let Ok((document, desk)) = self.document() else { return };
        let is_last = document.versions().deleted().all(|deleted| deleted <= number);
        desk.shelf.owes = desk.shelf.owes.map(|tries| tries.saturating_add(1));
        desk.shelf.trim_behind = if is_last { 0 } else { number };
        if is_last {
            desk.shelf.trim_after_ms = now_ms + VERSION_RETRY_MS;
        }
        let concerns = |end: &End| end.number.is_none_or(|of| of == number);
        let (failed, ends) = std::mem::take(&mut desk.shelf.ends).into_iter().partition(concerns);
        desk.shelf.ends = ends;
        let failed: Vec<End> = failed;
        for End { asker, .. } in failed {
            self.tell_asker(Some(asker), Err(why.clone()));
        }
    }

    /// What is going on has come to its end.
    pub(super) fn finish(&mut self, outcome: Result<Done, Reject>) {
        let Some(desk) = &mut self.channel.desk else { return };
        let Some((job, stage)) = desk.shelf.current.take() else { return };
        match (&job.task, &outcome) {
            (Task::Trim { number }, Err(reject)) => self.trim_failed(*number, reject),
            (Task::Trim { .. }, Ok(_)) => {
                desk.shelf.owes = None;
                self.tell_ends();
            }
            (Task::Take { name, user, .. }, Err(reject)) => {
                if let (Stage::Storing { version, .. }, Ok((document, desk))) =
                    (&stage, self.document())
                {
                    let is_next = version.number == document.versions().next();
                    desk.shelf.leftover = is_next.then_some(version.number);
                }
                if matches!(stage, Stage::Recording)
                    && let Ok((document, desk)) = self.document()
                {
                    desk.shelf.leftover = Some(document.versions().next());
                }
                if name.is_none() && user.is_none() {
                    self.take_failed(reject);
                }
            }
            (Task::Take { .. }, Ok(_)) => self.thin_out(),
            _ => {}
        }
        self.tell_asker(job.asker, outcome);
        self.next_job();
    }

    /// None was taken by itself.
    fn take_failed(&mut self, why: &Reject) {
        let Some(desk) = &mut self.channel.desk else { return };
        // What waits for it to be kept is not done without.
        let next = desk.shelf.queue.front();
        if matches!(next, Some(Job { task: Task::Restore { was: Some(_), .. }, .. }))
            && let Some(job) = desk.shelf.queue.pop_front()
        {
            self.tell_asker(job.asker, Err(why.clone()));
        }
        self.put_off_version();
        // What is over a limit is so until something changes.
        if why.code == ErrorCode::Unavailable {
            self.arm_version();
        }
    }

    /// Those that were taken by themselves go when they are too many, or take too much.
    fn thin_out(&mut self) {
        let policy = self.versions_policy();
        let (automatic, size) = (policy.automatic, policy.size);
        let Ok((document, desk)) = self.document() else { return };
        let wanted = |number| {
            let queued = desk.shelf.queue.iter().any(|job| job.task.wants(number));
            let read = desk.shelf.reading.iter().any(|(reading, _)| *reading == number);
            queued || read || desk.shelf.naming.contains(&number)
        };
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
            self.record_deletion(number, None);
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
            Ok(Done::Changed(offset)) => {
                let offset = Some(offset);
                Frame::Merged { id, channel: &channel, offset, more: false }.encode()
            }
            Ok(Done::Content(content, version)) => tell(id, &channel, &version, &content),
            Ok(Done::Version(version)) => {
                Frame::Version { id, channel: &channel, version: view(&version) }.encode()
            }
            Ok(Done::Deleted(..) | Done::Nothing) => return,
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
