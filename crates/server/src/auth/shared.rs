//! An authority that can be exchanged while the server runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use tidings_core::identity::{Authority, Identity, TokenError};

use super::revocations::Revocations;
use super::{JwtAuthority, RemoteKeys, refused};

/// One [`JwtAuthority`] for all shards. [`SharedAuthority::replace`] puts another in its place,
/// when keys were changed; open sessions hear of it when engines are reconfigured.
#[derive(Clone, Debug)]
pub struct SharedAuthority {
    current: Arc<RwLock<Arc<JwtAuthority>>>,
    revocations: Arc<Revocations>,
    withdrawn: Arc<AtomicBool>,
}

impl SharedAuthority {
    /// Starts with `authority`, and with nothing revoked.
    pub fn new(authority: JwtAuthority) -> Self {
        Self::with(authority, Revocations::default())
    }

    pub(crate) fn with(authority: JwtAuthority, revocations: Revocations) -> Self {
        let current = Arc::new(RwLock::new(Arc::new(authority)));
        Self { current, revocations: Arc::new(revocations), withdrawn: Arc::default() }
    }

    /// From now on, all clones ask `authority`.
    pub fn replace(&self, mut authority: JwtAuthority) {
        authority.keep_fetched(&self.current());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(authority);
    }

    /// The key sets that are fetched.
    pub(crate) fn remote(&self) -> Vec<Arc<RemoteKeys>> {
        self.current().remote.clone()
    }

    /// How long a key set is used that cannot be fetched.
    pub(crate) fn grace(&self) -> Duration {
        self.current().grace
    }

    /// Keys are gone from a set that was fetched: engines have to look who is still welcome.
    pub(crate) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }

    /// Whether keys have gone since this was asked last.
    pub(crate) fn take_withdrawn(&self) -> bool {
        self.withdrawn.swap(false, Ordering::Relaxed)
    }

    /// What was revoked.
    pub(crate) fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// A token for the URL of `user`: its `channels` claim, and for how many seconds it lives.
    pub(crate) fn mint_ticket(
        &self,
        user: &str,
        channels: &Value,
        ttl: u64,
        now_ms: u64,
    ) -> String {
        self.current().mint_ticket(user, channels, ttl, now_ms)
    }

    /// The one in force. The lock is held only to clone the pointer, not while a key is tried.
    fn current(&self) -> Arc<JwtAuthority> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Authority for SharedAuthority {
    fn verify(&self, token: &str, wall_ms: u64) -> Result<Identity, TokenError> {
        let identity = self.current().verify(token, wall_ms)?;
        if self.revocations.stands(&identity, 0, None) {
            return Ok(identity);
        }
        Err(refused("it was revoked"))
    }

    fn honours(&self, key: u32) -> bool {
        self.current().honours(key)
    }

    fn sign_ticket(&self, session: u64, expires_ms: u64) -> String {
        self.current().sign_ticket(session, expires_ms)
    }

    fn stands(&self, who: &Identity, session: u64, channel: Option<&str>) -> bool {
        self.revocations.stands(who, session, channel)
    }

    fn read_ticket(&self, ticket: &str, wall_ms: u64) -> Option<u64> {
        self.current().read_ticket(ticket, wall_ms)
    }
}
