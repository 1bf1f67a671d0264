//! `[inbox]`: notifications.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_core::Period;
use tidings_core::policy::{
    Access, HistoryPolicy, INBOX, InboxPolicy, Kind, NamespacePolicy, PresencePolicy, TOPIC,
};

/// What users are told by your backend, and what they have seen of it: see
/// `docs/notifications.md`. Each user has the channel `inbox:USER`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inbox {
    /// Who has an inbox: `anyone`, or only users with a token.
    pub access: Access,
    /// Who may follow any topic. Whose token grants `subscribe` for `topic:NAME` may follow that
    /// one in any case.
    pub follow: Access,
    /// Notifications of one user that are kept: the oldest go first.
    pub items: usize,
    /// Bytes of them, with some 100 for each beside its text. In memory, while the user is
    /// connected, it takes as much, on disk up to three times as much.
    pub bytes: usize,
    /// How long one is kept.
    pub keep: Period,
    /// Stored on disk before your backend, or a user who marks something, is told. `false`: all of
    /// it is lost at a restart.
    pub durable: bool,
    /// The newest this many changes of an inbox are kept for devices that come back. Who was away
    /// for longer reads the inbox anew.
    pub history: u32,
    /// How long a `key` of your backend, or a mark of a device, is recognised when it comes again.
    pub dedup_window: Period,
}

impl Default for Inbox {
    fn default() -> Self {
        let InboxPolicy { items, bytes, keep } = InboxPolicy::default();
        Self {
            access: Access::SignedIn,
            follow: Access::Token,
            items,
            bytes,
            keep,
            durable: true,
            history: 100,
            dedup_window: Period::secs(86_400),
        }
    }
}

impl Inbox {
    /// The namespaces that it makes.
    pub(super) fn namespaces(&self) -> [(&'static str, NamespacePolicy); 2] {
        let inboxes = NamespacePolicy {
            kind: Kind::Inbox,
            subscribe: self.access,
            publish: Access::Token,
            history: HistoryPolicy {
                read: Access::Anyone,
                size: self.history,
                ttl: self.keep,
                durable: self.durable,
                dedup_window: self.dedup_window,
            },
            presence: PresencePolicy { access: Access::Token, ..PresencePolicy::default() },
            inbox: InboxPolicy { items: self.items, bytes: self.bytes, keep: self.keep },
            ..NamespacePolicy::default()
        };
        let topics = NamespacePolicy {
            kind: Kind::Topic,
            subscribe: self.follow,
            history: HistoryPolicy { size: 1, ..inboxes.history.clone() },
            ..NamespacePolicy::default()
        };
        [(INBOX, inboxes), (TOPIC, topics)]
    }
}
