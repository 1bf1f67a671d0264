//! What an engine has counted since it was made. Plain fields: a driver reads them when somebody
//! asks.

use tidings_proto::{Amending, CommandBody, ErrorCode, Versioning};

use super::types::RequestBody;

macro_rules! kinds {
    ($($name:ident = $word:literal,)*) => {
        /// What clients ask for; `Invalid`: it could not be understood.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are those of the commands")]
        pub enum CommandKind { $($name,)* }

        impl CommandKind {
            /// All of them, in the order of [`Counters::commands`].
            pub const ALL: &'static [CommandKind] = &[$(CommandKind::$name,)*];

            /// The command's `type`.
            pub fn as_str(self) -> &'static str {
                match self { $(CommandKind::$name => $word,)* }
            }
        }
    };
}

kinds! {
    Awareness = "awareness",
    Cursors = "cursors",
    Delete = "delete",
    Edit = "edit",
    Enter = "enter",
    Follow = "follow",
    Followers = "followers",
    Get = "get",
    Hello = "hello",
    History = "history",
    Inbox = "inbox",
    Invalid = "invalid",
    Leave = "leave",
    Mark = "mark",
    Merge = "merge",
    NameVersion = "name_version",
    Notify = "notify",
    Patch = "patch",
    Ping = "ping",
    Presence = "presence",
    Publish = "publish",
    PushSubscribe = "push_subscribe",
    PushUnsubscribe = "push_unsubscribe",
    Read = "read",
    React = "react",
    Refresh = "refresh",
    Remove = "remove",
    RestoreVersion = "restore_version",
    SaveVersion = "save_version",
    Set = "set",
    Subscribe = "subscribe",
    Sync = "sync",
    Unfollow = "unfollow",
    Unread = "unread",
    Unsubscribe = "unsubscribe",
    Update = "update",
    Versions = "versions",
}

impl CommandKind {
    pub(crate) fn of(body: &CommandBody<'_>) -> Self {
        match body {
            CommandBody::Awareness(_) => Self::Awareness,
            CommandBody::Cursors => Self::Cursors,
            CommandBody::Amend(amend) => match amend.what {
                Amending::Delete => Self::Delete,
                Amending::Edit { .. } => Self::Edit,
                Amending::React { .. } => Self::React,
            },
            CommandBody::Enter { .. } => Self::Enter,
            CommandBody::Follow { .. } => Self::Follow,
            CommandBody::Get { .. } => Self::Get,
            CommandBody::Hello { .. } => Self::Hello,
            CommandBody::History { .. } => Self::History,
            CommandBody::Inbox(_) => Self::Inbox,
            CommandBody::Leave { .. } => Self::Leave,
            CommandBody::Mark(_) => Self::Mark,
            CommandBody::Merge(_) => Self::Merge,
            CommandBody::Patch(_) => Self::Patch,
            CommandBody::Ping => Self::Ping,
            CommandBody::Presence { .. } => Self::Presence,
            CommandBody::Publish { .. } => Self::Publish,
            CommandBody::PushSubscribe(_) => Self::PushSubscribe,
            CommandBody::PushUnsubscribe { .. } => Self::PushUnsubscribe,
            CommandBody::Read { .. } => Self::Read,
            CommandBody::Refresh { .. } => Self::Refresh,
            CommandBody::Remove(_) => Self::Remove,
            CommandBody::Set(_) => Self::Set,
            CommandBody::Subscribe { .. } => Self::Subscribe,
            CommandBody::Sync(_) => Self::Sync,
            CommandBody::Unfollow { .. } => Self::Unfollow,
            CommandBody::Unread { .. } => Self::Unread,
            CommandBody::Unsubscribe { .. } => Self::Unsubscribe,
            CommandBody::Update { .. } => Self::Update,
            CommandBody::Versions(asked) => match asked.what {
                Versioning::List { .. } => Self::Versions,
                Versioning::Name { .. } => Self::NameVersion,
                Versioning::Restore { .. } => Self::RestoreVersion,
                Versioning::Save { .. } => Self::SaveVersion,
            },
        }
    }

    /// Of a request that answers a command.
    pub(crate) fn of_request(body: &RequestBody) -> Option<Self> {
        Some(match body {
            RequestBody::Document(ask) => return ask.kind(),
            RequestBody::Enter(_) => Self::Enter,
            RequestBody::Get { .. } => Self::Get,
            RequestBody::History { .. } => Self::History,
            RequestBody::Inbox(ask) => return ask.kind(),
            RequestBody::Leave { answer: true, .. } => Self::Leave,
            RequestBody::Members => Self::Presence,
            RequestBody::Publish(publish) => publish.kind(),
            RequestBody::Subscribe(_) => Self::Subscribe,
            RequestBody::Update(_) => Self::Update,
            RequestBody::Back { .. }
            | RequestBody::Detach
            | RequestBody::Gone { .. }
            | RequestBody::Leave { answer: false, .. }
            | RequestBody::NextPage { .. } => return None,
        })
    }
}

/// Outcomes of a command: done, or refused with one of the error codes.
const OUTCOMES: usize = 1 + ErrorCode::ALL.len();

/// How a subscription with `since` went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// All that was missed was there.
    Complete,
    /// Some of it had expired.
    Expired,
    /// The channel's history is another one.
    NewEpoch,
    /// The client knew more than the server.
    TooFar,
}

impl Recovery {
    /// All of them, in the order of [`Counters::recoveries`].
    pub const ALL: &'static [Recovery] =
        &[Recovery::Complete, Recovery::Expired, Recovery::NewEpoch, Recovery::TooFar];

    /// `recovered`, or the `reason` of the gap.
    pub fn as_str(self) -> &'static str {
        match self {
            Recovery::Complete => "recovered",
            Recovery::Expired => "expired",
            Recovery::NewEpoch => "new_epoch",
            Recovery::TooFar => "too_far",
        }
    }
}

/// A count for each kind of command and outcome. Arrays of more than 32 have no [`Default`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table([[u64; OUTCOMES]; CommandKind::ALL.len()]);

impl Default for Table {
    fn default() -> Self {
        Self([[0; OUTCOMES]; CommandKind::ALL.len()])
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commands that were answered here, or at their channel's home if they went there: by
    /// [`CommandKind`] and outcome.
    commands: Table,
    /// Events that were stored on disk.
    pub durable: u64,
    /// Events that were kept in memory.
    pub memory: u64,
    /// Events that were kept nowhere.
    pub ephemeral: u64,
    /// Publishes that had been stored before: answered, and no event.
    pub duplicates: u64,
    /// Notifications that were made.
    pub notifications: u64,
    /// Events that were sent out of history: recovered, rewound, or caught up with.
    pub replayed: u64,
    /// By [`Recovery`].
    pub recoveries: [u64; Recovery::ALL.len()],
    /// Frames with the newest values of keys, to those who fell behind.
    pub conflated: u64,
    /// Bytes of updates that became part of documents.
    pub merged_bytes: u64,
    /// Bytes that were sent to whom they lacked of documents.
    pub synced_bytes: u64,
    /// Sessions that went on by their ticket.
    pub resumed: u64,
    /// Sessions whose ticket named nothing that was left.
    pub not_resumed: u64,
}

impl Counters {
    /// Commands of a kind that had this outcome; `None`: done.
    pub fn commands(&self, kind: CommandKind, outcome: Option<ErrorCode>) -> u64 {
        self.commands.0[kind as usize][place(outcome)]
    }

    pub(crate) fn command(&mut self, kind: CommandKind, outcome: Option<ErrorCode>) {
        self.commands.0[kind as usize][place(outcome)] += 1;
    }

    pub(crate) fn recovery(&mut self, outcome: Recovery) {
        self.recoveries[outcome as usize] += 1;
    }

    /// Adds what another engine has counted.
    pub fn add(&mut self, other: &Counters) {
        for (mine, theirs) in self.commands.0.iter_mut().zip(&other.commands.0) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
        for (mine, theirs) in self.recoveries.iter_mut().zip(&other.recoveries) {
            *mine += theirs;
        }
        self.durable += other.durable;
        self.memory += other.memory;
        self.ephemeral += other.ephemeral;
        self.duplicates += other.duplicates;
        self.notifications += other.notifications;
        self.replayed += other.replayed;
        self.conflated += other.conflated;
        self.merged_bytes += other.merged_bytes;
        self.synced_bytes += other.synced_bytes;
        self.resumed += other.resumed;
        self.not_resumed += other.not_resumed;
    }
}

fn place(outcome: Option<ErrorCode>) -> usize {
    outcome.map_or(0, |code| 1 + code as usize)
}
