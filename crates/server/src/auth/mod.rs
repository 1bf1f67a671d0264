//! Tokens and session tickets: [`JwtAuthority`] implements the engine's
//! [`Authority`].
//!
//! # What a token looks like
//!
//! A JWT (RFC 7519), signed with one of the keys in the configuration. Its header's `alg` must be
//! the key's own algorithm; `kid`, if there, picks among the configured keys; `jwk`, `jku` and
//! `x5u` are ignored. Its claims:
//!
//! | claim | |
//! | --- | --- |
//! | `sub` | required: the user, 1 to 255 bytes without control characters, not `anon-…` |
//! | `exp` | required unless `auth.allow_no_expiry`; whole seconds since 1970 |
//! | `nbf` | not before; whole seconds since 1970 |
//! | `iss`, `aud` | checked if the key has an `issuer`, an `audience` |
//! | `iat`, `jti` | when it was issued and what it is called: by these it can be revoked |
//! | `typ` | if there: `tidings` or `Bearer`, so that an id or refresh token is no way in |
//! | `channels` | what the user may do beyond what namespaces allow everybody |
//!
//! `channels` is an object of patterns, each with its actions. A pattern is a channel's whole name
//! or a prefix that ends in `*`; actions are `subscribe`, `publish`, `history`,
//! `presence` and `moderate`:
//!
//! ```json
//! {"sub":"ada","exp":1767225600,"channels":{"chat:*":["subscribe","publish"],"a:b":["history"]}}
//! ```

mod claims;
mod fetch;
mod keys;
mod mint;
mod provider;
mod remote;
mod revocations;
mod shared;
mod ticket;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidings_core::Period;
use tidings_core::identity::{Authority, Identity, TokenError};

use crate::config;
use claims::{Claims, Header};
pub(crate) use claims::{check_user, read_grants};
pub(crate) use fetch::keep_fetching;
pub use keys::{KeyError, KeySet};
pub use mint::{InvalidGrant, MintError, SigningKey, TokenRequest, mint, parse_grant};
pub(crate) use remote::RemoteKeys;
pub(crate) use revocations::{Revocation, Revocations, RevokeError};
pub use shared::SharedAuthority;
use ticket::{TicketKey, URL_TICKET, UrlTickets};

/// Checks tokens with the configured keys, and signs session tickets.
pub struct JwtAuthority {
    keys: KeySet,
    remote: Vec<Arc<RemoteKeys>>,
    leeway: Period,
    allow_no_expiry: bool,
    grace: Duration,
    tickets: TicketKey,
    /// What is minted for URLs.
    url_tickets: UrlTickets,
}

impl fmt::Debug for JwtAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthority").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl JwtAuthority {
    /// Reads the keys; their files are relative to `base_dir`. `ticket_secret` signs session
    /// tickets: keep it through restarts, or anonymous users lose their names.
    ///
    /// # Errors
    /// Every key that cannot be used.
    pub fn from_config(
        auth: &config::Auth,
        base_dir: &Path,
        ticket_secret: &[u8; 32],
    ) -> Result<Self, Vec<KeyError>> {
        Ok(Self {
            keys: KeySet::load(auth, base_dir)?,
            remote: RemoteKeys::of(&auth.key, Instant::now()),
            leeway: auth.leeway,
            allow_no_expiry: auth.allow_no_expiry,
            grace: Duration::from_millis(auth.jwks_grace.ms),
            tickets: TicketKey::new(ticket_secret),
            url_tickets: UrlTickets::new(ticket_secret),
        })
    }

    /// Goes on with the key sets that another has fetched already, and fetches them again.
    pub(super) fn keep_fetched(&mut self, before: &Self) {
        for set in &mut self.remote {
            if let Some(old) = before.remote.iter().find(|old| old.is_as(set)) {
                *set = old.clone();
                set.renew(Instant::now());
            }
        }
    }

    /// Whom a token of these claims, signed with one of these keys, says its bearer is.
    fn check(
        &self,
        keys: &KeySet,
        (header, claims): (&Header, &Claims),
        (signed, signature): (&[u8], &str),
        wall_ms: u64,
    ) -> Result<Identity, TokenError> {
        let signers = keys.signers(header, signed, signature)?;
        let Some(key) = signers.iter().find(|key| claims.is_for(key)) else {
            return Err(refused("its `iss` or `aud` is not the one configured for its key"));
        };
        claims.identity(wall_ms, self.leeway, self.allow_no_expiry, key.mark())
    }

    fn mint_ticket(&self, user: &str, channels: &Value, ttl: u64, now_ms: u64) -> String {
        self.url_tickets.mint(user, channels, ttl, now_ms)
    }
}

impl Authority for JwtAuthority {
    fn verify(&self, token: &str, wall_ms: u64) -> Result<Identity, TokenError> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refused("it is not a JWT: three parts with dots between"));
        };
        let header = Header::decode(header)?;
        let signed = &token.as_bytes()[..token.len() - signature.len() - 1];
        let claims = Claims::decode(payload)?;
        let (token, proof) = ((&header, &claims), (signed, signature));
        if header.kid.as_deref() == Some(URL_TICKET) {
            return self.check(self.url_tickets.keys(), token, proof, wall_ms);
        }
        let mut outcome = self.check(&self.keys, token, proof, wall_ms);
        for set in self.remote.iter().filter(|set| claims.names(set.issuer())) {
            if outcome.is_ok() {
                break;
            }
            let keys = set.keys();
            outcome = self.check(&keys, token, proof, wall_ms);
            if !keys.knows(&header) && set.misses(Instant::now()) {
                outcome = Err(TokenError::Later);
            }
        }
        outcome
    }

    fn honours(&self, key: u32) -> bool {
        let fetched = || self.remote.iter().any(|set| set.keys().has(key));
        self.keys.has(key) || self.url_tickets.keys().has(key) || fetched()
    }

    fn sign_ticket(&self, session: u64, expires_ms: u64) -> String {
        self.tickets.sign(session, expires_ms)
    }

    fn read_ticket(&self, ticket: &str, wall_ms: u64) -> Option<u64> {
        self.tickets.read(ticket, wall_ms)
    }
}

/// A refusal; `reason` must hold nothing of the token.
fn refused(reason: &str) -> TokenError {
    TokenError::Refused(reason.into())
}

#[cfg(test)]
mod tests;
