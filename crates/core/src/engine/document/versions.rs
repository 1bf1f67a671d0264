//! Versions of a document at its home: what is asked of them, and when one is taken by itself.
//! `shelving.rs` does what takes longer.

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::{
    DocumentVersions, ErrorCode, Frame, Timestamp, VersionView, Versioning, to_base64,
};

use super::{Ask, NOBODY};
use crate::Period;
use crate::channel::shelf::{Asker, Content, Job, Task};
use crate::channel::{Desk, DocumentChange, Merging, Origin};
use crate::document::{Changed, Document, Record, Version, What};
use crate::engine::Engine;
use crate::engine::counters::CommandKind;
use crate::engine::home::Scene;
use crate::engine::types::{Address, Now, RequestBody, SessionKey};
use crate::identity::Action;
use crate::limits::{
    VERSION_JOBS, VERSION_NAME, VERSIONS_LISTED, VERSIONS_LISTED_DEFAULT, VERSIONS_PER_TICK,
};
use crate::reject::Reject;

/// What is asked of a document's versions.
#[derive(Clone, Debug)]
pub enum VersionAsk {
    /// To delete one. It is answered with `merged`.
    Delete {
        /// Its number.
        number: u64,
    },
    /// Which there are, the newest first. It is answered with `versions`.
    List {
        /// Only those with smaller numbers.
        before: Option<u64>,
        /// At most so many: 1 to 100.
        limit: Option<u64>,
    },
    /// To give one a name. It is answered with `version`.
    Name {
        /// Its number.
        number: u64,
        /// `None`: it has no name any more.
        name: Option<Box<str>>,
    },
    /// What one holds. It is answered with `version`, which has a `vector` and an `update`, too.
    Read {
        /// Its number.
        number: u64,
    },
    /// To have the document hold what one holds. It is answered with `merged`.
    Restore {
        /// Its number.
        number: u64,
        /// Who is said to have made the change.
        user: Arc<str>,
    },
    /// To take one. It is answered with `version`.
    Save {
        /// What people call it.
        name: Option<Box<str>>,
        /// Who asks for it.
        user: Arc<str>,
    },
}

impl VersionAsk {
    pub(super) fn kind(&self) -> CommandKind {
        match self {
            Self::Delete { .. } => CommandKind::Delete,
            Self::List { .. } => CommandKind::Versions,
            Self::Name { .. } => CommandKind::NameVersion,
            Self::Read { .. } => CommandKind::Sync,
            Self::Restore { .. } => CommandKind::RestoreVersion,
            Self::Save { .. } => CommandKind::SaveVersion,
        }
    }

    /// What was deleted is still in what a document held: it needs more than reading it.
    pub(super) fn rights(&self) -> &'static [Action] {
        match self {
            Self::List { .. } | Self::Read { .. } => &[Action::History],
            _ => &[Action::History, Action::Publish],
        }
    }

    /// Whether what is asked for can be.
    ///
    /// # Errors
    /// `bad_request`: a name that is none, a limit that is not in its bounds.
    fn check(&self) -> Result<(), Reject> {
        let is_name = |name: &str| {
            (1..=VERSION_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
        };
        match self {
            Self::Name { name: Some(name), .. } | Self::Save { name: Some(name), .. }
                if !is_name(name) =>
            {
                let why = "`name` has 1 to 255 bytes, and no control characters";
                Err(Reject::bad_request(why))
            }
            Self::List { limit: Some(limit), .. } if !(1..=VERSIONS_LISTED).contains(limit) => {
                Err(Reject::bad_request("`limit` is 1 to 100"))
            }
            _ => Ok(()),
        }
    }
}

impl Engine {
    /// A session asks something of the versions of a document that it has open.
    pub(super) fn versions_command(
        &mut self,
        key: SessionKey,
        id: u64,
        asked: DocumentVersions<'_>,
    ) -> Result<(), Reject> {
        let Some(user) = self.user_of(key) else { return Ok(()) };
        let owned = |name: Option<tidings_proto::Text<'_>>| name.map(|name| name.0.into());
        let ask = match asked.what {
            Versioning::List { before, limit } => VersionAsk::List { before, limit },
            Versioning::Name { version, name } => {
                VersionAsk::Name { number: version, name: owned(name) }
            }
            Versioning::Restore { version } => VersionAsk::Restore { number: version, user },
            Versioning::Save { name } => VersionAsk::Save { name: owned(name), user },
        };
        let target = self.open_document(key, &asked.channel, Action::Subscribe)?;
        for right in ask.rights() {
            self.require(key, &target, *right)?;
        }
        ask.check()?;
        self.ask_inside(key, id, target, RequestBody::Document(Box::new(Ask::Version(ask))))
    }

    /// Asks something of the versions of a document, for a backend. Its
    /// [`Effect::Answer`](crate::Effect::Answer) is what [`VersionAsk`] says, or an `error`, with
    /// this `id`.
    pub fn ask_version(&mut self, now: Now, id: u64, channel: &str, ask: VersionAsk) {
        let ask = ask.check().map(|()| Ask::Version(ask));
        self.ask_document(now, id, channel, ask);
    }

    /// Documents that were quiet for long enough, or busy for too long, become versions.
    pub(super) fn take_versions(&mut self, now: Now) {
        let steady_ms = self.steady_ms(now);
        let mut left = VERSIONS_PER_TICK;
        while left > 0 {
            let first = self.homes.agenda.versions.first();
            if first.is_none_or(|(due_ms, _)| *due_ms > steady_ms) {
                return;
            }
            let Some((_, channel)) = self.homes.agenda.versions.pop_first() else { return };
            let Some(index) = self.homes.find(&channel) else { continue };
            if let Some(desk) = &mut self.homes.slab[index].channel.desk {
                desk.shelf.armed = None;
            }
            // One that is being read again is looked at when it is there.
            if self.homes.slab[index].waiting.is_none() {
                left -= usize::from(self.scene(index, now).version_is_due());
            }
        }
    }
}

impl Scene<'_> {
    pub(super) fn version_ask(&mut self, from: Address, id: u64, ask: VersionAsk) {
        let asker = Asker { from, id, kind: ask.kind() };
        let outcome = match ask {
            VersionAsk::Delete { number } => self.delete_version(asker, number),
            VersionAsk::List { before, limit } => self.list_versions(asker, before, limit),
            VersionAsk::Name { number, name } => self.name_version(asker, number, name),
            VersionAsk::Read { number } => self.begin_reading(asker, number),
            VersionAsk::Restore { number, user } => {
                self.shelve(Some(asker), Task::Restore { number, user, was: None })
            }
            VersionAsk::Save { name, user } => {
                self.shelve(Some(asker), Task::Take { name, user: Some(user), was: None })
            }
        };
        if let Err(reject) = outcome {
            self.refuse_version(asker, &reject);
        }
    }

    pub(super) fn refuse_version(&mut self, asker: Asker, why: &Reject) {
        self.out.refuse(asker.kind, asker.from, (asker.id, &self.channel.name), why);
    }

    pub(super) fn reply_version(&mut self, asker: Asker, text: Bytes) {
        self.out.reply(asker.kind, asker.from, text);
    }

    /// Queues what reads or writes the store.
    pub(super) fn shelve(&mut self, asker: Option<Asker>, task: Task) -> Result<(), Reject> {
        if !self.channel.namespace.policy.history.durable {
            return Err(Reject::bad_request("the documents of this namespace are not stored"));
        }
        let (_, desk) = self.document()?;
        if desk.shelf.queue.len() >= VERSION_JOBS {
            return Err(Reject::later("too much is asked of the document's versions; try again"));
        }
        desk.shelf.queue.push_back(Job { task, asker });
        self.next_job();
        Ok(())
    }

    fn list_versions(
        &mut self,
        asker: Asker,
        before: Option<u64>,
        limit: Option<u64>,
    ) -> Result<(), Reject> {
        let channel = self.channel.name.clone();
        let (document, _) = self.document()?;
        let versions = document.versions();
        let limit = limit.unwrap_or(VERSIONS_LISTED_DEFAULT) as usize;
        let mut listed: Vec<_> = versions.before(before).take(limit + 1).map(view).collect();
        let more = listed.len() > limit;
        listed.truncate(limit);
        let authors: Vec<_> = versions.authors().collect();
        let changed = versions.changed().is_some();
        let (id, versions, authors) = (asker.id, &listed[..], &authors[..]);
        let text =
            Frame::Versions { id, channel: &channel, versions, more, changed, authors }.encode();
        self.reply_version(asker, text);
        Ok(())
    }

    fn name_version(
        &mut self,
        asker: Asker,
        number: u64,
        name: Option<Box<str>>,
    ) -> Result<(), Reject> {
        let (failing, named) = (self.channel.failing, self.versions_policy().named);
        let (document, desk) = self.document()?;
        let versions = document.versions();
        let version = versions.get(number).ok_or_else(no_version)?;
        if version.is_automatic() && name.is_some() && count_named(document) >= named {
            return Err(too_many("versions with a name, or asked for", named));
        }
        if failing {
            return Err(Reject::unavailable());
        }
        desk.shelf.naming.push(number);
        let called = name.as_deref().unwrap_or_default();
        let record = Record { user: "", what: What::NameVersion(number, called) }.encode();
        self.append_record(record, DocumentChange::NameVersion { number, name }, Some(asker));
        Ok(())
    }

    fn delete_version(&mut self, asker: Asker, number: u64) -> Result<(), Reject> {
        let failing = self.channel.failing;
        let (document, _) = self.document()?;
        document.versions().get(number).ok_or_else(no_version)?;
        if failing {
            return Err(Reject::unavailable());
        }
        self.record_deletion(number, Some(asker));
        Ok(())
    }

    /// Writes into the log that a version goes.
    pub(super) fn record_deletion(&mut self, number: u64, asker: Option<Asker>) {
        let record = Record { user: "", what: What::DeleteVersion(number) }.encode();
        let what = DocumentChange::DeleteVersion { number, asked: asker.is_some() };
        self.append_record(record, what, asker);
    }

    fn append_record(&mut self, record: Bytes, what: DocumentChange, asker: Option<Asker>) {
        let nobody = Asker { from: NOBODY, id: 0, kind: CommandKind::Delete };
        let origin = Origin::of(asker.unwrap_or(nobody), self.now.mono_us);
        self.append_version(record, what, origin);
    }

    /// A record of what the shelf does now.
    pub(super) fn append_job(&mut self, record: Bytes, what: DocumentChange) {
        let nobody = Asker { from: NOBODY, id: 0, kind: CommandKind::SaveVersion };
        let origin = Origin { job: true, ..Origin::of(nobody, self.now.mono_us) };
        self.append_version(record, what, origin);
    }

    fn append_version(&mut self, record: Bytes, what: DocumentChange, origin: Origin) {
        let (user, scribe) = (Arc::from(""), None);
        self.append_change(record, Box::new(Merging { origin, user, scribe, what }));
    }

    /// When the document becomes a version by itself, if nothing else happens. What has not been
    /// yet, because the clock was set back, was long ago.
    fn due_ms(&self, changed: Changed) -> u64 {
        let (policy, now_ms) = (self.versions_policy(), self.steady_ms);
        let after = |at_ms: u64, period: Period| match at_ms > now_ms {
            true => now_ms,
            false => at_ms.saturating_add(period.ms),
        };
        after(changed.last_ms, policy.quiet).min(after(changed.first_ms, policy.busy))
    }

    /// Whether documents here become versions by themselves.
    fn takes_versions(&self) -> bool {
        let policy = &self.channel.namespace.policy;
        policy.versions.automatic > 0 && policy.history.durable
    }

    /// The document was changed: it becomes a version in the end.
    pub(super) fn arm_version(&mut self) {
        // Most changes come to a document that is armed already.
        let is_armed = |desk: &Desk| desk.shelf.armed.is_some();
        if self.channel.desk.as_deref().is_some_and(is_armed) || !self.takes_versions() {
            return;
        }
        let Ok((document, _)) = self.document() else { return };
        if let Some(changed) = document.versions().changed() {
            self.arm_at(self.due_ms(changed));
        }
    }

    /// No earlier than after another while: none could be taken.
    pub(super) fn put_off_version(&mut self) {
        let after_ms = self.steady_ms.saturating_add(self.versions_policy().quiet.ms);
        if let Some(desk) = &mut self.channel.desk {
            desk.shelf.not_before_ms = after_ms;
        }
    }

    fn arm_at(&mut self, due_ms: u64) {
        let Some(desk) = &mut self.channel.desk else { return };
        let due_ms = due_ms.max(desk.shelf.not_before_ms);
        if desk.shelf.armed.is_none() {
            desk.shelf.armed = Some(due_ms);
            self.agenda.versions.insert((due_ms, self.channel.name.clone()));
        }
    }

    /// The document was read. If it should have become a version while nobody had it open, it does
    /// so now: before somebody goes on with it.
    pub(in crate::engine) fn open_shelf(&mut self) {
        if self.channel.desk.is_some() {
            self.version_is_due();
            self.next_job();
        }
    }

    /// Whether one is being taken now.
    fn version_is_due(&mut self) -> bool {
        if !self.takes_versions() {
            return false;
        }
        let steady_ms = self.steady_ms;
        let Ok((document, desk)) = self.document() else { return false };
        if desk.shelf.takes_one() {
            return false;
        }
        let waits = desk.shelf.not_before_ms > steady_ms;
        let Some(changed) = document.versions().changed() else { return false };
        if waits || self.due_ms(changed) > self.steady_ms {
            self.arm_version();
            return false;
        }
        let taken = self.shelve(None, Task::Take { name: None, user: None, was: None });
        if taken.is_err() {
            self.put_off_version();
            self.arm_version();
        }
        taken.is_ok()
    }

    pub(super) fn versions_policy(&self) -> &crate::policy::VersionsPolicy {
        &self.channel.namespace.policy.versions
    }
}

/// The answer to [`VersionAsk::Read`].
#[derive(serde::Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: u64,
    channel: &'a str,
    #[serde(flatten)]
    version: VersionView<'a>,
    vector: String,
    update: String,
}

/// A version and what it holds, for a backend.
pub(super) fn tell(id: u64, channel: &str, version: &Version, content: &Content) -> Bytes {
    let (vector, update) = (to_base64(&content.vector), to_base64(&content.update));
    let told = Told { kind: "version", id, channel, version: view(version), vector, update };
    serde_json::to_vec(&told).unwrap_or_default().into()
}

pub(super) fn view(version: &Version) -> VersionView<'_> {
    VersionView {
        version: version.number,
        timestamp: Timestamp(version.at_ms),
        name: version.name.as_deref(),
        user: version.user.as_deref(),
        authors: &version.authors,
        bytes: version.bytes,
        offset: version.offset,
        epoch: version.epoch,
    }
}

/// How many versions go only when somebody says so.
pub(super) fn count_named(document: &Document) -> usize {
    document.versions().iter().filter(|version| !version.is_automatic()).count()
}

pub(super) fn no_version() -> Reject {
    Reject::new(ErrorCode::NotFound, "there is no such version")
}

pub(super) fn too_many(what: &str, max: usize) -> Reject {
    Reject::limit(&format!("too many {what}"), "versions", max)
}
