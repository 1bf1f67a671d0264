//! Who a session belongs to, and what its token says.

use std::fmt;
use std::sync::Arc;

/// What can be allowed on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read history, recover, rewind.
    History,
    /// Edit and delete what others have published.
    Moderate,
    /// Enter, and see the members.
    Presence,
    /// Publish.
    Publish,
    /// Subscribe.
    Subscribe,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 5] =
        [Action::History, Action::Moderate, Action::Presence, Action::Publish, Action::Subscribe];

    /// As it is written in a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::History => "history",
            Action::Moderate => "moderate",
            Action::Presence => "presence",
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
        }
    }
}

/// One entry of a token's `channels`: a pattern and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// A channel's whole name, or a prefix that ends in `*`.
    pub pattern: Box<str>,
    /// What is allowed on the channels that fit.
    pub actions: Vec<Action>,
}

impl Grant {
    fn fits(&self, channel: &str) -> bool {
        fits(&self.pattern, channel)
    }
}

/// Whether a channel is one of a pattern's: its whole name, or a prefix that ends in `*`.
pub fn fits(pattern: &str, channel: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => channel.starts_with(prefix),
        None => *pattern == *channel,
    }
}

/// Who a session belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user: `sub` of the token, or a name that starts with `anon-`.
    pub user: Arc<str>,
    /// Whether there is no token.
    pub anonymous: bool,
    /// Which key vouches for the token, for [`Authority::honours`]; 0 without one.
    pub key: u32,
    /// When the token expires: wall clock, milliseconds since 1970.
    pub expires_at_ms: Option<u64>,
    /// When the token was issued: wall clock, milliseconds since 1970; 0 if it does not say.
    pub issued_at_ms: u64,
    /// The token's id: its `jti`.
    pub token: Option<Box<str>>,
    /// The token's `channels`. Boxed: most tokens have none, and every connection pays for it.
    pub grants: Option<Box<[Grant]>>,
}

impl Identity {
    /// Whether the token itself allows `action` on `channel`.
    pub fn grants(&self, action: Action, channel: &str) -> bool {
        let grants = self.grants.as_deref().unwrap_or_default();
        grants.iter().any(|grant| grant.actions.contains(&action) && grant.fits(channel))
    }

    /// The scope of this user's producers and keys: anonymous users share one.
    pub fn scope(&self) -> &str {
        if self.anonymous { "" } else { &self.user }
    }
}

/// Why a token was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It was valid once.
    Expired,
    /// It may be valid: what it is checked with is not here yet.
    Later,
    /// It never was. The reason is for the developer and holds nothing of the token.
    Refused(String),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::Expired => f.write_str("the token has expired"),
            TokenError::Later => f.write_str("the token's key is not known yet; try again"),
            TokenError::Refused(reason) => write!(f, "the token is refused: {reason}"),
        }
    }
}

impl std::error::Error for TokenError {}

/// Checks tokens and session tickets. The engine holds no keys.
pub trait Authority: fmt::Debug {
    /// Verifies a token at `wall_ms` (milliseconds since 1970).
    ///
    /// # Errors
    /// When it has expired or was never valid.
    fn verify(&self, token: &str, wall_ms: u64) -> Result<Identity, TokenError>;

    /// Whether tokens that this key vouches for are still taken: keys can be withdrawn.
    fn honours(&self, key: u32) -> bool {
        let _ = key;
        true
    }

    /// Signs the ticket of session `session`, good until `expires_ms`: its id in 16 hexadecimal
    /// digits, a dot, and what proves it.
    fn sign_ticket(&self, session: u64, expires_ms: u64) -> String;

    /// Whether nothing has been revoked of `who`: the user, the token, the session with this id;
    /// and, if there is a `channel`, the right to it. Asked for each command that needs rights.
    fn stands(&self, who: &Identity, session: u64, channel: Option<&str>) -> bool {
        let _ = (who, session, channel);
        true
    }

    /// The session of a ticket, if this server signed it and it has not expired.
    fn read_ticket(&self, ticket: &str, wall_ms: u64) -> Option<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_exact_or_a_prefix() {
        let grant = |pattern: &str| Grant { pattern: pattern.into(), actions: vec![] };
        assert!(grant("chat:*").fits("chat:lobby"));
        assert!(grant("chat:lobby").fits("chat:lobby"));
        assert!(grant("*").fits("news:all"));
        assert!(!grant("chat:lobby").fits("chat:lobby2"));
        assert!(!grant("chat:*").fits("chatter:lobby"));
        assert!(!grant("chat:*x").fits("chat:ax"), "a star is one only at the end");
    }
}
