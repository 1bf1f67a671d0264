//! `[push]`: Web Push.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_core::Period;

/// Tells browsers of notifications while their user is away: see `docs/web-push.md`. Off without
/// `subject`. Changes take effect at the next start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// Whom push services write to when something is wrong: `mailto:` or `https:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["mailto:operator@example.com"]))]
    pub subject: Option<String>,
    /// The key that push services know this server by (P-256, PKCS #8, PEM). It is made when there
    /// is none, by default as `push-key.pem` in `store.path`. Whoever changes it loses all
    /// subscriptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/var/lib/tidings/push-key.pem"]))]
    pub key_file: Option<PathBuf>,
    /// How long a notification waits for its user to see it, before it is pushed.
    pub delay: Period,
    /// How long it is tried to push something, and how long push services keep it for a browser
    /// that is not there.
    pub ttl: Period,
    /// How long a call may take.
    pub timeout: Period,
    /// Notifications that are pushed at once at most.
    pub concurrency: usize,
    /// Notifications that may wait for their push. Above that the oldest is not pushed, logged and
    /// counted.
    pub queue: usize,
    /// Networks of push services of your own, as `10.1.0.0/16` or `127.0.0.1`: there `http:` will
    /// do. Users say where pushes go, so `egress.allow` does not hold for them.
    pub allow: Vec<String>,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            subject: None,
            key_file: None,
            delay: Period::secs(30),
            ttl: Period::secs(86_400),
            timeout: Period::secs(10),
            concurrency: 32,
            queue: 100_000,
            allow: Vec::new(),
        }
    }
}
