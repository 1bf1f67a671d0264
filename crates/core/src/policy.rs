//! What is allowed where: namespaces and their rules.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_proto::ErrorCode;

use crate::engine::Wants;
use crate::identity::{Action, Identity};
use crate::reject::Reject;
use crate::store::Retention;
use crate::{Meter, Period, PushService};

/// Who may do something in a namespace. A token's own grants (`channels`) are always honoured; this
/// says what others may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Everybody, anonymous users too.
    Anyone,
    /// Everybody with a token.
    SignedIn,
    /// Only who has a token that grants it for this channel.
    Token,
}

/// What the channels of a namespace are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Documents that several write at once: Yjs.
    Document,
    /// Events, one after the other: chat, and whatever else is published.
    #[default]
    Events,
    /// What each user is told: notifications, and what they have seen of them.
    #[serde(skip_deserializing)]
    Inbox,
    /// Values by their keys: live data.
    State,
    /// Who follows a topic. No client can name such a channel.
    #[serde(skip_deserializing)]
    Topic,
}

/// The namespace of users' inboxes: `inbox:USER`.
pub const INBOX: &str = "inbox";

/// The namespace of those who follow topics. Names of clients have no control characters.
pub const TOPIC: &str = "\0topic";

/// What inboxes keep, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxPolicy {
    /// Notifications of one user: the oldest go first.
    pub items: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// How long one is kept.
    pub keep: Period,
}

impl Default for InboxPolicy {
    fn default() -> Self {
        Self { items: 10_000, bytes: 16 << 20, keep: Period::millis(90 * 86_400_000) }
    }
}

/// What the application's backend is asked about before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// Events of clients: `[hooks.publish]` says whom to ask.
    Publish,
    /// Subscriptions, and with them history and presence: `[hooks.subscribe]` says whom to ask.
    Subscribe,
}

/// What holds when the backend does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenDown {
    /// It is done as if there were no hook.
    Allow,
    /// It is refused, and the client is told to come again later.
    #[default]
    Deny,
}

/// How sessions are let in by the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectRule {
    /// The backend says who a token belongs to; else the authority does, before it is asked.
    pub opaque: bool,
    /// A session that goes on by its ticket is asked about again.
    pub resumed: bool,
    /// What holds when it does not answer.
    pub when_down: WhenDown,
}

/// What the backend is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// New sessions; `None`: it is not asked.
    pub connect: Option<ConnectRule>,
    /// Publishes, where a namespace has [`Hook::Publish`].
    pub publish: WhenDown,
    /// Subscriptions, where a namespace has [`Hook::Subscribe`].
    pub subscribe: WhenDown,
}

/// The rules of a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NamespacePolicy {
    /// What its channels are: `events`, one after the other, `state`, values by their keys, or
    /// `document`, what several write at once. A channel that has something stored stays what it
    /// is.
    pub kind: Kind,
    /// Who may subscribe.
    pub subscribe: Access,
    /// Who may publish.
    pub publish: Access,
    /// What your backend is asked about too, after these rules: `subscribe`, `publish`. It needs
    /// `[hooks.subscribe]`, `[hooks.publish]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["subscribe", "publish"]]))]
    pub hooks: Vec<Hook>,
    /// What is kept.
    pub history: HistoryPolicy,
    /// Where `kind` is `events`: who may change what was published.
    pub changes: ChangesPolicy,
    /// Who sees who is here.
    pub presence: PresencePolicy,
    /// Where `kind` is `state`: how much its channels hold.
    pub state: StatePolicy,
    /// Where `kind` is `document`: how large one may become.
    pub document: DocumentPolicy,
    /// Where `kind` is `document`: what of their past is kept.
    pub versions: VersionsPolicy,
    /// Where `kind` is inbox.
    #[serde(skip)]
    pub inbox: InboxPolicy,
    /// A JSON Schema that `data` must fit: a file, relative to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_file: Option<String>,
}

impl Default for NamespacePolicy {
    fn default() -> Self {
        Self {
            kind: Kind::Events,
            subscribe: Access::SignedIn,
            publish: Access::Token,
            hooks: Vec::new(),
            history: HistoryPolicy::default(),
            changes: ChangesPolicy::default(),
            presence: PresencePolicy::default(),
            state: StatePolicy::default(),
            document: DocumentPolicy::default(),
            versions: VersionsPolicy::default(),
            inbox: InboxPolicy::default(),
            schema_file: None,
        }
    }
}

/// What a namespace keeps of its channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryPolicy {
    /// Who may read history, recover and rewind, once they may subscribe.
    pub read: Access,
    /// The newest this many events of a channel are kept; 0: none, and clients cannot recover.
    /// Edits, deletions and reactions are kept beside them, up to ten for each.
    pub size: u32,
    /// Events older than this are dropped.
    pub ttl: Period,
    /// Stored on disk before the publisher is told; else in memory. Documents always are: where
    /// `kind` is `document` it need not be written, and `false` is refused.
    pub durable: bool,
    /// How long a publish is recognised when it is sent again.
    pub dedup_window: Period,
}

impl Default for HistoryPolicy {
    fn default() -> Self {
        Self {
            read: Access::Anyone,
            size: 100,
            ttl: Period::secs(86_400),
            durable: false,
            dedup_window: Period::secs(900),
        }
    }
}

impl HistoryPolicy {
    /// As the store is told.
    pub fn retention(&self) -> Retention {
        Retention { size: self.size, ttl_ms: self.ttl.ms, dedup_ms: self.dedup_window.ms }
    }
}

/// Who may change an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Changer {
    /// Whoever published it, as long as they may publish.
    Author,
    /// Nobody but moderators.
    Nobody,
}

/// Who may react to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reacter {
    /// Whoever may publish.
    Publish,
    /// Whoever has a token and may subscribe; others if they may publish.
    Subscribe,
    /// Nobody.
    Nobody,
}

/// Changes of events in a namespace. Whoever has a token that grants `moderate` for the channel may
/// edit and delete everybody's events, and so may the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangesPolicy {
    /// Who may edit an event.
    pub edit: Changer,
    /// Who may delete an event.
    pub delete: Changer,
    /// Who may react to events.
    pub react: Reacter,
}

impl Default for ChangesPolicy {
    fn default() -> Self {
        Self { edit: Changer::Author, delete: Changer::Author, react: Reacter::Subscribe }
    }
}

/// Presence in a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PresencePolicy {
    /// Who may enter and see the members.
    pub access: Access,
    /// How long a leave is held back after a lost connection: a reload is not a leave and an enter.
    pub leave_delay: Period,
    /// Above this many members only their count is sent.
    pub members_max: usize,
    /// How many of those who left lately are remembered, with when they were last seen.
    pub departed: usize,
}

impl Default for PresencePolicy {
    fn default() -> Self {
        Self {
            access: Access::SignedIn,
            leave_delay: Period::secs(5),
            members_max: 200,
            departed: 50,
        }
    }
}

/// What becomes of a subscriber that cannot keep up with changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// It is sent the newest value of each key when it can take it, and never an old one.
    Conflate,
    /// Its connection is closed at `limits.backlog`, and it comes back and recovers: it sees each
    /// change.
    #[default]
    Disconnect,
}

/// Live data in a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatePolicy {
    /// Keys of one channel.
    pub keys: usize,
    /// Bytes of the keys and values of one channel. In memory it takes up to three times as much,
    /// on disk too.
    pub bytes: usize,
    /// What becomes of a subscriber that cannot keep up: `disconnect` makes it recover, `conflate`
    /// skips values that are old already.
    pub overflow: Overflow,
}

impl Default for StatePolicy {
    fn default() -> Self {
        Self { keys: 10_000, bytes: 16 << 20, overflow: Overflow::Disconnect }
    }
}

/// Documents in a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DocumentPolicy {
    /// Bytes of one document, as it is stored. What would make it larger is refused.
    pub size: usize,
    /// Clients that may have written in one document: each page that is loaded and written in is
    /// one. Above it new ones are refused, and whoever has written goes on.
    pub clients: usize,
}

impl Default for DocumentPolicy {
    fn default() -> Self {
        Self { size: 10 << 20, clients: 10_000 }
    }
}

/// Versions of the documents in a namespace: what they held before, to go back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VersionsPolicy {
    /// When nobody has changed a document for so long, it becomes a version by itself.
    pub quiet: Period,
    /// It does so at the latest so long after the first change behind its newest version.
    pub busy: Period,
    /// Versions of one document that were taken by themselves: the oldest go. 0: none are taken.
    pub automatic: usize,
    /// Versions of one document that somebody asked for, or gave a name. Above it no more are
    /// taken.
    pub named: usize,
    /// Bytes of all versions of one document, each as long as the document was. Those that were
    /// taken by themselves go first; then no more are taken.
    pub size: usize,
}

impl Default for VersionsPolicy {
    fn default() -> Self {
        let (quiet, busy) = (Period::millis(120_000), Period::millis(3_600_000));
        Self { quiet, busy, automatic: 100, named: 100, size: 64 << 20 }
    }
}

/// Why `data` does not fit its namespace's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFault {
    /// Where: a JSON Pointer (RFC 6901) into `data`; empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

/// A compiled schema. The engine does not know what kind.
pub trait DataSchema: fmt::Debug + Send + Sync {
    /// Checks `data`, which is valid JSON.
    ///
    /// # Errors
    /// The first fault found.
    fn check(&self, data: &str) -> Result<(), DataFault>;
}

/// A namespace in force.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Its name: what stands in front of the colon.
    pub name: Box<str>,
    /// Its rules.
    pub policy: NamespacePolicy,
    /// What `data` must look like.
    pub schema: Option<Arc<dyn DataSchema>>,
}

impl Namespace {
    /// Whether `who` may do `action` on `channel`, which is of this namespace.
    pub fn allows(&self, who: &Identity, action: Action, channel: &str) -> bool {
        if matches!(self.policy.kind, Kind::Inbox | Kind::Topic) {
            return self.opens(who, action, channel);
        }
        let access = match action {
            Action::History => self.policy.history.read,
            Action::Moderate => Access::Token,
            Action::Presence => self.policy.presence.access,
            Action::Publish => self.policy.publish,
            Action::Subscribe => self.policy.subscribe,
        };
        let open = match access {
            Access::Anyone => true,
            Access::SignedIn => !who.anonymous,
            Access::Token => false,
        };
        open || who.grants(action, channel)
    }

    /// Whether this is `who`'s own inbox, to read. No token grants somebody else's.
    fn opens(&self, who: &Identity, action: Action, channel: &str) -> bool {
        let may = match self.policy.subscribe {
            Access::Anyone => true,
            Access::SignedIn => !who.anonymous,
            Access::Token => who.grants(action, channel),
        };
        let own = channel.split_once(':').is_some_and(|(_, user)| *user == *who.user);
        let reads = matches!(action, Action::History | Action::Subscribe);
        self.policy.kind == Kind::Inbox && reads && own && may
    }

    /// Whether `data` looks as the namespace wants it.
    pub(crate) fn check(&self, data: &str) -> Result<(), Reject> {
        let Some(schema) = &self.schema else { return Ok(()) };
        schema.check(data).map_err(|fault| {
            let why = format!("data does not fit the namespace's schema: {}", fault.reason);
            Reject { path: Some(fault.path.into()), ..Reject::new(ErrorCode::InvalidData, why) }
        })
    }
}

/// All namespaces, by name.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether there are users without a token.
    pub anonymous: bool,
    /// What the backend is asked about.
    pub hooks: Hooks,
    /// Who counts what users do; `None`: nobody, they may do it as fast as they can.
    pub meter: Option<Arc<dyn Meter + Send + Sync>>,
    /// The namespaces.
    pub namespaces: HashMap<Box<str>, Arc<Namespace>>,
    /// Who pushes notifications to browsers; `None`: nobody.
    pub push: Option<Arc<dyn PushService + Send + Sync>>,
    /// What the engine tells of.
    pub wants: Wants,
}

impl Policy {
    /// The namespace of a channel, by what stands in front of its first colon.
    pub fn namespace_of(&self, channel: &str) -> Option<&Arc<Namespace>> {
        let (namespace, _) = channel.split_once(':')?;
        self.namespaces.get(namespace)
    }
}
