//! What came of a change of a document, and who is told.

use tidings_proto::Frame;

use super::home::refuse_change;
use super::refusals::adrift;
use super::shelved::Done;
use super::versions::no_version;
use super::{Edited, NOBODY};
use crate::channel::shelf::{Asker, End};
use crate::channel::{DocumentChange, Merging, Origin};
use crate::engine::counters::CommandKind;
use crate::engine::home::Scene;
use crate::engine::types::{Address, Message};
use crate::reject::Reject;

impl Scene<'_> {
    /// A change is stored, or was stored before.
    pub(super) fn change_is_done(&mut self, origin: Origin, done: Done) {
        let Origin { from, id, job, kind, .. } = origin;
        if job {
            self.finish(Ok(done));
            return self.arm_version();
        }
        let asker = Asker { from, id, kind };
        match done {
            Done::Changed(_) if origin.lost => {
                self.refuse_change(from, id, origin.editor, &adrift());
            }
            Done::Changed(offset) => self.answer_change(origin, offset),
            // When it has left the store, too.
            Done::Deleted(offset, number) => {
                if let Some(desk) = &mut self.channel.desk {
                    desk.shelf.trim_after_ms = 0;
                    desk.shelf.ends.push(End { asker, offset, number });
                }
                self.tell_ends();
            }
            Done::Version(_) => self.tell_asker(Some(asker), Ok(done)),
            // It was deleted before it had its name.
            Done::Nothing if from != NOBODY => self.tell_asker(Some(asker), Err(no_version())),
            Done::Content(..) | Done::Nothing => {}
        }
        self.arm_version();
        self.next_job();
    }

    /// A change could not be stored: it is as if it had never come.
    pub(in crate::engine) fn fail_change(&mut self, merging: Merging) {
        let Merging { origin, scribe, what, .. } = merging;
        if let Some(desk) = &mut self.channel.desk {
            desk.scribes.retain(|client| Some(*client) != scribe);
            match what {
                DocumentChange::Update(prepared) => {
                    desk.pending = desk.pending.saturating_sub(prepared.bytes().len());
                }
                DocumentChange::Reset { .. } => desk.resetting = false,
                DocumentChange::NameVersion { number, .. } => {
                    desk.shelf.named(number);
                }
                DocumentChange::Version(_)
                | DocumentChange::DeleteVersion { .. }
                | DocumentChange::ForgetVersion(_) => {}
            }
        }
        self.refuse_origin(origin, Reject::unavailable());
    }

    pub(super) fn refuse_origin(&mut self, origin: Origin, why: Reject) {
        let Origin { from, id, editor, job, kind, .. } = origin;
        if job {
            return self.finish(Err(why));
        }
        match kind {
            CommandKind::Merge => self.refuse_change(from, id, editor, &why),
            _ if from != NOBODY => self.tell_asker(Some(Asker { from, id, kind }), Err(why)),
            _ => {}
        }
    }

    fn answer_change(&mut self, origin: Origin, offset: u64) {
        let Origin { from, id, editor, began_us, .. } = origin;
        let channel = &self.channel.name;
        if editor {
            self.out.counters.command(CommandKind::Merge, None);
            let (to, channel) = (from.session, channel.clone());
            let edited = Edited { to, slip: id.into(), channel, outcome: Ok(()) };
            return self.out.post(from.shard, Message::Edited(Box::new(edited)));
        }
        let text = Frame::Merged { id, channel, offset: Some(offset), more: false }.encode();
        self.out.published(CommandKind::Merge, from, text, began_us);
    }

    pub(super) fn refuse_change(&mut self, from: Address, id: u64, editor: bool, why: &Reject) {
        refuse_change(self.out, (from, id, editor), &self.channel.name, why);
    }
}
