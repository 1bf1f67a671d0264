//! An authority that can be exchanged while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use tidings_core::identity::{Authority, Identity, TokenError};

use super::JwtAuthority;

/// One [`JwtAuthority`] for all shards. [`SharedAuthority::replace`] puts another in its place,
/// when keys were changed; open sessions hear of it when engines are reconfigured.
#[derive(Clone, Debug)]
pub struct SharedAuthority(Arc<RwLock<Arc<JwtAuthority>>>);

impl SharedAuthority {
    /// Starts with `authority`.
    pub fn new(authority: JwtAuthority) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(authority))))
    }

    /// From now on, all clones ask `authority`.
    pub fn replace(&self, authority: JwtAuthority) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(authority);
    }

    /// The one in force. The lock is held only to clone the pointer, not while a key is tried.
    fn current(&self) -> Arc<JwtAuthority> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Authority for SharedAuthority {
    fn verify(&self, token: &str, wall_ms: u64) -> Result<Identity, TokenError> {
        self.current().verify(token, wall_ms)
    }

    fn honours(&self, key: u32) -> bool {
        self.current().honours(key)
    }

    fn sign_ticket(&self, session: u64, expires_ms: u64) -> String {
        self.current().sign_ticket(session, expires_ms)
    }

    fn read_ticket(&self, ticket: &str, wall_ms: u64) -> Option<u64> {
        self.current().read_ticket(ticket, wall_ms)
    }
}
