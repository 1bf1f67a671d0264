//! The tables of webhooks.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_core::Period;
use tidings_core::engine::Wants;

use super::{Config, Secret};

/// Calls the application's backend when something has happened: see `docs/webhooks.md`. What waits
/// to be told is in the store, so with `store.kind = "memory"` a restart loses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// What it is called: 1 to 32 characters of a-z 0-9 _ -. What waits for it belongs to this
    /// name.
    #[schemars(extend("examples" = ["backend"]))]
    pub name: String,
    /// Where to. Internal addresses and `http:` must be in `egress.allow`.
    #[schemars(extend("examples" = ["https://app.example.com/tidings"]))]
    pub url: String,
    /// What calls are signed with, at least 32 characters. Better in `secret_file`.
    #[serde(skip_serializing)]
    #[schemars(extend("examples" = ["replace me: openssl rand -base64 32"]))]
    pub secret: Option<Secret>,
    /// A file with the secret, or with two while it is changed, one a line: each signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/run/secrets/tidings-webhook"]))]
    pub secret_file: Option<PathBuf>,
    /// What is told.
    #[schemars(extend("examples" = [["user.online", "user.offline"]]))]
    pub events: Vec<WebhookEvent>,
    /// The channels that `channel.` and `event.` are told of: whole names, or prefixes that end in
    /// `*`.
    pub channels: Vec<String>,
    /// How long a call may take.
    pub timeout: Period,
    /// Items in one call at most.
    pub batch: usize,
    /// Calls at once at most.
    pub concurrency: usize,
    /// How long it is tried to tell something. Then it is dropped, logged and counted.
    pub keep: Period,
    /// Items that may wait. Above that the oldest is dropped, logged and counted; and so is one
    /// that the backend refuses while four times as many others have passed it.
    pub queue: usize,
    /// Bytes that may wait.
    pub queue_bytes: usize,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            secret: None,
            secret_file: None,
            events: Vec::new(),
            channels: vec!["*".into()],
            timeout: Period::secs(10),
            batch: 100,
            concurrency: 8,
            keep: Period::secs(3 * 86_400),
            queue: 100_000,
            queue_bytes: 64 << 20,
        }
    }
}

/// Something that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WebhookEvent {
    /// A channel has its first subscriber.
    #[serde(rename = "channel.occupied")]
    ChannelOccupied,
    /// A channel's last subscriber has been gone for `limits.leave_delay`.
    #[serde(rename = "channel.vacated")]
    ChannelVacated,
    /// An event is in its channel's history. (Ephemeral ones are not told.)
    #[serde(rename = "event.published")]
    EventPublished,
    /// A user with a token has a first session.
    #[serde(rename = "user.online")]
    UserOnline,
    /// A user's last session has been gone for `limits.leave_delay`.
    #[serde(rename = "user.offline")]
    UserOffline,
}

impl WebhookEvent {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            WebhookEvent::ChannelOccupied => "channel.occupied",
            WebhookEvent::ChannelVacated => "channel.vacated",
            WebhookEvent::EventPublished => "event.published",
            WebhookEvent::UserOnline => "user.online",
            WebhookEvent::UserOffline => "user.offline",
        }
    }
}

impl Config {
    /// What all webhooks together want the engine to tell.
    pub(super) fn wants(&self) -> Wants {
        use WebhookEvent as E;
        let mut wants = Wants::default();
        for hook in &self.webhook {
            let patterns = || hook.channels.iter().map(|pattern| pattern.as_str().into());
            let any = |events: [E; 2]| events.iter().any(|event| hook.events.contains(event));
            wants.users |= any([E::UserOnline, E::UserOffline]);
            if any([E::ChannelOccupied, E::ChannelVacated]) {
                wants.channels.extend(patterns());
            }
            if hook.events.contains(&E::EventPublished) {
                wants.events.extend(patterns());
            }
        }
        wants
    }
}
