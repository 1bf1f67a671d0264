//! The tables of the HTTP API.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;

/// The HTTP API for backends, at `/api/v1`. Without a key it is off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Who may use it.
    pub key: Vec<ApiKey>,
}

/// A key of the API: exactly one of `secret` and `secret_file`. Sent as
/// `Authorization: Bearer SECRET`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// What the key is called. Events that it publishes are from the user of this name, unless the
    /// request names another.
    #[schemars(extend("examples" = ["backend"]))]
    pub name: String,
    /// The secret itself, at least 32 bytes. Better in `secret_file`.
    #[serde(skip_serializing)]
    #[schemars(extend("examples" = ["replace me: openssl rand -base64 32"]))]
    pub secret: Option<Secret>,
    /// A file with the secret; white space at its end does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/run/secrets/tidings-api"]))]
    pub secret_file: Option<PathBuf>,
    /// What may be done with it. Empty: everything.
    pub scopes: Vec<Scope>,
    /// The channels that it is for: whole names, or prefixes that end in `*`.
    pub channels: Vec<String>,
}

impl Default for ApiKey {
    fn default() -> Self {
        Self {
            name: String::new(),
            secret: None,
            secret_file: None,
            scopes: Vec::new(),
            channels: vec!["*".into()],
        }
    }
}

/// A part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// List channels and look at one.
    Channels,
    /// Read history, what live data holds, and documents.
    History,
    /// Read inboxes, how far users have read, and who follows topics.
    Inbox,
    /// End connections and subscriptions, and revoke.
    Manage,
    /// Notify users, mark what they were told, and change who follows topics.
    Notify,
    /// See who is present.
    Presence,
    /// Publish, change what was published, and write live data and documents.
    Publish,
    /// See what the server holds and has counted.
    Stats,
    /// Make tickets for clients that have only a URL.
    Tickets,
    /// Follow what sessions send and get, with all its data.
    Trace,
    /// See users and their connections.
    Users,
}

impl Scope {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Channels => "channels",
            Scope::History => "history",
            Scope::Inbox => "inbox",
            Scope::Manage => "manage",
            Scope::Notify => "notify",
            Scope::Presence => "presence",
            Scope::Publish => "publish",
            Scope::Stats => "stats",
            Scope::Tickets => "tickets",
            Scope::Trace => "trace",
            Scope::Users => "users",
        }
    }
}
